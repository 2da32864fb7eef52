"""Compute the sign-flip test of many paired differences: exact where they are few or of one size, else sampled.

If neither system is better, the sign of each unit's difference is as likely as its opposite. The p is the share of all
patterns of signs whose sum is at least as far from 0 as the one observed. Where all differences that are not 0 have one
size, as those of right and wrong answers, the sum of signs is binomial: then this is McNemar's exact test.
"""

from typing import NamedTuple

import numpy as np

from balora.statistics.paired import BITS, EXACT_UP_TO, all_sums, sign_flip_p

MOST, LEAST, WORK = 100_000, 20_000, 2e8
"""Most and fewest patterns that are sampled; as many between them as make so many signs."""
ALIKE = 1e-12
"""Relative spread of sizes that count as one size."""
BINOMIAL, EXACT, SAMPLED = "binomial", "exact", "sampled"


class SignTest(NamedTuple):
    """A two-sided p, and how it was computed."""

    p: float
    method: str
    """`binomial` (McNemar's exact test), `exact` (all patterns), or `sampled`."""
    smallest: float
    """The smallest p that the test could have given with as many differences that are not 0."""
    patterns: int | None = None
    """How many patterns were sampled."""


def sign_test(differences: np.ndarray, seed: int = 0) -> SignTest:
    """Return the two-sided p of the sum of ``differences``, one a unit; those that are 0 do not change it."""
    values = differences[differences != 0].astype(np.float64)
    n = len(values)
    if n == 0:
        return SignTest(1.0, EXACT, 1.0)
    sizes = np.abs(values)
    if sizes.max() - sizes.min() <= ALIKE * sizes.max():
        return SignTest(binomial_p(int((values > 0).sum()), n), BINOMIAL, 2.0 ** max(1 - n, -1000))
    if n <= EXACT_UP_TO:
        return SignTest(sign_flip_p(values.tolist()), EXACT, 2.0 ** (1 - n))
    patterns = int(min(MOST, max(LEAST, WORK / n)))
    sums = _sampled_sums(sizes, patterns, np.random.default_rng(seed))
    extreme = np.count_nonzero(np.abs(sums) >= abs(values.sum()) - ALIKE * sizes.sum())
    return SignTest((int(extreme) + 1) / (patterns + 1), SAMPLED, 1 / (patterns + 1), patterns)


def binomial_p(ups: int, n: int) -> float:
    """Return the two-sided p of ``ups`` heads in ``n`` throws of a fair coin: 2·P(X ≤ min(ups, n − ups)), at most 1."""
    fewer = np.arange(min(ups, n - ups))
    # log of C(n, i)/2^n for i = 0, 1, …: each is (n − i + 1)/i times the one before
    logs = np.concatenate(([0.0], np.cumsum(np.log(n - fewer) - np.log1p(fewer)))) - n * np.log(2)
    return min(1.0, 2.0 * float(np.exp(logs).sum()))


def _sampled_sums(sizes: np.ndarray, patterns: int, generator: np.random.Generator) -> np.ndarray:
    """Return sums of randomly signed sizes: of many equal ones by their number of pluses, of others by eight signs."""
    sums = np.zeros(patterns)
    distinct, counts = np.unique(sizes, return_counts=True)
    for size, count in zip(distinct[counts > BITS], counts[counts > BITS], strict=True):
        sums += size * (2.0 * generator.binomial(count, 0.5, patterns) - count)
    rest = np.repeat(distinct[counts <= BITS], counts[counts <= BITS])
    for start in range(0, len(rest), BITS):
        table = all_sums(rest[start : start + BITS])
        drawn = np.frombuffer(generator.bytes(patterns), dtype=np.uint8)  # eight fair signs each
        sums += table.take(drawn & np.uint8(len(table) - 1))
    return sums
