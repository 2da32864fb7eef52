"""Match the names of layers with a regular expression from somebody's file, in bounded time.

Python's `re` tries one way through an expression after another, so that `(a+)+$` on a name of 40 letters runs for
years. Here every part of the expression maps the *set* of positions that it may start at to the set that it may end
at: at most length² steps for each part, whatever the expression.
"""

import warnings
from collections.abc import Callable, Iterable
from re import _constants as op  # type: ignore[attr-defined]  # the parser has no public name
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from balora.errors import AdapterError, shown

LONGEST = 4000
"""Most characters of an expression."""
NAMES = "write the names of the layers in a list, e.g. [q_proj, v_proj]"

Positions = frozenset[int]
UNSUPPORTED = {
    op.GROUPREF: "a backreference",
    op.GROUPREF_EXISTS: "a condition",
    op.ASSERT: "a lookbehind",
    op.ASSERT_NOT: "a lookbehind",
    op.POSSESSIVE_REPEAT: "a possessive repetition",
    op.ATOMIC_GROUP: "an atomic group",
}
CATEGORIES: dict[Any, Callable[[str], bool]] = {
    op.CATEGORY_DIGIT: lambda c: c.isdecimal(),
    op.CATEGORY_NOT_DIGIT: lambda c: not c.isdecimal(),
    op.CATEGORY_SPACE: lambda c: c.isspace(),
    op.CATEGORY_NOT_SPACE: lambda c: not c.isspace(),
    op.CATEGORY_WORD: lambda c: c.isalnum() or c == "_",
    op.CATEGORY_NOT_WORD: lambda c: not (c.isalnum() or c == "_"),
}


def fully_matching(pattern: str, names: Iterable[str]) -> list[str]:
    """Return those of ``names`` that ``pattern`` matches from end to end, as :func:`re.fullmatch` would.

    Raises:
        AdapterError: it is no regular expression, is too long, repeats a part that itself repeats something, or looks
            back (backreferences, lookbehinds), which layer names never need.
    """
    try:
        if len(pattern) > LONGEST:
            raise _UnsupportedError(f"longer than {LONGEST:,} characters")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "possible nested set" and the like: for those who write patterns
            parsed = _parser.parse(pattern)
        if parsed.state.flags & ~op.SRE_FLAG_UNICODE:
            raise _UnsupportedError("flags such as (?i)")
        return [name for name in names if len(name) in _ends(parsed, name, frozenset([0]))]
    except _UnsupportedError as error:
        raise AdapterError(f"the expression {shown(pattern)} for layers uses {error}: {NAMES}") from None
    except (_parser.error, RecursionError, OverflowError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise AdapterError(f"{shown(pattern)} for layers is no regular expression ({reason}): {NAMES}") from None


class _UnsupportedError(Exception):
    """A part of an expression that is not matched here."""


def _ends(items: Iterable[tuple[Any, Any]], text: str, starts: Positions) -> Positions:
    """Return where a sequence of parts may end if it begins at one of ``starts``."""
    for kind, value in items:
        starts = _part_ends(kind, value, text, starts)
    return starts


def _part_ends(kind: Any, value: Any, text: str, starts: Positions) -> Positions:
    if kind in (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN):
        return frozenset(at + 1 for at in starts if at < len(text) and _is_one(kind, value, text[at]))
    if kind is op.SUBPATTERN:
        _, added, removed, inner = value
        if added or removed:
            raise _UnsupportedError("flags such as (?i)")
        return _ends(inner, text, starts)
    if kind is op.BRANCH:
        return frozenset().union(*(_ends(way, text, starts) for way in value[1]))
    if kind in (op.MAX_REPEAT, op.MIN_REPEAT):
        return _repeated(value, text, starts)
    if kind is op.AT:
        return frozenset(at for at in starts if _is_at(value, text, at))
    if kind in (op.ASSERT, op.ASSERT_NOT) and value[0] > 0:
        return frozenset(at for at in starts if bool(_ends(value[1], text, frozenset([at]))) == (kind is op.ASSERT))
    raise _UnsupportedError(UNSUPPORTED.get(kind, "a part that names of layers never need"))


def _repeated(value: tuple[int, int, Any], text: str, starts: Positions) -> Positions:
    least, most, inner = value
    if most > 1 and any(_repeats(kind, inside) for kind, inside in inner):
        raise _UnsupportedError("a repetition within a repetition")
    rounds = len(text) + 1  # more rounds reach no further position: each consumes a character or stays where it is
    for _ in range(min(least, rounds)):
        starts = _ends(inner, text, starts)
    reached = starts
    for _ in range(min(most - least, rounds)):
        starts = _ends(inner, text, starts) - reached
        if not starts:
            break
        reached |= starts
    return reached


def _repeats(kind: Any, value: Any) -> bool:
    """Return whether a part holds a repetition of more than one round."""
    if kind in (op.MAX_REPEAT, op.MIN_REPEAT):
        return int(value[1]) > 1 or any(_repeats(*part) for part in value[2])
    if kind is op.SUBPATTERN:
        return any(_repeats(*part) for part in value[3])
    if kind is op.BRANCH:
        return any(_repeats(*part) for way in value[1] for part in way)
    return False


def _is_one(kind: Any, value: Any, character: str) -> bool:
    if kind is op.ANY:
        return character != "\n"
    if kind is op.IN:
        negated: bool = value[0][0] is op.NEGATE
        return any(_is_in(inner, rest, character) for inner, rest in value[negated:]) != negated
    return (ord(character) == int(value)) is (kind is op.LITERAL)


def _is_in(kind: Any, value: Any, character: str) -> bool:
    if kind is op.CATEGORY:
        return bool(CATEGORIES[value](character))
    first, last = value if kind is op.RANGE else (value, value)
    return int(first) <= ord(character) <= int(last)


def _is_at(place: Any, text: str, at: int) -> bool:
    if place in (op.AT_BEGINNING, op.AT_BEGINNING_STRING):
        return at == 0
    if place is op.AT_END_STRING:
        return at == len(text)
    if place is op.AT_END:
        return at == len(text) or text[at:] == "\n"
    is_word = CATEGORIES[op.CATEGORY_WORD]
    before, after = at > 0 and is_word(text[at - 1]), at < len(text) and is_word(text[at])
    at_boundary: bool = place is op.AT_BOUNDARY
    return (before != after) == at_boundary
