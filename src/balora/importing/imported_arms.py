"""Turn a plan's blocks into named arms: check their settings, merge equal ones, leave doubtful ones open."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any, NamedTuple

from balora.errors import ConfigError, DataError
from balora.importing.ablation_blocks import Block, Paper
from balora.importing.actions import Action, action_of, replacements
from balora.importing.clean_text import one_line
from balora.importing.metrics import Judged, judge
from balora.importing.parts import Delta
from balora.importing.recognise import Bound, Open, may_stand, part_named, recognise
from balora.study.design.arms import specifications
from balora.study.design.deltas import checked
from balora.study.design.study import Arm, Study
from balora.training.spec import RunSpec

BASE = "ba-lora"
MOST_ARMS = 300
"""Maximum number of arms of one plan."""
LONGEST_NAME = 40
"""Characters of an arm's name."""
_TITLE_START = re.compile(
    r"^(?:[\s#*]*(?:\d+(?:\.\d+)*|[A-Za-z])[.):]\s+)?(?:(?:the\s+)?(?:ablation|experiment|study)(?:\s+study)?s?"
    r"(?:\s*(?:#\s*)?\d+\b|\s+[A-Z]\b)?(?:\s*(?::|-|–|—)\s*|\s+(?:of|on|for|about)\s+(?:the\s+)?|\s*$))?",
    re.I,
)
_TITLE_END = re.compile(r"\s+(?:ablation|ablation study|study|experiment)s?$", re.I)


class PlannedArm(NamedTuple):
    """One arm of the study, with the plan's own words."""

    name: str
    block: str
    part: str
    action: Action | None
    replacement: str | None
    set: Delta | None
    """The settings; None if they are left open."""
    note: str = ""
    """How the words were understood, where that needs an explanation, or why the settings are left open."""
    may_stand: tuple[str, ...] = ()
    """If the settings are left open: those that may fit."""
    also: tuple[str, ...] = ()
    """The plan's other descriptions of the same settings."""


class Imported(NamedTuple):
    """A plan read as a study."""

    source: str
    paper: str
    judged: Judged
    arms: tuple[PlannedArm, ...]
    left_out: tuple[tuple[str, str], ...]
    """Descriptions in the plan that give no arm, each with the reason."""

    @property
    def bound(self) -> tuple[PlannedArm, ...]:
        """The arms whose settings are known."""
        return tuple(arm for arm in self.arms if arm.set is not None)

    @property
    def holes(self) -> tuple[PlannedArm, ...]:
        """The arms whose settings are left open."""
        return tuple(arm for arm in self.arms if arm.set is None)


def import_blocks(paper: Paper, source: str) -> Imported:
    """Return the study that the blocks of one plan describe.

    Raises:
        DataError: no block gives an arm that differs from the base, or there are more than :data:`MOST_ARMS`.
    """
    judged = judge([block.metrics for block in paper.blocks])
    checker = _Checker(judged)
    arms: dict[Any, PlannedArm] = {}
    left_out: list[tuple[str, str]] = []
    taken = {BASE}
    for block, action, replacement in _changes(paper):
        if action is None and replacement is None:
            left_out.append((in_short(block.part, block.action, None), "its action is none of REMOVE, REPLACE and ADD"))
            continue
        meaning = checker.verified(recognise(block.part, action, replacement, judged.suites))
        key = checker.specs(meaning.delta) if isinstance(meaning, Bound) else (block.key, replacement)
        if key == checker.base:
            left_out.append((in_short(block.part, action, replacement), f"{BASE} does this already"))
        elif key in arms:
            arms[key] = arms[key]._replace(also=(*arms[key].also, in_short(block.part, action, replacement)))
        else:
            title = meaning.part.split(",")[0].removeprefix("all ") if isinstance(meaning, Bound) else block.name
            name = arm_name(title, block.part, action, replacement, taken)
            taken.add(name)
            arms[key] = _arm(name, block, action, replacement, meaning)
            if len(arms) > MOST_ARMS:
                raise DataError(
                    f"{source}: the plan describes more than {MOST_ARMS} arms: shorten it, or write a study file "
                    "with `grid` or `sweeps` for lists of values"
                )
    if not arms:
        why = "; ".join(f"{change}: {reason}" for change, reason in left_out[:3])
        raise DataError(f"{source}: nothing in the plan differs from {BASE} ({why})")
    return Imported(source, paper.name, judged, tuple(arms.values()), tuple(dict.fromkeys(left_out)))


