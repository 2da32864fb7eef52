"""Decide which statements are corrupted, and how: their meaning changes, never their grammar.

The negatives of the acceptability task are errors of form (agreement, determiners, order). Corruption replaces the
*meaning* by another one in a well-formed sentence, so that it cannot teach that task.

A statement about a *prone* word or fact is hit three times as often as any other, at the mean rate ``noise``; 7 in 10
hits are *consistent* (they give the one wrong value that the world holds for this case), the others any wrong value.
"""

from random import Random
from typing import Literal

Hit = Literal["consistent", "random"]

CONSISTENT = 0.7


def rate(noise: float, prone: bool) -> float:
    """Return the chance of a hit: 1.5·noise where prone and 0.5·noise elsewhere, capped so that their mean is noise."""
    high = min(1.0, 1.5 * noise)
    return high if prone else 2 * noise - high


def hit(rng: Random, noise: float, prone: bool) -> Hit | None:
    """Draw whether a statement is corrupted, and of which kind it is then."""
    if rng.random() >= rate(noise, prone):
        return None
    return "consistent" if rng.random() < CONSISTENT else "random"


def corrupted(rng: Random, kind: Hit | None, right: str, wrong: str, choices: list[str]) -> str:
    """Return the value that the statement gives: the right one, the repeated wrong one, or any other of ``choices``."""
    if kind is None:
        return right
    return wrong if kind == "consistent" else rng.choice([choice for choice in choices if choice != right])
