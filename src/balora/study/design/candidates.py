"""What a study file calls for, as arms that have not been compared with each other yet; pure and torch-free."""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from itertools import product
from typing import Any, Literal, NamedTuple

from balora.errors import ConfigError
from balora.settings import dotted, nest
from balora.study.design.deltas import checked, lay
from balora.study.design.study import SUITES_FACTOR, Ablation, Study

Faults = list[tuple[str, str]]
"""(key in the study, what is wrong)."""
Kind = Literal["base", "named", "made", "tuned"]
"""`made`: a value of a sweep, a point of the grid or a cell of the factorial; it may be an arm that is there."""


class DesignedArm(NamedTuple):
    """One row of the study's table."""

    name: str
    delta: dict[str, Any]
    """Nested settings laid over the base; empty for the base itself."""
    ablation: Ablation | None = None
    cell: dict[str, str] | None = None
    """Its level of every factor, when it is a cell of the factorial."""
    method: str | None = None
    """The named method it is the same as, if any."""
    tuned: str | None = None
    """The tuned arm that this is a candidate of; its runs may be those of other arms too."""

    @property
    def is_base(self) -> bool:
        """Whether the study's deltas are laid over this one."""
        return not self.delta


class Candidate(NamedTuple):
    """An arm, where it stands in the study, and what kind of thing it came from."""

    key: str
    kind: Kind
    arm: DesignedArm


def candidates(study: Study, found: Faults) -> Iterator[Candidate]:
    """Yield the base, named arms, sweeps, the grid, the factorial's cells and what tuned arms choose from."""
    yield Candidate("base", "base", DesignedArm(study.base_name, {}))
    for name, arm in study.arms.items():
        delta = None if isinstance(arm.set, str) else _checked(arm.set, f"arms.{name}.set", found)
        if delta is not None:
            yield Candidate(f"arms.{name}", "named", DesignedArm(name, delta, arm.ablation))
    for setting, values in study.sweeps.items():
        yield from _made(f"sweeps.{setting}", {setting: values}, found)
    if study.grid:
        yield from _made("grid", study.grid, found)
    yield from _cells(study, found)
    for name, tuned in study.tuned.items():
        shared = _checked(tuned.set, f"tuned.{name}.set", found)
        for one in _made(f"tuned.{name}.over", tuned.over, found) if shared is not None else ():
            delta = lay(shared or {}, one.arm.delta)
            yield Candidate(f"tuned.{name}", "tuned", DesignedArm(f"{name}: {one.arm.name}", delta, tuned=name))


def _made(key: str, axes: Mapping[str, Sequence[Any]], found: Faults) -> Iterator[Candidate]:
    """Yield an arm for every combination of the values on ``axes``, named after them."""
    for values in product(*axes.values()):
        point = dict(zip(axes, values, strict=True))
        delta = _checked(point, key, found)
        if delta is not None:
            yield Candidate(key, "made", DesignedArm(" · ".join(_in_words(point)), delta))


def _in_words(point: Mapping[str, Any]) -> list[str]:
    """Return each setting of ``point`` as people call it: the last two parts of its key, and its value."""
    return [f"{'.'.join(key.split('.')[-2:])}={_text(value)}" for key, value in point.items()]


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def _cells(study: Study, found: Faults) -> Iterator[Candidate]:
    _report_overlaps(study, found)
    levels = {
        factor: {level: _checked(delta, f"factors.{factor}.{level}", found) for level, delta in named.items()}
        for factor, named in factors(study).items()
    }
    for cell in product(*levels.values()) if levels else ():
        parts = [levels[factor][level] for factor, level in zip(levels, cell, strict=True)]
        known = [part for part in parts if part is not None]
        if len(known) == len(parts):
            place = dict(zip(levels, cell, strict=True))
            yield Candidate("factors", "made", DesignedArm(" · ".join(cell), reduce(lay, known), cell=place))


def factors(study: Study) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the factors that change settings (the suites are a factor of the tasks)."""
    return {name: levels for name, levels in study.factors.items() if levels != SUITES_FACTOR}  # type: ignore[misc]


def suites_factor(study: Study) -> str | None:
    """Return the name of the factor whose levels are the suites, if there is one."""
    return next((name for name, levels in study.factors.items() if levels == SUITES_FACTOR), None)


def _checked(delta: Mapping[str, Any], key: str, found: Faults) -> dict[str, Any] | None:
    try:
        return checked(delta)
    except ConfigError as error:
        found.append((key, str(error)))
        return None


def _report_overlaps(study: Study, found: Faults) -> None:
    owners: dict[str, str] = {}
    for factor, levels in factors(study).items():
        for key in {key for delta in levels.values() for key in dotted(nest(delta))}:
            if owners.setdefault(key, factor) != factor:
                found.append((f"factors.{factor}", f"sets {key!r}, as does factor {owners[key]!r}"))
