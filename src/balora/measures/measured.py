"""Hold what was measured, and lay the values before and after a fine-tuning side by side; torch-free."""

from collections.abc import Iterable
from typing import Any, NamedTuple


class Measured(NamedTuple):
    """The values of one measure or of several, with the rows that they were computed from."""

    values: dict[str, float] = {}
    """Every value by name, in its own unit: shares from 0 to 1, differences in nats."""
    items: dict[str, list[dict[str, Any]]] = {}
    """By measure, one item per row in the file's order: `index`, `correct` or `score`, and what explains it."""
    notes: tuple[str, ...] = ()
    """What could not be measured, and why."""


def together(parts: Iterable[Measured]) -> Measured:
    """Return several measures as one."""
    values: dict[str, float] = {}
    items: dict[str, list[dict[str, Any]]] = {}
    notes: list[str] = []
    for part in parts:
        values |= part.values
        items |= part.items
        notes += part.notes
    return Measured(values, items, tuple(notes))


def before_and_after(before: Measured, after: Measured) -> dict[str, float]:
    """Return every value as a record holds it: `blimp_before`, `blimp` (after) and `blimp_change` (after − before).

    A value that was taken once only (HANS needs a trained head) stands alone.
    """
    flat: dict[str, float] = {}
    for name in dict.fromkeys((*before.values, *after.values)):
        if name in before.values:
            flat[f"{name}_before"] = before.values[name]
        if name in after.values:
            flat[name] = after.values[name]
        if name in before.values and name in after.values:
            flat[f"{name}_change"] = after.values[name] - before.values[name]
    return flat


def mean(numbers: Iterable[float]) -> float:
    """Return the mean of at least one number."""
    listed = list(numbers)
    return sum(listed) / len(listed)


def name_part(text: str) -> str:
    """Return ``text`` as a part of a value's name: small letters, digits and single underscores."""
    kept = "".join(character if character.isalnum() else " " for character in text.casefold())
    return "_".join(kept.split())
