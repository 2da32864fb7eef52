"""A run whose model two processes share by FSDP2 is one process's on the same rows, down to the exported adapter."""

from pathlib import Path
from typing import Any

import pytest
from together import assert_like_one_process

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
    within = 2e-3 if "training.precision" in CASES[case] else 1e-5
    assert_like_one_process("fsdp2", tmp_path, CASES[case], within)
