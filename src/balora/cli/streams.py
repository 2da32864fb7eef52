"""Make standard output and error safe to print to: in any encoding, closed, full, or left by their reader.

A character that the encoding of a stream lacks is printed as a plain one or as its escape. A reader of standard output
that goes away (`| head -1`) ends the output and not the work; what happens to standard error never ends the work.
"""

import codecs
import errno
import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from balora.errors import OutputError

PLAIN = "balora.plain"
"""Name of the handler for characters that an encoding lacks."""
LOOKALIKES = {
    "−": "-", "–": "-", "—": "-", "·": "|", "×": "x", "±": "+-", "…": "...", "→": "->", "≥": ">=", "≤": "<=",
    "“": '"', "”": '"', "‘": "'", "’": "'", "λ": "lambda", "Δ": "delta", "Σ": "sum", "∞": "inf", "•": "*",
    "─": "-", "━": "-", "│": "|", "┃": "|",
}  # fmt: skip
REPLACING = frozenset({"replace", "ignore", "xmlcharrefreplace", "namereplace"})
"""Handlers that a person asks for (`PYTHONIOENCODING=ascii:replace`), and that already cannot fail."""


def plain(error: UnicodeError) -> tuple[str, int]:
    """Return plain characters or escapes for those that cannot be encoded, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(LOOKALIKES.get(character) or _escape(character) for character in missing), error.end


def _escape(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode()


class Forgiving(io.FileIO):
    """Writes to the descriptor of a standard stream; once that has failed, drops whatever else is written."""

    def __init__(self, descriptor: int, forgives: Callable[[OSError], bool]) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._forgives, self._failed = forgives, False

    def write(self, data: Any) -> int:
        """Write all of ``data``, or drop it.

        Raises:
            OutputError: the stream cannot be written, for the first time, and not because its reader has gone.
        """
        rest = memoryview(data).cast("B")
        while rest and not self._failed:
            try:
                written = super().write(rest)
            except OSError as error:
                self._failed = True
                if not self._forgives(error):
                    raise OutputError(
                        f"standard output: cannot be written ({error.strerror or error}): free some space or redirect "
                        "it to another place"
                    ) from None
                break
            if written is None:  # a pipe that does not block, and is full
                select.select([], [self], [])
            rest = rest[written or 0 :]
        return memoryview(data).nbytes


@contextmanager
def safe_streams() -> Iterator[None]:
    """Make standard output and error safe while the block runs; streams that a caller has put there stay."""
    codecs.register_error(PLAIN, plain)
    before = sys.stdout, sys.stderr
    sys.stdout = _safe(sys.stdout, sys.__stdout__, 1, lambda error: error.errno == errno.EPIPE)
    sys.stderr = _safe(sys.stderr, sys.__stderr__, 2, lambda error: True)
    try:
        yield
    finally:
        with suppress(OSError, OutputError):
            flush()
        sys.stdout, sys.stderr = before


def _safe(stream: TextIO | None, own: TextIO | None, descriptor: int, forgives: Callable[[OSError], bool]) -> TextIO:
    """Return a safe stream in place of ``stream``: itself, unless it is the process's ``own``."""
    if stream is None:
        return _nowhere(descriptor)
    if stream is not own or not isinstance(stream, io.TextIOWrapper):
        return stream
    errors = stream.errors if stream.errors in REPLACING else PLAIN
    if stream.isatty():
        stream.reconfigure(errors=errors)
        return stream
    stream.flush()
    raw = Forgiving(stream.fileno(), forgives)
    buffered = io.BufferedWriter(raw)
    return io.TextIOWrapper(buffered, stream.encoding, errors, line_buffering=descriptor == 2)


def _nowhere(descriptor: int) -> TextIO:
    """Return a stream into nothing; it takes the closed ``descriptor``, which the next opened file would get."""
    try:
        os.fstat(descriptor)
    except OSError:
        opened = os.open(os.devnull, os.O_WRONLY)
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)
        else:
            os.set_inheritable(opened, True)
    return open(os.devnull, "w", encoding="utf-8", errors="backslashreplace")


def flush() -> None:
    """Write what is still in the buffers, so that a failure is an error of this command and not of Python's end.

    Raises:
        OutputError: standard output cannot be written.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
