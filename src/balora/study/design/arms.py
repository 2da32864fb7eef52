"""The arms of a study, each once: what its file calls for, compared setting by setting."""

from collections.abc import Iterator, Mapping
from typing import Any

from balora.errors import ConfigError, unknown_name
from balora.settings import Family, SettingsError
from balora.study.design.candidates import DesignedArm, candidates
from balora.study.design.deltas import checked, for_family, lay
from balora.study.design.study import Study
from balora.training.spec import METHODS, TESTBED, RunSpec, resolve

STANDINS: dict[Family, dict[str, str]] = {
    "nlu": {"task": "sentiment", "model": TESTBED},
    "nlg": {"task": "facts", "model": TESTBED},
}
"""A task of each family on which settings are compared; what an arm changes depends on the family alone. The testbed's
take every setting, its own ones too; whether a given model can use them is seen when the plan is made."""

Specs = tuple[RunSpec, ...]


def design_arms(study: Study) -> tuple[DesignedArm, ...]:
    """Return the arms: the base, named ones, sweeps, grid and cells that are none of these, then tuned candidates.

    Raises:
        SettingsError: unknown keys, values out of range, a named arm equal to the base or to another arm, factors that
            set the same key, unknown names in `against` and `family`; every fault with its key in the study.
    """
    found: list[tuple[str, str]] = []
    arms: dict[Specs, DesignedArm] = {}
    chosen_from: dict[tuple[str, Specs], DesignedArm] = {}
    names: set[str] = set()
    for one in candidates(study, found):
        try:
            specs = specifications(study, one.arm.delta)
        except ConfigError as error:
            found.append((one.key, str(error)))
            continue
        twin = arms.get(specs) if one.arm.tuned is None else chosen_from.get((one.arm.tuned, specs))
        if twin is not None:
            if one.kind == "made":
                arms[specs] = twin._replace(cell=twin.cell or one.arm.cell)
            else:
                found.append((one.key, f"the same settings as {'the base ' if twin.is_base else ''}{twin.name!r}"))
        elif one.arm.name in names:
            found.append((one.key, f"two arms of different settings would be called {one.arm.name!r}: rename one"))
        elif one.arm.tuned is not None:
            chosen_from[one.arm.tuned, specs] = one.arm
        else:
            arms[specs] = one.arm._replace(method=_method(study, specs))
        names.add(one.arm.name)
    found += _unknown_names(study, names)
    if found:
        at_base = {text for key, text in found if key == "base"}  # every arm has the base's faults: said once
        raise SettingsError(list(dict.fromkeys(one for one in found if one[0] == "base" or one[1] not in at_base)))
    return (*arms.values(), *chosen_from.values())


def _unknown_names(study: Study, names: set[str]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the names of tuned arms, `against` and `family`."""
    holes = set(study.holes)
    for name in study.tuned:
        if name in names:
            yield f"tuned.{name}", "another arm has this name: rename one"
    known = names | set(study.tuned) | holes
    if study.against is not None and study.against not in known:
        yield "against", unknown_name("arm", study.against, known)
    for name in study.family or ():
        if name not in known:
            yield "family", unknown_name("arm", name, known)
        elif name == (study.against or study.base_name):
            yield "family", f"{name!r} is what the others are compared with: leave it out"


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
