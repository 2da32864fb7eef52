"""Settings that were changed without any effect are named; published ones and effective changes are not."""

import pytest

from balora.objective import ObjectiveConfig
from balora.objective.inactive import inactive_settings

T, K, HEAD = "consistency.temperature", "diversity.top_k", "reference_head"
MSE = "the mean squared error has no temperature"


def config_of(family, edition="iclr-2026", formulation=None, **changes):  # type: ignore[no-untyped-def]
    config = ObjectiveConfig.preset("ba-lora", family=family, edition=edition, formulation=formulation)
    terms = {
        "consistency": config.consistency.replace(temperature=changes.pop("T", config.consistency.temperature)),
        "diversity": config.diversity.replace(top_k=changes.pop("K", config.diversity.top_k)),
    }
    return config.replace(**{**{name: term.model_dump() for name, term in terms.items()}, **changes})


CASES = [
    ("nlu", {"T": 1.0}, 2, {}),
    ("nlu", {"T": 1.0}, 1, {T: "one output: consistency is the plain mean squared error"}),
    ("nlu", {"edition": "arxiv-v5", "T": 2.0}, 3, {T: MSE}),
    ("nlg", {"formulation": "nlu", "edition": "arxiv-v5", "T": 2.0}, None, {T: MSE}),
    ("nlg", {"T": 1.0, "K": 5}, None, {}),
    ("nlg", {"K": None}, None, {}),
    ("nlu", {"K": 5}, 3, {K: "the covariance has no K"}),
    ("nlg", {"formulation": "nlu", "K": 5}, None, {K: "the covariance has no K"}),
    ("nlu", {"formulation": "nlg", "K": 5}, 3, {K: "K is cut to the 3 classes, like the published one"}),
    ("nlu", {"formulation": "nlg", "K": None}, 3, {K: "K is cut to the 3 classes, like the published one"}),
    ("nlu", {"formulation": "nlg", "K": 2}, 3, {}),
    ("nlu", {"formulation": "nlg", "K": 5}, 6, {}),
    ("nlu", {"reference_head": "probe"}, 2, {}),
    ("nlg", {"reference_head": "probe"}, None, {HEAD: "generation: the pre-trained model has a trained head"}),
]  # fmt: skip


@pytest.mark.parametrize(("family", "changes", "classes", "expected"), CASES)
def test_what_has_no_effect_is_named(family, changes, classes, expected) -> None:  # type: ignore[no-untyped-def]
    assert inactive_settings(config_of(family, **changes), classes) == expected


@pytest.mark.parametrize("edition", ["iclr-2026", "arxiv-v5"])
@pytest.mark.parametrize("family", ["nlu", "nlg"])
@pytest.mark.parametrize("formulation", [None, "nlu", "nlg"])
def test_nothing_published_is_named(edition, family, formulation) -> None:  # type: ignore[no-untyped-def]
    for classes in (None,) if family == "nlg" else (1, 2, 3):
        assert inactive_settings(config_of(family, edition, formulation), classes) == {}


@pytest.mark.parametrize(
    ("scope", "processes", "named"), [("global", 1, True), ("global", 2, False), ("process", 1, False)]
)
def test_a_global_scope_acts_in_several_processes_alone(scope: str, processes: int, named: bool) -> None:
    config = config_of("nlu", scope=scope)
    assert ("scope" in inactive_settings(config, 2, processes)) == named
