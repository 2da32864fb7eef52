"""Cases that the tests of reports share: plans, made-up records, and dossiers of them."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from balora.report.page.html import draw
from balora.report.records.curves import Curve, Curves
from balora.report.records.dossier import Dossier, assemble
from balora.report.records.report import Report, build
from balora.study.design.reading import find_study
from balora.study.design.study import Study
from balora.study.design.without_testbed import without_own_rates
from balora.study.plan.plan import Choices, Plan, make_plan
from balora.study.plan.rates import RateSearch
from balora.study.plan.suites import Tasks
from balora.study.store.study_folder import StudyRecord, describe, write_study_record
from balora.tasks.catalogue import find_task
from balora.training.record import Cost, RunError, RunRecord, TermSummary, write_record
from balora.training.spec import RunSpec

TASKS = Tasks(("cola", "rte", "gsm8k"), ("mnli",))
OF_STARTS = {"pissa": 1e-3, "standard": 2e-3}
SEARCH = RateSearch(
    grid=(5e-4, 1e-3, 2e-3, 4e-3), seeds=(9001,), criteria={}, points=(), rates={"nlu": OF_STARTS, "nlg": OF_STARTS}
)
"""Gives each start a rate of its own, and shows nothing."""
Score = Callable[[str, str, int], float]
"""(arm, task, seed) → score"""


def prints(spec: RunSpec) -> dict[str, str]:
    return {"model": "m0del", "data": f"rows of {spec.task}", "code": "c0de"}


def plan_of(name: str = "pissa-initialization", seeds: int = 3) -> Plan:
    study = without_own_rates(find_study(name))[0]  # of `pissa-initialization`, the plain 2×2
    plan = make_plan(study, Choices("a/model", seeds=seeds, rates=SEARCH.rates), TASKS, prints)
    return plan._replace(rate_search=SEARCH)


def records(plan: Plan, score: Score) -> dict[str, RunRecord]:
    return {
        run.id: RunRecord(
            id=run.id,
            spec=run.spec,
            status="ok",
            score=score(run.arm, run.task, run.seed),
            metrics={"answer_loss": score(run.arm, run.task, run.seed) / 10}
            if find_task(run.task).family == "nlg"
            else {},
            terms={"consistency": TermSummary(weight=0.15, first=0.0, last=2.0, mean=1.0, gradient_share=0.02)},
            inactive={"spectral": "k ≥ D"} if run.task == "cola" else {},
            notes=[f"{run.seed} of 9.5e3 rows left out"],
            cost=Cost(train_seconds=2.0, eval_seconds=1.0, setup_seconds=0.5, peak_memory_mb=100.0, steps=5),
            fingerprints=plan.fingerprints[run.task],
        )
        for run in plan.runs
    }


def report_of(plan: Plan, runs: dict[str, RunRecord], faulty: dict[str, str] | None = None) -> Report:
    record = StudyRecord(**json.loads(describe(plan, "balora study run x").model_dump_json()))
    return build(record, runs, faulty or {})


def additive(arm: str, task: str, seed: int) -> float:
    """Arms and tasks add up exactly; seeds disturb every arm alike, and the base's interaction is 4 points."""
    of_arm = {"ba-lora": 60, "standard-initialization": 50, "no-regularizers": 55, "plain-lora": 49}[arm]
    return of_arm + {"cola": -10, "rte": 10, "gsm8k": -20}[task] + {42: 0, 1024: 3, 2024: 7}[seed]


EVIL = "<script>alert(1)</script>"
EVIL_TOO = '</script><img src=x onerror="alert(2)"> & "quoted" \\n'


def noisy(arm: str, task: str, seed: int) -> float:
    """Arms and tasks add up, with a little of every seed in every arm, so that intervals have a width."""
    of_arm = {"ba-lora": 60, "standard-initialization": 50, "no-regularizers": 55, "plain-lora": 49}[arm]
    of_task = {"cola": -10, "rte": 10, "gsm8k": -20}[task]
    return of_arm + of_task + seed % 11 + (hash_of(arm, task) * seed) % 17 / 9


def hash_of(*words: str) -> int:
    return sum(ord(character) * (place + 1) for place, character in enumerate("".join(words))) % 23 + 1


def record_of(plan: Plan) -> StudyRecord:
    return StudyRecord(**json.loads(describe(plan, "balora study run x").model_dump_json()))


def dossier_of(plan: Plan, runs: dict[str, RunRecord], curves: Curves | None = None) -> Dossier:
    record = record_of(plan)
    return assemble(record, runs, build(record, runs, {}), curves or some_curves(plan))


def some_curves(plan: Plan) -> Curves:
    """Every arm: a loss that falls, one term and its share."""
    found = [
        Curve(arm.name, family, quantity, (1, 16, 31), (3.0 + i, 1.5 + i / 2, 1.25), 6)
        for family in ("nlu", "nlg")
        for i, arm in enumerate(plan.arms)
        for quantity in ("loss", "task", "consistency", "task_share", "consistency_share")
    ]
    return Curves(tuple(found))


