"""Choose the looks and the budget of a study that goes on until it is answered; torch-free."""

from math import isfinite
from typing import NamedTuple

from balora.errors import ConfigError
from balora.study.design.study import Study

FIRST_LOOK = 8
"""Blocks at the first look."""
STEPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96)
"""The looks, in units of the first."""
MOST_BLOCKS = 64
"""Blocks of the last look where the caller names none."""
LARGEST = 1000


class Until(NamedTuple):
    """Where a study that goes on until it is answered ends at the latest: at the last look, or after some hours."""

    most_blocks: int = MOST_BLOCKS
    hours: float | None = None
    """Hours after which no further look is begun; no limit."""

    @property
    def looks(self) -> tuple[int, ...]:
        """The numbers of blocks after which the study looks: 8, 16, 24, 32, 48, 64."""
        before = [FIRST_LOOK * step for step in STEPS if FIRST_LOOK * step < self.most_blocks]
        return (*before, self.most_blocks)

    @property
    def words(self) -> list[str]:
        """The options that ask for it."""
        most = [] if self.most_blocks == MOST_BLOCKS else ["--most-blocks", str(self.most_blocks)]
        hours = [] if self.hours is None else ["--hours", f"{self.hours:g}"]
        return ["--until-answered", *most, *hours]


def chosen_until(answered: bool, most_blocks: int | None, hours: float | None, seeds: int | None) -> Until | None:
    """Return what the options ask for; None for a fixed study.

    Raises:
        ConfigError: they contradict each other, or make no sense.
    """
    if not answered:
        for option, value in (("--most-blocks", most_blocks), ("--hours", hours)):
            if value is not None:
                raise ConfigError(
                    f"{option} {value:g}: is for a study that goes on: add --until-answered, or leave it out"
                )
        return None
    if seeds is not None:
        raise ConfigError(
            f"--seeds {seeds}: with --until-answered the looks decide how many blocks there are: give --most-blocks "
            "instead"
        )
    most = MOST_BLOCKS if most_blocks is None else most_blocks
    if not FIRST_LOOK <= most <= LARGEST:
        raise ConfigError(
            f"--most-blocks {most}: must be from {FIRST_LOOK}, the blocks of the first look, to {LARGEST}: choose "
            "another number, or run a fixed study with --seeds"
        )
    if hours is not None and not (isfinite(hours) and hours > 0):
        raise ConfigError(f"--hours {hours:g}: must be a number above 0: give more, or leave it out")
    return Until(most, hours)


def refuse_without_family(study: Study) -> None:
    """Raise :class:`ConfigError` for a study that declares no comparisons whose answer could be waited for."""
    if study.rates == "every":
        raise ConfigError(
            f"--until-answered: study {study.study} compares arms over learning rates and declares no family of "
            "comparisons that could be answered: run it with --seeds"
        )
    if study.tuned:
        raise ConfigError(
            f"--until-answered: study {study.study} chooses the settings of {', '.join(study.tuned)} by all blocks, so "
            "that what a look has decided would change with later ones: run it with --seeds"
        )
