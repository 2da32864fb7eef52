"""Settings that were changed and cannot act on a task: an arm that differs in them alone differs in nothing.

Terms that cannot act are known batch by batch (:mod:`balora.objective.terms`); these are known before the first.
"""

from collections.abc import Iterator

from balora.objective.config import ObjectiveConfig
from balora.objective.editions import FORMULAS


def idle_settings(config: ObjectiveConfig, classes: int | None) -> dict[str, str]:
    """Return {setting: reason} for the settings that differ from the published ones without any effect.

    Args:
        config: the objective of a run.
        classes: outputs of an understanding task, 1 for regression; None for generation.
    """
    return dict(_idle(config, classes))


def _idle(config: ObjectiveConfig, classes: int | None) -> Iterator[tuple[str, str]]:
    published = FORMULAS[config.edition, config.active_formulation]
    if config.reference_head == "probe" and classes is None:
        yield "reference_head", "generation: the pre-trained model has a trained head"
    if config.consistency.temperature != published.temperature:
        if classes == 1:
            yield "consistency.temperature", "one output: consistency is the plain mean squared error"
        elif config.consistency.form == "mse":
            yield "consistency.temperature", "the mean squared error has no temperature"
    if config.diversity.top_k != published.top_k:
        if config.diversity.form == "covariance":
            yield "diversity.top_k", "the covariance has no K"
        elif classes is not None and _used(config.diversity.top_k, classes) == _used(published.top_k, classes):
            yield "diversity.top_k", f"K is cut to the {classes} classes, like the published one"


def _used(top_k: int | None, classes: int) -> int:
    return classes if top_k is None else min(top_k, classes)
