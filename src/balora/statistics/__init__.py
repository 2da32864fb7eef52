"""Compute statistics of paired differences: intervals, tests, corrections, power, variances; no torch."""

from balora.statistics.components import (
    Components,
    Gain,
    Missing,
    Way,
    blocks_for,
    components,
    gains,
    half_width,
)
from balora.statistics.estimate import Estimate, estimate, judge_family
from balora.statistics.factorial import Contrast, Levels, contrast_values, contrasts
from balora.statistics.family import design_warning, fewest_blocks, holm
from balora.statistics.heterogeneity import Heterogeneity, heterogeneity
from balora.statistics.hierarchy import joint_interval
from balora.statistics.paired import (
    CONFIDENCE,
    LEVEL,
    Summary,
    sign_flip_p,
    smallest_p,
    summarize,
    t_interval,
)
from balora.statistics.power import detectable, hedges, needed, power
from balora.statistics.selection import leave_one_out, widening
from balora.statistics.sequential import DECIDED, Stages, judge_alone, judge_stages, levels, sequential_p, widening_of
from balora.statistics.sign_test import SignTest, binomial_p, sign_test
from balora.statistics.verdict import Comparison, Paired, Verdict, compare, compare_family

__all__ = [
    "CONFIDENCE",
    "DECIDED",
    "LEVEL",
    "Comparison",
    "Components",
    "Contrast",
    "Estimate",
    "Gain",
    "Heterogeneity",
    "Levels",
    "Missing",
    "Paired",
    "SignTest",
    "Stages",
    "Summary",
    "Verdict",
    "Way",
    "binomial_p",
    "blocks_for",
    "compare",
    "compare_family",
    "components",
    "contrast_values",
    "contrasts",
    "design_warning",
    "detectable",
    "estimate",
    "fewest_blocks",
    "gains",
    "half_width",
    "hedges",
    "heterogeneity",
    "holm",
    "joint_interval",
    "judge_alone",
    "judge_family",
    "judge_stages",
    "leave_one_out",
    "levels",
    "needed",
    "power",
    "sequential_p",
    "sign_flip_p",
    "sign_test",
    "smallest_p",
    "summarize",
    "t_interval",
    "widening",
    "widening_of",
]
