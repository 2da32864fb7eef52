"""Hold the scores that systems have item by item, as every reader returns them and the comparison takes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from balora.errors import DataError, shown


class Key(NamedTuple):
    """What makes two scores of two systems a pair."""

    task: str
    item: str
    seed: str = ""
    """The run that the score is from, where a system was scored several times; else empty."""


class ItemScore(NamedTuple):
    """The score of one item, and what is known about the item."""

    score: float
    cluster: str = ""
    """What the item belongs together with (a passage, a subject); empty where every item stands alone."""
    content: tuple[str, str] = ("", "")
    """What tells that two items are the same one, and its value: a hash of the document, the right answer."""
    prompt: str = ""
    """Hash of the prompt, where the source has one."""


@dataclass(frozen=True)
class SystemScores:
    """The scores of one system: an item and a seed have one score, in the order of the file."""

    name: str
    source: str
    """The file or folder they were read from."""
    scores: Mapping[Key, ItemScore]
    metrics: Mapping[str, str]
    """Task → what the score is."""
    higher_is_better: bool | None = None
    """None where the source does not say."""
    notes: tuple[str, ...] = ()

    def named(self, name: str) -> "SystemScores":
        """Return the same scores under another name."""
        return replace(self, name=name)


@dataclass(frozen=True)
class ScoreTable:
    """The systems of one comparison, in the order given; the first is the one that others are compared with."""

    systems: tuple[SystemScores, ...]
    notes: tuple[str, ...] = ()

    @property
    def tasks(self) -> list[str]:
        """The tasks of the first system, in order of first appearance."""
        return list(dict.fromkeys(key.task for key in self.systems[0].scores))

    @property
    def clustered(self) -> bool:
        """Whether items belong to clusters."""
        return any(one.cluster for one in self.systems[0].scores.values())


def collected(pairs: Sequence[tuple[str, Key, ItemScore]], place: str) -> dict[Key, ItemScore]:
    """Return scores by key; ``pairs`` are (where it stands, key, score).

    Raises:
        DataError: an item has two scores.
    """
    found = {key: score for _, key, score in pairs}
    if len(found) < len(pairs):
        raise DataError(_twice(pairs, place))
    return found


def _twice(pairs: Sequence[tuple[str, Key, ItemScore]], place: str) -> str:
    first: dict[Key, str] = {}
    again = []
    for where, key, _ in pairs:
        if key in first:
            again.append((where, key))
        first.setdefault(key, where)
    where, key = again[0]
    more = f" ({len(again):,} scores are of items that were there before)" if len(again) > 1 else ""
    return (
        f"{place}: item {described(key)} has two scores, at {first[key]} and at {where}{more}: remove one, or tell "
        "repeated runs apart by a column `seed`"
    )


def described(key: Key) -> str:
    """Return a key in words: `'17' of task 'gsm8k', seed '3'`."""
    task = f" of task {shown(key.task)}" if key.task else ""
    return f"{shown(key.item)}{task}{f', seed {shown(key.seed)}' if key.seed else ''}"


NUMBERS = (int, float)
"""What a score may be; true and false are whole numbers to Python."""


def finite(value: object) -> float | None:
    """Return a score as a number; None for anything but true, false and finite numbers."""
    if not isinstance(value, NUMBERS):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if number - number == 0 else None
