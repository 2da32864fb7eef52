"""A run whose model two processes share by FSDP2 is one process's on the same rows, down to the exported adapter."""

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from together import run_together, spec_of

from balora.training.record import read_record
from balora.training.run_in_folder import run_in_folder

pytestmark = pytest.mark.slow  # each starts three interpreters

CASES: dict[str, dict[str, Any]] = {
    "a classifier whose best weights count": {"training.evaluate_every": 1, "training.keep": "best"},
    "a generator": {"task": "facts"},
    "full fine-tuning": {"method": "full+reg"},
    "half precision, recomputed activations, accumulated": {
        "task": "facts",
        "training.precision": "bfloat16",
        "training.gradient_checkpointing": True,
        "training.accumulation": 2,
        "objective.scope": "process",
        "objective.diversity.weight": 0,
        "objective.spectral.weight": 0,
    },
}


@pytest.mark.parametrize("case", CASES)
def test_two_processes_that_share_a_model_are_one(case: str, tmp_path: Path) -> None:
    changes = CASES[case]
    run_together(spec_of(4, **changes, **{"launch.strategy": "fsdp2"}), tmp_path / "two")
    alone, _ = run_in_folder(spec_of(8, **changes), tmp_path / "one")
    two = read_record(tmp_path / "two")
    assert two is not None
    assert (two.status, two.processes, two.spec.launch.strategy) == ("ok", 2, "fsdp2")
    assert two.cost.trained_parameters == alone.cost.trained_parameters
    half = "training.precision" in changes
    assert two.score == pytest.approx(alone.score, abs=5 if half else 1e-9)
    assert [one.step for one in two.step_scores] == [one.step for one in alone.step_scores]
    assert two.kept_step == alone.kept_step
    within = 2e-3 if half else 1e-5
    files = ["adapter/adapter_model.safetensors"] if "method" not in changes else ["model/model.safetensors"]
    for file in files:
        weights, expected = load_file(tmp_path / "two" / file), load_file(tmp_path / "one" / file)
        assert weights.keys() == expected.keys()
        for name in expected:
            if name.endswith("key.bias"):  # softmax ignores it: AdamW makes whole steps of its gradient's rounding
                continue
            assert float((weights[name] - expected[name]).abs().max()) <= within, name
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == sorted(
        path.name for path in (tmp_path / "one").iterdir()
    )
    rows = [json.loads(line) for line in (tmp_path / "two" / "series.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert all("task_share" in row for row in rows)
