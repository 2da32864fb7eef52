"""All measures of one model: before and after a fine-tuning, on classifiers too, and what is not defined."""

from pathlib import Path
from typing import Any

import pytest
import torch
from measures_cases import BLIMP, CROWS, POSITIONS, bbq_row, build, tokenizer, write_jsonl

from balora.adapters import AdapterConfig, attach, reference_of
from balora.errors import ConfigError, DataError
from balora.measures.all_measures import measure, read_all
from balora.measures.config import MeasuresConfig
from balora.measures.language_head import WithHead, with_language_head
from balora.measures.measured import Measured, before_and_after, together
from balora.tasks.catalogue import TASKS

HANS = [
    {"sentence1": one, "sentence2": two, "gold_label": label, "heuristic": heuristic}
    for one, two, label, heuristic in (
        ("the cat runs late", "the cat runs", "entailment", "lexical_overlap"),
        ("the old dog sleeps", "the dog runs", "non-entailment", "subsequence"),
    )
]
TOXIGEN = [
    {"text": "the old are late", "toxicity_human": 4.0, "toxicity_ai": 3.5, "target_group": "old"},
    {"text": "the old are early", "toxicity_human": 1.0, "toxicity_ai": 1.5, "target_group": "old"},
]


@pytest.fixture
def config(tmp_path: Path) -> MeasuresConfig:
    """Every measure on two to four rows."""
    folder = tmp_path / "measures"
    folder.mkdir()
    (folder / "winogender.tsv").write_text(
        "sentid\tsentence\n"
        "doctor.nurse.1.male.txt\tthe doctor was late who is the nurse he was early\n"
        "doctor.nurse.1.female.txt\tthe doctor was late who is the nurse she was early\n"
    )
    (folder / "text.txt").write_text("the cat runs late who is the old doctor")
    return MeasuresConfig(
        blimp=write_jsonl(folder / "blimp.jsonl", BLIMP),
        crows_pairs=write_jsonl(folder / "crows.jsonl", CROWS),
        winogender=str(folder / "winogender.tsv"),
        bbq=write_jsonl(folder / "bbq.jsonl", [bbq_row(), bbq_row(context_condition="disambig", label=0)]),
        toxigen=write_jsonl(folder / "toxigen.jsonl", TOXIGEN),
        hans=write_jsonl(folder / "hans.jsonl", HANS),
        held_out=str(folder / "text.txt"),
    )


def taken(model: Any, config: MeasuresConfig, kind: str = "causal", task: str = "gsm8k", **more: Any) -> Measured:
    return measure(
        model, tokenizer(kind), config, task=TASKS[task], batch_size=4, max_positions=POSITIONS, **more
    )  # fmt: skip


