"""Compare answers with math-verify, one pair a line, in a process of its own that the kernel ends at a limit.

`python -m balora.tasks.math_worker` writes `ready`, then for each line of its input (a JSON list of gold and answer) a
line `1` or `0`. Comparing can take any time and memory (`10^{10^{10}}`), in code that no exception interrupts. So each
pair has :data:`SECONDS` of computing time, after which the kernel ends the process; the parent starts another one.
Computing time does not run while other programs have the processor, so a loaded machine gives the same verdicts.
"""

import json
import logging
import os
import resource
import signal
import sys
from contextlib import suppress
from typing import TextIO

SECONDS = 5
"""Computing time for one pair; the slowest of MATH-500 needs a tenth of it."""
MEMORY_GB = 2
"""Address space of the process."""


def compare_lines(pairs: TextIO, verdicts: TextIO) -> None:
    """Answer every line of ``pairs`` until its end."""
    from math_verify import parse, verify  # type: ignore[import-untyped]

    def equal(gold: str, answer: str) -> bool:
        return bool(
            verify(parse(gold, parsing_timeout=None), parse(answer, parsing_timeout=None), timeout_seconds=None)
        )

    _silence()
    _write(verdicts, "ready")
    for line in pairs:
        gold, answer = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        _write(verdicts, str(int(equal(gold, answer))))


def _silence() -> None:
    """Drop what the libraries print about texts that they cannot read; only verdicts leave the process."""
    logging.disable(logging.CRITICAL)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


def _write(stream: TextIO, line: str) -> None:
    stream.write(f"{line}\n")
    stream.flush()


def _limit() -> None:
    """Let the timer of computing time end the process, bound its memory, and leave no core file."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which then closes the input
    for what, most in ((resource.RLIMIT_AS, MEMORY_GB << 30), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):  # a lower limit is set already, or the system knows none (macOS)
            resource.setrlimit(what, (most, most))


if __name__ == "__main__":
    _limit()
    compare_lines(sys.stdin, os.fdopen(os.dup(1), "w"))
