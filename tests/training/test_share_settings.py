"""What sets λ where shares, weights, scales and presets meet: in one run's settings, and in the layers of a study."""

import pytest

from balora.errors import ConfigError
from balora.objective import ObjectiveConfig
from balora.settings import nest
from balora.study.design.deltas import overlay
from balora.study.plan.prepare import prepare
from balora.training.record import RunRecord
from balora.training.spec import RunSpec, resolve

BASE = {"task": "gsm8k", "model": "m"}
SHARED = (0.0, 0.1)


def weights_and_shares(settings):
    terms = resolve({**BASE, **settings}).objective.terms()
    return {name: (term.weight, term.share) for name, term in terms.items()}


@pytest.mark.parametrize(
    ("settings", "consistency", "diversity", "spectral"),
    [
        ({"objective.consistency.share": 0.1}, SHARED, (0.005, None), (0.005, None)),
        ({"objective.consistency.share": "0.1"}, SHARED, (0.005, None), (0.005, None)),
        ({"objective.consistency.share": None}, (0.025, None), (0.005, None), (0.005, None)),
        ({"objective.share": None}, (0.025, None), (0.005, None), (0.005, None)),
        ({"objective.share": 0.1}, SHARED, SHARED, SHARED),
        ({"objective.share": 0.1, "objective.diversity.share": 0.3}, SHARED, (0.0, 0.3), SHARED),
        ({"objective.share": 0.1, "objective.diversity.weight": 0}, SHARED, (0.0, None), SHARED),
        ({"objective.share": 0.1, "objective.diversity.share": None}, SHARED, (0.005, None), SHARED),
        ({"objective.preset": "none", "objective.share": 0.1}, SHARED, SHARED, SHARED),
        ({"method": "pissa", "objective.consistency.share": 0.1}, SHARED, (0.0, None), (0.0, None)),
        ({"objective.scale": 10, "objective.consistency.share": 0.1}, SHARED, (0.05, None), (0.05, None)),
        # two classes: the spectral term, and on a regression the diversity too, cannot act and stay as published
        ({"task": "cola", "objective.share": 0.1}, SHARED, SHARED, (0.03, None)),
        ({"task": "cola", "objective.share": 0.1, "objective.spectral.k": 1}, SHARED, SHARED, SHARED),
        ({"task": "stsb", "objective.share": 0.1}, SHARED, (0.03, None), (0.03, None)),
        ({"task": "cola", "objective.share": 0.1, "training.batch_size": 1}, SHARED, (0.03, None), (0.03, None)),
        ({"task": "cola", "objective.share": 0.1, "objective.formulation": "nlg"}, SHARED, SHARED, SHARED),
    ],
)
def test_what_sets_each_weight(settings, consistency, diversity, spectral):
    assert weights_and_shares(settings) == {
        "consistency": consistency,
        "diversity": diversity,
        "spectral": spectral,
    }


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"objective.consistency.share": 1}, "objective.consistency.share: input should be less than 1, got 1"),
        ({"objective.consistency.share": 0}, "objective.consistency.share: input should be greater than 0, got 0"),
        (
            {"objective.consistency.share": 0.1, "objective.consistency.weight": 0.1},
            "objective.consistency.share: sets λ, as does `weight`: leave one of the two out",
        ),
        (
            {"objective.share": 0.1, "objective.scale": 2},
            "objective.share: sets λ, as does objective.scale: leave one of the two out",
        ),
        ({"objective.share": 2}, "objective.share: input should be less than 1, got 2"),
        ({"objective.share": "x"}, "objective.share: expected a number, got 'x'"),
        ({"objective.share": float("nan")}, "objective.share: input should be less than 1, got nan"),
        (
            {"objective.share": 0.4},
            "objective.share: the shares of consistency + diversity + spectral are 1.2 of the gradient: lower them to "
            "less than 1 together, because the task has the rest",
        ),
        (
            {"objective.consistency.share": 0.7, "objective.diversity.share": 0.2, "objective.spectral.share": 0.1},
            "objective: the shares of consistency + diversity + spectral are 1 of the gradient: lower them",
        ),
        (
            {"objective.consistency.share": 0.1, "objective.formulation": "nlu", "objective.matching": "gradient"},
            "objective: matching: 'gradient' sets λ, as does consistency.share: leave one of the two out",
        ),
        (
            {"objective.share": 0.1, "objective.formulation": "nlu", "objective.matching": "gradient"},
            "objective.share: matching: 'gradient' sets λ, as does consistency.share: leave one of the two out",
        ),
        (
            {"task": "mnli", "objective.spectral.share": 0.1},
            "objective.spectral.share: no λ gives the spectral term 10 % of the gradient on task 'mnli', where it "
            "cannot act (k = 5 ≥ min(N, D) = 3: the nuclear ratio is -1 whatever the logits are): leave it out, or set "
            "objective.share, which is for the terms that can act",
        ),
        ({"task": "stsb", "objective.diversity.share": 0.1}, "where it cannot act (one output: its covariance"),
    ],
)
def test_a_fault_is_one_line_with_the_way_out(settings, text):
    with pytest.raises(ConfigError) as caught:
        resolve({**BASE, **settings})
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_share_switches_the_term_and_the_reference_on():
    config = ObjectiveConfig.preset("none", family="nlg")
    assert not config.regularized
    shared = config.replace(consistency=config.consistency.replace(share=0.1))
    assert shared.regularized
    assert shared.needs_reference
    assert shared.shares == {"consistency": 0.1}


