"""Define the profiles of the testbed: how many blocks, tasks, steps and rows a study has, and its learning rates."""

from typing import Any

from balora.errors import ConfigError, unknown_name
from balora.settings import Family
from balora.study.plan.profiles import PROFILES, Profile, Rates
from balora.training.spec import TESTBED

SHIPPED = 4
"""Pre-training seeds whose models come with the package: 0 to 3."""

RATES: Rates = {
    "nlu": {"standard": 8e-3, "pissa": 2e-3, "random-matched": 2e-3, "minor": 4e-3, "full": 1e-3},
    "nlg": {"standard": 4e-3, "pissa": 1e-3, "random-matched": 2e-3, "minor": 2e-3, "full": 1e-3},
}
"""The rate of each start of the adapter, the best of one grid for all (docs/calibration.md); regularizers take the rate
of their start. `full` was not searched. `--set training.learning_rate=…` gives all arms one rate instead."""

GRIDS: dict[Family, tuple[float, ...]] = {
    "nlu": (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2),
    "nlg": (5e-4, 1e-3, 2e-3, 4e-3, 8e-3),
}
"""The rates among which they were found: those of a step with twice the rows are twice as large."""
GRID = tuple(sorted({rate for grid in GRIDS.values() for rate in grid}))
"""The rates of studies that try every rate."""
ADAPTER = {"rank": 8}
TRAINING = {"warmup": 0.3, "eval_batch_size": 250}
"""A long warm-up: with the usual 3 % the first steps of a large rate decide much of a generation task, and on the same
rows fine-tunings of one model differ twice as much (docs/calibration.md)."""
ROWS: dict[Family, int] = {"nlu": 16, "nlg": 8}
"""In a step. Smaller steps make generation quieter still; understanding gets no quieter, and takes longer."""
NLU_DATA = {"train_rows": 160, "max_length": 64}
NLG_DATA = {"train_rows": 320, "max_length": 128, "max_new_tokens": 24}

SHORT_EVALUATION = 400
"""Rows that short profiles score: a standard error of 2.5 points at an accuracy of one half."""


def _suites(
    nlu_steps: int, nlg_steps: int, telemetry_every: int, rows: int = 1, eval_rows: int | None = None
) -> dict[Family, dict[str, Any]]:
    """Return both families' settings; 5 passes over 160·``rows`` (NLU) are 50 steps, 3 over 320·``rows`` (NLG) 120."""
    of: dict[Family, tuple[int, dict[str, int]]] = {"nlu": (nlu_steps, NLU_DATA), "nlg": (nlg_steps, NLG_DATA)}
    return {
        family: {
            "training": {"batch_size": ROWS[family], "steps": steps, "telemetry_every": telemetry_every},
            "data": {**data, "train_rows": rows * data["train_rows"], "eval_rows": eval_rows},
        }
        for family, (steps, data) in of.items()
    }


SHARED = {"training": TRAINING, "adapter": ADAPTER}

TESTBED_PROFILES: dict[str, Profile] = {
    "glance": Profile(
        "does everything run? two blocks, one task a family, half the steps of `quick`; too little to judge the method",
        seeds=2,
        shared=SHARED,
        suites=_suites(nlu_steps=25, nlg_steps=60, telemetry_every=24, eval_rows=SHORT_EVALUATION),
        rates=RATES,
        grid=GRID,
        tasks=("sentiment", "facts"),
        pretrainings=2,
    ),
    "quick": Profile(
        "a first answer: 8 blocks on the 4 shipped models, three tasks of each family, 50 or 120 steps a run",
        seeds=8,
        shared=SHARED,
        suites=_suites(nlu_steps=50, nlg_steps=120, telemetry_every=40, eval_rows=SHORT_EVALUATION),
        rates=RATES,
        grid=GRID,
        tasks=("sentiment", "entailment", "paraphrase", "arithmetic", "code", "facts"),
        pretrainings=SHIPPED,
    ),
    "standard": Profile(
        "all eight tasks, 16 blocks, each on a pre-trained model of its own (4 are shipped, the others cached)",
        seeds=16,
        shared=SHARED,
        suites=_suites(nlu_steps=50, nlg_steps=120, telemetry_every=40),
        rates=RATES,
        grid=GRID,
    ),
    "thorough": Profile(
        "all eight tasks, 32 blocks on 32 pre-trained models, twice the rows and steps",
        seeds=32,
        shared=SHARED,
        suites=_suites(nlu_steps=100, nlg_steps=240, telemetry_every=60, rows=2),
        rates=RATES,
        grid=GRID,
    ),
}


def find_profile(name: str, model: str) -> Profile:
    """Return the profile called ``name`` for ``model``; :class:`ConfigError` with the nearest name if there is none."""
    profiles = TESTBED_PROFILES if model == TESTBED else PROFILES
    if name not in profiles:
        raise ConfigError(unknown_name("profile", name, profiles))
    return profiles[name]
