"""Run a verb on hostile input, and check by one rule how it ended: exit code, one line, nothing half-written."""

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

from balora.cli import main
from balora.cli.main import LONGEST_LINE
from balora.errors import is_printable

PREFIX = "balora: error: "


class Ended(NamedTuple):
    """Exit code and what was printed."""

    code: int
    out: str
    err: str


def run_verb(*words: object) -> Ended:
    """Run `balora` with ``words`` in this process."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = main([str(word) for word in words])
    return Ended(code, out.getvalue(), err.getvalue())


def contents(*roots: Path) -> dict[str, str]:
    """Return every file, folder, link and special file below ``roots``, with a digest of what it holds."""
    found: dict[str, str] = {}
    for root in roots:
        for path in (root, *_below(root)):
            found[str(path)] = _state(path)
    return found


def _below(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root):
        yield from (Path(folder, name) for name in (*names, *files))


def _state(path: Path) -> str:
    if path.is_symlink():
        return f"link to {os.readlink(path)}"
    if path.is_dir():
        return "folder"
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return "special" if path.exists() else "missing"


@contextmanager
def nothing_written(*roots: Path) -> Iterator[None]:
    """Check that everything below ``roots`` is afterwards exactly as it was before."""
    before = contents(*roots)
    yield
    after = contents(*roots)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert not changed, f"written, changed or removed: {sorted(changed)}"


def check_line(ended: Ended, *says: str) -> None:
    """Check that the error output is one short line without control characters, which holds every one of ``says``."""
    line = ended.err.removesuffix("\n")
    assert line.startswith(PREFIX), ended.err
    assert "\n" not in line, ended.err
    assert len(line) <= len(PREFIX) + LONGEST_LINE + 100
    assert all(map(is_printable, line)), ascii(line)
    assert "this is a bug in balora" not in line, line
    assert "Traceback" not in line, line
    for words in says:
        assert words in line, line


def refused(words: Sequence[object], *says: str, watched: Path | Sequence[Path] = (), code: int = 2) -> Ended:
    """Run a verb that must refuse: exit ``code``, one line that holds ``says``, nothing printed, nothing written.

    ``watched`` are the folders in which nothing may change: give the one that holds input and output.
    """
    with nothing_written(*([watched] if isinstance(watched, Path) else watched)):
        ended = run_verb(*words)
    assert ended.code == code, ended
    assert ended.out == "", ended.out
    check_line(ended, *says)
    return ended
