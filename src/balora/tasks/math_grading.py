"""Grade answers to mathematical problems as the field does: math-verify decides whether two answers are equal.

balora finds the answer in a text (:mod:`balora.tasks.answers`) and hands it to math-verify as LaTeX; of a text without
a marked answer math-verify reads the last formula or number itself. The comparison runs in a process with limits of
computing time and memory (:mod:`balora.tasks.math_worker`). This module is torch-free and does not import math-verify.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Self

from balora.errors import TrainingError, printable, shortened
from balora.tasks.answers import bare_formula, counted_text, is_prose, last_marked, said_aloud
from balora.tasks.math_worker import MEMORY_GB, SECONDS
from balora.tasks.prepared import Encoded
from balora.tasks.thoughts import after_thought

MOST_WRITTEN = 500
"""Most characters of a marked answer; the longest of MATH-500 has 54."""
MOST_READ = 2000
"""Most characters, from the end, of a text without a marked answer that math-verify searches."""
KILLED_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM)
"""Exit codes of a process that no limit of its own has ended: its timer ends it by SIGPROF, its memory by an error."""
DELIMITER = re.compile(r"(?<!\\)\$|\\[(\[]")
DRESS = " \t\r\n*_:="

Pair = tuple[str, str]


class Verified(NamedTuple):
    """Items with their verdicts, and what the metric is."""

    items: list[dict[str, Any]]
    """As they were given, each with `verified`."""
    math_verify: float
    """The share of verified answers."""
    notes: tuple[str, ...]


def grade_math(items: Sequence[dict[str, Any]], rows: Sequence[Encoded]) -> Verified:
    """Add `verified` to each item: whether its `text`, without the thought, holds the answer of its row's `solution`.

    A text of None (a prompt without room) is not verified. Answers that cannot be compared within the limits are not
    verified either, and a note counts them.
    """
    found = verdicts(
        (row["solution"], after_thought(item["text"] or "", row.get("thought", "")))
        for item, row in zip(items, rows, strict=True)
    )
    graded = [{**item, "verified": bool(verdict)} for item, verdict in zip(items, found, strict=True)]
    beyond = found.count(None)
    note = (
        f"math_verify: {beyond:,} of {len(items):,} answers have more than {MOST_WRITTEN} characters, or took more "
        f"than {SECONDS} s of computing time or {MEMORY_GB} GB to compare: counted as wrong"
    )
    return Verified(graded, sum(map(bool, found)) / len(found), (note,) if beyond else ())


def verified(gold: str, text: str) -> bool | None:
    """Return whether ``text`` (a model's output) holds the answer of ``gold`` (a worked solution or a bare answer).

    None: the answer is too long, or comparing it went beyond the limits. Each call starts a process, which takes a
    second or two; for several pairs use :func:`verdicts`.
    """
    return verdicts([(gold, text)])[0]


def verdicts(pairs: Iterable[Pair]) -> list[bool | None]:
    """Return :func:`verified` of every (gold, text), in order.

    Raises:
        TrainingError: math-verify cannot be imported, or no process can be started.
    """
    with _Comparer() as comparer:
        return [_verdict(comparer, gold, text) for gold, text in pairs]


def _verdict(comparer: "_Comparer", gold: str, text: str) -> bool | None:
    gold_formula, formula = formula_of(said_aloud(gold)), formula_of(counted_text(text))
    if not gold_formula or not formula:
        return None if formula is None else False
    return comparer.equal(gold_formula, formula)


def formula_of(text: str) -> str | None:
    r"""Return what math-verify reads of ``text``: the marked answer in `\boxed{…}`; without a mark, the text's end.

    A marked answer with delimiters of its own (`$…$`), or in prose, stays as it was written, after "The answer is".
    Empty: the answer was cut off, or nothing is there. None: it is longer than :data:`MOST_WRITTEN`.
    """
    marked = last_marked(text)
    if marked is None:
        is_bare = len(text) <= MOST_WRITTEN and bare_formula(text)
        return _in_box(text.strip()) if is_bare else text[-MOST_READ:]
    written = (marked.written or "").strip(DRESS).rstrip(".")
    if len(written) > MOST_WRITTEN:
        return None
    if written.startswith("\\boxed"):
        return written
    if DELIMITER.search(written) or (is_prose(written) and " " in written):
        return f"The answer is {written}"
    return _in_box(written) if written else ""


def _in_box(formula: str) -> str:
    return f"\\boxed{{{formula}}}"


class _Comparer:
    """A process that compares pairs, started with the first pair, and again after one that ended it."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.ended = 0
        """The exit code of the last process that came to an end over a pair."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def equal(self, gold: str, answer: str) -> bool | None:
        """Return math-verify's verdict; None where the process came to an end over it.

        A process that was killed from outside, as where the machine's memory runs out, gets the pair once more.
        """
        reply = self._reply(gold, answer)
        if not reply and self.ended in KILLED_FROM_OUTSIDE:
            reply = self._reply(gold, answer)
        return reply == "1\n" if reply else None

    def _reply(self, gold: str, answer: str) -> str:
        process = self.process = self.process or _started()
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # something else ended it
            process.stdin.write(json.dumps([gold, answer]) + "\n")
            process.stdin.flush()
        reply = process.stdout.readline()
        if not reply:
            self.ended = process.wait()
            self._close()
        return reply

    def _close(self) -> None:
        """End the process: without a pair it ends at once, and over one (after Ctrl-C) it is killed."""
        if (process := self.process) is None:
            return
        self.process = None
        process.kill()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with suppress(OSError):  # a line that the process did not read
                    stream.close()
        process.wait()


def _started() -> "subprocess.Popen[str]":
    command = [sys.executable, "-P", "-m", "balora.tasks.math_worker"]
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    streams: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen(command, env=paths, text=True, encoding="utf-8", **streams)
    assert process.stdout is not None
    if process.stdout.readline() == "ready\n":
        return process
    _, complaint = process.communicate()
    reason = printable(shortened(complaint.strip().rpartition("\n")[2])) or f"it ended with code {process.returncode}"
    raise TrainingError(
        f"the process that compares answers with math-verify did not start ({reason}): "
        f"install it with pip install 'math-verify[antlr4_13_2]'"
    )
