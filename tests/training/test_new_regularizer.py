"""A regularizer that only this file knows is trained with, recorded and explained: all follows from its two entries."""

import ast
import re
from pathlib import Path

import pytest
import torch
from pydantic import Field
from training_cases import adapted, answers, build, collate, examples, trainer

from balora.errors import InputError
from balora.objective import Objective, ObjectiveConfig
from balora.objective.config import TERMS, Term
from balora.objective.editions import Schedule
from balora.objective.regularizers import REGULARIZERS, Regularizer
from balora.training.loss import ModelLoss
from balora.training.matching import matched_config
from balora.training.shares import shared_config, start_sizes

ROOT = Path(__file__).resolve().parents[2]


class NormTerm(Term):
    """Keep the logits small."""

    weight: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    schedule: Schedule = "constant"

    def cannot_act(self, rows, outputs, family):
        return "one output: its norm is the task's" if outputs == 1 else None


class WithNorm(ObjectiveConfig):
    """The objective with a fourth regularizer."""

    norm: NormTerm = NormTerm()


def mean_square(config, student, reference):
    return student.square().mean()


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(REGULARIZERS, "norm", Regularizer(mean_square))


def config_of(family, weight=0.5, **changes):
    norm = {"weight": weight, "schedule": changes.pop("schedule", "constant")}
    return WithNorm.preset("ba-lora", family=family, **changes).replace(norm=norm)


def test_its_value_and_weight_are_in_the_loss_and_its_reason_in_the_inactive_terms():
    logits = torch.tensor([[1.0, -2.0], [3.0, 0.0]], requires_grad=True)
    labels = torch.tensor([0, 1])
    config = WithNorm.preset("none", family="nlu").replace(norm={"weight": 0.5})
    terms = Objective(config).from_logits(logits, None, labels)
    assert terms.norm.item() == pytest.approx(14 / 4)
    assert terms.loss.item() == pytest.approx(terms.task.item() + 0.5 * 14 / 4)
    assert terms.weights == {"norm": 0.5}
    assert terms.inactive == dict.fromkeys(TERMS, "λ = 0")
    (gradient,) = torch.autograd.grad(terms.norm, logits)
    torch.testing.assert_close(gradient, logits.detach() / 2)
    terms = Objective(config).from_logits(torch.zeros(2, 1), None, torch.zeros(2))
    assert terms.norm is None
    assert terms.inactive["norm"] == "one output: its norm is the task's"


def test_presets_leave_it_off_and_its_schedule_is_followed():
    assert [*WithNorm.preset("ba-lora", family="nlg").terms()] == [*TERMS, "norm"]
    assert WithNorm.preset("ba-lora", family="nlg").norm.weight == 0
    only = WithNorm.preset("none", family="nlg").replace(norm={"weight": 0.5, "schedule": "two-phase"})
    assert only.regularized
    assert [Objective(only).weights_at(progress)["norm"] for progress in (0.1, 0.9)] == [0.0, 0.5]


def test_training_records_it_and_makes_logits_smaller(tmp_path):
    mean, made = {}, {}
    for weight in (0.0, 0.5):
        made[weight] = trainer(adapted("classifier"), config_of("nlu", weight), examples(), tmp_path, max_steps=6)
        made[weight].train()
        with torch.no_grad():
            batch = {key: value for key, value in collate(examples()).items() if key not in ("index", "labels")}
            mean[weight] = made[weight].model.eval()(**batch).logits.square().mean().item()
    assert mean[0.5] < 0.9 * mean[0.0]
    rows = made[0.5].telemetry.series()
    assert all(row["norm"] > 0 and row["norm_weight"] == 0.5 and row["norm_share"] > 0 for row in rows)
    assert sum(value for key, value in rows[0].items() if key.endswith("_share")) == pytest.approx(1.0)
    assert made[0.5].telemetry.summary({"norm": 0.5})["norm"].first == rows[0]["norm"]
    assert made[0.0].telemetry.inactive()["norm"] == "λ = 0"
    assert made[0.5].evaluate(made[0.5].train_dataset)["eval_loss"] > 0  # the task's loss alone


def test_a_language_model_trains_with_it_from_logits_and_says_so(tmp_path):
    reason = "the norm term has no form on hidden states"
    made = trainer(adapted("llama"), config_of("nlg"), answers(), tmp_path)
    made.train()
    assert made.model_loss.notes() == [f"logits are materialised, since {reason}"]
    assert made.telemetry.series()[0]["norm_share"] > 0
    head = build("llama").lm_head.requires_grad_(False)
    hidden, labels = torch.randn(4, 16), torch.zeros(4, dtype=torch.long)
    with pytest.raises(InputError, match=f"^{reason}: use from_logits, or set the weight to 0$"):
        Objective(config_of("nlg")).from_hidden(hidden, hidden, head, labels)


def test_matching_leaves_a_term_with_one_formula_as_it_is():
    config = config_of("nlu", formulation="nlg").replace(matching="gradient")
    matched, notes = matched_config(ModelLoss(adapted("still-bert"), config), [collate(examples())], seed=0)
    assert matched.norm.weight == pytest.approx(0.5)
    assert any("the swapped norm term" in note for note in notes)


def test_its_weight_follows_from_a_share_of_the_gradient():
    config = WithNorm.preset("none", family="nlu").replace(norm={"share": 0.1})
    loss = ModelLoss(adapted("still-bert"), config)
    found, notes = shared_config(loss, [collate(examples())], seed=0)
    sizes = start_sizes(loss, [collate(examples())], ["task", "norm"], seed=0)
    assert 0.9 * found.norm.weight * sizes["norm"] == pytest.approx(0.1 * sizes["task"])
    assert notes[0].endswith("for a share of 10 % of the gradient on the first 1 batches (published: 0)")


def test_no_regularizer_is_called_like_another_part_of_terms():
    assert not set(REGULARIZERS) & {"loss", "task", "parts", "weights", "inactive", "values"}


def test_every_regularizer_has_settings_and_an_entry():
    assert list(REGULARIZERS) == [*TERMS, "norm"]


def test_contributing_lists_every_file_that_names_the_regularizer_without_special_cases():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.split("## How to add a regularizer\n")[1].split("\n## ")[0]
    files = re.findall(r"^\d\. `([^`]+)`", section, flags=re.M)
    assert 1 < len(files) <= 6
    assert all((ROOT / path).exists() or "<" in path for path in files), files
    source = ROOT / "src" / "balora"
    naming = {path.relative_to(ROOT).as_posix() for path in source.rglob("*.py") if names_a_term(path)}
    elsewhere = {path for path in naming - set(files) if path.split("/")[2] != "importing"}
    assert elsewhere == set()


def names_a_term(path):
    """Return whether code (no docstring, no comment) names the spectral term, as a string or an attribute."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return any("spectral" in (getattr(node, "attr", None), getattr(node, "value", None)) for node in nodes)
