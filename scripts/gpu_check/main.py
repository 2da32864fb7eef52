"""The command line of `scripts/on_gpu`: run the parts one after the other, record each, and print the goals."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.results import RESULTS

from .interpreter import CheckError, Interpreter, find_interpreter, with_wheels
from .outcome_file import file_name, goals, record
from .parts import LIMITS, Outcome, run_part

DESCRIPTION = """Test and measure balora on this machine's GPU, without a network.

    scripts/on_gpu                                  # everything, in eight minutes on an H100
    scripts/on_gpu --wheels wheels --output x.json  # on a machine without balora's packages
    scripts/on_gpu --parts objective step           # some parts; the file's other results stay
    scripts/on_gpu --dry                            # everything on the CPU with small shapes, before a GPU is paid for

Each part runs in a process of its own and is recorded when it ends. docs/performance.md says what is measured.
Exit codes: 0 done, whether the goals are met or missed; 1 a part failed or was stopped; 2 nothing can be measured here;
130 interrupted.
"""
MINUTES = 8.0
LEAST = 10.0
"""Seconds that must be left to start a part."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the check and return the exit code; an error before the first part is one line."""
    given = _arguments(argv)
    try:
        if given.dry and given.output:
            refuse_result(given.output)
        interpreter = find_interpreter(given.python, given.dry)
        output = _output(given.output, interpreter, given.dry)
        if given.wheels:
            interpreter = with_wheels(interpreter, given.wheels)
    except (CheckError, OSError) as error:
        print(f"on_gpu: error: {error}", file=sys.stderr)
        return 2
    where = "the CPU, as a dry run: the figures mean nothing" if given.dry else interpreter.card
    print(f"on_gpu: {where} (torch {interpreter.torch}, {interpreter.python})", flush=True)
    try:
        outcomes = run_parts(given.parts, interpreter, output, given.dry, given.minutes)
    except KeyboardInterrupt:
        print(f"on_gpu: interrupted; what was measured is in {output}", file=sys.stderr)
        return 130
    return summary(outcomes, output)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry", action="store_true", help="run every part on the CPU with small shapes")
    parser.add_argument(
        "--parts", nargs="+", choices=LIMITS, default=list(LIMITS), metavar="NAME", help=", ".join(LIMITS)
    )
    parser.add_argument("--output", type=Path, help="the file of results (default: benchmarks/results/<card>.json)")
    parser.add_argument("--wheels", type=Path, help="a folder of wheels to install into an environment beside it")
    parser.add_argument("--python", help="the Python whose torch sees the GPU (default: the first one found)")
    parser.add_argument(
        "--minutes",
        type=float,
        default=MINUTES,
        help=f"for all parts together (default: {MINUTES:g}); the limit of each part grows with it",
    )
    return parser.parse_args(argv)


def _output(given: Path | None, interpreter: Interpreter, dry: bool) -> Path:
    """Return the file of results; its folder exists afterwards."""
    usual = (
        Path(tempfile.mkdtemp(prefix="on-gpu-")) / "dry.json" if dry else RESULTS / file_name(interpreter.card or "")
    )
    output = (given or usual).resolve()
    output.parent.mkdir(parents=True, exist_ok=True)
    return output


def refuse_result(output: Path) -> None:
    """Raise CheckError if the figures of a dry run would stand among those that were measured."""
    if output.resolve().is_relative_to(RESULTS):
        raise CheckError(f"a dry run measures nothing, but {output} is among the results: choose another --output")


def run_parts(
    parts: Sequence[str],
    interpreter: Interpreter,
    output: Path,
    dry: bool,
    minutes: float,
    command_of: Callable[[str, Path], Sequence[str]] | None = None,
) -> list[Outcome]:
    """Run the parts in turn until the time is used up; print a line for each and record it in ``output``."""
    end = time.monotonic() + 60 * minutes
    outcomes = []
    with tempfile.TemporaryDirectory() as work:
        for part in parts:
            fresh = Path(work) / f"{part}.json"
            command = (command_of or _command(interpreter, dry))(part, fresh)
            left, limit = end - time.monotonic(), LIMITS[part] * minutes / MINUTES
            if left < min(LEAST, limit) or not limit:
                outcome = Outcome(part, "skipped", 0.0, f"the {minutes:g} minutes were used up")
            else:
                outcome = run_part(part, command, min(limit, left), output.with_suffix(".log"), dry)
            record(output, outcome, fresh, dry)
            outcomes.append(outcome)
            print(f"{part:17} {outcome.status:8} {outcome.seconds:5.0f} s  {outcome.reason}".rstrip(), flush=True)
            for line in outcome.output.splitlines():
                print(f"    | {line}", flush=True)
    return outcomes


def _command(interpreter: Interpreter, dry: bool) -> Callable[[str, Path], Sequence[str]]:
    def command(part: str, fresh: Path) -> Sequence[str]:
        return [interpreter.python, "-m", "benchmarks.card", part, str(fresh), *(["--dry"] if dry else [])]

    return command


def summary(outcomes: Sequence[Outcome], output: Path) -> int:
    """Print the goals, what was left out, and where the results are; return the exit code."""
    for line in goals(output, [outcome.part for outcome in outcomes]):
        print(line)
    for outcome in outcomes:
        if outcome.status != "measured":
            print(f"not measured: {outcome.part}: {outcome.reason}")
    print(f"{sum(outcome.seconds for outcome in outcomes):.0f} s; results in {output}")
    if all(outcome.status == "skipped" for outcome in outcomes):
        print("on_gpu: error: no part could run: carry the missing packages with --wheels FOLDER", file=sys.stderr)
        return 2
    return int(any(outcome.status in ("failed", "stopped") for outcome in outcomes))
