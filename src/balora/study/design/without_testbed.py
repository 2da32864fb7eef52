"""Drop the arms and factors that a study cannot have: on a given model, or with one learning rate; torch-free."""

from collections.abc import Callable, Mapping
from typing import Any

from balora.errors import ConfigError, shown
from balora.settings import dotted, nest
from balora.study.design.candidates import factors
from balora.study.design.deltas import BASE_RATE, RATE
from balora.study.design.study import Study

TESTBED_SETTINGS = ("testbed.", "data.cue", "data.label_noise")
"""Prefixes of the settings that only the testbed has: the flaws planted in its text and rows."""


Delta = Mapping[str, Any]


def without_testbed(study: Study) -> tuple[Study, tuple[str, ...]]:
    """Return ``study`` without the parts that set a testbed setting, and the keys of what was left out.

    Raises:
        ConfigError: the base sets one, or nothing remains to be compared.
    """
    if _needs_testbed(study.base_settings):
        raise ConfigError(
            f"study {shown(study.study)}: its base has settings that only the testbed has: leave out --model"
        )
    return _without(study, _needs_testbed)


def without_own_rates(study: Study) -> tuple[Study, tuple[str, ...]]:
    """Return ``study`` without the parts that give an arm the base's learning rate, where all arms have one rate.

    Raises:
        ConfigError: nothing remains to be compared.
    """
    return _without(study, lambda delta: dotted(nest(delta)).get(RATE) == BASE_RATE)


def _without(study: Study, is_unusable: Callable[[Delta], bool]) -> tuple[Study, tuple[str, ...]]:
    """Return ``study`` without the parts whose settings are unusable, and the keys of what was left out."""
    left_out: list[str] = []

    def stays(key: str, delta: Delta | str) -> bool:
        unusable = not isinstance(delta, str) and is_unusable(delta)
        left_out.extend([key] if unusable else [])
        return not unusable

    changes: dict[str, Any] = {
        "arms": {name: arm for name, arm in study.arms.items() if stays(f"arms.{name}", arm.set)},
        "sweeps": {key: values for key, values in study.sweeps.items() if stays(f"sweeps.{key}", {key: 0})},
        "tuned": {
            name: tuned
            for name, tuned in study.tuned.items()
            if stays(f"tuned.{name}", {**tuned.set, **dict.fromkeys(tuned.over)})
        },
        "grid": study.grid if stays("grid", dict.fromkeys(study.grid)) else {},
    }
    reduced: dict[str, Any] = dict(study.factors)
    for name, levels in factors(study).items():
        reduced[name] = {level: delta for level, delta in levels.items() if stays(f"factors.{name}.{level}", delta)}
    changes["factors"] = {name: levels for name, levels in reduced.items() if len(levels) > 1}
    if study.family is not None:
        changes["family"] = tuple(name for name in study.family if f"arms.{name}" not in left_out) or None
    return (study.model_copy(update=changes).replace() if left_out else study), tuple(left_out)


def _needs_testbed(delta: Delta) -> bool:
    return any(key.startswith(TESTBED_SETTINGS) for key in dotted(nest(delta)))
