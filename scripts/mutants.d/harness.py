"""Mutants of the recognition of a saved training form, and of the way from the harness' samples to our items."""

MUTANTS = {
    ("adapters/stored_offset.py", "adapters/test_stored_offset.py"): [
        ("sign-of-the-start", "-B.chunk(2, dim=1)[1]", "B.chunk(2, dim=1)[1]"),
        ("trained-half-of-a", "A.chunk(2, dim=0)[1]", "A.chunk(2, dim=0)[0]"),
        ("without-scaling", "scaling * B0 @ (A0 @ A0.T)", "B0 @ (A0 @ A0.T)"),
        ("without-singular-values", "scaling * B0 @ (A0 @ A0.T)", "scaling * B0"),
        ("zeros-are-a-start", "bool(A0.any()) and ", ""),
        (
            "any-pair-is-a-start",
            "TOLERANCE * torch.linalg.vector_norm(wanted)",
            "100 * torch.linalg.vector_norm(wanted)",
        ),
        ("pissa-alone", " or have_leading_values(W, A0, B0, scaling)", ""),
        ("values-alone", "are_singular_pairs(W, A0, B0, scaling) or ", ""),
        ("no-room-for-half-precision", "HALF = 2.0**-7", "HALF = 0.0"),
        ("anything-is-half-precision", "HALF = 2.0**-7", "HALF = 2.0"),
        ("orthogonality-of-one-side", "for product in (A0 @ A0.T, B0.T @ B0):", "for product in (A0 @ A0.T,):"),
        ("orthogonality-of-the-other", "for product in (A0 @ A0.T, B0.T @ B0):", "for product in (B0.T @ B0,):"),
        ("any-values", "return bool(((diagonal.diag() - leading).abs() <= TOLERANCE * leading).all())", "return True"),
        ("scaling-of-the-values", "pissa_factors(W, len(A0), scaling)", "pissa_factors(W, len(A0))"),
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
