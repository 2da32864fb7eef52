"""A plan's study as YAML text, with the plan's own words as comments that nothing in them can break."""

import textwrap
from collections.abc import Iterator
from typing import Any

import yaml

from balora.importing.arm_names import slug
from balora.importing.clean_text import one_line
from balora.importing.imported_arms import BASE, Imported, PlannedArm
from balora.study.design.study import HOLE

WIDTH = 110
NAMED = 3
"""Parts that the study's question names."""
LONGEST = 300
"""Letters of the plan's words that a field keeps."""


def study_text(plan: Imported) -> str:
    """Return the study file of ``plan``."""
    judged = plan.judged
    lines = [*_header(plan), f"study: {scalar(study_name(plan))}", f"question: {scalar(question(plan))}"]
    lines += [f"suites: [{', '.join(judged.suites)}]"]
    lines += [f"metrics: [{', '.join(judged.metrics)}]"]
    if judged.tasks:
        lines += comment("With --model, for the tasks alone that the plan names:")
        lines += [f"# tasks: [{', '.join(judged.tasks)}]"]
    lines += [f"base: {BASE}", "arms:"]
    for arm in plan.arms:
        lines += [f"  {line}" for line in _arm(arm)]
    return "\n".join(lines) + "\n"


def study_name(plan: Imported) -> str:
    """Return the study's name, from the paper's or the file's."""
    last = (plan.paper or plan.source).replace("\\", "/").rstrip("/").split("/")[-1]
    stem = last.rsplit(".", 1)[0] if not plan.paper else last
    return slug(stem.replace("_", " "), 60) or "imported-plan"


def question(plan: Imported) -> str:
    """Return the study's question, which names the first parts of the plan."""
    parts = list(dict.fromkeys(_short(arm.part.rstrip(". "), 80) for arm in plan.arms))
    more = f"; and {len(parts) - NAMED} more" if len(parts) > NAMED else ""
    return f"What does BA-LoRA owe to each part that the plan changes: {'; '.join(parts[:NAMED])}{more}?"


def _header(plan: Imported) -> Iterator[str]:
    yield from comment(
        f"Imported by `balora study import` from {plan.source}" + (f", paper {plan.paper}" if plan.paper else "")
    )
    yield from comment(f"Arms: {len(plan.arms)}, of which {len(plan.holes)} are left open.")
    if plan.holes:
        yield from comment(f"`study run` refuses the study while settings are left open (`set: {HOLE}`).")
    for said, why in plan.left_out:
        yield from comment(f"Left out: {said}: {why}.")
    for said, metric in plan.judged.known.items():
        yield from comment(f"Metric: {said} is {metric}.")
    for said in plan.judged.unknown:
        yield from comment(f"Metric that no study is judged by, left out: {said}.")
    if not plan.judged.known:
        yield from comment("No metric of the plan is known here: judged by both averages.")


def _arm(arm: PlannedArm) -> Iterator[str]:
    yield f"{scalar(arm.name)}:"
    said = [f"plan: {arm.block}"] if arm.block else []
    said += [f"the same: {words}" for words in arm.also]
    if arm.set is not None:
        said += [f"note: {arm.note}"] if arm.note else []
    else:
        said += [f"left open: {arm.note}", f"may stand here: {', '.join(compact(arm.may_stand))}"]
    yield from (f"  {line}" for text in said for line in comment(text))
    if arm.action is not None:
        yield "  ablation:"
        yield f"    part: {scalar(_short(arm.part))}"
        yield f"    action: {arm.action}"
        if arm.replacement:
            yield f"    replacement: {scalar(_short(arm.replacement))}"
        elif arm.action == "replace":
            yield "    replacement: not named in the plan"
    else:
        yield from (f"  {line}" for line in comment(f"{arm.part} → {arm.replacement}"))
    settings = [f"{key}: {scalar(value)}" for key, value in (arm.set or {}).items()]
    yield f"  set: {{{', '.join(settings)}}}" if settings else f"  set: {HOLE}"


def compact(keys: tuple[str, ...]) -> list[str]:
    """Return dotted keys with those of one group together: `adapter.{rank, alpha}`."""
    groups: dict[str, list[str]] = {}
    for key in keys:
        group, _, name = key.rpartition(".")
        groups.setdefault(group, []).append(name)
    return [
        f"{group}.{{{', '.join(names)}}}"
        if group and len(names) > 1
        else ", ".join(f"{group}.{name}".lstrip(".") for name in names)
        for group, names in groups.items()
    ]


def comment(text: str) -> list[str]:
    """Return ``text`` as YAML comment lines."""
    return textwrap.wrap(
        one_line(text), WIDTH, initial_indent="# ", subsequent_indent="#   ", break_on_hyphens=False
    ) or ["#"]


def scalar(value: Any) -> str:
    """Return ``value`` as it is written on one line of YAML, inside braces too."""
    if isinstance(value, list):
        return f"[{', '.join(map(scalar, value))}]"
    written = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=10**9)
    return written.strip()[1:-1]


def _short(text: str, longest: int = LONGEST) -> str:
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"
