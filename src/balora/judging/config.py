"""Define the settings of a judge; torch-free, and never the key itself."""

import ipaddress
import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from balora.errors import shown
from balora.settings import Settings

PromptsName = Literal["balora-1", "fastchat"]
"""`balora-1`: balora's own wording; `fastchat`: the published one, read from a file and checked word for word."""


class JudgeConfig(Settings):
    """Which model judges answers, how it is asked, and how patiently."""

    url: str = Field(max_length=500)
    """Base address of an OpenAI-compatible server, up to and with its version: `http://127.0.0.1:8000/v1`."""
    model: str = Field(min_length=1)
    """Name of the judge as the server knows it. Judgements are cached by it: give two models two names."""
    key_variable: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key, ending in `_API_KEY`. A server without keys needs none."""
    turns: Literal[1, 2] = 1
    """How many turns of a question are answered and judged: 1, as in BA-LoRA's tables, or both."""
    prompts: PromptsName = "balora-1"
    """Wording of the judge's instructions. Only `fastchat` gives numbers to set beside published ones."""
    prompt_file: str | None = None
    """FastChat's `judge_prompts.jsonl`, for `fastchat`."""
    temperature: float | None = Field(default=0.0, ge=0, le=2)
    """Sampling temperature of the judge; none sends no temperature, for models that take none."""
    max_tokens: int = Field(default=2048, ge=16)
    """Most tokens of a judgement."""
    limit_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the server calls the limit of tokens; newer models of OpenAI take `max_completion_tokens` only."""
    timeout: float = Field(default=120.0, gt=0, le=3600)
    """Seconds after which one request has failed, from the connection to the last byte."""
    retries: int = Field(default=5, ge=0, le=100)
    """How often a failed request, or one whose reply holds no usable verdict, is sent again."""
    concurrency: int = Field(default=4, ge=1, le=256)
    """Requests under way at once."""

    @field_validator("url")
    @classmethod
    def _url_is_an_address_without_secrets(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"not an address ({error}): write one such as http://127.0.0.1:8000/v1") from None
        if not re.fullmatch(r"[!-\[\]-~]+", url) or parts.scheme not in ("http", "https") or not host:
            raise ValueError(f"must be an http(s) address such as http://127.0.0.1:8000/v1, got {shown(url)}")
        if parts.username is not None or parts.password is not None or "?" in url or "#" in url:
            raise ValueError(
                "holds a user name, a query or a fragment, where a key could stand: put the key into the environment "
                "variable that `key_variable` names"
            )
        return url.rstrip("/")

    @field_validator("key_variable")
    @classmethod
    def _variable_is_for_keys_of_servers(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Z][A-Z0-9_]{0,99}_API_KEY", name):
            raise ValueError(
                f"must be the name of an environment variable that ends in _API_KEY, not the key itself, "
                f"got {len(name):,} characters"
            )
        return name


DECIDES_NUMBERS = ("model", "turns", "prompts", "temperature", "max_tokens")
"""Settings that decide what a judge says, and so belong into a run's identity."""
ONLY_COSTS = ("url", "key_variable", "prompt_file", "limit_name", "timeout", "retries", "concurrency")
"""Settings that decide only where, how fast and how patiently it is asked (`prompt_file` is checked word for word)."""


def is_loopback(url: str) -> bool:
    """Return whether ``url`` names this machine: such requests never go through a proxy."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
