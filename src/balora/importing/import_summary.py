"""What an import made of a plan, as text and as content for programs."""

from collections.abc import Iterator
from typing import Any

from balora.importing.imported_arms import Imported, words
from balora.importing.yaml_writer import compact, scalar
from balora.study.design.study import HOLE


def summary(plan: Imported) -> str:
    """Return what was recognised, what is left open and what may stand there, and the metrics."""
    return "\n".join(_lines(plan))


def _lines(plan: Imported) -> Iterator[str]:
    yield f"{plan.source}: {len(plan.arms)} arms against ba-lora, {len(plan.bound)} bound, {len(plan.holes)} left open"
    for arm in plan.bound:
        settings = ", ".join(f"{key}: {scalar(value)}" for key, value in (arm.set or {}).items())
        yield f"\n{arm.name}: {settings}"
        yield f"  {words(arm.part, arm.action, arm.replacement)}"
        yield from (f"  the same: {said}" for said in arm.also)
        if arm.note:
            yield f"  note: {arm.note}"
    for arm in plan.holes:
        yield f"\n{arm.name}: {HOLE}"
        yield f"  {words(arm.part, arm.action, arm.replacement)}"
        yield f"  left open: {arm.note}"
        yield f"  may stand there: {', '.join(compact(arm.may_stand))}"
    for said, why in plan.left_out:
        yield f"\nleft out: {said}: {why}"
    judged = plan.judged
    yield f"\nmetrics: {', '.join(judged.metrics)}" + ("" if judged.known else " (the plan names none that is known)")
    if judged.tasks:
        yield f"  tasks named: {', '.join(judged.tasks)}: in the averages, and in the report by themselves"
    if judged.unknown:
        yield f"  not known, left out: {'; '.join(judged.unknown)}"


def content(plan: Imported, text: str) -> dict[str, Any]:
    """Return everything about an import, with the study file's text."""
    return {
        "source": plan.source,
        "paper": plan.paper or None,
        "arms": [arm._asdict() for arm in plan.arms],
        "bound": len(plan.bound),
        "open": len(plan.holes),
        "left_out": [{"words": said, "why": why} for said, why in plan.left_out],
        "metrics": plan.judged.known,
        "unknown_metrics": plan.judged.unknown,
        "tasks": plan.judged.tasks,
        "study": text,
    }
