"""What paired seeds can say: intervals, exact sign flips, families, power, factorial contrasts; no torch."""

from balora.study.statistics.factorial import Contrast, Levels, contrast_values, contrasts
from balora.study.statistics.family import design_warning, fewest_blocks, holm
from balora.study.statistics.hierarchy import joint_interval
from balora.study.statistics.paired import (
    CONFIDENCE,
    LEVEL,
    Summary,
    sign_flip_p,
    smallest_p,
    summarize,
    t_interval,
)
from balora.study.statistics.power import detectable, hedges, needed, power
from balora.study.statistics.selection import leave_one_out, widening
from balora.study.statistics.verdict import Comparison, Paired, Verdict, compare, compare_family

__all__ = [
    "CONFIDENCE",
    "LEVEL",
    "Comparison",
    "Contrast",
    "Levels",
    "Paired",
    "Summary",
    "Verdict",
    "compare",
    "compare_family",
    "contrast_values",
    "contrasts",
    "design_warning",
    "detectable",
    "fewest_blocks",
    "hedges",
    "holm",
    "joint_interval",
    "leave_one_out",
    "needed",
    "power",
    "sign_flip_p",
    "smallest_p",
    "summarize",
    "t_interval",
    "widening",
]
