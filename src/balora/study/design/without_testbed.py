"""What of a study can be asked of a given model: everything but what sets the testbed's dials; pure and torch-free."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from balora.errors import ConfigError
from balora.settings import dotted, nest
from balora.study.design.candidates import factors
from balora.study.design.study import HOLE, Study

DIALS = ("testbed.", "data.cue", "data.label_noise")
"""Settings that only the testbed has: the flaws of its text and of its rows."""


class Reduced(NamedTuple):
    """A study for a given model."""

    study: Study
    left_out: tuple[str, ...]
    """Arms, levels, sweeps and grids that only the testbed can have, by their keys in the study file."""


def for_given_model(study: Study) -> Reduced:
    """Return ``study`` without what sets a dial of the testbed.

    Raises:
        ConfigError: the base sets one, or nothing is left to compare.
    """
    if _dials(study.base_settings):
        raise ConfigError(f"study {study.study!r}: its base sets the testbed's dials: leave out --model")
    left: list[str] = []
    changes: dict[str, Any] = {
        "arms": {name: arm for name, arm in study.arms.items() if not _left(arm.set, f"arms.{name}", left)},
        "sweeps": {key: values for key, values in study.sweeps.items() if not _left({key: 0}, f"sweeps.{key}", left)},
        "tuned": {
            name: tuned
            for name, tuned in study.tuned.items()
            if not _left({**tuned.set, **dict.fromkeys(tuned.over)}, f"tuned.{name}", left)
        },
        "grid": {} if study.grid and _left(dict.fromkeys(study.grid), "grid", left) else study.grid,
    }
    kept: dict[str, Any] = dict(study.factors)
    for name, levels in factors(study).items():
        kept[name] = {
            level: delta for level, delta in levels.items() if not _left(delta, f"factors.{name}.{level}", left)
        }
    changes["factors"] = {name: levels for name, levels in kept.items() if len(levels) > 1}
    if study.family is not None:
        changes["family"] = tuple(name for name in study.family if f"arms.{name}" not in left) or None
    if not left:
        return Reduced(study, ())
    return Reduced(study.model_copy(update=changes).replace(), tuple(left))


def _left(delta: Mapping[str, Any] | str, key: str, left: list[str]) -> bool:
    gone = delta != HOLE and _dials(delta)
    left += [key] if gone else []
    return gone


def _dials(delta: Mapping[str, Any] | str) -> bool:
    return not isinstance(delta, str) and any(key.startswith(DIALS) for key in dotted(nest(delta)))
