"""Compute the fingerprint of the code that decides a run's numbers, whatever its comments, docstrings and layout."""

import ast
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from balora.folders import cache_folder, write_atomic
from balora.regular_files import read_regular_text

PACKAGE = Path(__file__).resolve().parents[1]
ROOMS = ("sandbox", "judging", "maths", "objective", "adapters", "tasks", "measures", "training")
"""The rooms that a run passes through; studies, reports and the command line only arrange runs and read them."""


ENTRY_BYTES = 256
"""More than an entry of the cache has."""


@lru_cache(maxsize=1)
def code_fingerprint() -> str:
    """Return the SHA-256 of the syntax trees of the rooms that decide a run's numbers.

    Names of files (below the package) and their order count, places and times do not, so that the same code on another
    machine has the same digest. Versions of torch and of other libraries are no part of it: a record holds them beside.

    Parsing takes some 0.2 s; the result is cached under a digest of the files' bytes, with a checksum of both: an entry
    that was damaged, or belongs to other files, is computed anew.
    """
    files = {path.relative_to(PACKAGE).as_posix(): path.read_bytes() for path in _sources(PACKAGE)}
    key = _digest(f"{name}:{_digest(content)}" for name, content in files.items())
    entry = cache_folder() / "code" / key
    with suppress(OSError):
        text = read_regular_text(entry, ENTRY_BYTES)
        if text == _entry(key, text[:64]):
            return text[:64]
    computed = tree_digest(files)
    with suppress(OSError):  # a cache that cannot be written costs time and nothing else
        entry.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(entry, _entry(key, computed))
    return computed


def _entry(key: str, computed: str) -> str:
    """Return the text of a cache entry: the digest, and a checksum of it and of the bytes that it was computed from."""
    return f"{computed} {_digest(iter((key, computed)))}\n"


def tree_digest(files: dict[str, bytes]) -> str:
    """Return the digest of Python files (by name) that depends on what they do and not on how they are written."""
    return _digest(f"{name}:{_digest(_tree_words(ast.parse(content)))}" for name, content in sorted(files.items()))


def _sources(package: Path) -> list[Path]:
    return sorted(path for room in ROOMS for path in (package / room).rglob("*.py"))


def _tree_words(node: object) -> Iterator[str]:
    """Yield a syntax tree as words; what is empty is left out, because Python versions differ in it."""
    if isinstance(node, ast.AST):
        yield type(node).__name__
        for field in node._fields:
            value = getattr(node, field, None)
            if value is not None and value != []:
                yield field
                yield from _tree_words(value)
    elif isinstance(node, list):
        yield "["
        for item in node:
            if not _is_docstring(item):
                yield from _tree_words(item)
        yield "]"
    else:
        yield ascii(node)


def _is_docstring(node: object) -> bool:
    """Whether ``node`` is a string that stands alone: the docstring of a module, class, function or attribute."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _digest(content: bytes | Iterator[str]) -> str:
    return hashlib.sha256(content if isinstance(content, bytes) else "\n".join(content).encode()).hexdigest()