def _changes(paper: Paper) -> Iterator[tuple[Block, Action | None, str | None]]:
    """Yield every change that the plan describes: one for each replacement, or one if a block has none."""
    for block in paper.blocks:
        action = action_of(block)
        texts: list[str | None] = [*replacements(block, together=part_named(block.part) == "target modules")]
        for replacement in texts or [None]:
            yield block, action, replacement


def _arm(name: str, block: Block, action: Action | None, replacement: str | None, meaning: Bound | Open) -> PlannedArm:
    if isinstance(meaning, Bound):
        return PlannedArm(name, block.name, block.part, action, replacement, meaning.delta, meaning.note)
    return PlannedArm(name, block.name, block.part, action, replacement, None, meaning.reason, meaning.may_stand)


def in_short(part: str, action: str | None, replacement: str | None) -> str:
    """Return a change that a plan describes as one phrase, e.g. `REPLACE rank → 8`."""
    phrase = f"{(action or 'change').upper()} {part}"
    return one_line(f"{phrase} → {replacement}" if replacement else phrase)


def _effective(spec: RunSpec) -> RunSpec:
    """Return ``spec`` without an explicit alpha that equals its default, the rank."""
    if spec.adapter is None or spec.adapter.alpha != spec.adapter.rank:
        return spec
    return spec.replace(adapter=spec.adapter.replace(alpha=None))


class _Checker:
    """Resolves settings as the study will, so that settings which the study would refuse are left open."""

    def __init__(self, judged: Judged) -> None:
        self._study = Study(study="import", question="-", suites=judged.suites, base=BASE, arms={"-": Arm(set="???")})
        self.base = self.specs({})

    def specs(self, delta: Delta) -> Any:
        """Return the runs that the settings lead to, one for each family of tasks."""
        return tuple(map(_effective, specifications(self._study, checked(delta))))

    def verified(self, meaning: Bound | Open) -> Bound | Open:
        """Return ``meaning``, left open if its settings are not valid on the base."""
        if isinstance(meaning, Open):
            return meaning
        try:
            self.specs(meaning.delta)
        except ConfigError as error:
            reason = one_line(f"balora refuses these settings: {error}")
            return Open(reason, tuple(meaning.delta) or may_stand(frozenset()))
        return meaning


def slug(text: str, longest: int = LONGEST_NAME) -> str:
    """Return ``text`` in lower-case ASCII letters, digits, points and hyphens, cut at the end of a word."""
    folded = unicodedata.normalize("NFKD", text.replace("λ", "lambda")).encode("ascii", "ignore").decode().lower()
    words = [word.strip(".") for word in re.findall(r"[a-z0-9.]+", folded)]
    name = ""
    for word in filter(None, words):
        longer = f"{name}-{word}" if name else word[:longest]
        if len(longer) > longest:
            break
        name = longer
    return name


def arm_name(title: str, part: str, action: str | None, replacement: str | None, taken: set[str]) -> str:
    """Return an arm's name that is not ``taken``, after its replacement, or `no-` and the title for a removal."""
    title = slug(_TITLE_END.sub("", _TITLE_START.sub("", title, count=1))) or slug(part) or "arm"
    new = slug(re.split(r"[(\[{]", replacement, maxsplit=1)[0] or replacement) if replacement else ""
    if action == "remove" and not replacement:
        name = title if re.match(r"(?:no|without|remov\w*|drop\w*)-", title) else f"no-{title}"
    elif "-" in new and re.search(r"[a-z]{3}", new):
        name = new
    else:
        name = f"{title}-{new}" if new else title
    if name in taken and new and title not in name:
        name = f"{title}-{new}"
    free, count = name, 2
    while free in taken:
        free, count = f"{name}-{count}", count + 1
    return free
