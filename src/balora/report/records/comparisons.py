"""Compare arms with the arm of reference, and judge the effects of the factors; pure and torch-free."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from balora.report.records.arm_rows import ArmRow
from balora.report.records.averages import Scored
from balora.report.records.looks import Looks
from balora.report.records.measures import BySeed, Measure, differences, shared
from balora.statistics import (
    Comparison,
    Contrast,
    Levels,
    Paired,
    compare,
    compare_family,
    contrast_values,
    contrasts,
    joint_interval,
    widening,
)
from balora.study.design.candidates import suites_factor
from balora.study.store.study_folder import StudyRecord
from balora.training.record import RunRecord, correct_rows

BOTH = Measure("avg", "NLU and NLG Avg", "points", "nlu")
"""The measure of effects where the families of tasks are a factor themselves."""


@dataclass(frozen=True)
class Difference:
    """An arm against the arm of reference, block by block."""

    arm: str
    measure: str
    paired: Comparison
    joint: tuple[float, float] | None = None
    """95 % interval over blocks and test items together; none without item scores."""


@dataclass(frozen=True)
class Effect:
    """A main effect or an interaction of the factorial."""

    name: str
    measure: str
    """A measure, or `avg` where the families of tasks are a factor themselves."""
    paired: Comparison


class _Question(NamedTuple):
    """One comparison before it is judged."""

    name: str
    measure: str
    paired: Paired
    seeds: tuple[int, ...]
    """Of its differences, in order."""
    in_family: bool


def reference(record: StudyRecord) -> str:
    """Return the arm that the others are compared with."""
    return record.study.against or record.study.base_name


def arm_differences(
    record: StudyRecord, arms: Sequence[ArmRow], scored: Sequence[Scored], looks: Looks | None
) -> tuple[Difference, ...]:
    """Return every arm but candidates against the arm of reference; Holm over the declared family."""
    against, family = reference(record), record.study.family
    compared = [arm.name for arm in arms if arm.name != against and arm.tuned is None]
    questions = [
        _Question(
            name,
            one.measure.key,
            Paired(
                differences(one.by_seed[name], one.by_seed[against]),
                one.measure.margin(record.study.margin),
                one.measure.higher_is_better,
                _widening(one, arms, name, against),
            ),
            tuple(shared(one.by_seed[name], one.by_seed[against])),
            not one.measure.secondary and (family is None or name in family),
        )
        for one in scored
        for name in compared
    ]
    joint = {one.measure.key: Items(one, against).joint for one in scored}
    return tuple(
        Difference(question.name, question.measure, found, joint[question.measure](question, found, looks))
        for question, found in _judged(questions, looks)
    )


def _widening(one: Scored, arms: Sequence[ArmRow], name: str, against: str) -> float:
    """Return by how much the choice among candidates, of either arm, widens the interval of their difference."""
    sign, found = (1 if one.measure.higher_is_better else -1), [1.0]
    seeds = shared(one.by_seed[name], one.by_seed[against])
    for tuned, other in ((name, against), (against, name)):
        scores = [one.by_seed[arm.name] for arm in arms if arm.tuned == tuned]
        whole = [
            [sign * (values[seed] - one.by_seed[other][seed]) for seed in seeds]
            for values in scores
            if values.keys() >= set(seeds)
        ]
        if whole:
            found.append(widening(np.array(whole)))
    return max(found)


def _judged(questions: Sequence[_Question], looks: Looks | None) -> list[tuple[_Question, Comparison]]:
    """Return every comparison: those of the family corrected together, each other one alone."""
    family, others = ([one for one in questions if one.in_family is side] for side in (True, False))
    if looks is None:
        together = compare_family([one.paired for one in family])
        alone = [compare(one.paired) for one in others]
    else:
        together = looks.judge([(one.paired, one.seeds) for one in family], together=True)
        alone = looks.judge([(one.paired, one.seeds) for one in others], together=False)
    of_family, of_others = iter(together), iter(alone)
    return [(question, next(of_family if question.in_family else of_others)) for question in questions]


class Items:
    """Compares arms with the arm of reference item by item: which test items of a measure's tasks each got right."""

    def __init__(self, scored: Scored, against: str) -> None:
        self.scored, self.against = scored, against
        self._rows: dict[tuple[str, str], np.ndarray | None] = {}

    def joint(self, question: _Question, found: Comparison, looks: Looks | None) -> tuple[float, float] | None:
        """Return the interval over blocks and items of an arm, as of the blocks that it was judged by."""
        paired, seeds = question.paired, list(question.seeds)
        if looks is not None:
            known = [(seed, d) for seed, d in zip(seeds, paired.differences, strict=True) if seed in looks.counted]
            seeds, paired = [seed for seed, _ in known], paired._replace(differences=[d for _, d in known])
        if len(seeds) < 2:
            return None
        wider = 1.0 if looks is None else looks.widening(found)
        items = self.of_tasks(question.name, seeds)
        return joint_interval(paired.differences, items, len(self.scored.tasks), widening=paired.widening * wider)

    def of_tasks(self, arm: str, seeds: list[int]) -> list[np.ndarray]:
        """Return blocks × items of every task with items: 1 where ``arm`` alone was right, −1 where the other was."""
        tasks = () if self.scored.measure.secondary else self.scored.tasks
        return [items for task in tasks if (items := self._differences(arm, task, seeds)) is not None]

    def _differences(self, arm: str, task: str, seeds: list[int]) -> np.ndarray | None:
        """Return blocks × items, −1 to 1; none where a run has no item scores, or runs had different numbers."""
        pairs = [(self._of(arm, task, seed), self._of(self.against, task, seed)) for seed in seeds]
        known = [(mine, other) for mine, other in pairs if mine is not None and other is not None]
        if len(known) < len(pairs) or len({len(rows) for pair in known for rows in pair}) != 1:
            return None
        return np.array([mine.astype(np.int8) - other for mine, other in known])

    def _of(self, arm: str, task: str, seed: int) -> "np.ndarray | None":
        run: RunRecord = self.scored.runs[arm][task][seed]
        key = run.id, task
        if key not in self._rows:
            self._rows[key] = correct_rows(run)
        return self._rows[key]


