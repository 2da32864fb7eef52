"""Find the terms that cannot act on a batch, and the changed settings that cannot act on a task at all.

A run's record names both, so that an arm without effect is not taken for a finding.
"""

from collections.abc import Iterator

from balora.objective.config import ObjectiveConfig
from balora.objective.editions import FORMULAS

SMOOTHS_NOTHING = "regression: a squared error has no classes to smooth over"


def inactive_terms(config: ObjectiveConfig, rows: int, outputs: int) -> dict[str, str]:
    """Return {term: reason} for the terms whose gradient is zero on N = ``rows`` × D = ``outputs`` logits.

    Raises:
        InputError: K of the entropy form is above the vocabulary of a generation task.
    """
    reasons = {}
    for name, term in config.terms().items():
        if not term.is_on:
            reasons[name] = "λ = 0"
        elif rows == 0:
            reasons[name] = "no rows"
        elif reason := term.cannot_act(rows, outputs, config.family):
            reasons[name] = reason
    return reasons


def inactive_settings(config: ObjectiveConfig, classes: int | None, processes: int = 1) -> dict[str, str]:
    """Return {setting: reason} for the settings that differ from the published ones without any effect.

    Args:
        config: the objective of a run.
        classes: outputs of an understanding task, 1 for regression; None for generation.
        processes: how many train the model together.
    """
    alone = {"scope": "one process trains the model: its rows are all rows"}
    return dict(_inactive_settings(config, classes)) | (alone if config.scope == "global" and processes == 1 else {})


def _inactive_settings(config: ObjectiveConfig, classes: int | None) -> Iterator[tuple[str, str]]:
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
        elif classes is not None and _used_k(config.diversity.top_k, classes) == _used_k(published.top_k, classes):
            yield "diversity.top_k", f"K is cut to the {classes} classes, like the published one"


def _used_k(top_k: int | None, classes: int) -> int:
    return classes if top_k is None else min(top_k, classes)
