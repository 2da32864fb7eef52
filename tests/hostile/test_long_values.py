"""Values without an end, or with characters that act on a terminal, in calls from Python: each error is short."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from peft import LoraConfig, get_peft_model

from balora.adapters.factor_cache import SWITCH, FactorCache
from balora.adapters.intact_base import require_intact_base
from balora.errors import ConfigError, is_printable
from balora.tasks.catalogue import find_task
from balora.tasks.config import check_template
from balora.tasks.data_folders import files_of_split, find_data_folder
from balora.training.class_labels import Outputs
from balora.training.model_folder import check_source

LONG = "./" + "\x1b[31m\u202e\n" * 20_000
FOLDER = Path(__file__).parent


def under_a_name(name: str) -> None:
    import torch

    base = torch.nn.Sequential(torch.nn.Linear(2, 2))
    model = get_peft_model(base, LoraConfig(target_modules=["0"]))  # type: ignore[arg-type]
    model.peft_config[name] = LoraConfig(bias="all")
    require_intact_base(model, [])


CALLS: dict[str, Callable[[str], object]] = {
    "a template without the question": check_template,
    "a template that is none": lambda value: check_template(value + "{"),
    "a template with a format": lambda value: check_template(f"{value}{{question:5}}"),
    "a data folder": lambda value: find_data_folder(find_task("cola"), value),
    "a split": lambda value: files_of_split(FOLDER, value),
    "a model": lambda value: check_source(value, False),
    "a kind of problem": lambda value: Outputs.of(SimpleNamespace(num_labels=2, problem_type=value)),
    "an adapter": under_a_name,
}


def is_one_short_line(text: str) -> bool:
    return len(text) < 1_500 and all(map(is_printable, text))


@pytest.mark.parametrize("call", CALLS)
def test_a_value_without_an_end_is_shown_in_a_short_line(call: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - each has its own text
        CALLS[call](LONG)
    assert is_one_short_line(str(caught.value)), str(caught.value)[:300]


def test_so_is_a_variable_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, LONG)
    with pytest.raises(ConfigError) as caught:
        FactorCache()
    assert is_one_short_line(str(caught.value))
