"""A study whose every text is an attack: names of arms, factors, levels and tasks, errors, notes, versions, command."""

import json
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from balora.report.records.curves import Curve, Curves
from balora.report.records.dossier import Dossier, assemble
from balora.report.records.report import build
from balora.study.design.study import Study
from balora.study.plan.plan import Choices, Plan, make_plan
from balora.study.plan.suites import Tasks
from balora.study.store.study_folder import StudyRecord, describe
from balora.training.record import Cost, RunError, RunRecord, TermSummary

ATTACKS = {
    "escape": "\x1b[31mred\x1b[0m",
    "title": "\x1b]0;owned\x07",
    "link": "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "c1": "\x9b31m",
    "nul": "a\x00b",
    "newline": "a\nb",
    "return": "safe\rEVIL",
    "tab": "a\tb",
    "vertical": "a\x0b\x0cb",
    "backspace": "abc\x08\x08\x08xyz",
    "delete": "a\x7fb",
    "bidi": "abc\u202efed",
    "isolate": "a\u2066b\u2069",
    "separator": "a\u2028b\u2029c",
    "surrogate": "half \ud83d",
    "byte": "caf\udce9",
    "noncharacter": "a\ufffeb\uffff",
    "script": "<script>canary = 1</script>",
    "closing": "</script></style></title></pre></svg><img src=x onerror='canary = 2'>",
    "comment": "--><!-- ]]> <![CDATA[x]]>",
    "quotes": '" onmouseover="canary = 3" x=\'',
    "entity": "&lt;b&gt; &#60;script&#62;",
    "remote": '<link rel=stylesheet href="http://evil.example/x.css"><iframe src="//evil.example">',
    "image": "![x](http://evil.example/x.png) [y](javascript:canary=4)",
    "fence": "```\n<script>canary = 5</script>\n````",
    "pipe": "a|b||c",
    "template": "{{ 7 * 7 }} {% raw %} ${7*7} #{7*7} {{constructor}}",
    "shell": "$(touch canary) `touch canary`; touch canary",
    "latex": "\\input{/etc/passwd} \\write18{touch canary} %&_#^~{}$x$",
    "formula": '=HYPERLINK("http://evil.example")',
    "plus": "+1+cmd|' /C calc'!A0",
    "minus": "-2+3+cmd|' /C calc'!A0",
    "at": "@SUM(1+1)*cmd|' /C calc'!A0",
    "tabbed": "\t=1+1",
    "returned": "\r=1+1",
    "wide": "＝1+1",
    "vega": "datum['x'].y[0] \\' + event.view.alert(1) + \\'",
    "field": "a.b[0]\\.c'd\"e",
    "prototype": "__proto__",
    "markup": "[bold red]x[/] :bomb: [link=http://evil.example]y[/link]",
    "list": "1. - # = +",
    "right-to-left": "שלום سلام",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈",
    "combining": "e" + "\u0301" * 60,
    "long": "long" * 500,
    "wordy": "word " * 400 + "end",
}
"""What may stand in a name, by what it attacks."""
TASK_ATTACKS = ("script", "nul", "formula")
"""Those that are tasks, too."""


def _name(place: int) -> str:
    return f"ARM{place:03}X"


NAMES = {_name(place): f"{attack}·{place}" for place, attack in enumerate(ATTACKS.values())}
"""The name of each arm in the plan, and the hostile one that it has in the dossier: different, whatever is escaped."""


def hostile_name(kind: str) -> str:
    """Return the name of the arm that attacks by ``kind``."""
    return NAMES[_name(list(ATTACKS).index(kind))]


def attacked(value: Any) -> Any:
    """Return frozen records with the hostile name wherever a name of the plan is part of a text."""
    if isinstance(value, str):
        for plain, hostile in NAMES.items() if "ARM" in value else ():
            value = value.replace(plain, hostile)
        return value
    if isinstance(value, RunRecord):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: attacked(getattr(value, field.name)) for field in fields(value)})
    if isinstance(value, dict):
        return {attacked(key): attacked(inner) for key, inner in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(attacked, value))
    return tuple(map(attacked, value)) if isinstance(value, tuple) else value


def study_plan(patch: pytest.MonkeyPatch, arms: list[str]) -> Plan:
    """Return a plan with ``arms``, a factorial, a sweep and hostile tasks."""
    import balora.tasks.catalogue as catalogue

    tasks = [ATTACKS[kind] for kind in TASK_ATTACKS]
    for task in tasks:
        patch.setitem(catalogue.TASKS, task, catalogue.TASKS["cola"]._replace(name=task))
    starts = zip(arms[:2], ("pissa", "standard"), strict=True)
    levels = {f"level {name}": {"adapter.init": start} for name, start in starts}
    study = Study(
        study=arms[0],
        question=f"What of {arms[0]} and {arms[1]}?",
        base="ba-lora",
        arms={name: {"set": {"adapter.rank": place + 100}} for place, name in enumerate(arms)},
        factors={arms[-1]: levels},
    )
    return make_plan(study, Choices("a/model", seeds=3), Tasks((*tasks, "gsm8k"), ()), lambda spec: {"model": "m"})


def study_runs(plan: Plan) -> dict[str, RunRecord]:
    """Return a record of every run; the first one failed."""
    attack = " ".join(ATTACKS.values())
    runs = {
        run.id: RunRecord(
            id=run.id,
            spec=run.spec,
            status="ok",
            score=40.0 + len(run.task) % 7 + run.seed % 11 + sum(map(ord, run.arm)) % 13,
            metrics={"answer_loss": run.seed % 7 / 10} if run.task == "gsm8k" else {},
            behaviour={"ece": run.seed % 7 / 90},
            terms={"consistency": TermSummary(weight=0.15, first=0.0, last=2.0, mean=1.0, gradient_share=0.02)},
            inactive={"spectral": attack},
            notes=[attack],
            versions={"torch": attack},
            cost=Cost(train_seconds=2.0, eval_seconds=1.0, setup_seconds=0.5, peak_memory_mb=100.0, steps=5),
        )
        for run in plan.runs
    }
    first = plan.runs[0].id
    error = RunError(kind=ATTACKS["script"], message=attack)
    runs[first] = runs[first].replace(status="failed", score=None, metrics={}, error=error)
    return runs


def hostile_dossier(patch: pytest.MonkeyPatch, arms: list[str] | None = None) -> Dossier:
    """Return the dossier of the hostile study, with so many of its ``arms`` (plain names; by default all)."""
    names = arms or list(NAMES)
    plan = study_plan(patch, names)
    runs = study_runs(plan)
    record = StudyRecord(**json.loads(describe(plan, "balora study run x").model_dump_json()))
    record = record.model_copy(
        update={
            "model": ATTACKS["closing"],
            "command": " ".join(ATTACKS[kind] for kind in ("fence", "script", "escape", "shell")),
            "versions": dict.fromkeys(("balora", ATTACKS["script"]), ATTACKS["closing"]),
            "absent": (ATTACKS["image"], ATTACKS["escape"]),
        }
    )
    quantities = ("loss", "task", "consistency", "task_share", "consistency_share")
    curves = Curves(
        tuple(
            Curve(arm, "nlg", quantity, (1, 16), (3.0 + place, 1.5), 6)
            for place, arm in enumerate(names)
            for quantity in quantities
        )
    )
    return attacked(assemble(record, runs, build(record, runs, {plan.runs[0].id: ATTACKS["script"]}), curves))
