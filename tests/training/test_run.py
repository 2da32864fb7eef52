"""One run from its settings to what it leaves behind."""

import hashlib
import json
import math
from pathlib import Path
from typing import NamedTuple

import peft
import pytest
import torch
from safetensors.torch import load_file
from training_cases import real_spec
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from balora.errors import ConfigError, DataError, InputError, ModelError, OutputError
from balora.progress import Progress
from balora.tasks.catalogue import find_task
from balora.tasks.nlg import evaluate_nlg, prepare_nlg
from balora.tasks.nlu import evaluate_nlu, prepare_nlu
from balora.training import run as run_module
from balora.training.fingerprint import fingerprints
from balora.training.identity import run_id
from balora.training.machine import versions
from balora.training.record import RunRecord, correct_rows, read_record
from balora.training.run import run
from balora.training.spec import RunSpec

QUIET = pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning")


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


class Finished(NamedTuple):
    """A run, and what it left behind."""

    spec: RunSpec
    record: RunRecord
    folder: Path
    progress: list[Progress]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, checkpoint, data):
    """One classification run of three steps, for all claims about its record and its files."""
    spec, folder, progress = real_spec(checkpoint, data), tmp_path_factory.mktemp("classification") / "run", []
    return Finished(spec, run(spec, folder, on_progress=progress.append), folder, progress)


def test_a_run_with_an_adapter_leaves_four_entries(finished):
    assert sorted(path.name for path in finished.folder.iterdir()) == [
        "adapter",
        "items.jsonl",
        "run.json",
        "series.jsonl",
    ]


def test_the_record_on_disk_is_the_record_returned(finished):
    assert read_record(finished.folder) == finished.record


def test_a_run_that_succeeds_says_so(finished):
    assert (finished.record.status, finished.record.error) == ("ok", None)


def test_the_record_identifies_the_run_by_what_it_used(finished):
    record = finished.record
    assert record.spec == finished.spec
    assert record.fingerprints == fingerprints(finished.spec)
    assert record.id == run_id(finished.spec, record.fingerprints)


def test_the_record_names_libraries_and_processor(finished):
    assert finished.record.versions == versions()
    assert finished.record.versions["torch"].startswith("2.")
    assert finished.record.versions["processor"]


def test_the_score_is_the_tasks_metric_in_points_of_a_hundred(finished):
    assert set(finished.record.metrics) == {"matthews_correlation"}
    assert finished.record.score == 100 * finished.record.metrics["matthews_correlation"]


def test_a_correlation_records_no_right_rows(finished):
    assert (finished.record.rows, finished.record.correct) == (12, None)


def test_the_record_holds_the_weight_of_every_term(finished):
    weights = {name: term.weight for name, term in finished.record.terms.items()}
    assert weights == {"task": 1.0, "consistency": 0.15, "diversity": 0.03, "spectral": 0.03}


def test_the_task_has_most_of_the_gradient(finished):
    assert finished.record.terms["task"].gradient_share > 0.5


def test_a_term_that_cannot_act_is_inactive_with_the_reason(finished):
    record = finished.record
    assert record.inactive == {"spectral": "k = 5 ≥ min(N, D) = 2: the nuclear ratio is -1 whatever the logits are"}
    assert record.terms["spectral"].mean is None


def test_the_series_has_a_line_per_step(finished):
    series = lines(finished.folder / "series.jsonl")
    assert [row["step"] for row in series] == [1, 2, 3]
    assert series[0]["task"] == finished.record.terms["task"].first


def test_the_items_are_the_evaluation_rows_in_order(finished):
    assert [item["index"] for item in lines(finished.folder / "items.jsonl")] == list(range(12))


def test_the_record_holds_the_digests_of_all_other_files(finished):
    names = [path.relative_to(finished.folder).as_posix() for path in finished.folder.rglob("*") if path.is_file()]
    assert {"series.jsonl", "items.jsonl", "adapter/adapter_model.safetensors", "run.json"} < set(names)
    assert finished.record.files == {
        name: hashlib.sha256((finished.folder / name).read_bytes()).hexdigest() for name in names if name != "run.json"
    }


def test_the_record_counts_steps_and_trained_parameters(finished):
    assert finished.record.cost.steps == 3
    # rank 2 on five blocks of q, k, v, o (64 to 64 or 32) and three layers of 64 to 172, and a head of 64 to 2
    assert finished.record.cost.trained_parameters == 5 * 2 * (2 * 128 + 2 * 96 + 3 * 236) + 128


def test_the_record_holds_the_time_of_every_phase_and_the_peak_of_memory(finished):
    cost = finished.record.cost
    assert min(cost.train_seconds, cost.eval_seconds, cost.setup_seconds) > 0
    assert 50 < cost.peak_memory_mb < 5000


