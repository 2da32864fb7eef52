"""Measure one part of the check of a GPU and write its rows, after each of them; `scripts/on_gpu` calls it.

python -m benchmarks.card PART FILE.json [--dry]

With --dry it runs on the CPU with small shapes. Exit codes: 0 measured, 1 failed, 3 a package that the part needs is
not installed (its name is the last line on standard error).
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.results import Row, update

if TYPE_CHECKING:
    from benchmarks.objective import Size

ROOT = Path(__file__).resolve().parents[1]
TEST_PACKAGES = ("pytest", "pytest_timeout", "beartype", "hypothesis")
NOT_INSTALLED = 3
Rows = Iterable[tuple[Any, ...]]
"""What each part gives: the fields of its rows, in turn."""


class TestsFailedError(Exception):
    """Tests on the GPU failed."""


def tests(dry: bool) -> Rows:
    """Run the tests marked `gpu`; on the CPU they are skipped by name."""
    for name in TEST_PACKAGES:
        if find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
    import pytest

    files = [str(file) for file in sorted((ROOT / "tests").rglob("test_*.py")) if "pytest.mark.gpu" in file.read_text()]
    counts = Counts()
    # a warning of another version of torch is no reason to know nothing of the GPU
    code = pytest.main(["-q", "-m", "gpu", "-W", "default", "--rootdir", str(ROOT), *files], plugins=[counts])
    detail = f"{counts.ran} ran, {counts.skipped} skipped"
    yield Row("failed tests of those that need a GPU", counts.failed, 0.0, detail)
    if code != 0 or not (counts.ran or dry):
        raise TestsFailedError(f"{counts.failed} tests on the GPU failed ({detail}; pytest's exit code {int(code)})")


class Counts:
    """A plugin of pytest that counts what ran."""

    def __init__(self) -> None:
        self.ran = self.failed = self.skipped = 0

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count one phase of a test: each is `call`ed once, unless its set-up skips it or fails."""
        if report.when == "call" or (report.when == "setup" and not report.passed):
            self.skipped += report.skipped
            self.failed += report.failed
            self.ran += not report.skipped


def objective(dry: bool) -> Rows:
    """Measure all terms at the shape of Llama-3.1-8B against three products and the published way."""
    from benchmarks.objective import objective_rows

    return objective_rows(_size(dry), goal=1.3, memory_goal=None)


def trl(dry: bool) -> Rows:
    """Measure the KL against TRL's."""
    from benchmarks.others import trl_rows

    return trl_rows(_size(dry))


def liger(dry: bool) -> Rows:
    """Measure cross-entropy with KL against Liger's."""
    from benchmarks.others import liger_rows

    return liger_rows(_size(dry))


def step(dry: bool) -> Rows:
    """Measure whole steps of Llama-3.1-8B with gradient checkpointing."""
    from benchmarks.llama_step import LLAMA_8B, SMALL, step_rows

    return step_rows(SMALL if dry else LLAMA_8B, _device(dry))


def step_of_8_layers(dry: bool) -> Rows:
    """Measure whole steps of 8 of its layers without gradient checkpointing."""
    from benchmarks.llama_step import LLAMA_8B, SMALL, step_rows

    return step_rows(
        SMALL._replace(checkpointing=False) if dry else LLAMA_8B._replace(layers=8, checkpointing=False), _device(dry)
    )


def factors(dry: bool) -> Rows:
    """Measure exact PiSSA factors of a 4096×4096 and a 14336×4096 weight against the full decomposition."""
    from benchmarks.pissa import exact_rows

    device = _device(dry)
    exact_rows(256, 256, 16, device)  # loads the device's libraries
    for out, into in ((300, 256), (512, 256)) if dry else ((4096, 4096), (14_336, 4096)):
        yield from exact_rows(out, into, 16 if dry else 128, device)


def study(dry: bool) -> Rows:
    """Measure four arms on a testbed decoder, in one process and in four side by side."""
    from benchmarks.four_arms import study_rows

    return study_rows(*(2, {"training.steps": 2, "data.eval_rows": 20}) if dry else (4, {}))


def _device(dry: bool) -> str:
    return "cpu" if dry else "cuda"


def _size(dry: bool) -> "Size":
    """Return the shape at which the objective is measured."""
    import torch

    from benchmarks.objective import Size

    if dry:
        return Size(64, 512, 64, torch.bfloat16)
    return Size(8192, 128_256, 4096, torch.bfloat16, "cuda")


PARTS: dict[str, Callable[[bool], Rows]] = {
    "tests": tests,
    "objective": objective,
    "step": step,
    "factors": factors,
    "study": study,
    "trl": trl,
    "liger": liger,
    "step-of-8-layers": step_of_8_layers,
}
"""In the order in which they are measured: what matters most comes first, since the time may run out."""


def measure(part: str, file: Path, dry: bool) -> None:
    """Write the rows of ``part`` into ``file``, again after each of them."""
    import torch

    rows: list[Row] = []
    for row in PARTS[part](dry):
        rows.append(Row(*row))
        update(file, part, rows, torch.get_num_threads(), dry)


def main() -> int:
    """Measure the part that the command line names, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("file", type=Path)
    parser.add_argument("--dry", action="store_true")
    given = parser.parse_args()
    try:
        measure(given.part, given.file, given.dry)
    except ModuleNotFoundError as error:
        print(error.name, file=sys.stderr)
        return NOT_INSTALLED
    except TestsFailedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
