"""Forgetting and drift: against the models' own losses, one document at a time; and what a testbed's run records."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSequenceClassification

from balora.adapters import AdapterConfig, attach
from balora.folders import CACHE_VARIABLE
from balora.tasks.encoding import IGNORED
from balora.tasks.testbed import model_cache as cache
from balora.tasks.testbed import probes
from balora.tasks.testbed.config import TestbedConfig
from balora.tasks.testbed.pretrain import pretrain
from balora.tasks.testbed.text import documents
from balora.tasks.testbed.tokenizer import START, build_tokenizer
from balora.training.forgetting import DOCUMENTS, forgetting, held_out
from balora.training.run import run
from balora.training.score_model import score_model
from balora.training.spec import resolve

SMALL = TestbedConfig(encoder_steps=3, decoder_steps=3, batch_size=4, people=16, noise=0.5, bias=0.5)
FLAWS = {"minority_recall", "worst_group", "aligned_minus_robust"}
KEPT = {"forgetting", "drift", "held_out_loss_before", "held_out_loss"}
QUIET = pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both models of a testbed, hardly trained, in a cache of their own."""
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probes, "DOCUMENTS", 50)
        for family in ("nlu", "nlg"):
            made[family] = tmp_path_factory.getbasetemp() / "testbed" / f"{cache.NAMES[family]}-{SMALL.key()}"
            made[family].mkdir(parents=True)
            cache.store(pretrain(SMALL, family, checked=False), SMALL, made[family])
    return made


@pytest.fixture(autouse=True)
def use_cache(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(folders["nlu"].parents[1]))


def loaded(family: str, folder: Path, kind: Any = None) -> Any:
    torch.manual_seed(0)
    kind = kind or {"nlu": AutoModelForSequenceClassification, "nlg": AutoModelForCausalLM}[family]
    return kind.from_pretrained(folder, dtype=torch.float32)


