"""List every arm that a study file defines, before equal ones are merged; pure and torch-free."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import product
from math import prod
from typing import Any, Literal, NamedTuple

from balora.errors import ConfigError, printable, shortened, shown
from balora.settings import SettingsError, dotted, nest
from balora.study.design.deltas import checked, overlay, refuse_own_scoring
from balora.study.design.study import SUITES_FACTOR, Ablation, Study

MOST_ARMS = 10_000
"""Most arms of a study: as many are resolved and compared in seconds, and no report shows more."""
LONGEST_VALUE = 60
"""Most characters of a value in an arm's name."""
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
    """Its level of every factor, if it is a cell of the factorial."""
    method: str | None = None
    """The named method it is the same as, if any."""
    tuned: str | None = None
    """The tuned arm that this is a candidate of; its runs may be those of other arms too."""

    @property
    def is_base(self) -> bool:
        """Whether this is the base, over which the deltas of all arms are laid."""
        return not self.delta


class Candidate(NamedTuple):
    """An arm, its key in the study file, and which part of the file defines it."""

    key: str
    kind: Kind
    arm: DesignedArm


def refuse_too_many(study: Study) -> None:
    """Raise :class:`SettingsError` if the study defines more than :data:`MOST_ARMS` arms; makes none of them."""
    cells = _combined(factors(study).values()) if factors(study) else 0
    parts = {"arms": len(study.arms), "factors": cells, "grid": _combined(study.grid.values()) if study.grid else 0}
    parts |= {f"sweeps.{key}": len(values) for key, values in study.sweeps.items()}
    parts |= {f"tuned.{name}.over": _combined(tuned.over.values()) for name, tuned in study.tuned.items()}
    if (count := 1 + sum(parts.values())) > MOST_ARMS:
        largest = max(parts, key=lambda key: parts[key])
        text = f"the study would have {_written(count)} arms: at most {MOST_ARMS:,} are planned: drop some values"
        raise SettingsError([(largest, text)])


def _combined(axes: Iterable[Sequence[Any] | Mapping[str, Any]]) -> int:
    return prod(map(len, axes))


def _written(count: int) -> str:
    return f"{count:,}" if count < 10**18 else f"about 10^{count.bit_length() * 0.30103:.0f}"


def candidates(study: Study, faults: Faults) -> Iterator[Candidate]:
    """Yield the base, named arms, sweeps, grid, cells and candidates of tuned arms; add what is wrong to ``faults``."""
    yield Candidate("base", "base", DesignedArm(study.base_name, {}))
    for name, arm in study.arms.items():
        delta = None if isinstance(arm.set, str) else _checked(arm.set, f"arms.{name}.set", faults)
        if delta is not None:
            yield Candidate(f"arms.{name}", "named", DesignedArm(name, delta, arm.ablation))
    for setting, values in study.sweeps.items():
        yield from _combinations(f"sweeps.{setting}", {setting: values}, faults)
    if study.grid:
        yield from _combinations("grid", study.grid, faults)
    yield from _cells(study, faults)
    for name, tuned in study.tuned.items():
        shared = _checked(tuned.set, f"tuned.{name}.set", faults)
        for one in _combinations(f"tuned.{name}.over", tuned.over, faults) if shared is not None else ():
            delta = overlay(shared or {}, one.arm.delta)
            yield Candidate(f"tuned.{name}", "tuned", DesignedArm(f"{name}: {one.arm.name}", delta, tuned=name))


def _combinations(key: str, axes: Mapping[str, Sequence[Any]], faults: Faults) -> Iterator[Candidate]:
    """Yield an arm for every combination of the values on ``axes``, named after them."""
    for values in product(*axes.values()):
        point = dict(zip(axes, values, strict=True))
        delta = _checked(point, key, faults)
        if delta is not None:
            yield Candidate(key, "made", DesignedArm(" · ".join(map(_label, point, point.values())), delta))


def _label(key: str, value: Any) -> str:
    """Return the last two parts of a setting's key and its value, as in ``spectral.weight=0.1``."""
    text = f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
    return f"{'.'.join(key.split('.')[-2:])}={printable(shortened(text, LONGEST_VALUE))}"


def _cells(study: Study, faults: Faults) -> Iterator[Candidate]:
    _report_overlaps(study, faults)
    levels = {
        factor: {level: _checked(delta, f"factors.{factor}.{level}", faults) for level, delta in named.items()}
        for factor, named in factors(study).items()
    }
    for cell in product(*levels.values()) if levels else ():
        parts = [levels[factor][level] for factor, level in zip(levels, cell, strict=True)]
        known = [part for part in parts if part is not None]
        if len(known) == len(parts):
            chosen = dict(zip(levels, cell, strict=True))
            yield Candidate("factors", "made", DesignedArm(" · ".join(cell), reduce(overlay, known), cell=chosen))


def factors(study: Study) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the factors that change settings, which the factor of the suites does not."""
    return {name: levels for name, levels in study.factors.items() if levels != SUITES_FACTOR}  # type: ignore[misc]


def suites_factor(study: Study) -> str | None:
    """Return the name of the factor whose levels are the suites, if there is one."""
    return next((name for name, levels in study.factors.items() if levels == SUITES_FACTOR), None)


def _checked(delta: Mapping[str, Any], key: str, faults: Faults) -> dict[str, Any] | None:
    try:
        nested = checked(delta)
        refuse_own_scoring(nested)
        return nested
    except ConfigError as error:
        faults.append((key, str(error)))
        return None


def _report_overlaps(study: Study, faults: Faults) -> None:
    owners: dict[str, str] = {}
    for factor, levels in factors(study).items():
        for key in sorted({key for delta in levels.values() for key in _keys(delta)}):
            if owners.setdefault(key, factor) != factor:
                faults.append((f"factors.{factor}", f"sets {shown(key)}, as does factor {shown(owners[key])}"))


def _keys(delta: Mapping[str, Any]) -> Iterable[str]:
    try:
        return dotted(nest(delta))
    except ConfigError:  # which is reported with the level
        return ()
