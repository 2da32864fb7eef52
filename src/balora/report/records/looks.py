"""Judge the comparisons of a sequential study at its looks, of which only complete ones count; pure and torch-free."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from balora.statistics import Comparison, Paired, Stages, compare, judge_alone, judge_stages, widening_of
from balora.study.store.study_folder import StudyRecord
from balora.training.record import RunRecord


class Looks(NamedTuple):
    """The looks of a sequential study, and how many of them it has reached."""

    planned: tuple[int, ...]
    """After how many blocks."""
    reached: int
    seeds: tuple[int, ...]
    """One a block, in order."""

    def stages(self, paired: Paired, seeds: Sequence[int]) -> Stages:
        """Return a comparison as it was at every look; ``seeds`` are those of its differences, in order."""
        known = dict(zip(seeds, paired.differences, strict=True))
        first = (self.seeds[:look] for look in self.planned[: self.reached])
        return Stages(tuple(tuple(known[seed] for seed in some if seed in known) for some in first), paired)

    def judge(self, asked: Sequence[tuple[Paired, Sequence[int]]], *, together: bool) -> list[Comparison]:
        """Judge comparisons, each with the seeds of its differences, as one family or each alone.

        Before the first look nothing is compared.
        """
        if not self.reached:
            return [compare(paired._replace(differences=())) for paired, _ in asked]
        stages = [self.stages(paired, seeds) for paired, seeds in asked]
        return judge_stages(stages, self.planned) if together else [judge_alone(one, self.planned) for one in stages]

    @property
    def counted(self) -> frozenset[int]:
        """The seeds of the blocks up to the last look that was reached."""
        return frozenset(self.seeds[: self.planned[self.reached - 1]] if self.reached else ())

    def widening(self, found: Comparison) -> float:
        """Return by how much the interval of a comparison is wider than a fixed study's."""
        place = self.planned.index(found.look) if found.look else self.reached - 1
        return widening_of(found.n, self.planned, place)


def looks_of(record: StudyRecord, runs: Mapping[str, RunRecord]) -> Looks | None:
    """Return the looks of a sequential study, which are reached once all of their runs ended; None for a fixed one."""
    if not record.looks:
        return None
    waiting = {entry.seed for entry in record.runs if entry.id not in runs}
    open_from = next((number for number, seed in enumerate(record.seeds) if seed in waiting), len(record.seeds))
    reached = sum(look <= open_from for look in record.looks)
    return Looks(record.looks, reached, record.seeds)
