"""Regular expressions for layers: matched in bounded time, as `re` matches them, or refused; never given to `re`."""

import random
import re
from pathlib import Path

import pytest
from refusals import refused, run_verb
from stored_adapters import causal_adapter, copied, settings

from balora.adapters import AdapterConfig
from balora.adapters.layer_patterns import fully_matching
from balora.errors import AdapterError, ConfigError

ENDLESS = [
    r"(a+)+$",
    r"(\w+)*q_proj!",
    r"([a-z_.]*)*x",
    r"(.*)*_proj",
    r"(([a-z_]+\.?)+)q_proj",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"(?:(?:\w+\.)*\w*)*q_proj",
    r"(x+x+)+y",
    r"((a|b)*c?)*!",
    r"(.*a){25}",
    r"(\w{1,60}){1,60}!",
]
"""Python's `re` needs more than a lifetime for most of these on the name of a layer."""
SLOW = [
    "a?" * 40,
    r"(a|a)*!",
    r"(\w|_|[a-z])+!",
    r".*.*.*.*.*.*.*.*.*.*.*!",
    r"\w*\w*\w*\w*\w*\w*\w*\w*!",
    r"(.|\w|[^!])*!",
]
"""Matched here in at most length² steps a part; `re` would try every way."""


@pytest.mark.parametrize("pattern", ENDLESS)
def test_a_repetition_within_a_repetition_is_refused(pattern: str) -> None:
    with pytest.raises(AdapterError, match=r"uses a repetition within a repetition: write the names of the layers"):
        fully_matching(pattern, ["model.layers.0.self_attn.q_proj" * 8])


@pytest.mark.parametrize("pattern", SLOW)
def test_every_other_expression_ends(pattern: str) -> None:
    """With `re` these would not come back: this test has no clock."""
    assert fully_matching(pattern, ["a" * 200, "model.layers.0.self_attn.q_proj" * 8]) == []


REFUSED = {
    "(": "no regular expression",
    "*q_proj": "no regular expression",
    "[z-a]": "no regular expression",
    "a{2,1}": "no regular expression",
    "(?i)q_proj": "flags",
    "(?i:Q)_proj": "flags",
    r"(q)_\1": "a backreference",
    r"(?P<n>q)(?(n)_|-)proj": "a condition",
    "(?<=self_attn.)q_proj": "a lookbehind",
    "(?<!mlp.)q_proj": "a lookbehind",
    "a*+b": "a possessive repetition",
    "(?>a|ab)c": "an atomic group",
    "q" * 5_000: "longer than 4,000 characters",
    "(" * 1_500 + ")" * 1_500: "nested too deeply",
    "a{99999999999999}": "no regular expression",
}


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_names_never_need_is_refused(pattern: str) -> None:
    with pytest.raises(AdapterError) as caught:
        fully_matching(pattern, ["q_proj"])
    assert REFUSED[pattern] in str(caught.value)
    assert len(str(caught.value)) < 600


def expression(draw: random.Random, depth: int = 0) -> str:
    """Return a random expression."""
    kind = 0 if depth > 3 else draw.randrange(10)
    if kind < 3:
        return draw.choice(["a", "b", r"\.", ".", "[ab]", "[^a]", r"\w", r"\W", r"\d", r"[\D]", r"\b", "^", "$"])
    if kind < 6:
        return expression(draw, depth + 1) + expression(draw, depth + 1)
    if kind == 6:
        return f"(?:{expression(draw, depth + 1)}|{expression(draw, depth + 1)})"
    if kind == 7:
        many = draw.choice(["*", "+", "?", "{1,2}", "{2}", "*?", "{,3}?", "{2,}"])
        return f"({expression(draw, depth + 1)}){many}"
    return f"({draw.choice(['?=', '?!', '?:'])}{expression(draw, depth + 1)})"


def test_it_matches_what_re_matches() -> None:
    draw, compared = random.Random(0), 0
    for _ in range(4_000):
        pattern = expression(draw)
        names = ["".join(draw.choice("ab.1") for _ in range(draw.randrange(7))) for _ in range(5)]
        try:
            found = fully_matching(pattern, names)
        except AdapterError:
            continue
        compared += 1
        assert found == [name for name in names if re.fullmatch(pattern, name)], (pattern, names)
    assert compared > 3_000


@pytest.fixture(scope="module")
def causal(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return causal_adapter(checkpoint, tmp_path_factory.mktemp("adapters") / "causal")


IN_A_FILE = {
    "targets": ({"target_modules": r"(\w+\.?)+q_proj!"}, "a repetition within a repetition"),
    "targets that match": ({"target_modules": r"(.*)*_proj"}, "a repetition within a repetition"),
    "targets that match nothing": ({"target_modules": r"(a|a)*!"}, "selects no layer"),
    "targets that match other layers": ({"target_modules": r".*\.k_proj"}, "model.layers.0.self_attn.k_proj.lora_A"),
    "exclusions": ({"exclude_modules": r"([a-z_.0-9]*)*!"}, "a repetition within a repetition"),
    "ranks": ({"rank_pattern": {r"(\w+\.?)+!": 2}}, "a repetition within a repetition"),
    "scalings": ({"alpha_pattern": {r"(\w+\.?)+!": 2}}, "a repetition within a repetition"),
    "layers": ({"layers_to_transform": [0], "layers_pattern": r"(\w+\.?)+!"}, "layers_pattern holds"),
    "several layers": ({"layers_to_transform": [0], "layers_pattern": ["h", r"(\w+\.?)+!"]}, "layers_pattern holds"),
    "modules to save": ({"modules_to_save": [r"(\w+\.?)+!"]}, "modules_to_save holds"),
    "parameters": ({"target_parameters": [r"(\w+\.?)+!"]}, "target_parameters holds"),
}


@pytest.mark.parametrize("case", IN_A_FILE)
def test_an_expression_in_an_adapters_file_never_reaches_re(
    causal: Path, checkpoint: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    changes, says = IN_A_FILE[case]
    adapter = copied(causal, tmp_path / "adapter", settings(**changes))

    def trap(pattern: object, *rest: object, compile=re._compile):
        assert not any(sign in str(pattern) for sign in (r"\w+\.?)+", "(.*)*", "(a|a)*", "[a-z_.0-9]*")), pattern
        return compile(pattern, *rest)

    monkeypatch.setattr(re, "_compile", trap)
    words = ["evaluate", "--model", checkpoint, "--data", data, "--task", "gsm8k", "--adapter", adapter]
    refused(words, str(adapter), says, watched=tmp_path)


NO_NAMES = [r"(a+)+$", ".*", "q|v_proj", "q_proj$", " ", "q proj", ".q_proj", "q_proj.", "a..b", "q\n", "q" * 256]


@pytest.mark.parametrize("name", NO_NAMES)
@pytest.mark.parametrize("key", ["target_modules", "modules_to_save"])
def test_settings_take_names_and_no_patterns(key: str, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"{key} holds .*: write names of modules or their ends, e.g. q_proj"):
        AdapterConfig(**{key: ("k_proj", name)})


def test_a_pattern_on_the_command_line_is_refused(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    words = ["train", "--model", checkpoint, "--data", data, "--task", "gsm8k", "--output", tmp_path / "out"]
    says = "adapter: target_modules holds '(a+)+$': write names"
    refused([*words, "--set", "adapter.target_modules=['(a+)+$']"], says, watched=tmp_path)
    assert run_verb(*words, "--set", "adapter.target_modules=(a+)+$").code == 2
