"""The list of settings: complete, worded, found by any name, and the same on the page."""

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

from balora.errors import ConfigError
from balora.settings import OTHER_NAMES
from balora.training.setting_list import SHORTHANDS, find_settings, setting_rows
from balora.training.spec import resolve, setting_keys

ROOT = Path(__file__).resolve().parents[2]
ROWS = {row.key: row for row in setting_rows()}


def test_every_key_is_listed_with_a_type_a_default_and_a_meaning() -> None:
    assert set(ROWS) == set(setting_keys()) - {"own"}
    assert [key for key, row in ROWS.items() if not (row.type and row.default and row.meaning)] == []


def test_types_and_bounds_are_in_words() -> None:
    assert ROWS["training.batch_size"].type == "whole number ≥ 1"
    assert ROWS["training.warmup"].type == "number ≥ 0, < 1"
    assert ROWS["training.learning_rate"].type == "number > 0"
    assert ROWS["training.lr_schedule"].type == "`cosine`, `linear`, `constant`"
    assert ROWS["adapter.target_modules"].type == "list of texts or `all-linear`"
    assert ROWS["training.compile"].type == "true or false"
    assert ROWS["data.folder"].type == "text"


def test_defaults_are_those_of_a_run() -> None:
    for family, task in (("nlu", "cola"), ("nlg", "gsm8k")):
        spec = resolve({"task": task, "model": "none"}).model_dump()
        spec["model"] = {"name": spec["model"], **spec.pop("loading")}
        for key, row in ROWS.items():
            if row.default.startswith(("required", "by method", "the task")) or key in SHORTHANDS:
                continue
            value = spec
            for part in key.split("."):
                value = value[part] if isinstance(value, dict) else None
            shown = "none" if value in (None, ()) else "1" if value == (1,) else str(value)
            expected = dict(one.removesuffix(")").split(" (")[::-1] for one in row.default.split(", ") if " (" in one)
            if key.startswith(("testbed.", "scoring.judge.")):
                continue  # groups that this run does not have
            assert expected.get(family, row.default) == (shown.lower() if isinstance(value, bool) else shown), key


@pytest.mark.parametrize(
    ("word", "keys"),
    [
        ("training.warmup", ["training.warmup"]),
        ("warmup", ["training.warmup"]),
        ("lora_r", ["adapter.rank"]),
        ("lora-r", ["adapter.rank"]),
        ("num_train_epochs", ["training.epochs"]),
        ("bf16", ["training.precision"]),
        ("lr", ["training.learning_rate"]),
        ("T", ["objective.consistency.temperature"]),
        ("checkpointing", ["training.gradient_checkpointing"]),
        ("L2-SP", ["training.l2_start"]),
    ],
)
def test_a_setting_is_found_by_its_key_its_names_elsewhere_and_its_meaning(word: str, keys: list[str]) -> None:
    assert [row.key for row in find_settings(word, ROWS.values())] == keys


def test_a_word_that_stands_nowhere_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"^unknown setting 'lerning_rate': did you mean 'learning_rate'\?$"):
        find_settings("lerning_rate", ROWS.values())


def test_every_name_elsewhere_stands_for_a_setting() -> None:
    assert set(OTHER_NAMES.values()) - {"T"} <= {*ROWS, "model"}
    assert sum(len(row.other_names) for row in ROWS.values()) == len(OTHER_NAMES)


def test_the_page_is_made_from_the_declarations() -> None:
    path = str(ROOT / "scripts" / "settings_page")
    module = module_from_spec(spec_from_loader("settings_page", SourceFileLoader("settings_page", path)))  # type: ignore[arg-type]
    module.__spec__.loader.exec_module(module)  # type: ignore[union-attr]
    assert module.PAGE.read_text(encoding="utf-8") == module.text(), "run scripts/settings_page"
