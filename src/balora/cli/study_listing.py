"""Describe the shipped studies and a plan, as records and as text, for `study list` and `study plan`; torch-free."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from balora.errors import shortened
from balora.report.records.expected_precision import Expected
from balora.report.records.measures import JUDGED, MEASURES
from balora.report.records.wording import number, rates_in_words, shared_rates
from balora.settings import dotted
from balora.study.design.arms import design_arms
from balora.study.design.reading import find_study, shipped
from balora.study.engine.display import clock
from balora.study.plan.blocks import describe_blocks
from balora.study.plan.costs import Costs
from balora.study.plan.plan import Plan, early_warning, needs_rates
from balora.study.plan.profiles import PROFILES
from balora.study.plan.rate_search import grid_of, search_plan
from balora.study.plan.testbed_profiles import TESTBED_PROFILES

LONGEST_LIST = 100
"""Characters up to which `study list` names all arms of a study."""
LONGEST_NAME = 48
"""Characters of an arm's name up to which what follows is aligned."""


@dataclass(frozen=True)
class StudyLine:
    """One shipped study."""

    study: str
    question: str
    suites: tuple[str, ...]
    base: str
    arms: tuple[str, ...]


@dataclass(frozen=True)
class StudyList:
    """The studies and profiles that come with balora."""

    studies: tuple[StudyLine, ...]
    profiles: dict[str, str]
    """On the testbed."""
    model_profiles: dict[str, str]
    """On a given model."""


@dataclass(frozen=True)
class PlanArm:
    """One arm of a plan."""

    name: str
    method: str | None
    changes: dict[str, Any]
    """Dotted settings in which it differs from the base."""
    rates: dict[str, tuple[float, ...]]
    """Learning rates of its runs, by family of tasks."""
    is_step_matched: bool
    """Whether each run rescales its rate, so that its first steps move the outputs as far as PiSSA's start would."""
    seconds: float | None
    """What its runs should take one worker, by past records; None where there are no records."""


@dataclass(frozen=True)
class PlannedSearch:
    """The search for learning rates that comes before the runs."""

    grid: tuple[float, ...]
    starts: tuple[str, ...]
    """How adapters start that each rate is tried for."""
    seeds: tuple[int, ...]
    distinct: int
    """Runs to carry out."""
    seconds: float | None
    """What they should take one worker, by past records."""


@dataclass(frozen=True)
class PlanRun:
    """One planned run; the same id twice is one run that two arms share."""

    id: str
    seed: int
    task: str
    arm: str


@dataclass(frozen=True)
class PlanList:
    """A plan as it is printed."""

    study: str
    question: str
    model: str
    profile: str
    seeds: tuple[int, ...]
    pretrainings: tuple[int, ...]
    """Pre-training seed of each block; none for a given model."""
    tasks: tuple[str, ...]
    scored: dict[str, tuple[str, ...]]
    """The tasks that a recipe scores, by the one it trains on."""
    absent: tuple[str, ...]
    arms: tuple[PlanArm, ...]
    distinct: int
    """Runs to carry out, shared ones counted once."""
    left_out: tuple[str, ...]
    """What of the study file only the testbed can have."""
    holes: tuple[str, ...]
    """Arms whose settings are still to be chosen."""
    seconds: float | None
    """What all runs should take one worker, by past records."""
    past: int
    """How many records that estimate is made from."""
    warning: str | None
    """Why the study cannot answer its own question, where that can be seen beforehand."""
    runs: tuple[PlanRun, ...]
    """Where a search comes first, their ids change with the learning rates that it finds."""
    search: PlannedSearch | None = None
    looks: tuple[int, ...] = ()
    """Of a study that goes on until it is answered: after how many blocks it looks. Its runs are those of the last."""
    margin: float = 1.0
    """The smallest difference in an average that would matter, in points."""
    precision: tuple[Expected, ...] = ()
    """How wide the intervals should become, by the noise of past studies; nothing without one."""


def list_studies() -> StudyList:
    """Return the shipped studies and the profiles."""
    studies = [find_study(name) for name in shipped()]
    lines = [
        StudyLine(s.study, s.question, s.suites, s.base_name, tuple(arm.name for arm in design_arms(s)[1:]))
        for s in studies
    ]
    on_testbed = {name: profile.about for name, profile in TESTBED_PROFILES.items()}
    return StudyList(tuple(lines), on_testbed, {name: profile.about for name, profile in PROFILES.items()})


