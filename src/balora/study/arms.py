"""The arms of a study: the base, the named deltas and the cells of the factorial, each once."""

from collections.abc import Iterator, Mapping
from functools import reduce
from itertools import product
from typing import Any, NamedTuple

from balora.errors import ConfigError
from balora.settings import Family, SettingsError
from balora.study.design import SUITES_FACTOR, Ablation, Study
from balora.study.layers import checked, dotted, for_family, lay
from balora.training.spec import METHODS, TESTBED, RunSpec, nest, resolve

STANDINS: dict[Family, dict[str, str]] = {
    "nlu": {"task": "sentiment", "model": TESTBED},
    "nlg": {"task": "facts", "model": TESTBED},
}
"""A task of each family on which settings are compared; what an arm changes depends on the family alone. The testbed's
take every setting, its own ones too; whether a given model can use them is seen when the plan is made."""


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
        """Whether the others are compared with this one."""
        return not self.delta


def design_arms(study: Study) -> tuple[DesignedArm, ...]:
    """Return the arms, base first, then named ones, then the cells that are neither.

    Raises:
        SettingsError: unknown keys, values out of range, an arm equal to the base or to another arm, factors that set
            the same key; every fault with its key in the study.
    """
    found: list[tuple[str, str]] = []
    arms: dict[tuple[RunSpec, ...], DesignedArm] = {}
    for key, candidate in _candidates(study, found):
        try:
            specs = specifications(study, candidate.delta)
        except ConfigError as error:
            found.append((key, str(error)))
            continue
        twin = arms.get(specs)
        if twin is None and any(arm.name == candidate.name for arm in arms.values()):
            found.append((key, f"two arms of different settings would be called {candidate.name!r}: rename one"))
        elif twin is None:
            arms[specs] = candidate._replace(method=_method(study, specs))
        elif candidate.cell is not None:
            arms[specs] = twin._replace(cell=twin.cell or candidate.cell)
        else:
            found.append((key, f"the same settings as {'the base ' if twin.is_base else ''}{twin.name!r}"))
    if found:
        raise SettingsError(list(dict.fromkeys(found)))
    return tuple(arms.values())


def _candidates(study: Study, found: list[tuple[str, str]]) -> Iterator[tuple[str, DesignedArm]]:
    yield "base", DesignedArm(study.base_name, {})
    for name, arm in study.arms.items():
        if isinstance(arm.set, str):
            continue
        delta = _checked(arm.set, f"arms.{name}.set", found)
        if delta is not None:
            yield f"arms.{name}", DesignedArm(name, delta, arm.ablation)
    _report_overlaps(study, found)
    levels = {
        factor: {level: _checked(delta, f"factors.{factor}.{level}", found) for level, delta in named.items()}
        for factor, named in factors(study).items()
    }
    for cell in product(*levels.values()) if levels else ():
        parts = [levels[factor][level] for factor, level in zip(levels, cell, strict=True)]
        known = [part for part in parts if part is not None]
        if len(known) == len(parts):
            yield (
                "factors",
                DesignedArm(" · ".join(cell), reduce(lay, known), cell=dict(zip(levels, cell, strict=True))),
            )


def factors(study: Study) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the factors that change settings (the suites are a factor of the tasks)."""
    return {name: levels for name, levels in study.factors.items() if levels != SUITES_FACTOR}  # type: ignore[misc]


def suites_factor(study: Study) -> str | None:
    """Return the name of the factor whose levels are the suites, if there is one."""
    return next((name for name, levels in study.factors.items() if levels == SUITES_FACTOR), None)


def _checked(delta: Mapping[str, Any], key: str, found: list[tuple[str, str]]) -> dict[str, Any] | None:
    try:
        return checked(delta)
    except ConfigError as error:
        found.append((key, str(error)))
        return None


def _report_overlaps(study: Study, found: list[tuple[str, str]]) -> None:
    owners: dict[str, str] = {}
    for factor, levels in factors(study).items():
        for key in {key for delta in levels.values() for key in dotted(nest(delta))}:
            if owners.setdefault(key, factor) != factor:
                found.append((f"factors.{factor}", f"sets {key!r}, as does factor {owners[key]!r}"))


def specifications(study: Study, delta: Mapping[str, Any]) -> tuple[RunSpec, ...]:
    """Return what ``delta`` on the base means for one task of each family of the study."""
    settings = lay(checked(study.base_settings), delta)
    return tuple(resolve({**for_family(settings, family), **STANDINS[family]}) for family in study.suites)


def _method(study: Study, specs: tuple[RunSpec, ...]) -> str | None:
    same = [spec.model_copy(update={"method": ""}) for spec in specs]
    for method in METHODS:
        presets = [resolve({"method": method, **STANDINS[family]}) for family in study.suites]
        if [preset.model_copy(update={"method": ""}) for preset in presets] == same:
            return method
    return None
