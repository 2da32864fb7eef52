"""Blocks to the arms of a study: each checked as the study will be, equal ones merged, doubtful ones left open."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from balora.errors import ConfigError, DataError
from balora.importing.ablation_blocks import Block, Paper
from balora.importing.actions import Action, action_of, replacements
from balora.importing.arm_names import arm_name
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
"""Arms that one plan may ask for."""


class PlannedArm(NamedTuple):
    """One arm of the study, with the words of the plan."""

    name: str
    block: str
    part: str
    action: Action | None
    replacement: str | None
    set: Delta | None
    """The settings; none where they are left open."""
    note: str = ""
    """What a reader should know: how the words were read, or why they are left open."""
    may_stand: tuple[str, ...] = ()
    """Settings that may fill what is open."""
    also: tuple[str, ...] = ()
    """Other words of the plan that mean the same settings."""


class Imported(NamedTuple):
    """A plan as a study."""

    source: str
    paper: str
    judged: Judged
    arms: tuple[PlannedArm, ...]
    left_out: tuple[tuple[str, str], ...]
    """Words of the plan that make no arm, and why."""

    @property
    def bound(self) -> tuple[PlannedArm, ...]:
        """The arms whose settings are known."""
        return tuple(arm for arm in self.arms if arm.set is not None)

    @property
    def holes(self) -> tuple[PlannedArm, ...]:
        """The arms whose settings are left open."""
        return tuple(arm for arm in self.arms if arm.set is None)


def import_blocks(paper: Paper, source: str) -> Imported:
    """Return the study that the blocks of one plan ask for.

    Raises:
        DataError: no block gives an arm that differs from the base, or there are more than :data:`MOST_ARMS`.
    """
    judged = judge([block.metrics for block in paper.blocks])
    checker = _Checker(judged)
    arms: dict[Any, PlannedArm] = {}
    left_out: list[tuple[str, str]] = []
    taken = {BASE}
    for block, action, replacement in _asked(paper):
        if action is None and replacement is None:
            left_out.append((words(block.part, block.action, None), "its action is none of REMOVE, REPLACE and ADD"))
            continue
        found = checker.settled(recognise(block.part, action, replacement, judged.suites))
        key = checker.specs(found.delta) if isinstance(found, Bound) else (block.key, replacement)
        if key == checker.base:
            left_out.append((words(block.part, action, replacement), f"{BASE} does this already"))
        elif key in arms:
            arms[key] = arms[key]._replace(also=(*arms[key].also, words(block.part, action, replacement)))
        else:
            title = found.part.split(",")[0].removeprefix("all ") if isinstance(found, Bound) else block.name
            name = arm_name(title, block.part, action, replacement, taken)
            taken.add(name)
            arms[key] = _arm(name, block, action, replacement, found)
            if len(arms) > MOST_ARMS:
                raise DataError(
                    f"{source}: more than {MOST_ARMS} arms: cut the plan, or use `grid` or `sweeps` for values"
                )
    if not arms:
        why = "; ".join(f"{said}: {reason}" for said, reason in left_out[:3])
        raise DataError(f"{source}: nothing in the plan differs from {BASE} ({why})")
    return Imported(source, paper.name, judged, tuple(arms.values()), tuple(dict.fromkeys(left_out)))


def _asked(paper: Paper) -> Iterator[tuple[Block, Action | None, str | None]]:
    for block in paper.blocks:
        action = action_of(block)
        named: list[str | None] = [*replacements(block, together=part_named(block.part) == "target modules")]
        for replacement in named or [None]:
            yield block, action, replacement


def _arm(name: str, block: Block, action: Action | None, replacement: str | None, found: Bound | Open) -> PlannedArm:
    if isinstance(found, Bound):
        return PlannedArm(name, block.name, block.part, action, replacement, found.delta, found.note)
    return PlannedArm(name, block.name, block.part, action, replacement, None, found.reason, found.may_stand)


def words(part: str, action: str | None, replacement: str | None) -> str:
    """Return what a plan asks for as one phrase."""
    said = f"{(action or 'change').upper()} {part}"
    return one_line(f"{said} → {replacement}" if replacement else said)


def _effective(spec: RunSpec) -> RunSpec:
    """Return a run with alpha left out where it says what none says: alpha = rank."""
    if spec.adapter is None or spec.adapter.alpha != spec.adapter.rank:
        return spec
    return spec.replace(adapter=spec.adapter.replace(alpha=None))


class _Checker:
    """Resolves settings as the study will, so that nothing is bound which the study would refuse."""

    def __init__(self, judged: Judged) -> None:
        self._study = Study(study="import", question="-", suites=judged.suites, base=BASE, arms={"-": Arm(set="???")})
        self.base = self.specs({})

    def specs(self, delta: Delta) -> Any:
        """Return the runs that settings mean, one a family."""
        return tuple(map(_effective, specifications(self._study, checked(delta))))

    def settled(self, found: Bound | Open) -> Bound | Open:
        """Return ``found``, left open if its settings are not valid on the base."""
        if isinstance(found, Open):
            return found
        try:
            self.specs(found.delta)
        except ConfigError as error:
            return Open(one_line(f"as settings it is refused: {error}"), tuple(found.delta) or may_stand(frozenset()))
        return found
