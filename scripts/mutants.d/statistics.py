"""Mutants of the statistics: verdicts, families, power, the bootstrap, choices, and what a report compares."""

# ruff: noqa: E501
# fmt: off
MUTANTS = {
    ("statistics/paired.py", "statistics/test_statistics.py"): [
        ("sd-over-n", "sd = float(np.std(values, ddof=1))", "sd = float(np.std(values))"),
        ("t-of-n", "critical(n - 1, (1 - confidence) / 2)", "critical(n, (1 - confidence) / 2)"),
        ("normal-for-t", "critical(n - 1, (1 - confidence) / 2)", "1.96"),
        ("one-sided-flips", "np.abs(sums) >= abs(values.sum()) - tolerance", "sums >= values.sum() - tolerance"),
        ("no-tolerance", "abs(values.sum()) - tolerance", "abs(values.sum())"),
        ("observed-not-counted", "(extreme + 1) / (len(sums) + 1)", "extreme / len(sums)"),
        ("smallest-p-one-sided", "2.0 ** (1 - n)", "2.0 ** -n"),
        ("sampled-p-too-small", "if n <= EXACT_UP_TO else 1 / (SAMPLED + 1)", ""),
        ("sampled-signs-of-the-first-blocks", "all_sums(values[start : start + BITS])", "all_sums(values[:BITS])"),
        ("sampled-signs-never-minus", "0, 2**width, SAMPLED", "0, 2, SAMPLED"),
    ],
    ("statistics/family.py", "statistics/test_statistics_power.py"): [
        ("bonferroni", "p * (len(ps) - rank)", "p * len(ps)"),
        ("hochberg", "largest = max(largest, min(1.0, p * (len(ps) - rank)))", "largest = min(1.0, p * (len(ps) - rank))"),
        ("missing-do-not-count", "p * (len(ps) - rank)", "p * (len(order) - rank)"),
        ("warned-without-the-family", "if blocks > 1 and smallest_p(blocks) * max(family, 1) <= LEVEL", "if blocks > 1 and smallest_p(blocks) <= LEVEL"),
        ("one-block-too-few", "smallest_p(n) * max(family, 1) <= LEVEL)", "smallest_p(n + 1) * max(family, 1) <= LEVEL)"),
    ],
    ("statistics/power.py", "statistics/test_statistics_power.py"): [
        ("central-t", "above(beyond, degrees, noncentrality)", "above(beyond - noncentrality, degrees)"),
        ("one-sided-power", "beyond = critical(degrees, level / 2)", "beyond = critical(degrees, level)"),
        ("half-the-tail", " + above(beyond, degrees, -noncentrality)", ""),
        ("degrees-n", "return _power(n - 1, abs(effect) * sqrt(n), level)", "return _power(n, abs(effect) * sqrt(n), level)"),
        ("detectable-per-block", "_noncentrality(n - 1, level) * sd / sqrt(n)", "_noncentrality(n - 1, level) * sd"),
        ("needed-by-the-normal", "while n <= LARGE and power(n, size / sd, level) < POWER", "while False"),
        ("d-uncorrected", " * exp(lgamma(m / 2) - lgamma((m - 1) / 2) - log(m / 2) / 2)", ""),
        ("hedges-inverted", "exp(lgamma(m / 2) - lgamma((m - 1) / 2) - log(m / 2) / 2)", "exp(lgamma((m - 1) / 2) - lgamma(m / 2) + log(m / 2) / 2)"),
    ],
    ("statistics/paired.py", "statistics/test_statistics_verdicts.py"): [
        ("rounding-is-spread", "sd if sd > ROUNDING", "sd if sd > 0"),
    ],
    ("statistics/verdict.py", "statistics/test_statistics_verdicts.py"): [
        ("helps-by-the-interval-alone", "if p <= LEVEL and not low <= 0 <= high:", "if not low <= 0 <= high:"),
        ("helps-by-p-alone", "if p <= LEVEL and not low <= 0 <= high:", "if p <= LEVEL:"),
        ("helps-uncorrected", "p if adjusted is None else adjusted)", "p)"),
        ("sides-swapped", "Verdict.HELPS if (low > 0) is paired.higher_is_better", "Verdict.HELPS if (low < 0) is paired.higher_is_better"),
        ("bound-is-the-mean", "bound=max(abs(low), abs(high)) if", "bound=abs(mean) if"),
        ("within-by-the-mean", "max(abs(low), abs(high)) <= paired.margin", "abs(low + high) / 2 <= paired.margin"),
        ("no-width-proves", "if low < high and max(", "if max("),
        ("needed-at-the-margin-only", "max(paired.margin, abs(mean)), spread,", "paired.margin, spread,"),
        ("needed-without-the-family", "LEVEL / family", "LEVEL"),
        ("needed-below-the-exact-test", "enough = max(fewest, needed(size, sd, LEVEL / family) if sd else fewest)", "enough = needed(size, sd, LEVEL / family) if sd else fewest"),
        ("enough-and-yet-not", "return 2 * n if verdict is", "return enough if verdict is"),
    ],
    ("statistics/hierarchy.py", "statistics/test_statistics_joint.py"): [
        ("items-unshrunk", "of_items.var(ddof=1) - noise / blocks", "of_items.var(ddof=1)"),
        ("noise-not-over-blocks", "- noise / blocks", "- noise"),
        ("share-of-a-task", "100 / tasks * sqrt(", "100 * sqrt("),
        ("parts-added-plainly", "hypot((high - low) / 2, NORMAL * of_items)", "(high - low) / 2 + NORMAL * of_items"),
        ("deviation-of-an-item", "- noise / blocks)) / float(items)", "- noise / blocks))"),
        ("blocks-not-taken-out", "differences - of_items - of_blocks[:, None] + of_items.mean()", "differences - of_items"),
    ],
    ("statistics/selection.py", "statistics/test_statistics_joint.py"): [
        ("chosen-with-its-own-block", "others = [other for other in blocks if other != block]", "others = blocks"),
        ("worst-chosen", "sign = 1 if higher_is_better else -1", "sign = -1 if higher_is_better else 1"),
        ("partial-candidates-compete", "if others and all(other in values for other in others)", "if others and any(other in values for other in others)"),
        ("widened-with-its-own-block", "best = (made.sum(axis=2, keepdims=True) - made).argmax(axis=1)", "best = (made.sum(axis=2, keepdims=True) + 0 * made).argmax(axis=1)"),
        ("candidates-means-lost", "_chosen(means + _signs(blocks)[:, None, :] * residuals)", "_chosen(_signs(blocks)[:, None, :] * residuals)"),
        ("narrowed-too", "return max(1.0, spread / alone) if alone else 1.0", "return spread / alone if alone else 1.0"),
    ],
    ("report/records/comparisons.py", "report/test_compared.py"): [
        ("always-against-the-base", "return record.study.against or record.study.base_name", "return record.study.base_name"),
        ("candidates-compared", "if arm.name != against and arm.tuned is None", "if arm.name != against"),
        ("loss-in-the-family", "not one.measure.secondary and (family is None or name in family)", "(family is None or name in family)"),
        ("family-ignored", "(family is None or name in family)", "True"),
        ("items-of-one-arm", "mine.astype(np.int8) - other for mine, other in known", "mine.astype(np.int8) for mine, other in known"),
        ("rows-of-any-number", "len({len(rows) for pair in known for rows in pair}) != 1", "False"),
        ("choice-forgotten", "return max(found)", "return 1.0"),
    ],
    ("report/records/averages.py", "report/test_compared.py"): [
        ("loss-chosen-upside-down", "leave_one_out(candidates, measure.higher_is_better)", "leave_one_out(candidates)"),
    ],
    ("report/records/measures.py", "report/test_compared.py"): [
        ("loss-margin-in-points", 'return points / 100 if self.unit == "nats/token" else points', "return points"),
    ],
}
