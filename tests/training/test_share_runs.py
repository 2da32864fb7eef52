"""A run with shares of the gradient: what it records, what telemetry finds, and how it fails."""

import json

import pytest
from training_cases import real_spec

from balora.training.run import run
from balora.training.spec import resolve

TESTBED = {
    "model": "testbed",
    "training.steps": 2,
    "training.telemetry_every": 1,
    "data.eval_rows": 6,
    "data.train_rows": 64,
    "adapter.rank": 8,
}


def notes_of(record):
    return [note for note in record.notes if note.startswith("share: ")]


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "sentiment", "training.precision": "bfloat16"},
        {"task": "facts"},
        {"task": "sentiment", "objective.reference_head": "probe"},
        {"task": "facts", "training.precision": "bfloat16", "objective.edition": "arxiv-v5"},
        {"task": "sentiment", "method": "full+reg", "objective.formulation": "nlg"},
        {"task": "facts", "method": "full", "training.gradient_checkpointing": True},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_a_run_records_the_weights_that_it_used(tmp_path, changes):
    settings = {**TESTBED, **changes, "objective.share": 0.1}
    if "method" in changes:
        del settings["adapter.rank"]
    record = run(resolve(settings), tmp_path / "run")
    assert record.error is None
    targets = record.spec.objective.shares
    assert set(targets.values()) == {0.1}
    assert [note.split()[4] for note in notes_of(record)] == [*targets]
    for name, note in zip(targets, notes_of(record), strict=True):
        assert f"λ of the {name} term is {record.terms[name].weight:.3g} for a share of 10 %" in note
        assert record.terms[name].weight > 0
    if record.spec.objective.active_formulation == "nlu":  # the covariance's k is above two classes
        assert "spectral" in record.inactive
        assert record.terms["spectral"].weight == 0.03


def test_telemetry_finds_the_target_at_the_first_step_on_the_same_rows(tmp_path):
    """16 rows and batches of 16: the first step sees the rows of the calibration, in another order."""
    settings = {
        "task": "sentiment",
        "data.train_rows": 16,
        "objective.preset": "none",
        "objective.diversity.share": 0.1,
    }
    record = run(resolve({**TESTBED, **settings}), tmp_path / "same")
    first = _first_row(tmp_path / "same")
    assert record.terms["diversity"].weight == first["diversity_weight"]
    assert first["diversity_share"] == pytest.approx(0.1, rel=1e-3)


def test_telemetry_is_near_the_target_on_other_rows(tmp_path):
    """One batch of 16 against the mean over four others: their gradients differ by up to a factor of two."""
    settings = {"task": "sentiment", "objective.preset": "none", "objective.diversity.share": 0.1}
    run(resolve({**TESTBED, **settings}), tmp_path / "other")
    assert 0.05 < _first_row(tmp_path / "other")["diversity_share"] < 0.2


def _first_row(folder):
    return json.loads((folder / "series.jsonl").read_text().splitlines()[0])


def test_a_share_that_cannot_be_reached_fails_the_run_with_the_reason(tmp_path, checkpoint, data):
    settings = {"objective.preset": "none", "objective.diversity.share": 0.1, "objective.diversity.form": "covariance"}
    spec = real_spec(checkpoint, data, **settings, **{"training.batch_size": 2, "data.train_rows": 1})
    record = run(spec, tmp_path / "run")
    assert (record.status, record.error.kind) == ("failed", "TrainingError")
    assert record.error.message.startswith("objective.diversity.share: 10 % of the gradient cannot")
