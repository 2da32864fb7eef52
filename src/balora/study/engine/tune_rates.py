"""Carry out the search for learning rates that comes before a study of a given model; torch-free."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from balora.errors import InputError
from balora.study.engine.execute import Outcome, execute
from balora.study.engine.protocol import Pool, RunFunction
from balora.study.engine.watcher import Watcher
from balora.study.engine.worker import train
from balora.study.plan.plan import Fingerprints, Plan, needs_rates
from balora.study.plan.rate_search import at_rates, conclude, criteria, grid_of, points_of, search_plan
from balora.study.plan.rates import RatePoint, RateSearch, wider
from balora.study.store.study_folder import RATES_FOLDERS, describe, read_runs, refuse_foreign

OnFolder = Callable[[Path], object]
"""Called with the folder of a part of the search that has ended."""


def with_rates(
    plan: Plan,
    output: Path,
    watcher: Watcher,
    *,
    command: str,
    pool: Pool,
    fingerprints: Fingerprints,
    run: RunFunction = train,
    retry_failed: bool = False,
    reuse: Sequence[Path] = (),
    on_folder: OnFolder = lambda folder: None,
    carry_out: Callable[..., Outcome] = execute,
) -> Plan | None:
    """Return ``plan`` with the learning rates of a search, whose runs that are not yet finished are carried out first.

    The search is a study in the folder `rates` of ``output``; where a best rate lies at an end of the grid, the grid is
    widened once, for every start, by a second study in `rates-wider`. A plan that needs no search is returned as it is.
    The other arguments are those of :func:`balora.study.engine.execute.execute`, or of what ``carry_out`` is instead.
    None where that has left runs of the search to others which have not ended yet.

    Raises:
        TrainingError: a start has no rate at which all of its runs ended well.
        InputError, OutputError, KeyboardInterrupt: as ``execute``.
    """
    if not needs_rates(plan.study, plan.choices, plan.tasks):
        return plan
    refuse_foreign(output, describe(plan, command))  # before hours of search
    grid, points = grid_of(plan), list[RatePoint]()

    def search(rates: Sequence[float], folder: Path, widened: bool) -> RateSearch | None:
        planned = search_plan(plan, rates, fingerprints)
        shared = tuple(other / folder.name for other in reuse if (other / folder.name / "runs").is_dir())
        how = {"command": command, "pool": pool, "run": run, "retry_failed": retry_failed, "reuse": shared}
        try:
            carry_out(planned, folder, watcher, **how)
        except InputError:
            with suppress(OSError):  # a refused study leaves nothing; a folder that holds something stays
                output.rmdir()
            raise
        on_folder(folder)
        records, _ = read_runs(folder, describe(planned, command))
        if any(one.id not in records for one in planned.distinct):
            return None
        points.extend(points_of(planned, records, criteria(plan)))
        return conclude(plan, points, widened=widened)

    watcher.message(
        f"learning rates: each start of the adapter is tried at {_listed(grid)} on other seeds and held-out rows first"
    )
    found = search(grid, output / RATES_FOLDERS[0], widened=False)
    if found and (more := wider(grid, found)):
        watcher.message(
            f"learning rates: the best of a start lies at an end of the grid: {_listed(more)} are tried too"
        )
        found = search(more, output / RATES_FOLDERS[1], widened=True)
    if found is None:
        return None
    watcher.message(f"learning rates: {in_words(found)}")
    return at_rates(plan, found)


def in_words(search: RateSearch) -> str:
    """Return what was chosen: `NLU pissa 0.001, standard 0.004; NLG …`, and which lies at the end of the grid."""
    parts = [
        f"{family.upper()} {', '.join(f'{start} {rate:g}' for start, rate in by_start.items())}"
        for family, by_start in search.rates.items()
    ]
    ends = [f"{start} ({family.upper()})" for family, start in search.at_the_end]
    return "; ".join(parts) + (f"; still at the end of the grid: {', '.join(ends)}" if ends else "")


def _listed(rates: Sequence[float]) -> str:
    return ", ".join(f"{rate:g}" for rate in rates)
