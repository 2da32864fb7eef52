"""Lay settings over each other: the base, the profile over it, then the command line, then an arm's delta; torch-free.

An arm's delta comes last, so that no setting of the whole study can undo the difference that the arm is about.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from balora.errors import ConfigError, printable, shortened, shown
from balora.objective.config import TERMS
from balora.settings import NAMED, OTHER_NAMES, Family, SettingsError, dotted, merge, nest, unknown_key
from balora.training.spec import METHODS, setting_keys

RATE = "training.learning_rate"
BASE_RATE = "base"
"""What an arm, or a level of a factor, sets :data:`RATE` to for the learning rate of the base, whatever its start."""
OTHER: dict[Family, Family] = {"nlu": "nlg", "nlg": "nlu"}
RESERVED = {
    "task": "a study runs every arm on the same tasks: use `tasks` or `suites`",
    "score": "a study scores every arm on the same tasks: use `recipes`, `tasks` or `suites`",
    "own": "a study takes the file of a task of your own among its `tasks`",
    "model": "a study runs every arm on the same model: use `model` or --model",
    "model.name": "a study runs every arm on the same model: use `model` or --model",
    "training.seed": "seeds are the study's paired blocks: use `seeds` or --seeds",
    "testbed.seed": "pre-training seeds belong to the study's paired blocks: use `seeds` or --seeds",
    "launch.processes": "a run of a study is one process: use --workers and --devices for several runs at a time",
    "launch.strategy": "a run of a study is one process: use --workers and --devices for several runs at a time",
    "data.folder": "a study reads all its data from one place: use --data",
}
"""Settings that an arm may not change because they belong to the whole study, and where to set them."""
OF_ALL_ARMS = {
    "scoring": "how answers are drawn and judged",
    "measures": "what is measured beside the score",
    "data.eval_rows": "which rows are scored",
    "data.eval_split": "which rows are scored",
    "data.held_out": "which rows are held out",
}
"""Settings, or groups of them, that no arm may change, since its scores could not be compared with those of others."""
TYPED_ONLY = {
    "trust_remote_code": "a file cannot allow Python code that comes with a model: if you trust the model, pass "
    "--trust-remote-code",
    "unsafe_local_execution": "a file cannot allow generated programs to run without a sandbox: if you accept that "
    "they can do what you can, pass --unsafe-local-execution",
    "scoring.judge.url": "a file cannot name the server that answers, and the key, are sent to: pass "
    "--set scoring.judge.url=…",
    "scoring.judge.key_variable": "a file cannot name the variable whose content is sent as the key: pass "
    "--set scoring.judge.key_variable=…",
}
"""Settings that only the command line may give, and why no study or config file may: whoever wrote it is not who runs
it."""


def overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings ``below`` with ``above`` laid over them.

    A preset named above (``method``, ``objective.preset``) replaces the weights of all terms: a weight below it would
    switch a term back on in an arm that is to be without it. What sets a λ above (a scale, shares, a term's weight or
    share) replaces what sets the same λ otherwise below. A method without adapter drops the adapter's settings.
    """
    base = dict(below)
    has_method = "method" in above
    if (has_method or "preset" in above.get("objective", {})) and "objective" in base:
        base["objective"] = _without_weights(base["objective"], drop_preset=has_method)
    if "objective" in base:
        base["objective"] = _without_replaced(base["objective"], above.get("objective", {}))
    return merge(without_adapter(base) if trains_everything(above.get("method")) else base, above)


def trains_everything(method: object) -> bool:
    """Whether ``method`` names a method that has no adapter."""
    return isinstance(method, str) and method in METHODS and METHODS[method]["adapter"] is None


