"""Define the profiles of real models: how many seeds, steps and rows a study has. The testbed has `testbed_profiles`.

A profile's settings are laid over the study's base, below `--set` and the arms. Its learning rate is that of a study
with `rates: shared`; by default a search comes first, which finds a rate for each start of the adapter on the profile's
grid (:mod:`balora.study.plan.rate_search`). On the testbed that search has been made once for all.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from balora.settings import Family

Rates = Mapping[Family, Mapping[str, float]]
"""Family → how the adapter starts (`adapter.init`, or `full` without an adapter) → learning rate."""


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
    """Learning rates by family and start of the adapter; None: they are found before the study."""
    grid: tuple[float, ...] = ()
    """The learning rates that are tried for each start."""
    search_seeds: int = 2
    """How many seeds the search for learning rates has; no block of a study uses them."""
    held_out: int = 400
    """Training rows that the search scores, and that no run of the study trains on."""
    tasks: tuple[str, ...] | None = None
    """The testbed tasks of a study that names none; None means all."""
    pretrainings: int | None = None
    """How many pre-training seeds the testbed's blocks take turns with; None means one for each block."""


PROFILES: dict[str, Profile] = {
    "glance": Profile(
        "does everything run? minutes on two cores with a tiny model; far too short to judge the method",
        seeds=3,
        grid=(5e-4, 1e-3, 2e-3),
        search_seeds=1,
        held_out=64,
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
        grid=(2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3),
        shared={"training": {"steps": 150, "learning_rate": 1e-3}, "adapter": {"rank": 8}},
        suites={
            "nlu": {"data": {"train_rows": 2400, "eval_rows": 500, "max_length": 128}},
            "nlg": {"data": {"train_rows": 2400, "eval_rows": 64, "max_length": 512, "max_new_tokens": 128}},
        },
    ),
    "small": Profile(
        "answers on a small genuine model (docs/real-models.md) overnight on two cores: 5 seeds, 45 or 40 steps",
        seeds=5,
        grid=(2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3),
        held_out=300,
        shared={"training": {"batch_size": 16, "learning_rate": 1e-3, "telemetry_every": 15}, "adapter": {"rank": 16}},
        suites={
            "nlu": {
                "training": {"steps": 45},
                "data": {"train_rows": 720, "eval_rows": 400, "max_length": 64},
            },
            "nlg": {
                "training": {"steps": 40, "eval_batch_size": 16},
                "data": {"train_rows": 640, "eval_rows": 64, "max_length": 192, "max_new_tokens": 160},
            },
        },
    ),
    "standard": Profile(
        "real answers on a real model: 5 seeds, 1,000 steps of 32 rows, every evaluation row",
        seeds=5,
        grid=(5e-5, 1e-4, 2e-4, 4e-4, 8e-4),
        shared={"training": {"steps": 1000, "batch_size": 32, "learning_rate": 2e-4}},
        suites={
            "nlu": {"data": {"max_length": 128}},
            "nlg": {"data": {"max_length": 512, "max_new_tokens": 256}},
        },
    ),
    "thorough": Profile(
        "8 seeds (smallest possible p: 0.0078), 3 epochs of NLU and 1 of NLG over all rows",
        seeds=8,
        grid=(5e-5, 1e-4, 2e-4, 4e-4, 8e-4),
        shared={"training": {"batch_size": 32, "learning_rate": 2e-4}},
        suites={
            "nlu": {"training": {"epochs": 3.0}, "data": {"max_length": 256}},
            "nlg": {"training": {"epochs": 1.0}, "data": {"max_length": 512, "max_new_tokens": 512}},
        },
    ),
}
