"""List the arms that the open comparisons of a sequential study still need; pure and torch-free."""

from balora.report.records.measures import MEASURES
from balora.report.records.report import Report
from balora.settings import Family
from balora.statistics import DECIDED

FEWEST = 2
"""Blocks from which on a comparison can be answered."""


def open_questions(report: Report) -> dict[Family, set[str]]:
    """Return by family of tasks the arms that the open comparisons of the declared family need.

    A comparison without two blocks is not waited for: where the runs of an arm fail, more of them would fail too.
    Beside the arms that are compared these are arms outside the declared family, such as the arm of reference, as long
    as anything is open.
    """
    judged = [one for one in report.differences if one.paired.family is not None]
    needed: dict[Family, set[str]] = {}
    for family in dict.fromkeys(MEASURES[one.measure].family for one in judged):
        here = [one for one in judged if MEASURES[one.measure].family == family]
        open_ = {one.arm for one in here if one.paired.verdict not in DECIDED and one.paired.n >= FEWEST}
        answered = {one.arm for one in here} - open_
        needed[family] = {arm.name for arm in report.arms if open_ and arm.name not in answered}
    return needed