def test_progress_covers_loading_every_step_and_every_evaluation_row(finished):
    steps = [signal for signal in finished.progress if signal.phase == "train"]
    assert finished.progress[0] == Progress("load", 0, 1)
    assert [(signal.step, signal.steps) for signal in steps] == [(1, 3), (2, 3), (3, 3)]
    assert math.isfinite(steps[-1].loss)
    assert finished.progress[-1] == Progress("evaluate", 12, 12)


def test_the_right_rows_are_those_of_the_items_and_give_the_score(tmp_path, checkpoint, data):
    record = run(real_spec(checkpoint, data, task="mrpc", **{"data.eval_rows": 13}), tmp_path / "run")
    right = correct_rows(record)
    assert right.tolist() == [item["correct"] for item in lines(tmp_path / "run" / "items.jsonl")]
    assert record.rows == 13
    assert 0 < right.sum() < 13
    assert 100 * right.mean() == record.score


@QUIET
@pytest.mark.parametrize("method", ["ba-lora", "lora"])
def test_plain_peft_predicts_the_same_from_the_adapter(tmp_path, checkpoint, data, method):
    spec = real_spec(checkpoint, data, task="stsb", method=method)
    record = run(spec, tmp_path / "run")
    torch.manual_seed(999)  # the head comes from the file, not from a seed
    base = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=1, pad_token_id=0)
    model = peft.PeftModel.from_pretrained(base, tmp_path / "run" / "adapter").eval()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    prepared = prepare_nlu(find_task("stsb"), spec.data, tokenizer, seed=42, max_positions=512)
    again = evaluate_nlu(model, prepared, batch_size=64)
    items = lines(tmp_path / "run" / "items.jsonl")
    assert [item["prediction"] for item in again.items] == pytest.approx(
        [item["prediction"] for item in items], abs=1e-5
    )
    assert again.score == pytest.approx(record.score, abs=1e-3)


@QUIET
def test_a_generation_run_and_its_adapter(tmp_path, checkpoint, data):
    spec = real_spec(checkpoint, data, task="gsm8k")
    record = run(spec, tmp_path / "run")
    assert set(record.metrics) == {"exact_match", "answer_loss"}
    assert record.metrics["answer_loss"] > 1
    assert record.score == 100 * record.metrics["exact_match"]
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    model = peft.PeftModel.from_pretrained(model, tmp_path / "run" / "adapter").eval()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    prepared = prepare_nlg(find_task("gsm8k"), spec.data, tokenizer, seed=42, max_positions=512)
    again = evaluate_nlg(model, tokenizer, prepared, batch_size=64, max_new_tokens=6)
    assert again.metrics["answer_loss"] == pytest.approx(record.metrics["answer_loss"], rel=1e-5)
    assert [item["text"] for item in again.items] == [item["text"] for item in lines(tmp_path / "run" / "items.jsonl")]


def test_full_fine_tuning_saves_the_whole_model(tmp_path, checkpoint, data):
    record = run(real_spec(checkpoint, data, task="gsm8k", method="full"), tmp_path / "run")
    assert record.cost.trained_parameters == 260_032
    assert record.terms["consistency"].mean is None
    assert record.inactive == dict.fromkeys(("consistency", "diversity", "spectral"), "λ = 0")
    assert any(note.startswith("logits are materialised, since the output head is trained") for note in record.notes)
    assert not any("frozen copy" in note for note in record.notes)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "model")
    start = AutoModelForCausalLM.from_pretrained(checkpoint)
    assert not torch.equal(model.lm_head.weight, start.lm_head.weight)
    AutoTokenizer.from_pretrained(tmp_path / "run" / "model")


@pytest.mark.parametrize("task", ["cola", "gsm8k"])
def test_full_fine_tuning_with_regularizers_holds_a_copy_and_says_so(tmp_path, checkpoint, data, task):
    record = run(real_spec(checkpoint, data, task=task, method="full+reg"), tmp_path / "run")
    assert "full fine-tuning with consistency holds a frozen copy of the model" in record.notes
    assert record.terms["consistency"].first == pytest.approx(0.0, abs=1e-6)
    assert record.terms["consistency"].last > 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "change", "tolerance"),
    [
        ("cola", {"training.precision": "bfloat16"}, 3e-2),
        ("gsm8k", {"training.precision": "bfloat16"}, 3e-2),
        ("gsm8k", {"training.gradient_checkpointing": True}, 1e-5),
    ],
)
def test_half_precision_and_checkpointing_stay_close_to_float32(tmp_path, checkpoint, data, task, change, tolerance):
    short = {"training.steps": 2, "data.eval_rows": 1, "data.max_new_tokens": 2}
    plain = run(real_spec(checkpoint, data, task=task, **short), tmp_path / "plain")
    other = run(real_spec(checkpoint, data, task=task, **short, **change), tmp_path / "other")
    steps = [[row["task"] for row in lines(tmp_path / name / "series.jsonl")] for name in ("plain", "other")]
    assert len(steps[1]) == 2
    assert steps[1] == pytest.approx(steps[0], rel=tolerance)
    assert (steps[1] == pytest.approx(steps[0], rel=1e-5)) == (tolerance == 1e-5)
    for term in ("consistency", "diversity"):
        assert other.terms[term].mean == pytest.approx(plain.terms[term].mean, rel=0.2, abs=1e-4)


