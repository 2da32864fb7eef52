"""The published editions against method.md §2, cell by cell, and the presets made of them."""

import re

import pytest

from balora.errors import ConfigError
from balora.objective import ObjectiveConfig
from balora.objective.editions import FORMULAS, WEIGHTS
from balora.settings import Family

ON, OFF = ["ba-lora", "lora+reg", "full+reg"], ["none", "full", "lora", "pissa"]

# Written out a second time on purpose: a slip in either copy is red.
PUBLISHED = {
    ("arxiv-v5", "nlu"): {
        "consistency": {"weight": 1e-4, "form": "mse", "temperature": 1.0, "schedule": "constant", "every": 1},
        "diversity": {"weight": 3e-4, "form": "covariance", "top_k": None, "schedule": "constant"},
        "spectral": {"weight": 1e-4, "k": 3, "norm": "nuclear", "schedule": "constant"},
    },
    ("arxiv-v5", "nlg"): {
        "consistency": {"weight": 1e-4, "form": "kl", "temperature": 1.0, "schedule": "constant", "every": 1},
        "diversity": {"weight": 3e-4, "form": "entropy", "top_k": None, "schedule": "constant"},
        "spectral": {"weight": 1e-4, "k": 3, "norm": "nuclear", "schedule": "constant"},
    },
    ("iclr-2026", "nlu"): {
        "consistency": {"weight": 0.15, "form": "kl", "temperature": 2.0, "schedule": "constant", "every": 1},
        "diversity": {"weight": 0.03, "form": "covariance", "top_k": None, "schedule": "constant"},
        "spectral": {"weight": 0.03, "k": 5, "norm": "nuclear", "schedule": "constant"},
    },
    ("iclr-2026", "nlg"): {
        "consistency": {"weight": 0.025, "form": "kl", "temperature": 2.0, "schedule": "cosine", "every": 1},
        "diversity": {"weight": 0.005, "form": "entropy", "top_k": 20, "schedule": "two-phase"},
        "spectral": {"weight": 0.005, "k": 10, "norm": "frobenius", "schedule": "two-phase"},
    },
}


def test_no_edition_is_left_out() -> None:
    assert set(FORMULAS) == set(WEIGHTS) == set(PUBLISHED)


@pytest.mark.parametrize("name", ON)
@pytest.mark.parametrize(("edition", "family"), PUBLISHED)
def test_regularized_presets_are_the_published_tables(name: str, edition: str, family: Family) -> None:
    config = ObjectiveConfig.preset(name, family=family, edition=edition)  # type: ignore[arg-type]
    for term, cells in PUBLISHED[edition, family].items():
        assert getattr(config, term).model_dump() == {"share": None, **cells}
    assert (config.family, config.edition, config.active_formulation) == (family, edition, family)
    assert config.reference_head == "initial"
    assert config.matching == "none"
    assert config.regularized
    assert config.needs_reference


@pytest.mark.parametrize("name", OFF)
def test_unregularized_presets_differ_in_the_weights_only(name: str) -> None:
    on = ObjectiveConfig.preset("ba-lora", family="nlg")
    off = ObjectiveConfig.preset(name, family="nlg")
    assert not off.regularized
    assert not off.needs_reference
    for term in ("consistency", "diversity", "spectral"):
        assert getattr(off, term) == getattr(on, term).replace(weight=0.0)


def test_the_latest_edition_is_the_default() -> None:
    assert ObjectiveConfig.preset("ba-lora", family="nlu").edition == "iclr-2026"


@pytest.mark.parametrize("edition", ["arxiv-v5", "iclr-2026"])
@pytest.mark.parametrize(("family", "other"), [("nlu", "nlg"), ("nlg", "nlu")])
def test_a_swapped_formulation_takes_the_others_formulas_and_keeps_the_tasks_weights(
    edition: str, family: Family, other: Family
) -> None:
    config = ObjectiveConfig.preset("ba-lora", family=family, edition=edition, formulation=other)  # type: ignore[arg-type]
    own, foreign = PUBLISHED[edition, family], PUBLISHED[edition, other]
    for term, cells in foreign.items():
        kept = {key: own[term][key] for key in ("weight", "schedule")}
        assert getattr(config, term).model_dump() == {"share": None, **cells, **kept}
    assert config.active_formulation == other


@pytest.mark.parametrize(
    ("name", "choice", "message"),
    [
        ("balora", {}, "unknown objective preset 'balora': did you mean 'ba-lora'?"),
        ("ba-lora", {"family": "nlx"}, "no edition 'iclr-2026' for family 'nlx': known: arxiv-v5 nlu, arxiv-v5 nlg"),
        ("ba-lora", {"edition": "iclr"}, "no edition 'iclr' for family 'nlg': known: arxiv-v5 nlu"),
        ("ba-lora", {"formulation": "x"}, "no formulation 'x' in edition 'iclr-2026': known: arxiv-v5 nlu"),
    ],
)
def test_unknown_names_are_errors(name: str, choice: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        ObjectiveConfig.preset(name, **{"family": "nlg", **choice})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({"consistency": {"weight": -0.1}}, ["consistency.weight", "greater than or equal to 0", "got -0.1"]),
        ({"diversity": {"weight": float("inf")}}, ["diversity.weight", "finite", "got inf"]),
        ({"spectral": {"weight": float("nan")}}, ["spectral.weight", "got nan"]),
        ({"consistency": {"temperature": 0}}, ["consistency.temperature", "greater than 0", "got 0"]),
        ({"diversity": {"top_k": 0}}, ["diversity.top_k", "greater than or equal to 1", "got 0"]),
        ({"spectral": {"k": 0}}, ["spectral.k", "greater than or equal to 1", "got 0"]),
        ({"spectral": {"norm": "ky-fan"}}, ["spectral.norm", "'nuclear' or 'frobenius'", "got 'ky-fan'"]),
        ({"consistency": {"temprature": 1}}, ["consistency.temprature", "did you mean 'temperature'?"]),
        ({"matching": "gradient"}, ["formulation is the family's own (nlg)", "set formulation to the other one"]),
        # all faults at once
        ({"spectral": {"k": 0}, "diversity": {"weight": -1}}, ["spectral.k", "diversity.weight"]),
    ],
)
def test_what_a_configuration_refuses(settings: dict[str, object], parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        ObjectiveConfig(family="nlg", **settings)
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_matching_is_for_swapped_formulations() -> None:
    swapped = ObjectiveConfig.preset("ba-lora", family="nlg", formulation="nlu")
    assert swapped.replace(matching="gradient").matching == "gradient"
