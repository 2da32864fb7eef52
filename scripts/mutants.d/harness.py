"""Mutants of the recognition of a saved training form, and of the way from the harness' samples to our items."""

MUTANTS = {
    ("adapters/stored_offset.py", "adapters/test_stored_offset.py"): [
        ("sign-of-the-start", "-B.chunk(2, dim=1)[1]", "B.chunk(2, dim=1)[1]"),
        ("trained-half-of-a", "A.chunk(2, dim=0)[1]", "A.chunk(2, dim=0)[0]"),
        ("without-scaling", "scaling * B0 @ (A0 @ A0.T)", "B0 @ (A0 @ A0.T)"),
        ("without-singular-values", "scaling * B0 @ (A0 @ A0.T)", "scaling * B0"),
        ("zeros-are-a-start", "bool(size > 0) and", "True and"),
        ("any-pair-is-a-start", "<= TOLERANCE * size", "<= 100 * size"),
        ("exact-starts-alone", "TOLERANCE = 0.1", "TOLERANCE = 1e-9"),
    ],
    ("harness/harness_items.py", "harness/test_harness_items.py"): [
        ("any-aggregation", 'getattr(aggregations.get(name), "__name__", "") in MEANS and ', ""),
        ("last-filter-decides", "if not item:", "if True:"),
        ("least-likely-choice", "chosen = max(", "chosen = min("),
        ("unconditional-are-choices", "values[: len(values) // 2]", "values"),
        (
            "two-texts-are-likelihoods",
            "return pair and isinstance(response[0], float) and isinstance(response[1], bool)",
            "return pair",
        ),
        ("infinite-likelihood", "all(map(math.isfinite, values))", "not any(map(math.isnan, values))"),
        ("half-right-is-wrong", "in RIGHT_OR_WRONG and value in (0.0, 1.0)", "in RIGHT_OR_WRONG"),
        ("every-score-is-a-verdict", "if metric.name in RIGHT_OR_WRONG and", "if"),
    ],
    ("harness/quiet_harness.py", "harness/test_harness_refusals.py"): [
        (
            "any-metric-is-loaded",
            "if hf_evaluate_metric or not isinstance(name, str) or name not in known:",
            "if False:",
        ),
    ],
}
