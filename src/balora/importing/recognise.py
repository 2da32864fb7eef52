"""Find the settings that a part, an action and a replacement in words mean, or the reason to leave them open."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from balora.importing.actions import Action, outside_brackets
from balora.importing.concepts import Reading, read
from balora.importing.parts import COMMON, NEAR, PARTS, Delta, Means, Part
from balora.settings import Family
from balora.study.design.deltas import RESERVED
from balora.training.spec import setting_keys

FAMILIES = {"nlu", "nlg"}
SHARES = ("adapter.dropout", "training.warmup", "training.label_smoothing")
"""Settings that a plan may state in percent."""
_MODULE = re.compile(r"[a-z][a-z0-9]*(?:[_.][a-z0-9]+)+")


class Bound(NamedTuple):
    """The settings that a change means, with a note where its words were interpreted."""

    delta: Delta
    part: str
    note: str = ""


class Open(NamedTuple):
    """Why a change is left open, and which settings may fit."""

    reason: str
    may_stand: tuple[str, ...]


def recognise(
    part_words: str, action: Action | None, replacement: str | None, suites: tuple[Family, ...]
) -> Bound | Open:
    """Return the settings that a block means with one of its replacements, or why they are left open."""
    part_read, new = read(part_words), read(replacement or "")
    near = may_stand(part_read.concepts | new.concepts)
    if action is None:
        return Open("its action is none of REMOVE, REPLACE and ADD", near)
    parts = _parts(part_read)
    if len(parts) != 1:
        return Open(_why_no_part(part_read, parts), near)
    part = parts[0]
    near = tuple(key for key in settable() if key in part.settings) or near
    if reason := _one_family(part, part_read, new, suites):
        return Open(reason, near)
    if action == "remove":
        return _removed(part, part_read, near)
    if replacement is None and not (action == "add" and part.add):
        return Open("the plan names no replacement", near)
    delta, note = _replaced(part, replacement or "", new, action)
    return Bound(delta, part.name, note) if delta else Open(_why_no_setting(part, new), near)


def _parts(text: Reading) -> list[Part]:
    """Return the parts that ``text`` may name; none if it contains a word that is not understood."""
    if text.unknown:
        return []
    return [part for part in PARTS if _names(part.named, part.besides, text.concepts) and _plain_or_number(part, text)]


def part_named(words: str) -> str | None:
    """Return the name of the part that ``words`` mean, if they mean exactly one."""
    parts = _parts(read(words))
    return parts[0].name if len(parts) == 1 else None


def _plain_or_number(part: Part, text: Reading) -> bool:
    return not text.numbers or part.number is not None


def _names(named: str, besides: str, concepts: frozenset[str]) -> bool:
    """Whether ``concepts`` contain one alternative of ``named``, and no others but it, ``besides`` and ``COMMON``."""
    families = FAMILIES - {*named.split(), *besides.split()}
    relevant = concepts - families
    for alternative in named.split("|"):
        needed = frozenset(alternative.split())
        if needed <= relevant <= needed | set(besides.split()) | COMMON:
            return True
    return False


def _one_family(part: Part, text: Reading, new: Reading, suites: tuple[Family, ...]) -> str:
    """Return why a change for one family of tasks cannot be an arm of a study of both; empty if it can."""
    if "formulation" in part.named.split():
        return ""
    named = (text.concepts | new.concepts) & FAMILIES
    if len(named) == 1 and set(suites) != named:
        family = next(iter(named))
        return f"it changes {family.upper()} tasks only, but settings apply to all suites: use `suites: [{family}]`"
    return ""


def _removed(part: Part, text: Reading, near: tuple[str, ...]) -> Bound | Open:
    needed = set(part.remove_named.split())
    if part.remove is None:
        return Open(part.why_not or f"balora has no setting for removing {part.name}", near)
    if needed and not needed & text.concepts:
        return Open(f"the plan removes {part.name} without naming what replaces it", near)
    return Bound(part.remove, part.name)


def _replaced(part: Part, replacement: str, new: Reading, action: Action) -> tuple[Delta | None, str]:
    if action == "add" and part.number is None:
        same = not replacement or (not new.unknown and _names(part.named, part.besides, new.concepts))
        return (part.add if same else None), ""
    if part.whole and (names := _modules(replacement)):
        return {"adapter.target_modules": names}, ""
    if part.name in ("hyperparameters", "the three weights"):
        return _assignments(replacement), ""
    if part.number is not None:
        return _valued(part, new), ""
    fitting = [(means, delta) for means in part.replace if (delta := _means(means, new)) is not None]
    deltas = [delta for _, delta in fitting]
    return (deltas[0], fitting[0][0].note) if deltas and all(delta == deltas[0] for delta in deltas) else (None, "")


def _means(means: Means, new: Reading) -> Delta | None:
    if new.unknown or not _names(means.named, means.besides, new.concepts):
        return None
    if means.number is None:
        return None if new.numbers else means.delta
    return means.delta | {means.number: _value(new, means.number)} if _one_number(new, means.number) else None


def _valued(part: Part, new: Reading) -> Delta | None:
    own = {*part.named.replace("|", " ").split(), *part.besides.split()} | COMMON | FAMILIES
    if part.number is None or new.unknown or not new.concepts <= own or not _one_number(new, part.number):
        return None
    return {part.number: _value(new, part.number)}


def _one_number(new: Reading, key: str) -> bool:
    return len(new.numbers) == 1 and (not new.percent or key in SHARES)


def _value(new: Reading, key: str) -> float | int:
    number = new.numbers[0] / 100 if new.percent else new.numbers[0]
    whole = number.is_integer() and key not in (*SHARES, "training.learning_rate") and abs(number) < 1e9
    return int(number) if whole else number


def _assignments(text: str) -> Delta | None:
    """Return the settings in `λ1 = 0.1, λ2 = 0.2` or `rank = 8`; None unless every piece is one setting and a value."""
    delta: Delta = {}
    for piece in outside_brackets(text.strip("()[]{} "), ",;"):
        meaning = read(piece)
        parts = [
            part
            for part in PARTS
            if part.number and not meaning.unknown and _names(part.named, part.besides, meaning.concepts)
        ]
        value = _valued(parts[0], meaning) if len(parts) == 1 else None
        if value is None or value.keys() & delta.keys():
            return None
        delta |= value
    return delta or None


def _modules(text: str) -> list[str] | None:
    words = [
        word.strip(" '\"`.") for word in re.split(r"[,;/+&\s]+|\band\b", text.strip("()[] ")) if word.strip(" '\"`.")
    ]
    return words if words and all(_MODULE.fullmatch(word) for word in words) else None


def _why_no_part(text: Reading, parts: list[Part]) -> str:
    if text.unknown:
        return f"words of the part that are not understood: {_listed(text.unknown)}"
    if parts:
        return f"its part may mean: {', '.join(dict.fromkeys(part.name for part in parts))}"
    if not text.concepts - COMMON:
        return "balora has no setting for its part"
    return f"its part is ambiguous: {', '.join(sorted(text.concepts - COMMON))}".replace("_", " ")


def _why_no_setting(part: Part, new: Reading) -> str:
    if new.unknown:
        return f"words of the replacement of {part.name} that are not understood: {_listed(new.unknown)}"
    return part.why_not or f"its replacement does not name exactly one setting of {part.name}"


def _listed(unknown: tuple[str, ...]) -> str:
    words = list(map(repr, dict.fromkeys(unknown)))
    return ", ".join([*words[:4], *(["…"] if len(words) > 4 else [])])


def may_stand(concepts: frozenset[str]) -> tuple[str, ...]:
    """Return the settings that a text with these concepts may be about; if none is known, all that an arm may set."""
    groups = [
        group for concept in sorted(concepts - {"balora", "lora", "adapter"}) for group in NEAR.get(concept, "").split()
    ]
    groups = groups or [group for concept in sorted(concepts) for group in NEAR.get(concept, "").split()]
    return tuple(key for key in settable() if not groups or any(_in_group(key, group) for group in groups))


def settable() -> Iterator[str]:
    """Yield every setting that an arm may set."""
    yield from (key for key in setting_keys() if key not in RESERVED and key != "objective.family")


def _in_group(key: str, group: str) -> bool:
    return key == group or key.startswith(f"{group}.")