def studies_text(content: StudyList) -> str:
    """Return the list for people."""
    lines = []
    for one in content.studies:
        lines += [one.study, f"    {' '.join(one.question.split())}", f"    {one.base} against {_some(one.arms)}"]
    for title, profiles in (("on the testbed", content.profiles), ("with --model", content.model_profiles)):
        lines += ["", f"profiles {title}"]
        lines += [f"    {name:<10}{about}" for name, about in profiles.items()]
    return "\n".join(lines)


def _some(arms: tuple[str, ...]) -> str:
    """Return the names of the arms, or how many there are if the line would be too long to be read."""
    whole = ", ".join(arms)
    if len(whole) <= LONGEST_LIST:
        return whole
    few = [name for place, name in enumerate(arms) if len(", ".join(arms[: place + 1])) <= LONGEST_LIST]
    shown = few or [shortened(arms[0], LONGEST_LIST)]
    return f"{len(arms)} arms: {', '.join(shown)}, … ({len(arms) - len(shown)} more)"


def describe_plan(plan: Plan, costs: Costs, precision: tuple[Expected, ...] = ()) -> PlanList:
    """Return what a plan shows."""
    rates, seconds = _rates(plan), costs.of_arms(plan)
    matched = {run.arm for run in plan.runs if run.column.is_step_matched}
    return PlanList(
        study=plan.study.study,
        question=plan.study.question,
        model=plan.choices.model,
        profile=plan.choices.profile,
        seeds=plan.seeds,
        pretrainings=plan.pretrainings,
        tasks=plan.tasks.present,
        scored=dict(plan.tasks.scored),
        absent=plan.tasks.absent,
        arms=tuple(
            PlanArm(
                arm.name, arm.method, dotted(arm.delta), rates[arm.name], arm.name in matched, seconds.get(arm.name)
            )
            for arm in plan.arms
        ),
        distinct=len(plan.distinct),
        left_out=plan.left_out,
        holes=plan.study.holes,
        seconds=costs.of_plan(plan),
        past=costs.records,
        warning=early_warning(plan),
        runs=tuple(PlanRun(run.id, run.seed, run.task, run.arm) for run in plan.runs),
        search=_planned_search(plan, costs),
        looks=plan.choices.looks,
        margin=plan.study.margin,
        precision=precision,
    )


def _planned_search(plan: Plan, costs: Costs) -> PlannedSearch | None:
    if not needs_rates(plan.study, plan.choices, plan.tasks):
        return None
    search = search_plan(plan, grid_of(plan), lambda spec: plan.fingerprints[spec.task])
    starts = tuple(dict.fromkeys(run.column.start for run in search.runs))
    return PlannedSearch(grid_of(plan), starts, search.seeds, len(search.distinct), costs.of_plan(search))


def _rates(plan: Plan) -> dict[str, dict[str, tuple[float, ...]]]:
    """Return arm → family → learning rates; from one block, as the others differ in their seeds alone."""
    found: dict[str, dict[str, set[float]]] = {arm.name: {} for arm in plan.arms}
    for run in plan.runs[: len(plan.arms) * len(plan.tasks.present)]:
        found[run.arm].setdefault(run.column.objective.family, set()).add(run.column.training.learning_rate)
    return {
        arm: {family: tuple(sorted(rates)) for family, rates in by_family.items()} for arm, by_family in found.items()
    }


def _absent_text(absent: Sequence[str]) -> str:
    """Return which tasks are left out, in words: a task with a judge may have its data and no judge."""
    missing = [name for name in absent if name not in JUDGED]
    judged = [name for name in absent if name in JUDGED]
    text = f"   not found: {', '.join(missing)}" if missing else ""
    return text + (f"   left out: {', '.join(judged)} (no scoring.judge.url, or not found)" if judged else "")


def _with_scored(task: str, scored: Mapping[str, tuple[str, ...]]) -> str:
    return f"{task} → {' + '.join(scored[task])}" if task in scored else task


