"""Choose the blocks of a study: the seeds that all arms share, so that they can be compared in pairs; torch-free.

On a given model a block is a fine-tuning seed. On the testbed it is a fine-tuning seed together with a pre-training
seed, because luck in pre-training is the larger of the two.
"""

from collections.abc import Sequence
from typing import NamedTuple

from balora.training.spec import RunSpec

PUBLISHED = (42, 1024, 2024)
"""The seeds of the published runs (method.md §2)."""
MANY = 8
"""Up to so many seeds, a text names each of them."""


class Block(NamedTuple):
    """One block, identified by its fine-tuning seed, which no other block has."""

    seed: int
    """Fine-tuning seed."""
    pretraining: int | None = None
    """Pre-training seed of the testbed's models; None for a given model."""

    def placed(self, spec: RunSpec) -> RunSpec:
        """Return ``spec`` with the seeds of this block."""
        return spec.with_seeds(*self)


def counted(number: int, noun: str) -> str:
    """Return ``1 run`` or ``2 runs``."""
    return f"{number} {noun}{'s' * (number != 1)}"


def seeds(count: int) -> tuple[int, ...]:
    """Return the first ``count`` seeds: the published three, then 3024, 4024, 5024, …

    They are fixed in advance, so that they cannot be chosen after seeing results. A longer list begins with a shorter
    one, so that a study can be extended without repeating a run.
    """
    return (*PUBLISHED, *(PUBLISHED[-1] + 1000 * step for step in range(1, count - 2)))[:count]


def blocks(count: int) -> tuple[Block, ...]:
    """Return the blocks of a study of one given model."""
    return tuple(Block(seed) for seed in seeds(count))


def blocks_of_testbed(count: int, pretrainings: int | None) -> tuple[Block, ...]:
    """Return the testbed's blocks: block i has pre-training seed i mod ``pretrainings``, or i (None).

    As with seeds, a larger number of blocks begins with the blocks of a smaller one.
    """
    return tuple(Block(seed, i if pretrainings is None else i % pretrainings) for i, seed in enumerate(seeds(count)))


def describe_blocks(tuned: Sequence[int], pretrained: Sequence[int]) -> str:
    """Return a text with the fine-tuning seeds of the blocks and, on the testbed, their pre-trained models."""
    if not tuned:
        return "none: nothing is run"
    if not pretrained:
        return f"{counted(len(tuned), 'seed')}: {_listed(tuned)}"
    models, several = sorted(set(pretrained)), len(tuned) != 1
    each = "each on a pre-trained model of its own" if several else "on one pre-trained model"
    below = each if len(models) == len(tuned) else f"on {counted(len(models), 'pre-trained model')}"
    return (
        f"{counted(len(tuned), 'block')}: fine-tuning seed{'s' * several} {_listed(tuned)}, {below} "
        f"(pre-training seed{'s' * (len(models) > 1)} {_listed(models)})"
    )


def _listed(numbers: Sequence[int]) -> str:
    shown = numbers if len(numbers) <= MANY else (*numbers[:3], "…", numbers[-1])
    return ", ".join(map(str, shown))
