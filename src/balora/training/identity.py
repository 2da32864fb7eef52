"""Compute a run's identity: the text of everything that decides its numbers, and the hash of that text; torch-free."""

import hashlib
import json
import re
from collections.abc import Sequence

from balora.training.record import FORMAT
from balora.training.spec import RunSpec

ID_LENGTH = 16
PLACEHOLDERS = (3_141_592_653, 2_718_281_828)
"""Stand for the fine-tuning and the pre-training seed in the text that many runs share; users hardly choose them."""


def payload(spec: RunSpec, fingerprints: dict[str, str], processes: int = 1) -> str:
    """Return everything that enters a run's identity, as JSON: not where files lie, and not what only costs time.

    ``processes`` train the model together; the text of one process does not name it.
    """
    settings = spec.model_dump(
        mode="json", exclude={"model": True, "data": {"folder"}, "training": {"reference_cache_mib"}}
    )
    several = [{"processes": processes}] if processes > 1 else []
    return json.dumps([FORMAT, settings, fingerprints, *several], sort_keys=True)


def run_id(spec: RunSpec, fingerprints: dict[str, str], processes: int = 1) -> str:
    """Return a run's identity: a hash of its resolved settings and of the model, the data and the code it uses."""
    return hashlib.sha256(payload(spec, fingerprints, processes).encode()).hexdigest()[:ID_LENGTH]


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
