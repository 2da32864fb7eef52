"""Find the testbed models that planned runs need and that are not pre-trained yet, and pre-train them; torch-free."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from balora.progress import OnProgress
from balora.settings import Family
from balora.study.plan.plan import PlannedRun
from balora.tasks.testbed.config import TestbedConfig
from balora.training.spec import RunSpec


class PlannedModel(NamedTuple):
    """One model to pre-train before the runs begin."""

    family: Family
    spec: RunSpec
    """A run that needs it."""
    id: str

    @property
    def task(self) -> str:
        """`encoder` or `decoder`: models of one kind take about the same time."""
        from balora.tasks.testbed.model_cache import NAMES

        return NAMES[self.family]

    @property
    def label(self) -> str:
        """Its name in messages: its seed, and every setting that is not the default."""
        assert self.spec.testbed is not None
        usual = TestbedConfig().model_dump()
        others = {key: value for key, value in self.spec.testbed.model_dump().items() if value != usual[key]}
        seed = others.pop("seed", 0)
        return f"pretrain {self.task} {seed}" + "".join(f", {key} {value}" for key, value in others.items())


def missing_models(runs: Iterable[PlannedRun]) -> tuple[PlannedModel, ...]:
    """Return every model that ``runs`` need and that is neither shipped nor in the cache, once.

    Raises:
        ModelError: a shipped model is damaged.
        OutputError: models are missing, and the cache where they would go cannot be written.
    """
    from balora.tasks.testbed.model_cache import find_model, make_writable

    needed: dict[str, PlannedModel] = {}
    for run in runs:
        if run.spec.testbed is not None:
            family = run.spec.objective.family
            model = PlannedModel(family, run.spec, f"{family}-{run.spec.testbed.key()}")
            needed.setdefault(model.id, model)
    missing = tuple(m for m in needed.values() if m.spec.testbed and find_model(m.spec.testbed, m.family) is None)
    if missing:
        make_writable()
    return missing


def pretrain(spec: RunSpec, folder: Path, on_progress: OnProgress) -> None:
    """Put the model of ``spec`` into the cache, in a worker."""
    from balora.training.loading import with_model_folder

    with_model_folder(spec, on_progress)
