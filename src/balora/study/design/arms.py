"""List the arms of a study, each once, and refuse two named arms with the same settings; torch-free."""

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any

from balora.errors import ConfigError, shown, unknown_name
from balora.settings import MOST_FAULTS, Family, SettingsError, merge
from balora.study.design.candidates import DesignedArm, candidates, refuse_too_many
from balora.study.design.deltas import checked, for_family, overlay, without_base_rate
from balora.study.design.study import Study
from balora.training.spec import METHODS, TESTBED, RunSpec, resolve

PROBE_TASKS: dict[Family, dict[str, str]] = {
    "nlu": {"task": "sentiment", "model": TESTBED},
    "nlg": {"task": "facts", "model": TESTBED},
}
"""A task of each family on which the settings of arms are compared, because what an arm changes depends on the family
alone. Testbed tasks accept every setting; whether a given model can use them is checked when the plan is made."""

LONGEST_NAME = 255
"""Most characters of an arm's name; those of grids and factorials are put together from their parts."""
Specs = tuple[RunSpec, ...]
Key = tuple[Specs, bool]
"""What makes two arms the same: their settings, and whether they take the base's learning rate for another start."""


def design_arms(study: Study) -> tuple[DesignedArm, ...]:
    """Return the base, named arms, new arms of sweeps, grid and factorial, and candidates of tuned arms, in this order.

    Raises:
        SettingsError: unknown keys, values out of range, a named arm equal to the base or to another arm, factors that
            set the same key, unknown names in `against` and `family`, too many arms; every fault with its
            key in the study.
    """
    refuse_too_many(study)
    faults: list[tuple[str, str]] = []
    arms: dict[Key, DesignedArm] = {}
    chosen_from: dict[tuple[str, Key], DesignedArm] = {}
    names: set[str] = set()
    for one in candidates(study, faults):
        try:
            key = _key(study, one.arm.delta)
        except ConfigError as error:
            faults.append((one.key, str(error)))
            continue
        if len(one.arm.name) > LONGEST_NAME:
            too_long = f"an arm would be called {shown(one.arm.name)}: a name has at most {LONGEST_NAME} characters"
            faults.append((one.key, too_long))
        twin = arms.get(key) if one.arm.tuned is None else chosen_from.get((one.arm.tuned, key))
        if twin is not None:
            if one.kind == "made":
                arms[key] = twin._replace(cell=twin.cell or one.arm.cell)
            else:
                same = f"{'the base ' if twin.is_base else ''}{shown(twin.name)}"
                faults.append((one.key, f"the same settings as {same}"))
        elif one.arm.name in names:
            called = shown(one.arm.name)
            faults.append((one.key, f"two arms of different settings would be called {called}: rename one"))
        elif one.arm.tuned is not None:
            chosen_from[one.arm.tuned, key] = one.arm
        else:
            arms[key] = one.arm._replace(method=_method(study, key))
        names.add(one.arm.name)
    faults += islice(_unknown_names(study, names), MOST_FAULTS)
    if faults:
        at_base = {text for key, text in faults if key == "base"}  # which every arm shares: reported once
        raise SettingsError(list(dict.fromkeys(one for one in faults if one[0] == "base" or one[1] not in at_base)))
    return (*arms.values(), *chosen_from.values())


def _unknown_names(study: Study, names: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the faults in the names of tuned arms, `against` and `family`."""
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
            yield "family", f"{shown(name)} is the arm that the others are compared with: leave it out"


def _key(study: Study, delta: Mapping[str, Any]) -> Key:
    own, at_base_rate = without_base_rate(delta)
    specs = specifications(study, own)
    if at_base_rate:
        pairs = zip(specs, specifications(study, {}), strict=True)
        at_base_rate = any(one.start != base.start for one, base in pairs)
    return specs, at_base_rate


def specifications(study: Study, delta: Mapping[str, Any]) -> Specs:
    """Return the run settings of ``delta`` on the base, for one task of each family of the study."""
    settings = overlay(checked(study.base_settings), delta)
    return tuple(resolve(merge(for_family(settings, family), PROBE_TASKS[family])) for family in study.suites)


def _method(study: Study, key: Key) -> str | None:
    specs, at_base_rate = key
    if at_base_rate:
        return None
    same = tuple(spec.model_copy(update={"method": ""}) for spec in specs)
    return next((method for method, preset in _presets(study.suites).items() if preset == same), None)


@cache
def _presets(suites: tuple[Family, ...]) -> dict[str, Specs]:
    """Return the run settings of every named method, without its name, for a task of each family."""
    return {
        method: tuple(
            resolve({"method": method, **PROBE_TASKS[family]}).model_copy(update={"method": ""}) for family in suites
        )
        for method in METHODS
    }
