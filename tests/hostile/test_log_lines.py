"""A log line shows the steps since the last one: means over them that add up to the Trainer's own loss."""

from itertools import product

import pytest
import torch
from datasets import Dataset
from trainer_cases import classifier, decoder, losses, row, rows, settings, trainer
from transformers import AutoTokenizer, TrainerCallback
from transformers.integrations.integration_utils import rewrite_logs
from trl import SFTConfig, SFTTrainer

from balora import BALoraSFTTrainer, ObjectiveConfig
from balora.objective.terms import Terms
from balora.training.log_window import LogWindow
from balora.training.telemetry import Telemetry

pytestmark = [
    pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*padding-free.*:UserWarning"),
]

TERMS = ("consistency", "diversity", "spectral")


def weighted(family, **more):
    """All terms at constant weights, so that their means add up."""
    config = ObjectiveConfig.preset("ba-lora", family=family)
    weights = {term: {"weight": 0.3, "schedule": "constant"} for term in TERMS}
    return config.replace(**{**weights, "spectral": {**weights["spectral"], "k": 1}, **more})


def texts(count=12):
    """Rows of one to five counted labels, so that a mean of means is wrong."""
    made = []
    for number in range(count):
        ids = row(0, number)["input_ids"]
        made.append(row(torch.where(torch.arange(6) < 1 + number % 5, -100, ids), number))
    return made


def lines(made):
    return [entry for entry in made.state.log_history if "loss" in entry]


def together(entry):
    """The loss that a log line's terms and weights make."""
    parts = [entry[f"balora/{term}"] * entry[f"balora/{term}_weight"] for term in TERMS if f"balora/{term}" in entry]
    return entry["balora/task"] + sum(parts)


WINDOWS = {"each step": 1, "every third": 3, "a share": 0.5, "longer than the epoch": 5}
SPLITS = {"whole": (4, 1), "accumulated": (2, 2), "row by row": (1, 3)}


@pytest.mark.parametrize(("window", "split", "every"), [*product(WINDOWS, SPLITS, (0, 10))])
def test_the_terms_of_a_line_make_its_loss(window, split, every, tmp_path):
    size, accumulation = SPLITS[split]
    made = trainer(
        decoder(), texts(), tmp_path, weighted("nlg"), max_steps=6, logging_steps=WINDOWS[window],
        per_device_train_batch_size=size, gradient_accumulation_steps=accumulation, balora={"telemetry_every": every},
    )  # fmt: skip
    made.train()
    assert len(lines(made)) == {"each step": 6, "every third": 2, "a share": 2, "longer than the epoch": 1}[window]
    for entry in lines(made):
        assert together(entry) == pytest.approx(entry["loss"], rel=1e-4)
        weights = [entry[f"balora/{term}_weight"] for term in TERMS]
        assert weights == pytest.approx([0.3] * 3) or split == "row by row"  # a row of one token has no spectrum
        assert all(type(value) is float for key, value in entry.items() if key != "step")


@pytest.mark.parametrize("family", ["nlg", "nlu"])
def test_every_line_shows_its_own_step_however_seldom_is_recorded(family, tmp_path):
    build, data = (decoder, texts()) if family == "nlg" else (classifier, rows([i % 3 for i in range(12)]))
    often, seldom = (
        trainer(build(), data, tmp_path, weighted(family), max_steps=5, balora={"telemetry_every": every})
        for every in (1, 4)
    )
    for made in (often, seldom):
        made.train()
    recorded = often.telemetry.series()
    for number, (entry, line) in enumerate(zip(lines(seldom), recorded, strict=True)):
        for term in ("task", *TERMS):
            assert entry[f"balora/{term}"] == pytest.approx(line[term], rel=1e-5)
            assert (f"balora/{term}_share" in entry) == (number in (0, 4))
        if number in (0, 4):
            assert entry["balora/task_share"] == pytest.approx(line["task_share"], rel=1e-4)
            assert entry["balora/spectral_gradient"] == pytest.approx(line["spectral_gradient"], rel=1e-4)


def test_shares_are_means_over_the_recorded_steps_of_the_window(tmp_path):
    made = trainer(
        decoder(), texts(), tmp_path, weighted("nlg"), max_steps=6, logging_steps=3, balora={"telemetry_every": 2}
    )
    made.train()
    first, second, third = made.telemetry.series()  # of steps 1, 3 and 5
    one, other = lines(made)
    assert one["balora/diversity_share"] == pytest.approx((first["diversity_share"] + second["diversity_share"]) / 2)
    assert other["balora/diversity_share"] == pytest.approx(third["diversity_share"])


def test_terms_that_begin_late_are_in_the_lines_of_a_short_run(tmp_path):
    published = ObjectiveConfig.preset("ba-lora", family="nlg").replace(spectral={"k": 1})
    made = trainer(decoder(), texts(), tmp_path, published, max_steps=6)
    made.train()
    shown = ["balora/diversity" in entry for entry in lines(made)]
    assert shown == [False, False, True, True, True, True]  # λ2 is 0 for the first fifth of the steps
    assert lines(made)[2]["balora/diversity_weight"] == pytest.approx(0.005)


def test_a_term_of_every_nth_step_is_averaged_where_it_is_and_weighted_over_all(tmp_path):
    config = weighted("nlg", consistency={"weight": 0.3, "schedule": "constant", "every": 2})
    made = trainer(decoder(), texts(), tmp_path, config, max_steps=4, logging_steps=4, balora={"telemetry_every": 1})
    made.train()
    recorded = [line["consistency"] for line in made.telemetry.series() if "consistency" in line]
    (entry,) = lines(made)
    assert len(recorded) == 2
    assert entry["balora/consistency"] == pytest.approx(sum(recorded) / 2, rel=1e-4)
    assert entry["balora/consistency_weight"] == pytest.approx(0.3)