def shaken(model: Any) -> Any:
    """Move every parameter that is trained, as training would."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.5 * torch.randn(parameter.shape, generator=generator)
    return model


def test_a_causal_model_has_every_measure_but_hans(config: MeasuresConfig) -> None:
    calls: list[tuple[int, int]] = []
    found = taken(build("causal"), config, on_rows=lambda done, of: calls.append((done, of)))
    assert set(found.items) == {"blimp", "crows_pairs", "winogender", "bbq", "toxigen", "held_out"}
    assert set(found.items) - {"held_out"} < set(found.values) | {"bbq"}
    assert found.values["held_out_loss"] > 0
    assert "hans is not measured: task 'gsm8k' is none of inference, as MNLI is" in found.notes
    assert [done for done, of in calls if done == of] == [8, 4, 6, 6, 6, 1]


@pytest.mark.parametrize("init", ["standard", "pissa"])
def test_the_values_before_are_the_pre_trained_models_after_training_too(config: MeasuresConfig, init: Any) -> None:
    plain = taken(build("causal"), config)
    model = shaken(attach(build("causal"), AdapterConfig(rank=2, init=init), seed=0)).train()
    with reference_of(model):
        before = taken(model, config)
    after = taken(model, config)
    assert before.values == pytest.approx(plain.values, rel=1e-5)
    assert after.values["held_out_loss"] != pytest.approx(before.values["held_out_loss"], rel=1e-3)
    flat = before_and_after(before, after)
    assert flat["held_out_loss_before"] == before.values["held_out_loss"]
    assert flat["held_out_loss"] == after.values["held_out_loss"]
    assert flat["held_out_loss_change"] == pytest.approx(flat["held_out_loss"] - flat["held_out_loss_before"])
    assert model.training


def test_before_and_after_by_hand() -> None:
    before = Measured({"blimp": 0.75, "crows_pairs": 0.5})
    after = Measured({"blimp": 0.5, "hans": 0.6})
    assert before_and_after(before, after) == {
        "blimp_before": 0.75, "blimp": 0.5, "blimp_change": -0.25, "crows_pairs_before": 0.5, "hans": 0.6,
    }  # fmt: skip
    assert together([before, Measured(notes=("a",)), after]).values == {"blimp": 0.5, "crows_pairs": 0.5, "hans": 0.6}


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    build("masked").save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


def classifier(folder: Path) -> Any:
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3)


def test_an_encoder_is_read_by_the_head_it_was_pre_trained_with(config: MeasuresConfig, encoder: Path) -> None:
    model = attach(classifier(encoder), AdapterConfig(rank=2, init="pissa"), seed=0)
    language = with_language_head(model, str(encoder))
    assert isinstance(language, WithHead)
    assert language.is_masked
    before = taken(model, config, "masked", "mnli", language=language, is_trained=False)
    again = WithHead(build("masked"), is_masked=True)
    plain = taken(build("bert-classifier"), config, "masked", "mnli", language=again, is_trained=False)
    assert before.values == pytest.approx(plain.values, rel=1e-4), "the pre-trained encoder with its own head"
    assert {"blimp", "crows_pairs"} == set(before.items)
    shaken(model)
    after = taken(model, config, "masked", "mnli", language=language)
    assert after.values["crows_pairs_difference"] != pytest.approx(before.values["crows_pairs_difference"], rel=1e-3)
    assert set(after.items) == {"blimp", "crows_pairs", "hans"}
    assert set(after.notes) >= {
        f"{name} is not measured: it needs a causal language model, and this one is masked"
        for name in ("winogender", "bbq", "toxigen", "held_out")
    }


def test_a_decoder_under_a_classifier_is_read_by_its_own_head(config: MeasuresConfig, tmp_path: Path) -> None:
    build("causal").save_pretrained(tmp_path / "decoder")
    model = classifier(tmp_path / "decoder")
    language = with_language_head(model, str(tmp_path / "decoder"))
    assert isinstance(language, WithHead)
    assert not language.is_masked
    found = taken(model, config, "causal", "sst2", language=language)
    assert found.values == pytest.approx(taken(build("causal"), config).values, rel=1e-5)


def test_a_checkpoint_without_a_language_head_is_measured_by_hans_alone(config: MeasuresConfig, tmp_path: Path) -> None:
    build("bert-classifier").save_pretrained(tmp_path / "model")
    model = classifier(tmp_path / "model")
    state = torch.get_rng_state()
    reason = with_language_head(model, str(tmp_path / "model"))
    assert torch.equal(torch.get_rng_state(), state), "a head was drawn, and the global state put back"
    assert isinstance(reason, str)
    assert reason.startswith("the checkpoint has no language-modelling head (cls.predictions.")
    found = taken(model, config, "masked", "mnli", language=reason)
    assert set(found.items) == {"hans"}
    assert f"blimp is not measured: {reason}" in found.notes


def test_every_file_is_read_before_the_model_runs(config: MeasuresConfig) -> None:
    wrong = config.replace(held_out="nowhere.txt")
    with pytest.raises(DataError, match=r"measures\.held_out: 'nowhere.txt' cannot be read"):
        taken(None, wrong)
    with pytest.raises(DataError, match=r"measures\.bbq needs the column 'context'; columns found: sentence_good"):
        read_all(config.replace(bbq=config.blimp))


def test_what_has_no_file_is_not_measured(config: MeasuresConfig) -> None:
    assert MeasuresConfig().given == ()
    assert taken(build("causal"), MeasuresConfig()) == Measured()
    assert set(taken(build("causal"), MeasuresConfig(blimp=config.blimp, rows=1)).values) == {
        "blimp", "blimp_morphology", "blimp_subject_verb_agreement",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "said"), [({"rows": 0}, "rows: input should be greater"), ({"blmp": "x"}, "blimp")]
)
def test_wrong_settings_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        MeasuresConfig(**settings)