def factor_effects(
    record: StudyRecord, arms: Sequence[ArmRow], scored: Sequence[Scored], looks: Looks | None
) -> tuple[Effect, ...]:
    """Return the effects of the factors, which are a family of their own."""
    cells = {tuple(arm.cell.values()): arm.name for arm in arms if arm.cell}
    family = suites_factor(record.study)
    levels = {name: tuple(named) for name, named in record.study.factors.items() if name != family}
    if family is None:
        questions = [
            _effect(contrast, one.measure, {cell: one.by_seed[arm] for cell, arm in cells.items()}, record)
            for one in scored
            for contrast in contrasts(levels)
        ]
    else:
        questions = _across_families(record, {family: record.study.suites, **levels}, cells, scored)
    return tuple(Effect(question.name, question.measure, paired) for question, paired in _judged(questions, looks))


def _across_families(
    record: StudyRecord, levels: dict[str, Sequence[str]], cells: dict[Levels, str], scored: Sequence[Scored]
) -> list[_Question]:
    by_suite = {one.measure.family: one.by_seed for one in scored if not one.measure.secondary}
    if not set(record.study.suites) <= by_suite.keys():
        return []
    values = {(suite, *cell): by_suite[suite][arm] for cell, arm in cells.items() for suite in record.study.suites}
    family = next(iter(levels))
    return [
        _effect(contrast, BOTH, values, record)
        for contrast in contrasts(levels)
        if contrast.factors != (family,)  # that NLG scores differ from NLU scores is no result
    ]


def _effect(contrast: Contrast, measure: Measure, cells: dict[Levels, BySeed], record: StudyRecord) -> _Question:
    """Return a contrast as a question: a main effect helps or hurts, an interaction is only above or below 0."""
    side = measure.higher_is_better if len(contrast.factors) == 1 else None
    paired = Paired(contrast_values(contrast, cells), measure.margin(record.study.margin), side)
    seeds = sorted(set.intersection(*(set(cells.get(cell, {})) for cell in contrast.weights)))
    return _Question(contrast.name, measure.key, paired, tuple(seeds), not measure.secondary)