def plan_text(content: PlanList) -> str:
    """Return the plan for people: the design first, then one line a run."""
    shared = len(content.runs) - content.distinct
    sharing = f" ({shared} shared by arms that do not differ for a task)" if shared else ""
    lines = [
        f"{content.study}: {' '.join(content.question.split())}",
        f"model    {content.model}",
        f"profile  {content.profile}",
        f"{'blocks' if content.pretrainings else 'seeds '}   {describe_blocks(content.seeds, content.pretrainings)}",
        f"tasks    {', '.join(_with_scored(task, content.scored) for task in content.tasks)}"
        + _absent_text(content.absent),
        f"runs     {content.distinct}{sharing}",
    ]
    lines += (
        [f"left out {', '.join(content.left_out)} (only on the testbed, or where arms have several learning rates)"]
        if content.left_out
        else []
    )
    lines += [f"open     {', '.join(content.holes)}: settings are still to be chosen"] if content.holes else []
    if content.seconds is not None:
        lines += [f"cost     about {clock(content.seconds)} of one worker, by {content.past} past runs"]
    if content.looks:
        noun = "blocks" if content.pretrainings else "seeds"
        lines += [
            f"looks    after {_numbers(content.looks)} {noun}: it ends where every comparison is answered, and these "
            "are the most runs that it can have"
        ]
    lines += _search_text(content.search)
    lines += [f"warning  {content.warning}"] if content.warning else []
    lines += _precision_text(content)
    lines += _arms_text(content.arms)
    width = max(map(len, (*content.tasks, "task"))) + 2
    lines += ["", f"{'id':<18}{'seed':<7}{'task':<{width}}arm"]
    lines += [f"{run.id:<18}{run.seed:<7}{run.task:<{width}}{run.arm}" for run in content.runs]
    return "\n".join(lines)


def _search_text(search: PlannedSearch | None) -> list[str]:
    """Return two lines on the search for learning rates; none where there is none."""
    if search is None:
        return []
    cost = f", about {clock(search.seconds)} of one worker" if search.seconds is not None else ""
    return [
        f"rates    tuned: first {search.distinct} more runs{cost}, which try {_numbers(search.grid)} for "
        f"{', '.join(search.starts)} on other seeds ({_numbers(search.seeds)}) and held-out rows",
        "         the learning rates below, and with them the ids, change with what is found; one rate for all arms: "
        "--set training.learning_rate=…",
    ]


def _precision_text(content: PlanList) -> list[str]:
    """Return a line a comparison: how wide its interval should become, or why that cannot be foreseen."""
    if not content.precision:
        return []
    if all(one.past is None for one in content.precision):
        return [f"noise    widths of intervals cannot be foreseen: {content.precision[0].missing}"]
    noun = "block" if content.pretrainings else "seed"
    each = "how many, each on a model of its own," if content.pretrainings else "how many"
    lines = [
        f"noise    half-widths of the 95 % intervals with the planned {noun}s, by past studies; and {each} for "
        f"± {content.margin:g} point{'s' * (content.margin != 1)}"
    ]
    width = min(LONGEST_NAME, max(len(one.arm) for one in content.precision))
    for one in content.precision:
        measure = MEASURES[one.measure]
        wide = one.missing or f"± {number(one.half_width, measure.unit)} {measure.unit}"
        needed = f"; {one.needed:,} for the margin" if one.needed is not None else ""
        past = f" ({one.past})" if one.past else ""
        lines.append(f"    {one.arm:<{width}}  {measure.label:<7}  {wide}{needed}{past}")
    return lines


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _arms_text(arms: tuple[PlanArm, ...]) -> list[str]:
    """Return a line an arm: what it changes, unless its name has it, and its learning rates, unless all share them."""
    shared = "" if any(arm.is_step_matched for arm in arms) else shared_rates(arm.rates for arm in arms)
    width = min(LONGEST_NAME, max(len(arm.name) for arm in arms))
    lines = [f"arms     all with {shared}" if shared else "arms"]
    for arm in arms:
        changes = ", ".join(f"{key}={value}" for key, value in arm.changes.items()) or "the base"
        parts = [] if changes in arm.name.replace(" · ", ", ") else [changes]
        parts += [f"method {arm.method}"] if arm.method and arm.method != arm.name else []
        parts += [] if shared else [rates_in_words(arm.rates)]
        parts += ["rescaled in each run to match PiSSA's first steps"] if arm.is_step_matched else []
        lines.append(f"    {arm.name:<{width}}  {'; '.join(filter(None, parts))}".rstrip())
    return lines
