"""A study hands its largest rank to the starts of all its adapters, whatever part of it is still to be run."""

from pathlib import Path

import fakes
from study_cases import go

from balora.adapters.ranks import largest_rank
from balora.progress import OnProgress
from balora.study.design.reading import find_study
from balora.study.plan.plan import Choices, make_plan
from balora.study.plan.suites import Tasks
from balora.study.store.run_folders import remove
from balora.training.record import RunRecord, write_record
from balora.training.spec import RunSpec


def noting(spec: RunSpec, folder: Path, on_progress: OnProgress) -> RunRecord:
    """Leaves the largest rank that the worker was given as the run's only note."""
    return write_record(fakes.record_of(spec, notes=[f"up to {largest_rank()}"]), folder)


def test_every_run_knows_the_largest_rank_of_the_plan(tmp_path: Path) -> None:
    plan = make_plan(find_study("ranks"), Choices("m", seeds=1), Tasks(("cola",), ()), fakes.fingerprints)
    go(plan, tmp_path, noting)
    largest = [one for one in plan.distinct if one.spec.adapter and one.spec.adapter.rank == 128]
    assert 0 < len(largest) < len(plan.distinct)
    small = next(one for one in plan.distinct if one not in largest)
    remove(tmp_path / small.folder)
    go(plan, tmp_path, noting)  # only a run of a small rank is left: its start is that of the uninterrupted study
    for one in plan.distinct:
        assert '"up to 128"' in (tmp_path / one.folder / "run.json").read_text(encoding="utf-8")
