"""Summarise an imported plan, as text for people and as JSON content for programs."""

from collections.abc import Iterator
from typing import Any

from balora.importing.imported_arms import Imported, in_short
from balora.importing.yaml_writer import compact, scalar
from balora.study.design.study import HOLE


def summary(plan: Imported) -> str:
    """Return the arms with their settings, the open arms with settings that may fit, and the metrics."""
    return "\n".join(_summary_lines(plan))


def _summary_lines(plan: Imported) -> Iterator[str]:
    yield f"{plan.source}: {len(plan.arms)} arms against ba-lora, {len(plan.bound)} bound, {len(plan.holes)} left open"
    for arm in plan.bound:
        settings = ", ".join(f"{key}: {scalar(value)}" for key, value in (arm.set or {}).items())
        yield f"\n{arm.name}: {settings}"
        yield f"  {in_short(arm.part, arm.action, arm.replacement)}"
        yield from (f"  the same: {change}" for change in arm.also)
        if arm.note:
            yield f"  note: {arm.note}"
    for arm in plan.holes:
        yield f"\n{arm.name}: {HOLE}"
        yield f"  {in_short(arm.part, arm.action, arm.replacement)}"
        yield f"  left open: {arm.note}"
        yield f"  settings that may fit: {', '.join(compact(arm.may_stand))}"
    for change, why in plan.left_out:
        yield f"\nleft out: {change}: {why}"
    judged = plan.judged
    unknown = "" if judged.known else " (balora knows none of the plan's metrics)"
    yield f"\nmetrics: {', '.join(judged.metrics)}{unknown}"
    if judged.tasks:
        yield f"  tasks that the plan names: {', '.join(judged.tasks)} (in the averages, and listed in the report)"
    if judged.unknown:
        yield f"  unknown metrics, left out: {'; '.join(judged.unknown)}"


def content(plan: Imported, text: str) -> dict[str, Any]:
    """Return everything about an import for JSON, with the study file's text."""
    return {
        "source": plan.source,
        "paper": plan.paper or None,
        "arms": [arm._asdict() for arm in plan.arms],
        "bound": len(plan.bound),
        "open": len(plan.holes),
        "left_out": [{"words": change, "why": why} for change, why in plan.left_out],
        "metrics": plan.judged.known,
        "unknown_metrics": plan.judged.unknown,
        "tasks": plan.judged.tasks,
        "study": text,
    }
