"""Estimate pass@k from n samples without bias: the probability that one of k samples passes."""


def pass_at_k(n: int, c: int, k: int) -> float:
    """Return 1 − C(n−c, k) / C(n, k) for ``c`` right ones of ``n`` samples.

    Chen et al. 2021 (arXiv:2107.03374), equation 1, as the product 1 − ∏_{i=n−c+1..n} (1 − k/i), which needs no large
    binomials.

    Raises:
        ValueError: not 0 ≤ c ≤ n, or not 1 ≤ k ≤ n.
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass_at_k needs 0 <= c <= n and 1 <= k <= n, got n = {n}, c = {c}, k = {k}")
    if n - c < k:
        return 1.0
    none_passes = 1.0
    for i in range(n - c + 1, n + 1):
        none_passes *= 1.0 - k / i
    return 1.0 - none_passes
