"""Choose the runs that one worker carries out together, on one base in memory (`--together`); torch-free."""

from balora.study.engine.protocol import Job
from balora.training.spec import RunSpec

OF_ARMS = (
    "learning_rate",
    "step_matching",
    "lr_schedule",
    "warmup",
    "weight_decay",
    "label_smoothing",
    "l2_start",
    "max_grad_norm",
)
"""The settings of a training in which runs together may differ: no base, batch or number of steps depends on them."""


def next_group(waiting: list[Job], most: int) -> list[Job]:
    """Take the last of ``waiting`` from it, and with it up to ``most`` - 1 more that can share its base.

    A plan lists all arms of a task in a block one after the other, so that the search ends where these end.
    """
    first = waiting.pop()
    key = _shared(first.spec) if most > 1 else None
    group = [first]
    for other in reversed(waiting.copy()) if key is not None else ():
        if len(group) == most or _block(other.spec) != _block(first.spec):
            break
        if _shared(other.spec) == key and other.run == first.run:
            waiting.remove(other)
            group.append(other)
    return group


def _block(spec: RunSpec) -> tuple[object, ...]:
    return spec.task, spec.training.seed, spec.testbed


def _shared(spec: RunSpec) -> str | None:
    """Return all that runs together have in common, as text; None for a run that must be alone."""
    loading, launch = spec.loading, spec.launch
    if spec.adapter is None or loading.quantization or loading.device_map:
        return None  # no base that stays as it is, in one place
    if spec.training.compile or spec.training.threads or launch.strategy != "ddp" or (launch.processes or 1) > 1:
        return None  # they count for the whole process
    text = spec.model_dump_json(exclude={"method": True, "adapter": True, "objective": True, "training": {*OF_ARMS}})
    return f"{spec.objective.reference_head} {text}"
