"""Carry out one run as one of several processes: `python -m balora.cli.one_process SPEC OUTPUT`."""

import sys
from pathlib import Path

from balora.cli.main import guarded
from balora.cli.progress_bar import shown_by_the_first
from balora.cli.start_processes import read_spec
from balora.cli.streams import safe_streams
from balora.training.spec import RunSpec


def carry_out(spec: RunSpec, output: Path) -> int:
    """Carry out ``spec``; the first process shows the progress."""
    from balora.training.run_in_folder import run_in_folder

    with shown_by_the_first() as on_progress:
        run_in_folder(spec, output, on_progress=on_progress)
    return 0


def main() -> int:
    """Run the process and return its exit code."""
    spec, output = read_spec(Path(sys.argv[1])), Path(sys.argv[2])
    with safe_streams():
        return guarded(lambda: carry_out(spec, output))


if __name__ == "__main__":
    raise SystemExit(main())
