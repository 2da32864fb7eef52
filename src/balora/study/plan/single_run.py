"""Specify one run on the testbed with the settings that a profile gives to its task, outside of any study."""

from collections.abc import Mapping
from typing import Any

from balora.settings import merge, nest
from balora.study.plan.rates import rate_for
from balora.study.plan.testbed_profiles import find_profile
from balora.tasks.catalogue import find_task
from balora.training.spec import TESTBED, RunSpec, resolve


def single_run(profile: str, task: str, method: str, settings: Mapping[str, Any]) -> RunSpec:
    """Return the run of ``method`` on ``task`` as ``profile`` has it, overridden by ``settings`` (`training.seed: 7`).

    Its learning rate is that of its start, unless ``settings`` give one.
    """
    chosen, own = find_profile(profile, TESTBED), nest(settings)
    defaults = merge(chosen.shared, chosen.suites[find_task(task).family])
    spec = resolve({"task": task, "model": TESTBED, "method": method, **merge(defaults, own)})
    rate = rate_for(chosen.rates or {}, spec.objective.family, spec.start)
    if rate is None or "learning_rate" in own.get("training", {}):
        return spec
    return spec.model_copy(update={"training": spec.training.model_copy(update={"learning_rate": rate})})
