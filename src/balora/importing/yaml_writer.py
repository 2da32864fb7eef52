"""Write an imported plan as a study file in YAML, with the plan's own words as safely quoted comments."""

import json
import textwrap
from collections.abc import Iterator
from typing import Any

import yaml

from balora.importing.clean_text import one_line
from balora.importing.imported_arms import BASE, Imported, PlannedArm, slug
from balora.settings import number
from balora.study.design.study import HOLE

WIDTH = 110
NAMED_PARTS = 3
"""Parts that the study's question names."""
LONGEST = 300
"""Characters of the plan's words in a field; longer texts are cut."""


def study_text(plan: Imported) -> str:
    """Return the study file of ``plan``."""
    judged = plan.judged
    lines = [*_header(plan), f"study: {scalar(study_name(plan))}", f"question: {scalar(question(plan))}"]
    lines += [f"suites: [{', '.join(judged.suites)}]"]
    lines += [f"metrics: [{', '.join(judged.metrics)}]"]
    if judged.tasks:
        lines += comment("With --model, uncomment this to run only the tasks that the plan names:")
        lines += [f"# tasks: [{', '.join(judged.tasks)}]"]
    lines += [f"base: {BASE}", "arms:"]
    for arm in plan.arms:
        lines += [f"  {line}" for line in _arm(arm)]
    return "\n".join(lines) + "\n"


def study_name(plan: Imported) -> str:
    """Return the study's name, after the paper or the file."""
    last = (plan.paper or plan.source).replace("\\", "/").rstrip("/").split("/")[-1]
    stem = last.rsplit(".", 1)[0] if not plan.paper else last
    return slug(stem.replace("_", " "), 60) or "imported-plan"


def question(plan: Imported) -> str:
    """Return the study's question, which names the first parts of the plan."""
    parts = list(dict.fromkeys(_short(arm.part.rstrip(". "), 80) for arm in plan.arms))
    more = f"; and {len(parts) - NAMED_PARTS} more" if len(parts) > NAMED_PARTS else ""
    return f"What does BA-LoRA owe to each part that the plan changes: {'; '.join(parts[:NAMED_PARTS])}{more}?"


def _header(plan: Imported) -> Iterator[str]:
    yield from comment(
        f"Imported by `balora study import` from {plan.source}" + (f", paper {plan.paper}" if plan.paper else "")
    )
    yield from comment(f"{len(plan.arms)} arms, {len(plan.holes)} of them with settings left open.")
    if plan.holes:
        yield from comment(f"Fill in every `set: {HOLE}`: until then `balora study run` refuses this study.")
    for change, why in plan.left_out:
        yield from comment(f"Left out: {change}: {why}.")
    for words, metric in plan.judged.known.items():
        yield from comment(f"Metric: {words} is {metric}.")
    for words in plan.judged.unknown:
        yield from comment(f"Unknown metric, left out: {words}.")
    if not plan.judged.known:
        yield from comment("balora knows none of the plan's metrics, so the study is judged by both averages.")


def _arm(arm: PlannedArm) -> Iterator[str]:
    yield f"{scalar(arm.name)}:"
    notes = [f"plan: {arm.block}"] if arm.block else []
    notes += [f"the same: {change}" for change in arm.also]
    if arm.set is not None:
        notes += [f"note: {arm.note}"] if arm.note else []
    else:
        notes += [f"left open: {arm.note}", f"settings that may fit: {', '.join(compact(arm.may_stand))}"]
    yield from (f"  {line}" for text in notes for line in comment(text))
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
    """Return dotted keys with the keys of one group joined: `adapter.{rank, alpha}`."""
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
    """Return ``value`` as YAML on one line, valid inside braces too."""
    if isinstance(value, list):
        return f"[{', '.join(map(scalar, value))}]"
    if _reads_as_number(value):
        return json.dumps(value)
    written = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=10**9)
    return written.strip()[1:-1]


def _reads_as_number(value: Any) -> bool:
    """Return whether a study file would take a text for a number, as with `1e3`, which PyYAML takes for text."""
    try:
        return isinstance(value, str) and number(value) is not None
    except ValueError:  # a number out of range
        return True


def _short(text: str, longest: int = LONGEST) -> str:
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"
