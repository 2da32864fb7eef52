"""Seal a JSON file: its last line is the SHA-256 of all text above; read it back, and check the digests of other files.

An edited or damaged file is recognised without serialising its content again.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from balora.regular_files import open_regular
from balora.settings import Settings

SEAL = ',\n "digest": "{}"\n}}\n'
"""How a sealed file ends."""
LARGEST = 1e150
"""The largest number that a file may hold: its square, which a report computes, is still a float."""


def sealed(content: Settings) -> tuple[str, str]:
    """Return ``content``, which has a field `digest`, as sealed JSON, and the digest."""
    body = content.model_dump_json(indent=1, exclude={"digest"}).removesuffix("\n}")
    digest = sha256(body.encode())
    return body + SEAL.format(digest), digest


def is_whole(text: bytes) -> bool:
    """Return whether ``text`` is what was sealed, to the byte."""
    body, _, _ = text.rpartition(SEAL.partition("{}")[0].encode())
    return text == body + SEAL.format(sha256(body)).encode()


def parse_json(text: bytes | str) -> Any:
    """Return the content of JSON text from a file that somebody else may have written.

    Raises:
        ValueError: it is no JSON, is nested too deep, or holds a number that is not finite or beyond `LARGEST`.
    """
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_float, parse_int=_int)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _refuse(word: str) -> float:
    raise ValueError(f"it holds {word}, which is no JSON")


def _float(digits: str) -> float:
    number = float(digits)
    if not abs(number) <= LARGEST:
        raise ValueError(f"it holds a number beyond {LARGEST:g}")
    return number


def _int(digits: str) -> int:
    if len(digits) > 150:  # before they are turned into a number, which takes longer the more there are
        raise ValueError(f"it holds a number beyond {LARGEST:g}")
    return int(digits)


def sha256(content: bytes) -> str:
    """Return the SHA-256 of ``content``."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a regular file that is no link; :class:`OSError` where there is none."""
    with open(open_regular(path, links=False), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_below(folder: Path) -> Iterator[Path]:
    """Yield everything below ``folder`` that is no folder, links to folders included, in order of the names."""
    for place, names, files in os.walk(folder):
        names.sort()
        links = [name for name in names if (Path(place) / name).is_symlink()]
        yield from (Path(place) / name for name in sorted([*files, *links]))