def test_a_share_survives_the_record_and_a_run_without_one_holds_none():
    spec = resolve({**BASE, "objective.share": 0.1})
    assert RunSpec(**spec.model_dump(mode="json")) == spec
    record = RunRecord(id="0", status="ok", spec=spec)
    assert RunRecord.model_validate_json(record.model_dump_json()).spec.objective.shares == spec.objective.shares
    assert resolve(BASE).objective.shares == {}


@pytest.mark.parametrize(
    ("below", "above", "merged"),
    [
        ({"consistency.weight": 1}, {"consistency.share": 0.1}, {"consistency": {"share": 0.1}}),
        ({"consistency.share": 0.1}, {"consistency.weight": 0}, {"consistency": {"weight": 0}}),
        ({"consistency.share": 0.1}, {"consistency.form": "mse"}, {"consistency": {"share": 0.1, "form": "mse"}}),
        ({"consistency.share": 0.1}, {"preset": "none"}, {"consistency": {}, "preset": "none"}),
        ({"share": 0.1}, {"preset": "none"}, {"preset": "none"}),
        ({"share": 0.1}, {"preset": "none", "share": 0.2}, {"preset": "none", "share": 0.2}),
        ({"share": 0.1}, {"scale": 2}, {"scale": 2}),
        ({"scale": 2, "diversity.weight": 1}, {"share": 0.1}, {"share": 0.1, "diversity": {}}),
        ({"diversity.share": 0.3}, {"share": 0.1}, {"share": 0.1, "diversity": {}}),
        ({"share": 0.1}, {"diversity.weight": 0}, {"share": 0.1, "diversity": {"weight": 0}}),
    ],
)
def test_an_arm_sets_a_weight_in_place_of_what_set_it_below(below, above, merged):
    assert overlay({"objective": nest(below)}, {"objective": nest(above)}) == {"objective": merged}


def test_a_method_above_removes_the_shares_below():
    assert overlay({"objective": {"share": 0.1}}, {"method": "pissa"}) == {"objective": {}, "method": "pissa"}


@pytest.mark.parametrize("given", [{}, {"objective.consistency.weight": 0.5}, {"objective.share": 0.3}])
def test_the_shipped_study_gives_every_acting_term_the_share_of_its_arm(given):
    runs = prepare("shares", profile="glance", settings=given, fingerprints=lambda spec: {}).runs
    found = {(run.arm, run.task): run.spec.objective for run in runs}
    for percent in (1, 5, 10, 20):
        share = percent / 100
        assert set(found[f"share-{percent}", "facts"].shares.values()) == {share}
        assert len(found[f"share-{percent}", "facts"].shares) == 3
        assert found[f"share-{percent}", "sentiment"].shares == {"consistency": share, "diversity": share}
    assert not found["no-regularizers", "facts"].regularized
    assert set(found["ba-lora", "facts"].shares.values()) == ({0.3} if "objective.share" in given else set())
