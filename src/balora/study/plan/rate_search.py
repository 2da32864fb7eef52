"""Plan the search that finds a learning rate for each start of the adapter, before a study; torch-free.

The search is a study of its own: every start that an arm of the study has, with and without the regularizers where arms
differ in them, at every rate of one grid, on the study's tasks. Its seeds are those of no block, and it scores rows of
the training split that no run of the study trains on (`data.held_out`), so that nothing is chosen by what judges it.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from balora.settings import Family, dotted, merge, nest
from balora.study.design.arms import design_arms
from balora.study.design.deltas import RATE
from balora.study.design.study import LONGEST_NAME, Arm, Study
from balora.study.plan.plan import Fingerprints, Plan, make_plan, specification
from balora.study.plan.rates import Criterion, RatePoint, RateSearch, choose_rates
from balora.study.plan.suites import Tasks
from balora.tasks.config import HELD_OUT
from balora.training.record import RunRecord

SEEDS = (9001, 9002, 9003, 9004)
"""Fine-tuning seeds of searches. No block of any study has them."""
LEFT_OUT = ("measures.", "training.evaluate_every", "training.keep")
"""Settings of the study that a search has no use for."""


def grid_of(plan: Plan) -> tuple[float, ...]:
    """Return the learning rates that are tried: the study's own, else those of the profile."""
    return plan.study.rate_grid or plan.choices.effort.grid


def searched_tasks(plan: Plan) -> tuple[str, ...]:
    """Return the tasks on which rates are tried: those whose training rows can be scored."""
    return tuple(task for task in plan.tasks.present if task not in plan.tasks.scored)


def criteria(plan: Plan) -> dict[Family, Criterion]:
    """Return what the rates of each family are chosen by: in generation the answer loss, where every task has one.

    A small model answers few questions, or none, so that its score cannot tell one rate from another.
    """
    tasks = [plan.study.find(task) for task in searched_tasks(plan)]
    families = dict.fromkeys(task.family for task in tasks)
    have_loss = all("answer_loss" in task.metrics for task in tasks if task.family == "nlg")
    return {family: "answer loss" if family == "nlg" and have_loss else "score" for family in families}


def search_plan(plan: Plan, grid: Sequence[float], fingerprints: Fingerprints) -> Plan:
    """Return the plan of the search for ``plan`` over ``grid``."""
    study, choices, names = plan.study, plan.choices, searched_tasks(plan)
    families = tuple(dict.fromkeys(study.find(task).family for task in names))
    start, *others = [{**delta, RATE: rate} for delta in _variants(plan) for rate in grid]
    own = tuple(one for one in study.own if one.task in names)
    base = merge(nest(study.base_settings), nest({key: value for key, value in start.items() if key != RATE}))
    arms = {_name(delta): Arm(set=delta) for delta in others}
    searching = Study(
        study=f"rates-of-{study.study}"[:LONGEST_NAME],
        question="Which learning rate suits each start of the adapter?",
        suites=families,
        tasks=names,
        own=own,
        base=base,
        arms=arms,
        rates="shared",
    )
    effort = choices.effort
    given = {key: value for key, value in dotted(nest(choices.settings)).items() if not key.startswith(LEFT_OUT)}
    given |= {"data.eval_split": HELD_OUT, "data.eval_rows": None}
    given |= {RATE: start[RATE]}  # of the base; every other arm has its own
    given.setdefault("data.held_out", effort.held_out)
    if criteria(plan).get("nlg") == "answer loss":
        given["data.max_new_tokens"] = 1  # the answers themselves are not looked at
    seeds = SEEDS[: effort.search_seeds]
    searched = choices._replace(settings=given, seeds=len(seeds), seeds_from=seeds, looks=())
    return make_plan(searching, searched, Tasks(names, ()), fingerprints)


def _variants(plan: Plan) -> list[dict[str, Any]]:
    """Return what is tried at each rate: every start, with the base's objective, and without where an arm has none."""
    task_of = {plan.study.find(task).family: task for task in reversed(searched_tasks(plan))}
    arms = design_arms(plan.study)
    specs = [specification(plan.study, plan.choices, arm, task) for arm in arms for task in task_of.values()]
    starts = dict.fromkeys("pissa" if s.training.step_matching == "pissa" else s.start for s in specs)
    base = [specification(plan.study, plan.choices, arms[0], task) for task in task_of.values()]
    both = any(s.objective.regularized for s in base) and any(not s.objective.regularized for s in specs if s.adapter)
    variants: list[dict[str, Any]] = []
    for start in starts:
        if start == "full":
            variants.append({"method": "full"})
            continue
        variants.append({"adapter.init": start})
        variants += [{"adapter.init": start, "objective.preset": "none"}] if both else []
    return variants


def _name(delta: Mapping[str, Any]) -> str:
    start = delta.get("adapter.init", "full")
    plain = ", no regularizers" if "objective.preset" in delta else ""
    return f"{start}{plain}, rate {delta[RATE]:g}"


def points_of(plan: Plan, records: Mapping[str, RunRecord], chosen_by: Mapping[Family, Criterion]) -> list[RatePoint]:
    """Return what each method of a search reached at each rate and seed, from the ``records`` of its runs by id."""
    cells: dict[tuple[Family, str, bool, float, int], list[float | None]] = {}
    for run in plan.runs:
        spec = run.column
        family = spec.objective.family
        key = (family, spec.start, spec.objective.regularized, spec.training.learning_rate, run.seed)
        record = records.get(run.id)
        cells.setdefault(key, []).append(None if record is None else _value(record, chosen_by[family]))
    return [
        RatePoint(
            family=family, start=start, regularized=regularized, rate=rate, seed=seed,
            value=None if any(value is None for value in values) else fmean(v for v in values if v is not None),
        )
        for (family, start, regularized, rate, seed), values in cells.items()
    ]  # fmt: skip


def _value(record: RunRecord, criterion: Criterion) -> float | None:
    if record.status != "ok":
        return None
    return record.score if criterion == "score" else record.metrics.get("answer_loss")


def conclude(plan: Plan, points: Sequence[RatePoint], *, widened: bool) -> RateSearch:
    """Return the finished search for ``plan``; :class:`TrainingError` where a start has no rate that trains."""
    return RateSearch(
        grid=tuple(sorted({point.rate for point in points})),
        widened=widened,
        seeds=tuple(dict.fromkeys(point.seed for point in points)),
        criteria=criteria(plan),
        points=tuple(points),
        rates=choose_rates(points, criteria(plan)),
    )


def at_rates(plan: Plan, search: RateSearch) -> Plan:
    """Return ``plan`` with the learning rates of ``search``; its runs have other ids than before."""
    choices = plan.choices._replace(rates=search.rates)
    again = make_plan(plan.study, choices, plan.tasks, lambda spec: plan.fingerprints[spec.task])
    return again._replace(left_out=plan.left_out, rate_search=search)


def expanded(study: Study, grid: Sequence[float]) -> Study:
    """Return a study with `rates: every` with the learning rates of ``grid`` as a further axis of its own grid."""
    return study.replace(grid={**study.grid, RATE: list(grid)}, rate_grid=tuple(grid))