def test_trained_weights_stay_in_float32_on_a_half_precision_base(tmp_path, checkpoint, data):
    run(real_spec(checkpoint, data, **{"training.precision": "bfloat16"}), tmp_path / "run")
    saved = load_file(tmp_path / "run" / "adapter" / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.float32}
    assert any("score" in name for name in saved)


@pytest.mark.slow
def test_full_fine_tuning_in_half_precision_starts_at_its_reference(tmp_path, checkpoint, data):
    changes = {"method": "full+reg", "training.precision": "bfloat16"}
    record = run(real_spec(checkpoint, data, task="gsm8k", **changes), tmp_path / "run")
    # the copy computes in the student's precision: in float32 its KL to a bfloat16 student would be 1e-4
    assert record.terms["consistency"].first == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("schedule", "ratios"),
    [
        ("constant", [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
        ("linear", [0.5, 1.0, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]),
        ("cosine", [0.5, 1.0, *((1 + math.cos(math.pi * step / 6)) / 2 for step in range(1, 6))]),
    ],
)
def test_the_learning_rate_warms_up_and_follows_its_schedule(tmp_path, checkpoint, data, monkeypatch, schedule, ratios):
    made = []
    true = run_module.BALoraTrainer
    monkeypatch.setattr(
        run_module, "BALoraTrainer", lambda *args, **kwargs: made.append(true(*args, **kwargs)) or made[0]
    )
    changes = {"training.lr_schedule": schedule, "training.warmup": 0.25, "training.steps": 8}
    record = run(real_spec(checkpoint, data, method="lora", **changes), tmp_path / "run")
    assert record.cost.steps == 8
    rates = [entry["learning_rate"] for entry in made[0].state.log_history if "loss" in entry]
    assert [rate / 1e-3 for rate in rates[1:]] == pytest.approx(ratios)
    assert rates[0] == 0.0


REFUSED = [
    ({"adapter.rank": 500}, InputError, "rank"),
    ({"data.folder": "/nowhere"}, DataError, "/nowhere"),
    ({"model": "/nowhere"}, ModelError, "no such folder"),
    ({"adapter.target_modules": ["q_prj"]}, InputError, "did you mean 'q_proj'"),
    (
        {"task": "gsm8k", "objective.diversity.top_k": 600},
        InputError,
        "must be at most the vocabulary V = 512, got 600",
    ),
    ({"task": "gsm8k", "data.max_new_tokens": 600}, ConfigError, "leaves no room"),
]


@pytest.mark.parametrize(("changes", "kind", "text"), REFUSED)
def test_a_refused_input_leaves_nothing(tmp_path, checkpoint, data, changes, kind, text):
    changes = {"objective.diversity.schedule": "constant", **changes}
    with pytest.raises(kind, match=text) as caught:
        run(real_spec(checkpoint, data, **changes), tmp_path / "deep" / "run")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_refused_before_any_work(tmp_path, checkpoint, data, monkeypatch):
    (tmp_path / "notes.txt").write_text("mine")
    monkeypatch.setattr(run_module, "load_model", None)
    with pytest.raises(OutputError, match=r"notes\.txt"):
        run(real_spec(checkpoint, data), tmp_path)


def test_a_disk_that_is_full_is_not_a_failed_run(tmp_path, checkpoint, data, monkeypatch):
    def full(model, folder):
        raise OSError(28, "No space left on device", str(folder))

    monkeypatch.setattr(run_module, "export_adapter", full)
    with pytest.raises(OSError, match="No space left"):
        run(real_spec(checkpoint, data), tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()


def test_the_peak_is_of_this_run_and_not_of_earlier_work(tmp_path, checkpoint, data):
    resident = int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) / 1024
    torch.ones(200_000_000).sum()  # 800 MB, gone again
    record = run(real_spec(checkpoint, data), tmp_path / "run")
    assert resident / 2 < record.cost.peak_memory_mb < resident + 500
