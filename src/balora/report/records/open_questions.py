"""List the arms that the open comparisons of a sequential study still need; pure and torch-free."""

from collections.abc import Sequence
from pathlib import Path

from balora.report.records.arm_rows import ArmRow
from balora.report.records.comparisons import Difference
from balora.report.records.measures import MEASURES
from balora.report.records.report import build
from balora.settings import Family
from balora.statistics import DECIDED
from balora.study.store.entries import read_study
from balora.study.store.study_folder import StudyRecord

FEWEST = 2
"""Blocks from which on a comparison can be answered."""


def open_questions(folder: Path) -> dict[Family, set[str]]:
    """Return by family of tasks the arms that comparisons without an answer need; none where all have one."""
    record, runs, faulty = read_study(folder)
    report = build(record, runs, faulty)
    return needed_arms(record, report.arms, report.differences)


def needed_arms(
    record: StudyRecord, arms: Sequence[ArmRow], differences: Sequence[Difference]
) -> dict[Family, set[str]]:
    """Return by family of tasks the arms that the open comparisons of the declared family need.

    A comparison without two blocks is not waited for: where the runs of an arm fail, more of them would fail too.

    Beside the arms that are compared these are the candidates of a tuned one, and arms outside the declared family,
    such as the arm of reference, as long as anything is open.
    """
    judged = [one for one in differences if one.paired.family is not None]
    needed: dict[Family, set[str]] = {}
    for family in record.study.suites:
        here = [one for one in judged if MEASURES[one.measure].family == family]
        asked = {one.arm for one in here}
        unanswered = {one.arm for one in here if one.paired.verdict not in DECIDED and one.paired.n >= FEWEST}
        needed[family] = {
            arm.name
            for arm in arms
            if unanswered and not arm.is_tuned and (arm.tuned or arm.name) not in asked - unanswered
        }
    return needed
