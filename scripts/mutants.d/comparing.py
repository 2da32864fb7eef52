"""Mutants of comparisons: Student's t, exact tests, clusters, tasks, pairing, ranges, readers, words."""

# ruff: noqa: E501
# fmt: off
MUTANTS = {
    ("statistics/student.py", "statistics/test_student.py"): [
        ("density-without-the-power", "degrees * logs - degrees / 2", "(degrees - 1) * logs - degrees / 2"),
        ("shift-forgotten", "(t * size - shift) * ROOT", "t * size * ROOT"),
        ("both-tails", "weight * 0.5 * erfc", "weight * erfc"),
    ],
    ("statistics/sign_test.py", "statistics/test_sign_test.py"): [
        ("one-sided", "return min(1.0, 2.0 * float(np.exp(logs).sum()))", "return min(1.0, float(np.exp(logs).sum()))"),
        ("next-binomial-coefficient", "np.log(n - fewer) - np.log1p(fewer)", "np.log(n - fewer - 1) - np.log1p(fewer)"),
        ("observed-not-counted", "(int(extreme) + 1) / (patterns + 1), SAMPLED", "int(extreme) / patterns, SAMPLED"),
        ("one-tail-sampled", "np.abs(sums) >= abs(values.sum()) - ALIKE * sizes.sum()", "sums >= abs(values.sum()) - ALIKE * sizes.sum()"),
        ("pluses-alone", "size * (2.0 * generator.binomial(count, 0.5, patterns) - count)", "size * 2.0 * generator.binomial(count, 0.5, patterns)"),
        ("the-same-eight", "all_sums(rest[start : start + BITS])", "all_sums(rest[:BITS])"),
        ("signs-ignored", "int((values > 0).sum())", "n"),
    ],
    ("statistics/estimate.py", "statistics/test_estimate.py"): [
        ("no-small-sample-factor", "count / (count - 1) * float(", "float("),
        ("clusters-not-centred", "((sums - sizes * mean) ** 2).sum()", "((sums - sums.mean()) ** 2).sum()"),
        ("tasks-by-their-items", "1 / (len(tasks) * len(one)) for one in tasks", "1 / sum(map(len, tasks)) for one in tasks"),
        ("degrees-added", "sum(part**2 for part, _ in parts) ** 2 / below if below", "float(sum(degrees for _, degrees in parts)) if below"),
        ("degrees-of-items", "_error(s, n, m), len(s) - 1)", "_error(s, n, m), int(n.sum()) - 1)"),
        ("uncorrected", "verdict_of(paired, low, high, adjusted)", "verdict_of(paired, low, high, one.test.p)"),
        ("spread-of-the-mean", "sd = one.error * sqrt(one.units)", "sd = one.error"),
        ("means-unweighted-test", "[w * s for w, s in zip(weights, sums, strict=True)]", "[s for w, s in zip(weights, sums, strict=True)]"),
    ],
    ("comparing/compared.py", "comparing/test_compare_oracles.py"): [
        ("sides-swapped", "(rows.points[system] - rows.points[against])", "(rows.points[against] - rows.points[system])"),
        ("clusters-forgotten", "None if rows.clusters is None else [rows.clusters[rows.places[t]] for t in tasks]", "None"),
        ("always-all-pairs", "pairs = pairs if all_pairs else", "pairs = pairs if True else"),
        ("seeds-as-items", 'over or ("seeds" if len(seeds) > 1 else "items")', 'over or "items"'),
        ("seed-of-first-task", "return {seed: sum(found) / len(found) for seed, found in means.items()}", "return {seed: found[0] for seed, found in means.items()}"),
        ("sum-over-seeds", "score=sum(one.score for one in all_) / len(all_)", "score=sum(one.score for one in all_)"),
        ("cluster-sums-in-the-grid", "* count / len(items)", ""),
        ("direction-unheard", "return not lower_is_better and said is not False", "return not lower_is_better"),
        ("system-mean-over-items", "sum(means.values()) / len(means)", "float(rows.points[system.name].mean())"),
    ],
    ("comparing/score_range.py", "comparing/test_compare_oracles.py"): [
        ("points-of-the-top", "100 / (self.high - self.low)", "100 / self.high"),
    ],
    ("comparing/score_range.py", "comparing/test_compare_refusals.py"): [
        ("mixed-units-pass", "if shares and others:", "if False:"),
        ("grades-are-points", "if max(largest.values()) <= 10:", "if False:"),
        ("outside-passes", "if not wanted.holds(score.score)", "if False"),
    ],
    ("comparing/pairing.py", "comparing/test_compare_refusals.py"): [
        ("missing-items-pass", "if key not in other.scores]", "if False]"),
        ("extra-items-pass", "if key not in first.scores]", "if False]"),
        ("other-documents-pass", "a.content[0] == b.content[0] and a.content[1] != b.content[1]", "False"),
        ("other-prompts-pass", "if prompts and other_prompts:", "if True:"),
        ("other-clusters-pass", "return a.cluster != b.cluster", "return False"),
        ("other-metrics-pass", "if theirs != metric and not OURS & {metric, theirs}:", "if False:"),
    ],
    ("comparing/lm_eval_log.py", "comparing/test_lm_eval_log.py"): [
        ("two-samples-in-a-line", "line.startswith(HEAD) and line.count(HEAD) == 1 and line.count(TAIL) == 1", "line.startswith(HEAD)"),
        ("every-filter", 'if str(sample["filter"]) == one.filter]', "]"),
        ("oldest-log", "sorted(logs, key=lambda log: log.time)}", "sorted(logs, key=lambda log: log.time, reverse=True)}"),
    ],
    ("comparing/score_table.py", "comparing/test_compare_refusals.py"): [
        ("the-last-score-counts", "if len(found) < len(pairs):", "if False:"),
    ],
    ("comparing/score_table.py", "comparing/test_lm_eval_log.py"): [
        ("nan-passes", "return number if number - number == 0 else None", "return number"),
    ],
    ("comparing/study_arms.py", "comparing/test_score_sources.py"): [
        ("reference-anywhere", "sorted(arms, key=lambda name: name != against)", "sorted(arms, reverse=True)"),
        ("partial-seeds-count", "if all((task, seed) in runs for runs in arms.values() for task in tasks)]", "if any((task, seed) in runs for runs in arms.values() for task in tasks)]"),
    ],
}