@cache
def rich() -> Dossier:
    """A 2×2 over eight seeds, with an inactive term, behaviour, notes, a failed run and a missing one."""
    plan = plan_of(seeds=8)
    runs = records(plan, noisy)
    for run in plan.runs:
        values = {"ece": 0.1 + hash_of(run.arm) / 300 + run.seed % 7 / 90}
        runs[run.id] = runs[run.id].replace(behaviour=values, versions={"torch": "2.13.0"})
    failed, missing = plan.runs[-1].id, plan.runs[-5].id
    error = RunError(kind="TrainingError", message=f"loss is NaN at step 3 in {EVIL}")
    runs[failed] = runs[failed].replace(status="failed", score=None, metrics={}, error=error)
    del runs[missing]
    return dossier_of(plan, runs)


@cache
def rich_page() -> str:
    """The page of the rich study."""
    return draw(rich())


@cache
def swept() -> Dossier:
    """Ranks 2 to 64 about the base's 8, and λ of consistency from 0 over three decades."""
    arms = {f"rank-{rank}": {"set": {"adapter.rank": rank}} for rank in (2, 4, 32, 64)}
    arms |= {f"weight-{w:g}": {"set": {"objective.consistency.weight": w}} for w in (0.0, 0.001, 0.01, 1.0)}
    plan = study_of(arms)
    return dossier_of(plan, records(plan, lambda a, t, s: 50 + hash_of(a) / 3 + s % 11 + hash_of(a) * s % 7 / 5))


def study_of(arms: dict[str, Any], **more: Any) -> Plan:
    study = Study(**{"study": "made-up", "question": "What if?", "base": "ba-lora", "arms": arms, **more})
    return make_plan(study, Choices("a/model", seeds=3), TASKS, prints)


def hostile(monkeypatch: pytest.MonkeyPatch) -> Dossier:
    """Markup wherever a study's files can put text: names of arms, factors, levels and tasks, errors, notes."""
    import balora.tasks.catalogue as catalogue

    monkeypatch.setitem(catalogue.TASKS, EVIL, catalogue.TASKS["cola"]._replace(name=EVIL))
    study = Study(
        study=EVIL_TOO,
        question=f"Is {EVIL} safe?",
        base="ba-lora",
        arms={
            EVIL: {"set": {"adapter.rank": 4}},
            EVIL_TOO: {"set": {"adapter.rank": 32}, "ablation": {"part": EVIL, "action": "remove"}},
        },
        factors={EVIL: {f"a {EVIL}": {"adapter.init": "pissa"}, f"b {EVIL_TOO}": {"adapter.init": "standard"}}},
    )
    tasks = TASKS._replace(present=(EVIL, "gsm8k"), absent=(EVIL_TOO,))
    plan = make_plan(study, Choices(EVIL, seeds=3), tasks, prints)
    runs = records(plan, lambda a, t, s: 40 + hash_of(a, t) + s % 5)
    first = plan.runs[1].id
    runs[first] = runs[first].replace(status="failed", score=None, error=RunError(kind=EVIL, message=EVIL_TOO))
    runs = {name: run.replace(notes=[EVIL], inactive={"spectral": EVIL_TOO}) for name, run in runs.items()}
    return dossier_of(plan, runs)


def crowded(arms: int) -> Dossier:
    """The rich study with so many copies of one arm, as a grid of thousands would have."""
    dossier = rich()
    report = dossier.report
    copy, names = report.arms[1], [f"arm {i}" for i in range(arms)]
    more: Report = replace(
        report,
        arms=(*report.arms, *(replace(copy, name=name, cell=None) for name in names)),
        differences=tuple(replace(one, arm=n) for one in report.differences if one.arm == copy.name for n in names),
        inherited=(
            *report.inherited,
            *(replace(o, arm=n) for o in report.inherited if o.arm == copy.name for n in names),
        ),
        costs=(*report.costs, *(replace(report.costs[0], arm=name) for name in names)),
        shares=tuple(replace(report.shares[0], arm=name) for name in names),
        failures=tuple(replace(report.failures[0], arm=name) for name in names),
        unreadable=tuple(f"runs/{name}: torn" for name in names),
    )
    return replace(dossier, report=more, by_task=tuple(replace(dossier.by_task[0], arm=name) for name in names))


def numbers_of(dossier: Dossier) -> set[float]:
    """Every number of the frozen records behind a page."""

    def walk(value: Any) -> Iterator[float]:
        if isinstance(value, dict):
            for inner in value.values():
                yield from walk(inner)
        elif isinstance(value, list | tuple):
            for inner in value:
                yield from walk(inner)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield float(value)

    margin = dossier.report.margin
    parts = (dossier.report, {"nats": margin / 100}, *dossier.by_task, *dossier.sweeps, dossier.curves)
    return {number for part in parts for number in walk(part if isinstance(part, dict) else asdict(part))}


def write_study(folder: Path, plan: Plan, runs: dict[str, RunRecord]) -> None:
    """Write the study and its runs as `study run` leaves them."""
    folder.mkdir(parents=True, exist_ok=True)
    write_study_record(folder, describe(plan, "balora study run x"))
    for planned in plan.runs:
        if planned.id in runs:
            runs[planned.id] = write_record(runs[planned.id], folder / planned.folder)
