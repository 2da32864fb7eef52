"""Settings become one run, spelled out; or one message with every fault."""

import pytest

from balora.errors import ConfigError
from balora.settings import merge, nest
from balora.training.spec import METHODS, RunSpec, TrainingConfig, resolve, setting_keys

BASE = {"task": "cola", "model": "m"}


def test_each_method_is_a_preset_of_one_configuration():
    inits = {name: (spec.adapter and spec.adapter.init) for name, spec in resolved(METHODS)}
    assert inits == {
        "full": None,
        "full+reg": None,
        "lora": "standard",
        "pissa": "pissa",
        "lora+reg": "standard",
        "ba-lora": "pissa",
    }
    assert {name for name, spec in resolved(METHODS) if spec.objective.regularized} == {
        "full+reg",
        "lora+reg",
        "ba-lora",
    }
    assert resolve(BASE) == resolve({**BASE, "method": "ba-lora"})


def resolved(names):
    return [(name, resolve({**BASE, "method": name})) for name in names]


def test_given_keys_win_over_presets_and_presets_over_defaults():
    spec = resolve(
        {
            **BASE,
            "objective.edition": "arxiv-v5",
            "objective": {"diversity": {"weight": 0.5}},
            "objective.spectral.k": 2,
            "adapter": {"rank": 4},
            "adapter.alpha": 8,
            "training.steps": 7,
        }
    )
    assert (spec.objective.consistency.form, spec.objective.consistency.weight) == ("mse", 1e-4)
    assert (spec.objective.diversity.weight, spec.objective.spectral.k) == (0.5, 2)
    assert (spec.adapter.rank, spec.adapter.alpha, spec.adapter.init) == (4, 8, "pissa")
    assert (spec.training.steps, spec.training.seed) == (7, 42)


def test_the_family_is_the_tasks_and_the_formulation_ones_own():
    spec = resolve({**BASE, "task": "gsm8k", "objective.formulation": "nlu"})
    assert (spec.objective.family, spec.objective.diversity.form, spec.objective.diversity.weight) == (
        "nlg",
        "covariance",
        0.005,
    )
    assert spec.objective.consistency.schedule == "cosine"


@pytest.mark.parametrize("key", ["objective.preset", "objective.edition", "objective.formulation", "method"])
def test_a_null_name_is_the_one_taken_without_it(key):
    assert resolve({**BASE, key: None}) == resolve(BASE)


def test_no_regularizers_by_preset():
    spec = resolve({**BASE, "objective.preset": "none", "objective.spectral.weight": 0.1})
    assert (spec.objective.consistency.weight, spec.objective.spectral.weight) == (0.0, 0.1)


def test_a_resolved_run_survives_its_dump():
    for name, spec in resolved(METHODS):
        assert RunSpec(**spec.model_dump()) == spec, name
        assert RunSpec(**spec.model_dump(mode="json")) == spec, name


FAULTS = [
    ({"method": "balora"}, "unknown method 'balora': did you mean 'ba-lora'?"),
    ({"task": "colla"}, "unknown task 'colla': did you mean 'cola'?"),
    ({"task": None}, "task: required but not given"),
    ({"model": ""}, "model: required but not given"),
    ({"adapter.rnak": 4}, "adapter.rnak: unknown key 'rnak': did you mean 'rank'?"),
    ({"rank": 4}, "unknown key 'rank': did you mean 'adapter.rank'?"),
    ({"objective.preset": "balora"}, "unknown objective preset 'balora': did you mean 'ba-lora'?"),
    ({"objective.edition": "icml"}, "no edition 'icml' for family 'nlu': known: arxiv-v5 nlu, "),
    ({"objective.formulation": "nlx"}, "no formulation 'nlx' in edition 'iclr-2026'"),
    (
        {"method": "full", "adapter.rank": 4},
        "adapter settings given, but method 'full' trains the whole model: drop them",
    ),
    ({"method": "lora", "adapter": None}, "adapter is null, but method 'lora' needs one: use method 'full'"),
    ({"method": 3}, "method: expected a name, got 3"),
    ({"adapter": [1]}, "adapter: expected a group of settings, got [1]"),
    ({"training": 3}, "training: expected a group of settings, got 3"),
    ({"objective.family": "nlg"}, "objective.family is 'nlg', but task 'cola' is nlu"),
    ({"objective.consistency.weight": -1}, "objective.consistency.weight: input should be greater than or equal to 0"),
    ({"objective.spectral.k": 0}, "objective.spectral.k: input should be greater than or equal to 1, got 0"),
    ({"objective.consistency.temperature": 0}, "objective.consistency.temperature: input should be greater than 0"),
    ({"adapter.dropout": 1.0}, "adapter.dropout: input should be less than 1, got 1.0"),
    ({"training.label_smoothing": 1.0}, "training.label_smoothing: input should be less than 1, got 1.0"),
    ({"training.label_smoothing": -0.1}, "training.label_smoothing: input should be greater than or equal to 0"),
    ({"training.l2_start": -1}, "training.l2_start: input should be greater than or equal to 0, got -1"),
    ({"training.l2_start": float("inf")}, "training.l2_start: input should be a finite number, got inf"),
    ({"training.stretch": 0}, "training.stretch: input should be greater than 0, got 0"),
    ({"training.seed": 2**32}, "training.seed: input should be less than 4294967296, got 4294967296"),
    ({"training.warmup": 1.0}, "training.warmup: input should be less than 1, got 1.0"),
    ({"training.learning_rate": float("inf")}, "training.learning_rate: input should be a finite number, got inf"),
    ({"training.precision": "float16"}, "training.precision: input should be 'float32' or 'bfloat16', got 'float16'"),
    ({"objective.matching": "gradient"}, "formulation is the family's own (nlu): set formulation to the other one"),
]


@pytest.mark.parametrize(
    ("settings", "text"), FAULTS, ids=lambda value: str(value)[:40] if isinstance(value, dict) else ""
)
def test_a_fault_is_one_line_with_the_way_out(settings, text):
    with pytest.raises(ConfigError) as caught:
        resolve({**BASE, **settings})
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_faults_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        resolve({**BASE, "training.steps": 0, "training.bach_size": 2, "adapter.rank": 0, "data.max_length": "long"})
    for key in ("training.steps", "training.bach_size", "adapter.rank", "data.max_length"):
        assert key in str(caught.value)
    assert "did you mean 'batch_size'" in str(caught.value)


def test_keys_are_those_that_resolve_takes():
    keys = setting_keys()
    assert {
        "method",
        "adapter.rank",
        "objective.preset",
        "objective.spectral.k",
        "training.seed",
        "data.folder",
    } <= set(keys)
    assert "adapter" not in keys
    with pytest.raises(ConfigError, match="unknown key"):
        resolve({**BASE, "training.nothing": 1})


def test_nested_and_dotted_settings_are_one():
    assert nest({"a.b": 1, "a": {"c.d": 2}, "e": 3}) == {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
    assert merge({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}) == {"a": {"b": 1, "c": 3}}
    assert merge({"a": {"b": 1}}, {"a": None}) == {"a": None}


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        TrainingConfig().seed = 3
