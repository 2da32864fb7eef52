"""Define the profiles of real models: how many seeds, steps and rows a study has. The testbed has `testbed_profiles`.

A profile's settings are laid over the study's base, below `--set` and the arms. Every arm of a real model has the same
learning rate, so that it differs in nothing but what its name says; change it with `--set training.learning_rate=…`. On
the testbed, which is small, a rate was searched for each start of the adapter.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from balora.settings import Family
from balora.training.spec import RunSpec

Rates = Mapping[Family, Mapping[str, float]]
"""Family → `standard`, `pissa` (how the adapter starts) or `full` (no adapter) → learning rate."""


class Profile(NamedTuple):
    """How many seeds, steps and rows the runs of a study have."""

    about: str
    seeds: int
    """Blocks per arm, unless the study or the command line sets another number."""
    shared: dict[str, Any]
    """Settings of all runs."""
    suites: dict[Family, dict[str, Any]]
    """Settings of the runs of one family."""
    rates: Rates | None = None
    """Learning rates by family and start of the adapter; None: the rate is among the settings above."""
    tasks: tuple[str, ...] | None = None
    """The testbed tasks of a study that names none; None means all."""
    pretrainings: int | None = None
    """How many pre-training seeds the testbed's blocks take turns with; None means one for each block."""

    def rate(self, spec: RunSpec) -> float | None:
        """Return the learning rate for runs like ``spec``; None if the profile has the same for all."""
        if self.rates is None:
            return None
        return self.rates[spec.objective.family]["full" if spec.adapter is None else spec.adapter.init]


PROFILES: dict[str, Profile] = {
    "glance": Profile(
        "does everything run? minutes on two cores with a tiny model; far too short to judge the method",
        seeds=3,
        shared={"training": {"steps": 16, "learning_rate": 1e-3, "telemetry_every": 5}, "adapter": {"rank": 8}},
        suites={
            "nlu": {
                "training": {"batch_size": 8},
                "data": {"train_rows": 128, "eval_rows": 100, "max_length": 64},
            },
            "nlg": {
                "training": {"batch_size": 4},
                "data": {"train_rows": 64, "eval_rows": 16, "max_length": 320, "max_new_tokens": 32},
            },
        },
    ),
    "quick": Profile(
        "a first impression with a tiny model; ten times the steps of `glance` and longer rows",
        seeds=3,
        shared={"training": {"steps": 150, "learning_rate": 1e-3}, "adapter": {"rank": 8}},
        suites={
            "nlu": {"data": {"train_rows": 2400, "eval_rows": 500, "max_length": 128}},
            "nlg": {"data": {"train_rows": 2400, "eval_rows": 64, "max_length": 512, "max_new_tokens": 128}},
        },
    ),
    "standard": Profile(
        "real answers on a real model: 5 seeds, 1,000 steps of 32 rows, every evaluation row",
        seeds=5,
        shared={"training": {"steps": 1000, "batch_size": 32, "learning_rate": 2e-4}},
        suites={
            "nlu": {"data": {"max_length": 128}},
            "nlg": {"data": {"max_length": 512, "max_new_tokens": 256}},
        },
    ),
    "thorough": Profile(
        "8 seeds (smallest possible p: 0.0078), 3 epochs of NLU and 1 of NLG over all rows",
        seeds=8,
        shared={"training": {"batch_size": 32, "learning_rate": 2e-4}},
        suites={
            "nlu": {"training": {"epochs": 3.0}, "data": {"max_length": 256}},
            "nlg": {"training": {"epochs": 1.0}, "data": {"max_length": 512, "max_new_tokens": 512}},
        },
    ),
}