def without_adapter(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``settings`` without the group that a method without adapter cannot use."""
    return {key: value for key, value in settings.items() if key != "adapter"}


def without_base_rate(delta: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return a nested ``delta`` without the word for the base's learning rate, and whether it was there."""
    training = delta.get("training")
    if not isinstance(training, Mapping) or training.get("learning_rate") != BASE_RATE:
        return dict(delta), False
    rest = {key: value for key, value in training.items() if key != "learning_rate"}
    others = {key: value for key, value in delta.items() if key != "training"}
    return (others | {"training": rest} if rest else others), True


def refuse_own_scoring(delta: Mapping[str, Any]) -> None:
    """Refuse an arm's nested ``delta`` that changes how the arm is scored.

    Raises:
        ConfigError: names the first setting.
    """
    for key in dotted(delta):
        for place, what in OF_ALL_ARMS.items():
            if key == place or key.startswith(f"{place}."):
                raise ConfigError(
                    f"{printable(shortened(key))}: an arm may not change {what}, or it could not be compared with the "
                    f"others: put it under `base`, or pass it with --set"
                )


def _without_weights(objective: Mapping[str, Any], drop_preset: bool) -> dict[str, Any]:
    rest = {key: value for key, value in objective.items() if key != "share" and not (drop_preset and key == "preset")}
    for term in TERMS:
        rest = _without(rest, term, "weight", "share")
    return rest


def _without_replaced(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return the objective's settings below without what sets a λ that those above set in another way."""
    rest = dict(below)
    if above.get("share") is not None:
        rest = {key: value for key, value in _without_weights(rest, drop_preset=False).items() if key != "scale"}
    elif above.get("scale") is not None:
        rest.pop("share", None)
    for term in TERMS:
        given = above.get(term)
        if isinstance(given, Mapping) and given.get("share") is not None:
            rest = _without(rest, term, "weight")
        elif isinstance(given, Mapping) and "weight" in given:
            rest = _without(rest, term, "share")
    return rest


def _without(objective: Mapping[str, Any], term: str, *keys: str) -> dict[str, Any]:
    group = objective.get(term)
    if not isinstance(group, Mapping):
        return dict(objective)
    return {**objective, term: {key: value for key, value in group.items() if key not in keys}}


def for_family(settings: Mapping[str, Any], family: Family) -> dict[str, Any]:
    """Return ``settings`` with ``objective.formulation`` spelled out for a task of ``family``.

    ``swapped`` is the other family's, ``own`` the family's own. The family's own formulation is the default, so it is
    left out: such an arm shares its runs with the base.
    """
    objective = dict(settings.get("objective", {}))
    chosen = objective.get("formulation")
    if chosen == "swapped":
        objective["formulation"] = OTHER[family]
    elif chosen in ("own", family):
        objective["formulation"] = None
    return {**settings, "objective": objective} if objective else dict(settings)


def refuse_untyped(filed: Mapping[str, Any], typed: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Refuse nested settings of a file that only the command line may give, unless it gives them too.

    Raises:
        SettingsError: names the first.
    """
    given, above = dotted(filed), dotted(typed)
    for key, why in TYPED_ONLY.items():
        if given.get(key, False) is not False and key not in above:
            raise SettingsError([(key, why)])


def checked(settings: Mapping[str, Any], *, typed: bool = False) -> dict[str, Any]:
    """Return ``settings`` nested; those not ``typed`` on the command line stand in a file, which allows no remote code.

    Raises:
        ConfigError: a key is unknown or reserved, or a single value stands where a group of settings belongs.
    """
    nested = nest(settings)
    if not typed:
        refuse_untyped(nested)
    known = setting_keys()
    for key, value in dotted(nested).items():
        if key in RESERVED:
            raise ConfigError(f"{key}: {RESERVED[key]}")
        if key in known:
            continue
        if above := next((name for name in known if name not in NAMED and key.startswith(f"{name}.")), None):
            raise ConfigError(f"{above}: expected one value, got a group of settings: put text with braces in quotes")
        if not any(name.startswith(f"{key}.") for name in known):
            raise ConfigError(f"{printable(shortened(key))}: {unknown_key(key, known, known, OTHER_NAMES)}")
        if not isinstance(value, Mapping) and (key, value) != ("adapter", None):
            raise ConfigError(f"{key}: expected a group of settings, got {shown(value)}")
    return nested
