"""Compute a run's identity: the text of everything that decides its numbers, and the hash of that text; torch-free."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from balora.judging.config import ONLY_COSTS
from balora.measures.config import MEASURES
from balora.tasks.own_task import placeless
from balora.training.spec import RunSpec

FORMAT = 3
"""Of run records: what it changes, changes what an id is the hash of."""
ID_LENGTH = 16
ONLY_TIME = ("reference_cache_mib", "checkpoint_every", "checkpoint_minutes")
"""The settings of a training that change its cost alone."""
PLACEHOLDERS = (3_141_592_653, 2_718_281_828)
"""Stand for the fine-tuning and the pre-training seed in the text that many runs share; users hardly choose them."""


def payload(spec: RunSpec, fingerprints: dict[str, str], processes: int = 1) -> str:
    """Return everything that enters a run's identity, as JSON: not where files lie, and not what only costs time.

    ``processes`` train the model together; the text of one process does not name it.
    """
    settings = spec.model_dump(
        mode="json",
        exclude={
            "model": True,
            "launch": True,
            "data": {"folder"},
            "training": {*ONLY_TIME},
            "measures": {*MEASURES},
        },
    )
    return _text(settings, fingerprints, processes, spec.launch.strategy)


def _without_costs(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings without those of a judge that only decide where and how patiently it is asked."""
    scoring = dict(settings.get("scoring", {}))
    if scoring.get("judge"):
        scoring["judge"] = {name: value for name, value in scoring["judge"].items() if name not in ONLY_COSTS}
    return {**settings, "scoring": scoring}


def _text(settings: Mapping[str, Any], fingerprints: Mapping[str, str], processes: int, strategy: str) -> str:
    settings = {**_without_costs(settings), "own": [placeless(own) for own in settings.get("own", ())]}
    several: list[dict[str, int | str]] = [{"processes": processes}] if processes > 1 else []
    several += [{"strategy": strategy}] if strategy != "ddp" else []  # equal but for rounding
    return json.dumps([FORMAT, settings, fingerprints, *several], sort_keys=True)


def run_id(spec: RunSpec, fingerprints: dict[str, str], processes: int = 1) -> str:
    """Return a run's identity: a hash of its resolved settings and of the model, the data and the code it uses."""
    return _short_hash(payload(spec, fingerprints, processes))


def recorded_id(content: Mapping[str, Any]) -> str:
    """Return :func:`run_id` of the run in ``content``, a record as it was read from JSON.

    It is the hash of what the record holds, so that a record stays valid when later versions have more settings.
    """
    settings = {name: value for name, value in content["spec"].items() if name not in ("model", "launch")}
    for group, outside in (("data", ("folder",)), ("training", ONLY_TIME)):
        settings[group] = {name: value for name, value in settings.get(group, {}).items() if name not in outside}
    if "measures" in settings:  # records of earlier versions have none
        settings["measures"] = {name: value for name, value in settings["measures"].items() if name not in MEASURES}
    strategy = content["spec"].get("launch", {}).get("strategy", "ddp")
    return _short_hash(_text(settings, content.get("fingerprints", {}), content.get("processes", 1), strategy))


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]


def run_ids(spec: RunSpec, fingerprints: dict[str, str], seeds: Sequence[tuple[int, int | None]]) -> list[str]:
    """Return :func:`run_id` of ``spec`` with each pair of fine-tuning and pre-training seed (none: a given model).

    A plan of 100,000 runs needs this: the settings are written out once, and only the seeds in them are replaced.
    """
    text = payload(spec.with_seeds(*PLACEHOLDERS), fingerprints)
    start, *parts = re.split(f'(?<="seed": )({"|".join(map(str, PLACEHOLDERS))})', text)
    which = [PLACEHOLDERS.index(int(seed)) for seed in parts[::2]]
    hashed = hashlib.sha256(start.encode())
    ids = []
    for pair in seeds:
        digest = hashed.copy()
        digest.update("".join(f"{pair[i]}{rest}" for i, rest in zip(which, parts[1::2], strict=True)).encode())
        ids.append(digest.hexdigest()[:ID_LENGTH])
    return ids
