"""Fill in a run's objective from its preset, its scale, its share and the settings given; torch-free."""

import math
from collections.abc import Collection, Mapping
from typing import Any

from balora.errors import shown
from balora.objective.config import TERMS, ObjectiveConfig
from balora.settings import Family, SettingsError, as_number, merge

PRESET_KEYS = ("preset", "edition", "formulation")


def filled_objective(preset: Mapping[str, Any], given: Mapping[str, Any], family: Family) -> dict[str, Any]:
    """Fill in the chosen preset; a null name means the one that would be taken without it.

    Raises:
        SettingsError: a weight and a share are given for one term, or a wrong `objective.scale`.
    """
    named = {key: given[key] for key in PRESET_KEYS if given.get(key) is not None}
    chosen = {**preset, **named}
    others = {key: value for key, value in given.items() if key not in (*PRESET_KEYS, "scale", "share")}
    filled = ObjectiveConfig.preset(chosen.pop("preset"), family=family, **chosen).model_dump()
    for term in TERMS:
        filled[term]["weight"] *= 0.0 if _has_share(others, term) else scale(given)
    return merge(filled, others)


def scale(objective: Mapping[str, Any]) -> float:
    """Return what the preset's three λ are multiplied by (`objective.scale`, 1 unless given).

    Raises:
        SettingsError: it is not a finite number of at least 0.
    """
    factor = 1.0 if objective.get("scale") is None else objective["scale"]
    try:
        factor = as_number(factor)
        if isinstance(factor, int | float) and 0 <= factor < math.inf:
            return float(factor)
    except ValueError:
        pass
    raise SettingsError([("objective.scale", f"must be a number of at least 0, got {shown(objective['scale'])}")])


def with_share(config: ObjectiveConfig, given: Mapping[str, Any], acting: Collection[str]) -> ObjectiveConfig:
    """Return ``config`` with `objective.share` for each ``acting`` term that has no weight or share of its own.

    Raises:
        SettingsError: it is no number between 0 and 1, leaves nothing for the task, or `objective.scale` is given too.
    """
    share = given.get("share")
    if share is None:
        return config
    if given.get("scale") is not None:
        raise SettingsError([("objective.share", "sets λ, as does objective.scale: leave one of the two out")])
    try:
        changes = {
            name: term.replace(share=share, weight=0.0)
            for name, term in config.terms().items()
            if name in acting and not {"weight", "share"} & {*dict(given.get(name) or {})}
        }
        return config.replace(**changes)
    except SettingsError as error:
        raise SettingsError([("objective.share", error.faults[0][1])]) from None


def _has_share(objective: Mapping[str, Any], term: str) -> bool:
    """Whether a share is given for ``term`` itself.

    Raises:
        SettingsError: a weight is given too.
    """
    settings = objective.get(term)
    if not isinstance(settings, Mapping) or settings.get("share") is None:
        return False
    if "weight" in settings:
        raise SettingsError([(f"objective.{term}.share", "sets λ, as does `weight`: leave one of the two out")])
    return True
