"""The settings of a judge: what they refuse, and which of them decide numbers."""

import pytest

from balora.errors import ConfigError
from balora.judging.config import DECIDES_NUMBERS, ONLY_COSTS, JudgeConfig, is_loopback

URL = "http://127.0.0.1:8000/v1"


def test_defaults_are_the_papers_first_turn_and_fastchats_sampling() -> None:
    config = JudgeConfig(url=URL, model="gpt-4")
    assert (config.turns, config.temperature, config.max_tokens, config.key_variable) == (
        1,
        0.0,
        2048,
        "OPENAI_API_KEY",
    )


def test_every_setting_either_decides_numbers_or_only_costs() -> None:
    assert sorted(DECIDES_NUMBERS + ONLY_COSTS) == sorted(JudgeConfig.model_fields)


def test_a_slash_at_the_end_of_the_address_changes_nothing() -> None:
    assert JudgeConfig(url=f"{URL}/", model="m") == JudgeConfig(url=URL, model="m")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"url": "127.0.0.1:8000/v1"}, "url: must be an http(s) address such as http://127.0.0.1:8000/v1, got"),
        ({"url": "file:///etc/passwd"}, "must be an http(s) address"),
        ({"url": "http://"}, "must be an http(s) address"),
        ({"url": "http://[::1/v1"}, "not an address"),
        ({"url": "http://host:99999/v1"}, "not an address"),
        ({"url": "http://host/a b"}, "must be an http(s) address"),
        ({"url": "http://host/\x1b[2J"}, "must be an http(s) address"),
        ({"url": "http://\u202ehost/v1"}, "must be an http(s) address"),
        ({"url": "http://host/" + "a" * 500}, "url"),
        ({"url": "http://host\\@evil/v1"}, "must be an http(s) address"),
        ({"url": "http://me:sk-secret@host/v1"}, "url: holds a user name, a query or a fragment"),
        ({"url": "http://host/v1?api-key=sk-secret"}, "url: holds a user name, a query or a fragment"),
        ({"url": "http://host/v1#sk-secret"}, "url: holds a user name, a query or a fragment"),
        ({"key_variable": "sk-secret"}, "must be the name of an environment variable that ends in _API_KEY"),
        (
            {"key_variable": "AWS_SECRET_ACCESS_KEY"},
            "must be the name of an environment variable that ends in _API_KEY",
        ),
        ({"key_variable": "HF_TOKEN"}, "must be the name of an environment variable that ends in _API_KEY"),
        ({"turns": 3}, "turns"),
        ({"timeout": 0}, "timeout"),
        ({"retries": -1}, "retries"),
        ({"concurrency": 0}, "concurrency"),
        ({"temperature": 3}, "temperature"),
        ({"max_tokens": 1}, "max_tokens"),
        ({"prompts": "single-v1"}, "prompts"),
        ({"key": "sk-secret"}, "key"),
    ],
)
def test_wrong_settings_are_refused_without_repeating_a_secret(settings: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        JudgeConfig(**{"url": URL, "model": "m", **settings})
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "sk-secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (URL, True),
        ("http://localhost:1/v1", True),
        ("http://[::1]:1/v1", True),
        ("http://127.9.9.9/v1", True),
        ("http://10.0.0.1/v1", False),
        ("https://localhost.example.org/v1", False),
        ("https://api.openai.com/v1", False),
    ],
)
def test_loopback_addresses_are_known(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected
