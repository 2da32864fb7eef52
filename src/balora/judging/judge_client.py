"""Send one request to a judge's server by OpenAI's client, and return its reply or why there is none.

The client is used for the HTTP alone. It would retry by itself, but neither replies without a verdict nor waits of more
than two minutes that a server asks for, and its retries could not be counted: see :mod:`balora.judging.judge`.
"""

import asyncio
import json
import logging
import os
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import Any, Self

import httpx2
import openai
from pydantic import SecretStr

from balora.errors import ConfigError, shown
from balora.judging.config import JudgeConfig, is_loopback
from balora.judging.judgement_cache import Reply
from balora.judging.pauses import LONGEST_WAIT, asked_wait
from balora.judging.request_error import RequestError

MOST_BYTES = 4 * 2**20
"""Most bytes of a response; the longest judgement has some ten thousand."""
RAW = "x-stainless-raw-response"
"""Header by which OpenAI's client remembers that the raw content was asked for."""
LONGEST_TEXT = 200_000
"""Most characters of a judgement, which a run's items hold whole."""
MOST_CLEANED = 10_000
"""Most bytes of content that is no JSON which are searched for the key before the first characters are shown."""
SENT_HEADERS = ("accept", "connection", "content-length", "content-type", "host", "user-agent", RAW)
"""All that a server is sent beside the key: neither the organisation nor headers for OpenAI in the environment."""
AGAIN = (408, 409, 425, 429)
"""Statuses of 4xx that a later request may not meet; every 5xx is such a one."""
USED_UP = ("insufficient_quota", "billing_hard_limit_reached")
"""Codes of a status 429 that no waiting cures."""
WIRE_LOG = logging.getLogger("httpcore2")
"""It logs a response's headers, where a server could repeat the key, at level DEBUG: not while a client is open."""
SHORTEST_SECRET = 8
"""Fewest characters of a key that is a secret; local servers are given words such as EMPTY."""


class JudgeClient:
    """A connection to the judge's server; use it with `async with`.

    Raises (the constructor):
        ConfigError: the key in the environment cannot be a key.
    """

    def __init__(self, config: JudgeConfig) -> None:
        self._config = config
        self._key = SecretStr(read_key(config.key_variable))
        # A proxy in the environment is for other hosts. A redirect is never followed: the key and the answers would go
        # to a host that nobody named.
        try:
            http = openai.DefaultAsyncHttpxClient(
                trust_env=not is_loopback(config.url),
                follow_redirects=False,
                timeout=config.timeout,
                verify=_certificates(),
                event_hooks={"request": [self._send_only_what_is_needed], "response": [_bound]},
            )
            self._openai = openai.AsyncOpenAI(base_url=config.url, api_key="none", max_retries=0, http_client=http)
        except (ValueError, ImportError, httpx2.InvalidURL) as error:  # its text may hold the password of a proxy
            raise ConfigError(
                f"the judge at {config.url}: no client can be made for it ({type(error).__name__}): check judge.url, "
                "and HTTP_PROXY, HTTPS_PROXY and ALL_PROXY in the environment"
            ) from None

    async def __aenter__(self) -> Self:
        self._level = WIRE_LOG.level
        WIRE_LOG.setLevel(max(self._level, logging.INFO))
        return self

    async def __aexit__(self, *_: object) -> None:
        WIRE_LOG.setLevel(self._level)
        await self._openai.close()

    async def complete(self, body: Mapping[str, Any]) -> Reply:
        """Return the reply to one chat completion.

        Raises:
            RequestError: there is none.
        """
        content = await self._content(self._openai.chat.completions.with_raw_response.create(**body))
        return read_reply(content, self.clean)

    async def model_names(self) -> list[str]:
        """Return the models that the server lists; nothing where it lists none."""
        try:
            listed = json.loads(await self._content(self._openai.models.with_raw_response.list()))
            return [self.clean(model["id"]) for model in listed["data"] if isinstance(model["id"], str)][:1000]
        except (RequestError, ValueError, KeyError, TypeError, RecursionError):
            return []

    def clean(self, text: str) -> str:
        """Return text of the server without the key, half characters, and controls but line ends and tabs."""
        key = self._key.get_secret_value()
        plain = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "", text.encode("utf-8", "replace").decode())
        return plain.replace(key, "[key]") if len(key) >= SHORTEST_SECRET else plain  # last: a control may divide it

    async def _content(self, request: Any) -> bytes:
        limit = self._config.timeout
        try:
            async with asyncio.timeout(limit):
                return bytes((await request).content)
        except (TimeoutError, openai.APITimeoutError):
            raise RequestError(f"no whole reply within {limit:g} s", "late") from None
        except _TooLargeError:
            raise RequestError(f"the reply is larger than {MOST_BYTES // 2**20} MiB", "reply") from None
        except _EncodedError as error:
            raise RequestError(f"the reply is compressed ({shown(self.clean(str(error)), 40)})", "reply") from None
        except openai.APIStatusError as error:
            raise self._status_fault(error) from None
        except openai.APIConnectionError as error:
            raise RequestError(f"the connection failed ({self.clean(_root(error))})", "unreachable") from None

    def _status_fault(self, error: openai.APIStatusError) -> RequestError:
        status, headers = error.status_code, error.response.headers
        said = error.body.get("message") if isinstance(error.body, dict) else error.body
        words = f": {shown(self.clean(said.strip()))}" if isinstance(said, str) and said.strip() else ""
        if 300 <= status < 400:
            where = shown(self.clean(headers.get("location", "")), 100)
            return RequestError(f"status {status}, a redirect to {where}, is not followed", "status",
                                status=status, final=True)  # fmt: skip
        wait = asked_wait(headers.get("retry-after"), headers.get("date")) if status in (*AGAIN, 503) else None
        if wait is not None and wait > LONGEST_WAIT:
            words += f" (it asks to wait {wait:,.0f} s, longer than {LONGEST_WAIT:,.0f} s)"
        final = (status < 500 and status not in AGAIN) or error.code in USED_UP or (wait or 0) > LONGEST_WAIT
        return RequestError(f"status {status}{words}", "status", status=status, final=final, wait=wait)

    async def _send_only_what_is_needed(self, request: httpx2.Request) -> None:
        for name in list(request.headers):
            if name.lower() not in SENT_HEADERS:
                del request.headers[name]
        request.headers["Accept-Encoding"] = "identity"  # so that a small response cannot unpack to a large one
        if key := self._key.get_secret_value():
            request.headers["Authorization"] = f"Bearer {key}"


