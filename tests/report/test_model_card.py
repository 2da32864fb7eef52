"""The model card of an exported run: metadata that huggingface_hub reads back, and a page with the record's numbers."""

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from statsmodels.stats.proportion import proportion_confint

from balora.report.model_card import card_text
from balora.training.record import RunRecord, TermSummary, packed_rows
from balora.training.spec import resolve

RIGHT = [True] * 37 + [False] * 13


def record(task: str = "gsm8k", method: str = "ba-lora", **changes: Any) -> RunRecord:
    spec = resolve({"task": task, "method": method, "model": "org/base-1b", "training": {"steps": 30}})
    terms = {
        "task": TermSummary(weight=1.0),
        "consistency": TermSummary(weight=0.025),
        "spectral": TermSummary(weight=0.5),
    }
    given: dict[str, Any] = {
        "score": 74.0, "metrics": {"exact_match": 0.74}, "rows": 50, "correct": packed_rows(RIGHT), "terms": terms,
        "inactive": {"spectral": "k is too large"}, "notes": ["two rows were cut"], "measures": {"blimp_change": -0.01},
    }  # fmt: skip
    return RunRecord(id="0123456789abcdef", spec=spec, status="ok", **{**given, **changes})


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 32, "base_model_name_or_path": "org/base-1b"}))
    return tmp_path


def test_the_hub_reads_the_metadata(adapter: Path) -> None:
    card = ModelCard(card_text(record(), adapter, name="me/tuned", licence="apache-2.0"))
    data = card.data
    assert (data.base_model, data.library_name, data.license) == ("org/base-1b", "peft", "apache-2.0")
    assert (data.pipeline_tag, data.datasets, data.tags) == (
        "text-generation",
        ["openai/gsm8k"],
        ["balora", "ba-lora", "lora"],
    )
    (result,) = data.eval_results or []
    assert (result.dataset_type, result.dataset_config, result.dataset_split) == ("openai/gsm8k", "main", "test")
    assert (result.metric_type, result.metric_value) == ("exact_match", 0.74)
    assert data.model_name == "me/tuned"


def test_the_page_has_the_numbers_of_the_record(adapter: Path) -> None:
    text = card_text(record(), adapter, name="me/tuned")
    low, high = proportion_confint(37, 50, method="wilson")
    assert f"| gsm8k | score, of 100 | 74.00 | {100 * low:.1f} to {100 * high:.1f} | 50 |" in text
    assert "| blimp_change | -0.0100 |" in text
    assert "- two rows were cut." in text
    assert "adds these terms against the frozen base: consistency." in text, "neither the task nor what cannot act"
    assert "| λ of consistency | 0.025 |" in text
    assert "λ of task" not in text
    assert "The licence of the base holds" in text
    assert 'PeftModel.from_pretrained(base, "me/tuned")' in text


@pytest.mark.parametrize(("rank", "flag"), [(8, 8), (16, 16), (32, 32), (48, 64), (512, 512)])
def test_servers_are_told_the_rank(adapter: Path, rank: int, flag: int) -> None:
    (adapter / "adapter_config.json").write_text(json.dumps({"r": rank}))
    text = card_text(record(), adapter, name="me/tuned")
    assert f"--max-lora-rank {flag} " in text
    assert ("vLLM's limit is rank 16 unless" in text) == (rank > 16)


def test_a_rank_that_no_server_takes_is_said(adapter: Path) -> None:
    (adapter / "adapter_config.json").write_text(json.dumps({"r": 600}))
    assert "vLLM serves ranks up to 512, and this adapter has 600" in card_text(record(), adapter, name="x")


def test_a_classifier_names_its_labels_and_no_server(adapter: Path) -> None:
    found = record("mnli", metrics={"accuracy": 0.74})
    text = card_text(found, adapter, name="me/tuned")
    assert 'AutoModelForSequenceClassification.from_pretrained("org/base-1b", num_labels=3)' in text
    assert "vllm" not in text
    assert ModelCard(text).data.pipeline_tag == "text-classification"


def test_a_whole_model_needs_no_peft(tmp_path: Path) -> None:
    text = card_text(record(method="full"), tmp_path, name="me/tuned")
    assert ModelCard(text).data.library_name == "transformers"
    assert "peft" not in text.partition("Versions")[0]
    assert "All weights were trained." in text


def test_a_folder_on_this_machine_is_no_name_on_the_hub(adapter: Path) -> None:
    found = record()
    here = found.model_copy(update={"spec": found.spec.model_copy(update={"model": str(adapter)})})
    text = card_text(here, adapter, name="me/tuned")
    assert ModelCard(text).data.base_model is None
    assert str(adapter.parent) not in text


def test_no_note_names_a_folder_of_this_machine(adapter: Path) -> None:
    text = card_text(record(notes=["read /home/secret-user/data/x.tsv twice"]), adapter, name="me/tuned")
    assert "x.tsv twice" in text
    assert "secret-user" not in text


@pytest.mark.parametrize("part", [{"use_dora": True}, {"modules_to_save": ["lm_head"]}])
def test_what_servers_refuse_is_said(adapter: Path, part: dict[str, Any]) -> None:
    (adapter / "adapter_config.json").write_text(json.dumps({"r": 8, **part}))
    text = card_text(record(), adapter, name="me/tuned")
    assert "vLLM refuses" in text
    assert "vllm serve" not in text


@pytest.mark.parametrize("name", ["a: b", "x\n---\nlicense: mit", "| a | b |", "\x1b[31mred"])
def test_no_name_breaks_the_metadata_or_the_page(adapter: Path, name: str) -> None:
    text = card_text(record(notes=[name]), adapter, name=name)
    data = ModelCard(text).data
    assert (data.license, data.model_name) == (None, name)
    assert "\x1b" not in text
