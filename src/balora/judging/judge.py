"""Ask a judge: check it before training, send many prompts at once, repeat what failed, cache and count."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from balora.errors import ConfigError, shown, unknown_name
from balora.judging.config import JudgeConfig
from balora.judging.judge_cost import JudgeCost
from balora.judging.judge_prompts import Prompt, templates
from balora.judging.judgement_cache import JudgementCache, Reply, request_key
from balora.judging.pauses import Clock, Pauses, SystemClock
from balora.judging.ratings import UnusableReplyError
from balora.judging.request_error import RequestError

if TYPE_CHECKING:
    from balora.judging.judge_client import JudgeClient

T = TypeVar("T")
Result = TypeVar("Result")
OnDone = Callable[[int, int], None]
"""Called with (judgements done, judgements in all)."""
CHECK = Prompt("You answer in one word.", "Write the word: ready")
CHECK_TOKENS = 16


class Judgement(NamedTuple, Generic[T]):
    """A judge's verdict on one prompt."""

    value: T | None
    """The rating or the choice; None if there is none, never a number in its place."""
    text: str = ""
    """What the judge wrote, the last time it was asked."""
    missing: str | None = None
    """Why there is no verdict."""


class Judge:
    """A judge as the settings describe it. It holds no connection, and no key, between calls.

    Args (of the constructor):
        config: which judge, how it is asked.
        cache: the folder of its cache; none means `judgements` in the user's cache.
        clock: where pauses between requests are spent.

    Raises (the constructor):
        ConfigError: the prompts of ``config`` cannot be read.
    """

    def __init__(self, config: JudgeConfig, *, cache: Path | None = None, clock: Clock | None = None) -> None:
        self.config = config
        self.templates = templates(config)
        self._cache = JudgementCache(cache)
        self._clock = clock or SystemClock()

    def check(self) -> JudgeCost:
        """Send one short request, before anything that takes long; return what it took.

        Raises:
            ConfigError: the server cannot be reached, refuses the key, does not have the model, or does not answer as
                an OpenAI-compatible server does; the `judge` extra is not installed.
        """
        return _run(self._check())

    def ask(
        self, prompts: Sequence[Prompt], read: Callable[[str], T], on_done: OnDone | None = None
    ) -> tuple[list[Judgement[T]], JudgeCost]:
        """Return the judgement on each prompt, and what they took; replies in the cache are not asked for again.

        Once a request was given up for want of a connection, the others are tried once each, until one succeeds.

        Args:
            prompts: what to ask.
            read: returns the verdict in a reply, or raises :class:`balora.judging.ratings.UnusableReplyError`.
            on_done: called once for all that were in the cache, and after each other judgement.

        Raises:
            ConfigError: the key in the environment cannot be a key; the `judge` extra is not installed.
        """
        return _run(self._ask(prompts, read, on_done or (lambda done, total: None)))

    def body(self, prompt: Prompt) -> dict[str, Any]:
        """Return the request of a prompt, as the server takes it."""
        config = self.config
        warmth = {} if config.temperature is None else {"temperature": config.temperature}
        return {
            "model": config.model, "messages": prompt.messages(), config.limit_name: config.max_tokens, **warmth
        }  # fmt: skip

    async def _check(self) -> JudgeCost:
        body = {**self.body(CHECK), self.config.limit_name: CHECK_TOKENS}
        async with _client_class()(self.config) as client:
            requests = _Requests(client, Pauses(self._clock), self.config.retries)
            try:
                await requests.reply(body, lambda text: text, patient=False)
            except RequestError as fault:
                names = await client.model_names() if fault.status == 404 else []
                raise ConfigError(self._refusal(fault, names)) from None
        return JudgeCost(**requests.counts)

    def _refusal(self, fault: RequestError, names: list[str]) -> str:
        config, has_key = self.config, _has_key(self.config.key_variable)
        if fault.status in (401, 403):
            do = (
                f"put a valid key into {config.key_variable}"
                if has_key
                else f"{config.key_variable} is not set: set it"
            )
        elif fault.status == 404 and names:
            do = unknown_name("model", config.model, names)
        elif fault.status == 404:
            do = "check judge.model, and whether judge.url ends in the version, such as /v1"
        elif fault.kind in ("unreachable", "late"):
            do = "start the server, or correct judge.url"
        elif fault.status == 400:
            do = "check judge.model, judge.limit_name and judge.temperature"
        else:
            do = "check judge.url and the server"
        return f"the judge {shown(config.model)} at {config.url} cannot be used: {fault}: {do}"

    async def _ask(
        self, prompts: Sequence[Prompt], read: Callable[[str], T], on_done: OnDone
    ) -> tuple[list[Judgement[T]], JudgeCost]:
        bodies = [self.body(prompt) for prompt in prompts]
        found = {place: known for place, body in enumerate(bodies) if (known := self._known(body, read)) is not None}
        counts = {"cached": len(found)}
        if found:
            on_done(len(found), len(prompts))
        if len(found) < len(bodies):  # else neither a server nor its client is needed
            async with _client_class()(self.config) as client:
                requests = _Requests(client, Pauses(self._clock), self.config.retries)
                room = asyncio.Semaphore(self.config.concurrency)

                async def judge(place: int) -> None:
                    async with room:
                        found[place] = await self._judge(requests, bodies[place], read)
                    on_done(len(found), len(prompts))

                await asyncio.gather(*(judge(place) for place in range(len(bodies)) if place not in found))
            counts |= requests.counts
        counts["failures"] = sum(judgement.missing is not None for judgement in found.values())
        return [found[place] for place in range(len(prompts))], JudgeCost(**counts)

    async def _judge(self, requests: "_Requests", body: dict[str, Any], read: Callable[[str], T]) -> Judgement[T]:
        try:
            reply, value = await requests.reply(body, read)
        except RequestError as fault:
            return Judgement(None, fault.text, str(fault))
        self._cache.store(request_key(body), reply)
        return Judgement(value, reply.text)

    def _known(self, body: dict[str, Any], read: Callable[[str], T]) -> Judgement[T] | None:
        reply = self._cache.find(request_key(body))
        try:
            return None if reply is None else Judgement(read(reply.text), reply.text)
        except UnusableReplyError:  # written by an earlier version, which read it otherwise
            return None


