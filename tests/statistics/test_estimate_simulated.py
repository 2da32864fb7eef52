"""How often the interval over clusters covers the truth, by simulation: the figures of docs/comparing.md."""

import numpy as np
import pytest

from balora.statistics import estimate


def coverage(clusters: int, largest: int, studies: int) -> tuple[float, float, float]:
    """Shares of studies without a true difference: interval covers 0, that without clusters does, p ≤ 0.05."""
    generator = np.random.default_rng(clusters)
    covers, plain, found = 0, 0, 0
    for _ in range(studies):
        of = np.repeat(np.arange(clusters), generator.integers(1, largest + 1, clusters))
        latent = generator.normal(0, 0.7, clusters)[of] + generator.normal(0, 0.6, len(of))
        differences = 100 * np.rint(np.clip(latent, -1, 1))
        one = estimate([differences], [of])
        low, high = one.interval or (0.0, 0.0)
        covers += low <= 0 <= high
        low, high = estimate([differences]).interval or (0.0, 0.0)
        plain += low <= 0 <= high
        found += one.test is not None and one.test.p <= 0.05
    return covers / studies, plain / studies, found / studies


@pytest.mark.slow
@pytest.mark.parametrize(
    ("clusters", "largest", "studies", "covers"),
    [(5, 15, 2_000, (0.88, 0.93)), (10, 15, 2_000, (0.915, 0.95)), (80, 9, 400, (0.92, 0.975))],
)
def test_intervals_over_clusters_cover_the_truth(
    clusters: int, largest: int, studies: int, covers: tuple[float, float]
) -> None:
    robust, plain, found = coverage(clusters, largest, studies)
    assert covers[0] <= robust <= covers[1]
    assert plain < 0.75, "without clusters the interval is far too narrow"
    assert found <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / studies), "the exact test holds its level"