def test_l2_to_the_start_is_in_the_line(tmp_path):
    made = trainer(decoder(), texts(), tmp_path, None, max_steps=3, logging_steps=3, balora={"l2_start": 2.0})
    made.train()
    (entry,) = lines(made)
    assert entry["balora/l2_start_weight"] == 2.0
    assert entry["loss"] == pytest.approx(entry["balora/task"] + 2.0 * entry["balora/l2_start"], rel=1e-5)


class Reported(TrainerCallback):
    """What a reporter such as TensorBoard or wandb gets, under the names that it uses."""

    def __init__(self):
        self.got = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.got.append(rewrite_logs(logs))


def test_only_lines_of_training_hold_terms_and_all_under_one_prefix(tmp_path):
    made = trainer(
        decoder(), texts(), tmp_path, weighted("nlg"), max_steps=4, logging_steps=2, eval_dataset=texts(4),
        eval_strategy="steps", eval_steps=1, logging_first_step=True,
    )  # fmt: skip
    reported = Reported()
    made.add_callback(reported)
    made.train()
    made.evaluate()
    with_terms = [entry for entry in made.state.log_history if any(key.startswith("balora/") for key in entry)]
    assert with_terms == lines(made)
    assert [entry["step"] for entry in with_terms] == [1, 2, 4]
    plain = {"loss", "grad_norm", "learning_rate", "epoch", "step"}
    assert {key for entry in with_terms for key in entry if not key.startswith("balora/")} == plain
    assert {f"train/balora/{term}" for term in TERMS} <= set(reported.got[0])


def test_a_second_training_shows_nothing_of_the_first(tmp_path):
    made = trainer(decoder(), texts(), tmp_path, weighted("nlg"), max_steps=3, logging_steps=2)
    made.train()  # its third step is in no line
    made.state.log_history.clear()
    made.train()
    assert together(lines(made)[0]) == pytest.approx(lines(made)[0]["loss"], rel=1e-4)


def test_a_resumed_training_logs_the_lines_of_the_whole_one(tmp_path):
    changes = {"max_steps": 6, "logging_steps": 2, "save_strategy": "steps", "save_steps": 3}
    whole = trainer(decoder(), texts(), tmp_path, weighted("nlg"), **changes)
    whole.train()
    resumed = trainer(decoder(), texts(), tmp_path, weighted("nlg"), **changes)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    one, other = lines(whole)[-1], lines(resumed)[-1]
    assert one["step"] == other["step"] == 6
    for term in ("task", *TERMS):
        assert other[f"balora/{term}"] == pytest.approx(one[f"balora/{term}"], rel=1e-4)


WAYS = {
    "padded": {},
    "accumulated": {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 2},
    "every other step": {"logging_steps": 2},
    "evaluated": {"eval_strategy": "steps", "eval_steps": 1},
    "padding-free": {"padding_free": True},
    "packed": {"packing": True, "max_length": 16},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("objective", [None, "ba-lora"])
def test_trls_counters_are_trls_own_or_absent(way, objective, tmp_path, checkpoint):
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    made = []
    for kind in (SFTTrainer, BALoraSFTTrainer):
        given = {"max_length": None, "bf16": False, "gradient_checkpointing": False, "max_steps": 3, **WAYS[way]}
        data = Dataset.from_list([{key: one[key].tolist() for key in ("input_ids", "labels")} for one in texts()])
        own = {"objective": objective} if kind is BALoraSFTTrainer else {}
        one = kind(
            decoder(), SFTConfig(**settings(tmp_path, **given)), train_dataset=data, eval_dataset=data,
            processing_class=tokenizer, **own,
        )  # fmt: skip
        one.train()
        one.evaluate()
        made.append(one)
    theirs, ours = (one.state.log_history for one in made)
    tokens = [[entry[key] for entry in log for key in ("num_tokens", "eval_num_tokens") if key in entry]
              for log in (theirs, ours)]  # fmt: skip
    assert tokens[0] == tokens[1]
    assert tokens[1][-1] > 0
    assert not any(key in entry for entry in lines(made[1]) for key in ("entropy", "mean_token_accuracy"))
    if objective is None:
        for name in ("eval_entropy", "eval_mean_token_accuracy", "eval_loss"):
            assert ours[-1][name] == pytest.approx(theirs[-1][name], rel=1e-4)
        assert losses(made[1]) == pytest.approx(losses(made[0]), rel=1e-4)


def terms(task, **parts):
    values = {name: None if value is None else torch.tensor(value) for name, (value, _) in parts.items()}
    weights = {name: weight for name, (value, weight) in parts.items() if value is not None}
    return Terms(loss=torch.tensor(task), task=torch.tensor(task), parts=values, weights=weights)


def test_means_by_hand():
    window = LogWindow()
    window.add(terms(1.0, diversity=(None, 0.0)), 0.25)
    window.add(terms(3.0, diversity=(8.0, 0.5)), torch.tensor(0.75))
    window.add(terms(5.0, diversity=(2.0, 1.0)), 1.0)
    means = {"task": 7.5 / 2, "diversity": 8 / 1.75, "diversity_weight": 1.375 / 2}
    assert window.take() == pytest.approx(means)
    assert window.take() == {}


def test_no_line_without_a_step():
    assert Telemetry(1).log_line() == {}
