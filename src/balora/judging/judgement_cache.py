"""Cache a judge's replies on disk, one sealed file a request, named by the SHA-256 of the request.

<cache>/judgements/<first two digits>/<SHA-256>.json holds the reply as JSON in its first line, and in its second the
SHA-256 of the first. A file that is torn, was changed or belongs to another request counts as not there.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from balora.folders import cache_folder, write_atomic
from balora.regular_files import read_regular

logger = logging.getLogger(__name__)

FORMAT = 1
FOLDER = "judgements"
LARGEST = 8 * 2**20
"""Most bytes of an entry; a reply of the largest size that is accepted is smaller."""


class Reply(NamedTuple):
    """What a judge wrote, and what its server says that took."""

    text: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cut: bool = False
    """Whether the limit of tokens ended it."""


def request_key(body: Mapping[str, Any]) -> str:
    """Return the SHA-256 of everything that decides a reply: the judge's model, the messages, the sampling.

    The server's address is no part of it, so that the same model on another port is not paid again. Two models that
    their servers call by the same name are one to the cache.
    """
    return hashlib.sha256(json.dumps([FORMAT, body], sort_keys=True).encode()).hexdigest()


class JudgementCache:
    """Replies by request, shared by all processes of a user.

    Args (of the constructor):
        root: the folder; none means `judgements` in the user's cache.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = root
        self._failed = False

    def find(self, key: str) -> Reply | None:
        """Return the reply to a request, if a whole one is there."""
        try:
            content = read_regular(self._path(key), LARGEST, links=False)
            body, digest, rest = content.split(b"\n")
            if rest or hashlib.sha256(body).hexdigest().encode() != digest:
                return None
            stored = json.loads(body)
            return Reply(**stored["reply"]) if stored["request"] == key else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def store(self, key: str, reply: Reply) -> None:
        """Write a reply in one step. Where that fails, a warning is given once, and judging goes on without a cache."""
        body = json.dumps({"request": key, "reply": reply._asdict()}).encode()
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, body + b"\n" + hashlib.sha256(body).hexdigest().encode() + b"\n")
        except OSError as error:
            if not self._failed:
                logger.warning("balora: judgements are not cached: %s cannot be written (%s)", path, error.strerror)
            self._failed = True

    def _path(self, key: str) -> Path:
        root = self._root if self._root is not None else cache_folder() / FOLDER
        return root / key[:2] / f"{key}.json"
