"""What `study list` and `study plan` show: frozen records and their text; torch-free."""

from dataclasses import dataclass
from typing import Any

from balora.report.words import rates_in_words
from balora.study.arms import design_arms
from balora.study.blocks import in_words
from balora.study.finding import find_study, shipped
from balora.study.layers import dotted
from balora.study.plan import Plan
from balora.study.profiles import PROFILES
from balora.study.testbed_profiles import TESTBED_PROFILES
from balora.tasks.catalogue import find_task


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
    """What can be run without writing a file."""

    studies: tuple[StudyLine, ...]
    profiles: dict[str, str]
    """On the testbed."""
    model_profiles: dict[str, str]
    """Of a model of one's own."""


@dataclass(frozen=True)
class PlanArm:
    """One arm of a plan."""

    name: str
    method: str | None
    changes: dict[str, Any]
    """Dotted settings in which it differs from the base."""
    rates: dict[str, tuple[float, ...]]
    """Learning rates of its runs, by family of tasks."""


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
    absent: tuple[str, ...]
    arms: tuple[PlanArm, ...]
    distinct: int
    """Runs to carry out, shared ones counted once."""
    runs: tuple[PlanRun, ...]


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
        lines += [one.study, f"    {one.question}", f"    {one.base} against {', '.join(one.arms)}"]
    for title, profiles in (("on the testbed", content.profiles), ("with --model", content.model_profiles)):
        lines += ["", f"profiles {title}"]
        lines += [f"    {name:<10}{about}" for name, about in profiles.items()]
    return "\n".join(lines)


def describe_plan(plan: Plan) -> PlanList:
    """Return what a plan shows."""
    rates = _rates(plan)
    return PlanList(
        study=plan.study.study,
        question=plan.study.question,
        model=plan.choices.model,
        profile=plan.choices.profile,
        seeds=plan.seeds,
        pretrainings=plan.pretrainings,
        tasks=plan.tasks.present,
        absent=plan.tasks.absent,
        arms=tuple(PlanArm(arm.name, arm.method, dotted(arm.delta), rates[arm.name]) for arm in plan.arms),
        distinct=len(plan.distinct),
        runs=tuple(PlanRun(run.id, run.seed, run.task, run.arm) for run in plan.runs),
    )


def _rates(plan: Plan) -> dict[str, dict[str, tuple[float, ...]]]:
    """Return arm → family → learning rates; one block tells, as the others differ in their seeds alone."""
    found: dict[str, dict[str, set[float]]] = {arm.name: {} for arm in plan.arms}
    for run in plan.runs[: len(plan.arms) * len(plan.tasks.present)]:
        found[run.arm].setdefault(find_task(run.task).family, set()).add(run.column.training.learning_rate)
    return {
        arm: {family: tuple(sorted(rates)) for family, rates in by_family.items()} for arm, by_family in found.items()
    }


def plan_text(content: PlanList) -> str:
    """Return the plan for people: the design first, then one line a run."""
    shared = len(content.runs) - content.distinct
    sharing = f" ({shared} shared by arms that do not differ for a task)" if shared else ""
    lines = [
        f"{content.study}: {content.question}",
        f"model    {content.model}",
        f"profile  {content.profile}",
        f"blocks   {in_words(content.seeds, content.pretrainings)}",
        f"tasks    {', '.join(content.tasks)}"
        + (f"   not found: {', '.join(content.absent)}" if content.absent else ""),
        f"runs     {content.distinct}{sharing}",
        "arms",
    ]
    for arm in content.arms:
        changes = ", ".join(f"{key}={value}" for key, value in arm.changes.items()) or "the base"
        method = f"   (method {arm.method})" if arm.method and arm.method != arm.name else ""
        lines.append(f"    {arm.name:<26}{changes}{method}; {rates_in_words(arm.rates)}")
    width = max(map(len, (*content.tasks, "task"))) + 2
    lines += ["", f"{'id':<18}{'seed':<7}{'task':<{width}}arm"]
    lines += [f"{run.id:<18}{run.seed:<7}{run.task:<{width}}{run.arm}" for run in content.runs]
    return "\n".join(lines)