@cache
def _certificates() -> ssl.SSLContext:
    """Return the certificates to trust; reading them takes 40 ms of CPU time, so once a process."""
    return httpx2.create_ssl_context()


def read_key(variable: str) -> str:
    """Return the key in an environment variable; nothing where it is not set.

    Raises:
        ConfigError: it holds a character that no key has; the message does not show it.
    """
    key = os.environ.get(variable, "").strip()
    if not re.fullmatch(r"[\x21-\x7e]*", key):
        raise ConfigError(
            f"{variable}: the key holds a blank, a line end or another character that no key has: mend it"
        )
    return key


def read_reply(content: bytes, clean: Any) -> Reply:
    """Return the text of a chat completion, through ``clean``, and its tokens.

    Raises:
        RequestError: the content is no chat completion.
    """
    try:
        completion = json.loads(content)
    except (ValueError, RecursionError):
        start = clean(content[:MOST_CLEANED].decode("utf-8", "replace"))[:60]  # in this order: the cut may part a key
        raise RequestError(f"the reply is no JSON: it begins with {shown(start)}", "reply") from None
    try:
        choice = completion["choices"][0]
        text = choice["message"]["content"]
    except (KeyError, IndexError, TypeError):
        raise RequestError("the reply is no chat completion: it has no choices[0].message.content", "reply") from None
    if isinstance(text, str) and len(text) > LONGEST_TEXT:
        raise RequestError(f"the reply has {len(text):,} characters, more than {LONGEST_TEXT:,}", "reply")
    usage = completion.get("usage")
    counts = [_count(usage, name) for name in ("prompt_tokens", "completion_tokens")]
    return Reply(clean(text) if isinstance(text, str) else "", counts[0], counts[1],
                 choice.get("finish_reason") == "length")  # fmt: skip


def _count(usage: Any, name: str) -> int | None:
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 10**9 else None


def _root(error: BaseException) -> str:
    """Return what the system said at the bottom of a chain of errors."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and error.errno is not None:
        return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)
    return str(error) or type(error).__name__


class _TooLargeError(Exception):
    """A response has more than `MOST_BYTES`."""


class _EncodedError(Exception):
    """A response is compressed, though `identity` was asked for."""


class _Bounded(httpx2.AsyncByteStream):
    """A response's bytes, up to `MOST_BYTES`."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._stream:
            size += len(part)
            if size > MOST_BYTES:
                raise _TooLargeError
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _bound(response: httpx2.Response) -> None:
    encoding = response.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise _EncodedError(encoding)
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Bounded(response.stream)
