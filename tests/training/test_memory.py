"""What `balora doctor` says that a run takes is what a run takes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from balora.training.memory import MemoryNeed, estimate_memory
from balora.training.spec import resolve

MIB = 2**20
PROGRAM = Path(__file__).parent / "memory_of_a_run.py"


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "method"), [("llama", "ba-lora"), ("bert", "ba-lora"), ("gpt2", "full+reg")])
def test_the_estimate_is_within_a_fifth_of_the_peak_of_a_run(
    kind: str, method: str, checkpoint: Path, tmp_path: Path
) -> None:
    given = [sys.executable, str(PROGRAM), kind, method, str(checkpoint), str(tmp_path)]
    returning = {"MALLOC_TRIM_THRESHOLD_": str(MIB)}  # glibc gives freed memory back to the system
    done = subprocess.run(given, capture_output=True, text=True, check=False, env={**os.environ, **returning})
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["estimated"] == pytest.approx(found["measured"], rel=0.2), found


def need(checkpoint: Path, method: str = "ba-lora", **training: object) -> MemoryNeed:
    given = {"model": str(checkpoint), "task": "gsm8k", "method": method, "training": {"batch_size": 4, **training}}
    return estimate_memory(resolve({**given, "data": {"max_length": 64}}))


def test_the_parts_are_those_of_the_checkpoint(checkpoint: Path) -> None:
    found = need(checkpoint)
    values = 260_032
    assert found.base >= 4 * values
    assert found.base - 4 * values < 40_000  # tables of the positions
    assert found.reference == 0
    assert found.spared == 2 * 4 * 63 * 512 * 4  # two models, 4 rows of 64 tokens, 512 words, float32
    assert found.optimizer == 3 * found.adapter / 2  # half of the adapter is its start
    assert need(checkpoint, eval_batch_size=1).scoring < found.step / 4
    parts = (found.program, found.base, found.adapter, found.optimizer)
    assert found.peak == sum(parts) + max(found.step, found.scoring)


def test_full_fine_tuning_holds_a_copy_and_three_numbers_a_weight(checkpoint: Path) -> None:
    found = need(checkpoint, "full+reg")
    assert (found.adapter, found.reference) == (0, found.base)
    assert found.optimizer == pytest.approx(3 * found.base, rel=0.05)
    assert need(checkpoint, "full").reference == 0


def test_a_step_grows_with_its_rows_and_shrinks_by_recomputing(checkpoint: Path) -> None:
    small, large = need(checkpoint), need(checkpoint, batch_size=8)
    assert 1.8 < large.step / small.step < 2.1
    recomputed = need(checkpoint, batch_size=8, gradient_checkpointing=True)
    assert recomputed.step < 0.7 * large.step
    assert (recomputed.base, recomputed.optimizer) == (large.base, large.optimizer)


def test_half_precision_halves_the_base(checkpoint: Path) -> None:
    assert need(checkpoint, precision="bfloat16").base == pytest.approx(need(checkpoint).base / 2, rel=0.1)


def test_codes_of_four_bits_take_their_bits_and_their_scales(checkpoint: Path) -> None:
    given = {"model": str(checkpoint), "task": "gsm8k", "method": "ba-lora", "data": {"max_length": 64}}
    whole = estimate_memory(resolve(given))
    linear = 5 * (64 * 64 + 64 * 64 + 2 * 64 * 32 + 3 * 64 * 172)
    for settings, bits in (({"quantization": "nf4"}, 4.127), ({"quantization": "int8"}, 8.0)):
        coded = estimate_memory(resolve({**given, "model": {"name": str(checkpoint), **settings}}))
        assert whole.base - coded.base == pytest.approx(linear * (4 - bits / 8), rel=1e-3)
        assert coded.adapter == whole.adapter


@pytest.mark.parametrize("task", ["facts", "sentiment"])
def test_a_testbed_model_of_any_seed_is_of_the_size_of_the_shipped_one(task: str) -> None:
    found = estimate_memory(resolve({"model": "testbed", "task": task, "testbed": {"seed": 12345}}))
    assert 0.5e6 * 4 < found.base < 1e6 * 4
