"""Find arms that differ in one numeric setting, and make curves over its values; pure and torch-free."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from balora.report.records.measures import MEASURES
from balora.report.records.report import Report
from balora.settings import dotted
from balora.study.design.deltas import RATE
from balora.study.store.study_folder import StudyRecord
from balora.training.record import RunRecord

FEWEST = 3
"""Values of a setting that make a curve."""
Value = int | float


@dataclass(frozen=True)
class Point:
    """One arm on a curve."""

    arm: str
    value: Value
    """Of the swept setting."""
    mean: float
    """Of the measure; everything else about the arm is in its difference to the base."""
    sd: float | None
    n: int


@dataclass(frozen=True)
class Sweep:
    """One setting over its values, everything else the same."""

    setting: str
    measure: str
    others: tuple[tuple[str, Any], ...]
    """What the arms of this curve share beside the base's settings."""
    points: tuple[Point, ...]
    """By value."""


def sweeps(report: Report, record: StudyRecord, runs: Mapping[str, RunRecord]) -> tuple[Sweep, ...]:
    """Return every curve that the arms make: for each measure and setting, arms that are otherwise the same."""
    changed = {arm.name: dotted(arm.changes) for arm in report.arms}
    settings = [key for key in dict.fromkeys(k for c in changed.values() for k in c) if _numeric(key, changed)]
    found = []
    settings = [key for key in settings if key != RATE or not report.rate_sheets]  # drawn with their intervals there
    for measure in report.measures:
        base = _base_settings(report, record, runs, MEASURES[measure].family)
        for setting in settings:
            groups: dict[tuple[tuple[str, Any], ...], list[Point]] = {}
            for arm in (arm for arm in report.arms if arm.tuned is None):
                delta = {key: value for key, value in changed[arm.name].items() if value != base.get(key)}
                value, score = delta.pop(setting, base.get(setting)), arm.averages[measure]
                if _is_number(value) and score.mean is not None:
                    point = Point(arm.name, value, score.mean, score.sd, score.n)
                    groups.setdefault(tuple(sorted(delta.items(), key=str)), []).append(point)
            found += [_sweep(setting, measure, others, points) for others, points in groups.items()]
    return tuple(sweep for sweep in found if len(sweep.points) >= FEWEST)


def _sweep(setting: str, measure: str, others: tuple[tuple[str, Any], ...], points: list[Point]) -> Sweep:
    by_value = {point.value: point for point in sorted(points, key=lambda point: point.value)}
    return Sweep(setting, measure, others, tuple(by_value.values()))


def _numeric(setting: str, changed: Mapping[str, Mapping[str, Any]]) -> bool:
    values = [delta[setting] for delta in changed.values() if setting in delta]
    return all(_is_number(value) for value in values)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _base_settings(report: Report, record: StudyRecord, runs: Mapping[str, RunRecord], family: str) -> dict[str, Any]:
    """Return the base's resolved settings in one family, dotted, as one of its runs had them."""
    for entry in record.runs:
        if entry.arm == report.base and entry.id in runs and record.study.find(entry.task).family == family:
            return dotted(runs[entry.id].spec.model_dump())
    return {}
