"""Carry out a study look by look, until its comparisons are answered; torch-free."""

import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from balora.settings import Family
from balora.study.engine.execute import Outcome, execute
from balora.study.engine.watcher import Watcher
from balora.study.plan.plan import Plan, at_look
from balora.study.plan.until import Until
from balora.study.store.study_folder import describe, read_runs

OnLook = Callable[[Path], Mapping[Family, Collection[str]]]
"""Called with the study's folder when a look has been reached; returns the arms that unanswered comparisons need, by
family of tasks."""


def execute_until_answered(
    plan: Plan,
    output: Path,
    watcher: Watcher,
    *,
    until: Until,
    started: float,
    on_look: OnLook,
    **how: Any,
) -> Outcome:
    """Carry out ``plan`` up to its next look, and so on, until nothing is open or ``until`` is reached.

    An arm has no more runs in a family of tasks once no comparison that is open there needs it. What a look decides
    depends on its records alone, so that a study that is run again comes to the same looks with the same arms.

    Args:
        plan: the study with its looks; how many blocks it has does not matter.
        output, watcher, how: as of :func:`balora.study.engine.execute.execute`.
        until: the last look, and the hours after which no further look is begun.
        started: when the hours began, by `time.monotonic`.
        on_look: reads which comparisons are open.

    Raises:
        As ``execute``.
    """
    stopped: dict[str, dict[Family, int]] = {}
    looks, before = until.looks, frozenset[str]()
    noun = "block" if plan.pretrainings else "seed"
    for look, following in zip(looks, (*looks[1:], None), strict=True):
        planned, begun = at_look(plan, look, stopped), time.monotonic()
        known = frozenset(run.id for run in planned.distinct)
        outcome = execute(planned, output, watcher, only=known - before, **how)  # a failed run is tried once at most
        before = known
        needed = on_look(output)
        watcher.message(f"after {look} {noun}s: {_open_in_words(needed)}")
        if following is None or not any(needed.values()):
            break
        _stop(stopped, planned, needed, look)
        more = len(at_look(plan, following, stopped).distinct) - len(planned.distinct)
        done = outcome.ok + outcome.failed
        each = (time.monotonic() - begun) / done if done else _seconds_a_run(planned, output, how["pool"].workers)
        if until.hours is not None and time.monotonic() - started + each * more > 3600 * until.hours:
            watcher.message(
                f"stopped: the next look, after {following} {noun}s, would come after more than {until.hours:g} hours"
            )
            break
    return outcome


def _seconds_a_run(plan: Plan, output: Path, workers: int) -> float:
    """Return the mean seconds between the ends of two runs, by the records of a look that was carried out before."""
    runs, _ = read_runs(output, describe(plan, ""))
    costs = [run.cost for run in runs.values()]
    spent = sum(cost.setup_seconds + cost.train_seconds + cost.eval_seconds for cost in costs)
    return spent / max(1, len(costs)) / workers


def _stop(
    stopped: dict[str, dict[Family, int]], plan: Plan, needed: Mapping[Family, Collection[str]], look: int
) -> None:
    """Note in ``stopped`` every arm that no open comparison needs in a family of tasks, unless it stopped before."""
    families = {plan.study.find(task).family for task in plan.tasks.present}
    for arm in plan.arms:
        for family in sorted(families):
            if arm.name not in needed.get(family, ()):
                stopped.setdefault(arm.name, {}).setdefault(family, look)


def _open_in_words(needed: Mapping[Family, Collection[str]]) -> str:
    if not any(needed.values()):
        return "nothing is open that more blocks could answer"
    parts = [f"{family.upper()} {', '.join(sorted(arms))}" for family, arms in sorted(needed.items()) if arms]
    return f"still open, and so going on: {'; '.join(parts)}"