def shaken(model: Any) -> Any:
    """Move every parameter that is trained, as training would."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return model


def measured(model: Any, folders: dict[str, Path], family: Any) -> dict[str, float]:
    return forgetting(model, str(folders[family]), SMALL, family)


@QUIET
@pytest.mark.parametrize("family", ["nlu", "nlg"])
@pytest.mark.parametrize("init", ["standard", "pissa"])
def test_an_adapter_that_has_learnt_nothing_forgets_nothing(folders: dict[str, Path], family: str, init: Any) -> None:
    model = attach(loaded(family, folders[family]), AdapterConfig(rank=4, init=init), seed=0).train()
    found = measured(model, folders, family)
    assert set(found) == KEPT
    assert found["forgetting"] == pytest.approx(0, abs=1e-5)
    assert found["drift"] == pytest.approx(0, abs=1e-5)
    assert 4 < found["held_out_loss"] < 8, "hardly trained: about the logarithm of the number of words"
    other = measured(shaken(model), folders, family)
    assert other["held_out_loss_before"] == found["held_out_loss_before"]
    assert other["drift"] > 0.001
    assert other["forgetting"] == pytest.approx(other["held_out_loss"] - other["held_out_loss_before"])
    assert all(module.training for module in model.modules()), "modes are left as they were"


def test_a_decoders_loss_and_drift_equal_the_models_own_document_by_document(folders: dict[str, Path]) -> None:
    before = loaded("nlg", folders["nlg"])
    after = shaken(loaded("nlg", folders["nlg"]))
    tokenizer = build_tokenizer(SMALL, "nlg")
    old, new, drift, count = 0.0, 0.0, 0.0, 0
    for document in islice(documents(SMALL.clean(), "nlg", stream="held-out"), DOCUMENTS["nlg"]):
        ids = torch.tensor([[*tokenizer(document.text)["input_ids"], tokenizer.eos_token_id]])
        words = ids.shape[1] - 1
        with torch.no_grad():
            one, two = before(ids, labels=ids), after(ids, labels=ids)
        p, q = (found.logits[0, :-1].log_softmax(-1) for found in (one, two))
        drift += float(torch.nn.functional.kl_div(q, p, reduction="sum", log_target=True))
        old, new, count = old + float(one.loss) * words, new + float(two.loss) * words, count + words
    found = measured(after, folders, "nlg")
    assert found["held_out_loss_before"] == pytest.approx(old / count, rel=1e-4)
    assert found["held_out_loss"] == pytest.approx(new / count, rel=1e-4)
    assert found["drift"] == pytest.approx(drift / count, rel=1e-3)
    assert drift / count > 0.01


def test_an_encoder_is_read_by_the_head_it_was_pre_trained_with(folders: dict[str, Path]) -> None:
    classifier = shaken(loaded("nlu", folders["nlu"]))
    before = loaded("nlu", folders["nlu"], AutoModelForMaskedLM)
    after = loaded("nlu", folders["nlu"], AutoModelForMaskedLM)
    after.roberta.load_state_dict(classifier.roberta.state_dict())
    after.tie_weights()
    after.lm_head.decoder = before.lm_head.decoder  # the head reads as before, whatever became of the word table
    sums, drift, count = [0.0, 0.0], 0.0, 0
    for ids, targets in held_out(SMALL, "nlu"):
        for row, wanted in zip(ids, targets, strict=True):
            inside, asked = row != 1, wanted != IGNORED
            assert int(row[0]) == START
            if not asked.any():
                continue
            with torch.no_grad():
                logits = [model(row[inside][None]).logits[0][asked[inside]] for model in (before, after)]
            p, q = (values.log_softmax(-1) for values in logits)
            for number, values in enumerate((p, q)):
                sums[number] -= float(values.gather(1, wanted[asked][:, None]).sum())
            drift, count = drift + float((p.exp() * (p - q)).sum()), count + int(asked.sum())
    found = measured(classifier, folders, "nlu")
    assert [found["held_out_loss_before"], found["held_out_loss"]] == pytest.approx([s / count for s in sums], rel=1e-4)
    assert found["drift"] == pytest.approx(drift / count, rel=1e-3)
    assert count > 200


@pytest.mark.parametrize("family", ["nlu", "nlg"])
def test_held_out_text_is_clean_always_the_same_and_of_this_pre_training(family: Any) -> None:
    first, again = list(held_out(SMALL, family)), list(held_out(SMALL.clean(), family))
    for one, two in zip(first, again, strict=True):
        assert torch.equal(one.ids, two.ids)
        assert torch.equal(one.targets, two.targets)
    other = next(held_out(SMALL.replace(seed=1), family))
    assert other.ids.shape != first[0].ids.shape or not torch.equal(other.ids, first[0].ids)
    assert sum(len(one.ids) for one in first) == DOCUMENTS[family]


@QUIET
@pytest.mark.parametrize(
    ("task", "method", "behaviour", "noise"),
    [
        ("sentiment", "lora", {"ece", "mean_entropy"}, {"memorised_noise", "noise_gap"}),
        ("similarity", "full", set(), set()),
        ("code", "lora", {"ece", "mean_entropy", "effective_rank"}, {"memorised_noise", "noise_gap"}),
    ],
)
def test_a_run_on_the_testbed_records_what_was_inherited(
    task: str, method: str, behaviour: set[str], noise: set[str], tmp_path: Path
) -> None:
    settings = {
        "model": "testbed", "task": task, "method": method, "testbed": SMALL.model_dump(),
        "training": {"steps": 2, "batch_size": 4, "learning_rate": 0.01},
        "data": {"train_rows": 8, "eval_rows": 200, "max_new_tokens": 4},
    }  # fmt: skip
    spec = resolve(settings)
    record = run(spec, tmp_path / "run")
    assert (record.status, record.error) == ("ok", None)
    assert set(record.behaviour) == behaviour
    assert set(record.inheritance) == FLAWS | KEPT | noise
    assert record.inheritance["drift"] > 0
    items = [json.loads(line) for line in (tmp_path / "run" / "items.jsonl").read_text().splitlines()]
    assert {item["tags"]["group"] for item in items} == {"majority", "minority"}
    minority = [item for item in items if item["tags"]["group"] == "minority"]
    if task == "sentiment":
        assert record.inheritance["minority_recall"] == sum(item["correct"] for item in minority) / len(minority)
    if method == "lora":
        again = score_model(spec, tmp_path / "run" / "adapter")
        assert again.behaviour == pytest.approx(record.behaviour, rel=1e-4)
        assert [item["tags"] for item in again.items] == [item["tags"] for item in items]