class _Requests:
    """The requests of one call of a judge, which share pauses, counts, and whether the server is there."""

    def __init__(self, client: "JudgeClient", pauses: Pauses, retries: int) -> None:
        self._client, self._pauses, self._retries = client, pauses, retries
        self._lost = False
        self.counts = {"requests": 0, "prompt_tokens": 0, "completion_tokens": 0, "unmetered": 0}

    async def reply(self, body: dict[str, Any], read: Callable[[str], T], *, patient: bool = True) -> tuple[Reply, T]:
        """Return the first usable reply, and what ``read`` makes of it.

        Args:
            body: the request.
            read: raises :class:`UnusableReplyError` for a reply that is to be asked for again.
            patient: whether a server that is not there is tried again.

        Raises:
            RequestError: there is none after all retries, or asking again is useless.
        """
        attempts = 1 if self._lost else 1 + self._retries
        for attempt in range(1, attempts + 1):
            try:
                found = await self._once(body, read)
            except RequestError as fault:
                absent = fault.kind in ("unreachable", "late")
                if fault.wait:
                    self._pauses.hold(fault.wait)
                if attempt == attempts or fault.final or (absent and not patient):
                    self._lost = absent
                    raise
                await self._pauses.after_failure(attempt)
            else:
                self._lost = False
                return found
        raise AssertionError("the last attempt returns or raises")

    async def _once(self, body: dict[str, Any], read: Callable[[str], T]) -> tuple[Reply, T]:
        await self._pauses.until_allowed()
        self.counts["requests"] += 1
        reply = await self._client.complete(body)
        if reply.prompt_tokens is None or reply.completion_tokens is None:
            self.counts["unmetered"] += 1
        self.counts["prompt_tokens"] += reply.prompt_tokens or 0
        self.counts["completion_tokens"] += reply.completion_tokens or 0
        try:
            return reply, read(reply.text)
        except UnusableReplyError as error:
            cut = ", and was cut at the limit of tokens (judge.max_tokens)" if reply.cut else ""
            raise RequestError(f"{error}{cut}", "reply", text=reply.text) from None


def _client_class() -> type["JudgeClient"]:
    try:
        from balora.judging.judge_client import JudgeClient
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"a judge needs the package {error.name}: install it with pip install 'balora[judge]'"
        ) from None
    return JudgeClient


def _has_key(variable: str) -> bool:
    return bool(os.environ.get(variable, "").strip())


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run ``work`` to its end, also where an event loop is running already, as in a notebook."""
    if not _loop_is_running():
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
