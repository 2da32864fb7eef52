"""Drop the arms and factors that only the testbed can have, before a study runs on a given model; torch-free."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from balora.errors import ConfigError
from balora.settings import dotted, nest
from balora.study.design.candidates import factors
from balora.study.design.study import HOLE, Study

TESTBED_SETTINGS = ("testbed.", "data.cue", "data.label_noise")
"""Prefixes of the settings that only the testbed has: the flaws planted in its text and rows."""


class ReducedStudy(NamedTuple):
    """A study for a given model, and what was left out of it."""

    study: Study
    left_out: tuple[str, ...]
    """Arms, levels, sweeps and grids that only the testbed can have, by their keys in the study file."""


def without_testbed(study: Study) -> ReducedStudy:
    """Return ``study`` without the parts that set a testbed setting.

    Raises:
        ConfigError: the base sets one, or nothing remains to be compared.
    """
    if _needs_testbed(study.base_settings):
        raise ConfigError(f"study {study.study!r}: its base has settings that only the testbed has: leave out --model")
    left_out: list[str] = []
    changes: dict[str, Any] = {
        "arms": {name: arm for name, arm in study.arms.items() if not _dropped(arm.set, f"arms.{name}", left_out)},
        "sweeps": {
            key: values for key, values in study.sweeps.items() if not _dropped({key: 0}, f"sweeps.{key}", left_out)
        },
        "tuned": {
            name: tuned
            for name, tuned in study.tuned.items()
            if not _dropped({**tuned.set, **dict.fromkeys(tuned.over)}, f"tuned.{name}", left_out)
        },
        "grid": {} if study.grid and _dropped(dict.fromkeys(study.grid), "grid", left_out) else study.grid,
    }
    reduced: dict[str, Any] = dict(study.factors)
    for name, levels in factors(study).items():
        reduced[name] = {
            level: delta for level, delta in levels.items() if not _dropped(delta, f"factors.{name}.{level}", left_out)
        }
    changes["factors"] = {name: levels for name, levels in reduced.items() if len(levels) > 1}
    if study.family is not None:
        changes["family"] = tuple(name for name in study.family if f"arms.{name}" not in left_out) or None
    if not left_out:
        return ReducedStudy(study, ())
    return ReducedStudy(study.model_copy(update=changes).replace(), tuple(left_out))


def _dropped(delta: Mapping[str, Any] | str, key: str, left_out: list[str]) -> bool:
    """Return whether ``delta`` needs the testbed; if so, add its ``key`` to ``left_out``."""
    needed = delta != HOLE and _needs_testbed(delta)
    left_out += [key] if needed else []
    return needed


def _needs_testbed(delta: Mapping[str, Any] | str) -> bool:
    return not isinstance(delta, str) and any(key.startswith(TESTBED_SETTINGS) for key in dotted(nest(delta)))
