"""Laying settings over settings: base, then profile, then the command line, then an arm's delta.

An arm's delta lies on top, so that nothing given for the whole study can take its difference away.
"""

from collections.abc import Mapping
from typing import Any

from balora.errors import ConfigError, unknown_name
from balora.settings import Family, dotted, merge, nest
from balora.training.spec import METHODS, setting_keys

OTHER: dict[Family, Family] = {"nlu": "nlg", "nlg": "nlu"}
TERMS = ("consistency", "diversity", "spectral")
RESERVED = {
    "task": "a study runs every arm on the same tasks: use `tasks` or `suites`",
    "model": "a study runs every arm on the same model: use `model` or --model",
    "training.seed": "seeds are the study's paired blocks: use `seeds` or --seeds",
    "testbed.seed": "pre-training seeds belong to the study's paired blocks: use `seeds` or --seeds",
    "data.folder": "a study reads all its data from one place: use --data",
}
"""Settings that belong to the study as a whole, with where to set them."""


def lay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings ``below`` with ``above`` laid over them.

    A preset named above (``method``, ``objective.preset``) decides the three weights anew: a λ given below it would
    otherwise switch a term back on in an arm whose point is to be without. A method without adapter drops its settings.
    """
    kept = dict(below)
    named = "method" in above
    if (named or "preset" in above.get("objective", {})) and "objective" in kept:
        kept["objective"] = _without_weights(kept["objective"], drop_preset=named)
    return merge(without_adapter(kept) if trains_everything(above.get("method")) else kept, above)


def trains_everything(method: object) -> bool:
    """Whether ``method`` names a method that has no adapter."""
    return method in METHODS and METHODS[str(method)]["adapter"] is None


def without_adapter(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``settings`` without the group that a method without adapter cannot use."""
    return {key: value for key, value in settings.items() if key != "adapter"}


def _without_weights(objective: Mapping[str, Any], drop_preset: bool) -> dict[str, Any]:
    kept = {key: value for key, value in objective.items() if not (drop_preset and key == "preset")}
    for term in TERMS:
        if isinstance(kept.get(term), Mapping):
            kept[term] = {key: value for key, value in kept[term].items() if key != "weight"}
    return kept


def for_family(settings: Mapping[str, Any], family: Family) -> dict[str, Any]:
    """Return ``settings`` with ``objective.formulation`` spelled out for a task of ``family``.

    ``swapped`` is the other family's, ``own`` the family's own. Naming the family's own formulation says nothing new
    and is left out, so that such an arm shares its runs with the base.
    """
    objective = dict(settings.get("objective", {}))
    chosen = objective.get("formulation")
    if chosen == "swapped":
        objective["formulation"] = OTHER[family]
    elif chosen in ("own", family):
        objective["formulation"] = None
    return {**settings, "objective": objective} if objective else dict(settings)


def checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``settings`` nested, or raise :class:`ConfigError` for a key that is unknown or reserved."""
    nested = nest(settings)
    known = [*setting_keys(), "method"]
    for key in dotted(nested):
        if key in RESERVED:
            raise ConfigError(f"{key}: {RESERVED[key]}")
        if key not in known and not any(name.startswith(f"{key}.") for name in known):
            raise ConfigError(f"{key}: {unknown_name('key', key, known)}")
    return nested
