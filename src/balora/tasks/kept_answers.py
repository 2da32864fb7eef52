"""Keep the answers that a model has generated, so that a run that is killed while scoring does not generate them again.

Each line of the file holds one batch: `<SHA-256 of the rest> <JSON>`. What the first line that was torn or changed
leaves behind it counts as never written.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from balora.errors import OutputError
from balora.folders import write_atomic
from balora.regular_files import read_regular

logger = logging.getLogger(__name__)

LARGEST = 2**30
"""Most bytes of a file that is read."""


class _Batch(NamedTuple):
    texts: list[str]
    seconds: float


class KeptAnswers:
    """The answers of one model, in a file that grows by a line with every batch.

    A file that cannot be written costs nothing but what it would have saved: a warning is given once.

    Args (of the constructor):
        path: the file; it need not exist.
        model: names the weights that answer. Lines of other weights are not used.
    """

    def __init__(self, path: Path, model: str) -> None:
        self._path, self._model, self._failed = path, model, False
        self.seconds = 0.0
        """What it took to generate the answers that were taken from the file."""
        lines = _whole_lines(path)
        self._batches = {key: _Batch(texts, seconds) for key, texts, seconds in lines}
        if path.exists():  # what follows a torn line could never be read
            self._write(lambda: write_atomic(path, "".join(map(_sealed, lines))))

    def key(self, prompts: Sequence[Sequence[int]], how: Sequence[Any]) -> str:
        """Return the name of a batch: the SHA-256 of the weights' name, the ``prompts``, and ``how`` it is answered."""
        return hashlib.sha256(json.dumps([self._model, prompts, how]).encode()).hexdigest()

    def take(self, key: str) -> list[str] | None:
        """Return the answers to the batch ``key``, if they were kept; the time that they took is added to `seconds`."""
        found = self._batches.get(key)
        if found is None:
            return None
        self.seconds += found.seconds
        return found.texts

    def keep(self, key: str, texts: list[str], seconds: float) -> None:
        """Add the answers to the batch ``key``, which took so many ``seconds``."""

        def append() -> None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(_sealed((key, texts, round(seconds, 3))))

        self._write(append)

    def _write(self, action: Any) -> None:
        try:
            if not self._failed:
                action()
        except (OSError, OutputError) as error:
            self._failed = True
            logger.warning(
                "balora: %s cannot be written (%s): a run killed while scoring would generate again", self._path, error
            )


Line = tuple[str, list[str], float]


def _sealed(line: Line) -> str:
    text = json.dumps(line)
    return f"{hashlib.sha256(text.encode()).hexdigest()} {text}\n"


def _whole_lines(path: Path) -> list[Line]:
    """Return the lines of the file up to the first that is torn or was changed."""
    found: list[Line] = []
    with suppress(OSError, ValueError, TypeError, RecursionError):
        for line in read_regular(path, LARGEST, links=False).decode().splitlines():
            digest, _, text = line.partition(" ")
            if hashlib.sha256(text.encode()).hexdigest() != digest:
                break
            key, texts, seconds = json.loads(text)
            found.append((str(key), list(map(str, texts)), float(seconds)))
    return found
