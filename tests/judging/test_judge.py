"""A judge on loopback that fails in every way: what is asked again, what is missing, and that no verdict is made up."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.judging.judging_cases import PROMPT, FakeClock, judge
from tests.judging.loopback_judge import (
    Fault,
    completion,
    cut,
    drip,
    endless,
    judge_server,
    loopback_judge,
    says,
    silent,
    status,
)  # fmt: skip

from balora.errors import ConfigError
from balora.judging.judge_client import MOST_BYTES
from balora.judging.judge_cost import JudgeCost
from balora.judging.judge_prompts import Prompt
from balora.judging.ratings import read_rating

GOOD = "Rating: [[8]]"


def always(text: str) -> Any:
    return lambda body: text


TRANSIENT: dict[str, tuple[Fault, str]] = {
    "never answers": (silent, "no whole reply within 0.3 s"),
    "drips a header": (drip, "no whole reply within 0.3 s"),
    "cuts the connection": (cut, "the connection failed ("),
    "500": (status(500), "status 500: 'fault 500'"),
    "503": (status(503), "status 503: 'fault 503'"),
    "429": (status(429), "status 429: 'fault 429'"),
    "408": (status(408), "status 408"),
    "endless reply": (endless(), f"the reply is larger than {MOST_BYTES // 2**20} MiB"),
    "endless error": (endless(500), f"the reply is larger than {MOST_BYTES // 2**20} MiB"),
    "gzip": (status(200, completion(GOOD), content_encoding="gzip"), "the reply is compressed ('gzip')"),
    "HTML": (status(200, "<html><body>Welcome</body></html>"), "the reply is no JSON: it begins with '<html><body>"),
    "HTML error": (status(502, "<html>Bad gateway</html>"), "status 502: '<html>Bad gateway</html>'"),
    "torn JSON": (status(200, '{"choices": [{"mess'), "the reply is no JSON"),
    "nested JSON": (status(200, "[" * 100_000), "the reply is no JSON"),
    "nested error": (status(500, "[" * 100_000), "status 500: '[[["),
    "strange charset": (status(500, "x", content_type="text/html; charset=x-no-such"), "status 500: 'x'"),
    "not UTF-8": (lambda handler: handler.answer(200, "\udcff"), "the reply is no JSON: it begins with"),
    "a book": (says("x" * 200_001), "the reply has 200,001 characters, more than 200,000"),
    "another JSON": (status(200, {"ok": True}), "the reply is no chat completion"),
    "a list": (status(200, [1]), "the reply is no chat completion"),
    "no choice": (status(200, {"choices": []}), "the reply is no chat completion"),
    "no text": (says(None), "the reply is empty"),
    "empty text": (says(""), "the reply is empty"),
    "a list as text": (status(200, completion(["x"])), "the reply is empty"),  # type: ignore[arg-type]
    "no rating": (says("A fine answer."), "the reply holds no [[rating]]"),
    "rating 11": (says("Rating: [[11]]"), "the rating 11 is outside 1 to 10"),
    "cut at the limit": (says("It is", finish_reason="length"), "cut at the limit of tokens (judge.max_tokens)"),
}
FINAL: dict[str, tuple[Fault, str]] = {
    "400": (status(400), "status 400: 'fault 400'"),
    "401": (status(401), "status 401"),
    "404": (status(404), "status 404"),
    "used up": (status(429, {"error": {"message": "no credit", "code": "insufficient_quota"}}), "no credit"),
    "a long wait": (status(429, retry_after="86400"), "it asks to wait 86,400 s, longer than 600 s"),
    "a wait without end": (status(429, retry_after="1e400"), "it asks to wait inf s"),
    "redirect": (
        status(307, "", location="http://127.0.0.1:9/"),
        "a redirect to 'http://127.0.0.1:9/', is not followed",
    ),
}


def ask(url: str, cache: Path, clock: FakeClock | None = None, **settings: Any) -> tuple[Any, JudgeCost]:
    """Return the judgement on one prompt, and its cost."""
    found, cost = judge(url, cache, clock, **settings).ask([PROMPT], read_rating)
    return found[0], cost


@pytest.mark.parametrize("name", TRANSIENT)
def test_a_fault_that_may_pass_is_asked_again_and_then_judged(tmp_path: Path, name: str) -> None:
    late = "0.3 s" in TRANSIENT[name][1]
    with judge_server(write=always(GOOD), script=[TRANSIENT[name][0]]) as server:
        found, cost = ask(server.url, tmp_path, timeout=0.3 if late else 30, retries=99)
    assert (found.value, found.missing) == (8.0, None)
    assert cost.requests == 2 or late  # a busy machine may miss a short limit more than once
    assert cost.requests >= 2
    assert cost.failures == 0


@pytest.mark.parametrize("name", TRANSIENT)
def test_a_fault_that_stays_leaves_the_judgement_missing_with_its_reason(tmp_path: Path, name: str) -> None:
    fault, reason = TRANSIENT[name]
    timeout = 0.3 if "0.3 s" in reason else 10
    with judge_server(write=always(GOOD), script=[fault] * 2) as server:
        found, cost = ask(server.url, tmp_path, timeout=timeout, retries=1)
    assert found.value is None
    assert reason in found.missing
    assert "\n" not in found.missing
    assert (cost.requests, cost.failures) == (2, 1)


@pytest.mark.parametrize("name", FINAL)
def test_a_fault_that_asking_again_cannot_cure_is_not_asked_again(tmp_path: Path, name: str) -> None:
    fault, reason = FINAL[name]
    with judge_server(write=always(GOOD), script=[fault]) as server:
        found, cost = ask(server.url, tmp_path)
    assert found.value is None
    assert reason in found.missing
    assert cost.requests == 1


def test_a_server_that_asks_to_wait_is_obeyed_by_every_request(tmp_path: Path) -> None:
    clock = FakeClock()
    prompts = [Prompt("s", str(number)) for number in range(3)]
    with judge_server(write=always(GOOD), script=[status(429, retry_after="300")]) as server:
        found, cost = judge(server.url, tmp_path, clock).ask(prompts, read_rating)
    assert [judgement.value for judgement in found] == [8.0] * 3
    assert clock.time == 300
    assert cost.requests == 4


def test_a_date_in_retry_after_is_obeyed(tmp_path: Path) -> None:
    clock = FakeClock()
    headers = {"retry_after": "Sat, 28 Nov 2026 10:01:30 GMT", "date": "Sat, 28 Nov 2026 10:00:00 GMT"}
    with judge_server(write=always(GOOD), script=[lambda handler: _dated(handler, headers)]) as server:
        found, _ = ask(server.url, tmp_path, clock)
    assert found.value == 8.0
    assert clock.time == 90


def _dated(handler: Any, headers: dict[str, str]) -> None:
    handler.date_time_string = lambda: headers["date"]
    status(503, retry_after=headers["retry_after"])(handler)


def test_pauses_between_retries_double(tmp_path: Path) -> None:
    clock = FakeClock()
    with judge_server(write=always(GOOD), script=[status(500)] * 3) as server:
        ask(server.url, tmp_path, clock)
    assert [limit / 2 <= slept <= limit for slept, limit in zip(clock.slept, (1, 2, 4), strict=True)] == [True] * 3


def test_after_a_lost_server_the_other_prompts_are_tried_once_each(tmp_path: Path) -> None:
    prompts = [Prompt("s", str(number)) for number in range(5)]
    found, cost = judge(_unused_url(), tmp_path, retries=4).ask(prompts, read_rating)
    assert [judgement.value for judgement in found] == [None] * 5
    assert "the connection failed (" in str(found[0].missing)
    assert (cost.requests, cost.failures) == (5 + 4, 5)


def test_a_server_that_comes_back_is_tried_with_all_retries_again(tmp_path: Path) -> None:
    prompts = [Prompt("s", str(number)) for number in range(3)]
    with judge_server(write=always(GOOD), script=[cut, cut, says(GOOD), status(500)]) as server:
        found, _ = judge(server.url, tmp_path, retries=1).ask(prompts, read_rating)
    assert [judgement.value for judgement in found] == [None, 8.0, 8.0]


def test_no_more_requests_are_under_way_than_allowed_and_all_are_used(tmp_path: Path) -> None:
    barrier = threading.Barrier(3)
    under_way, most = [0], [0]
    lock = threading.Lock()

    def write(body: dict[str, Any]) -> str:
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        barrier.wait(30)  # passes only if three requests are under way at once
        with lock:
            under_way[0] -= 1
        return GOOD

    prompts = [Prompt("s", str(number)) for number in range(9)]
    with judge_server(write=write) as server:
        _, cost = judge(server.url, tmp_path, concurrency=3, timeout=60).ask(prompts, read_rating)
    assert (most[0], cost.requests) == (3, 9)


def test_judgements_come_in_the_order_of_the_prompts_and_are_reported_one_by_one(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    prompts = [Prompt("s", f"[[{number}]]") for number in range(1, 9)]
    with judge_server(write=lambda body: body["messages"][-1]["content"]) as server:
        found, _ = judge(server.url, tmp_path, concurrency=4).ask(
            prompts, read_rating, lambda done, total: seen.append((done, total))
        )
    assert [judgement.value for judgement in found] == list(range(1, 9))
    assert seen == [(done, 8) for done in range(1, 9)]


def test_tokens_are_counted_as_the_server_reports_them(tmp_path: Path) -> None:
    script = [says("no"), says(GOOD, usage=None), says(GOOD, usage={"prompt_tokens": -5, "completion_tokens": "x"})]
    prompts = [Prompt("s", str(number)) for number in range(3)]
    with judge_server(write=always(GOOD), script=script) as server:
        _, cost = judge(server.url, tmp_path).ask(prompts, read_rating)
    assert cost == JudgeCost(requests=4, prompt_tokens=200, completion_tokens=40, unmetered=2)


def test_costs_add_up() -> None:
    assert JudgeCost(requests=1, cached=2).plus(JudgeCost(requests=3, failures=4)) == JudgeCost(
        requests=4, cached=2, failures=4
    )


def test_the_request_is_what_the_settings_say(tmp_path: Path) -> None:
    with judge_server(write=always(GOOD)) as server:
        ask(server.url, tmp_path)
        ask(server.url, tmp_path, temperature=None, limit_name="max_completion_tokens", max_tokens=99)
    messages = [{"role": "system", "content": PROMPT.system}, {"role": "user", "content": PROMPT.user}]
    assert server.bodies == [
        {"model": "loopback", "messages": messages, "max_tokens": 2048, "temperature": 0.0},
        {"model": "loopback", "messages": messages, "max_completion_tokens": 99},
    ]


def test_half_characters_and_controls_of_the_server_do_not_reach_a_record(tmp_path: Path) -> None:
    text = "\x1b[31mRed\x00\ud800 Rating: [[8]]\n\tdone"
    with judge_server(write=always(GOOD), script=[says(text)]) as server:
        found, _ = ask(server.url, tmp_path)
    assert found.text == "[31mRed? Rating: [[8]]\n\tdone"
    assert json.dumps(found.text).isascii()


def test_a_judge_can_be_asked_inside_a_running_event_loop(tmp_path: Path) -> None:
    async def notebook(url: str) -> Any:
        return ask(url, tmp_path)[0].value

    with judge_server(write=always(GOOD)) as server:
        assert asyncio.run(notebook(server.url)) == 8.0


def test_an_error_of_the_caller_ends_the_round_as_it_is(tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise StopError

    prompts = [Prompt("s", str(number)) for number in range(5)]
    with judge_server(write=always(GOOD)) as server, pytest.raises(StopError):
        judge(server.url, tmp_path, concurrency=2).ask(prompts, read_rating, stop)


def _unused_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1"


def test_check_passes_with_one_short_request(tmp_path: Path) -> None:
    with judge_server() as server:
        cost = judge(server.url, tmp_path).check()
        assert [body["max_tokens"] for body in server.bodies] == [16]
    assert (cost.requests, cost.failures) == (1, 0)
    assert not list(tmp_path.rglob("*.json")), "the reply to a check is no judgement"


def test_check_passes_where_thoughts_use_up_the_short_reply(tmp_path: Path) -> None:
    with judge_server(script=[says(None, finish_reason="length")]) as server:
        assert judge(server.url, tmp_path).check().requests == 1


def test_check_waits_for_a_busy_server(tmp_path: Path) -> None:
    clock = FakeClock()
    with judge_server(script=[status(429, retry_after="20"), status(503)]) as server:
        assert judge(server.url, tmp_path, clock).check().requests == 3
    assert clock.time > 20


@pytest.mark.parametrize(
    ("settings", "script", "words"),
    [
        ({"model": "gpt-4"}, [], "model 'gpt-4' does not exist.\": unknown model 'gpt-4': known: loopback"),
        ({"path": "/v2"}, [], "status 404: 'not found': check judge.model, and whether judge.url ends in the version"),
        ({}, [status(401)], "status 401: 'fault 401': LOOPBACK_API_KEY is not set: set it"),
        ({}, [status(400, {"error": {"message": "Unsupported parameter: 'max_tokens'"}})],
         "check judge.model, judge.limit_name and judge.temperature"),
        ({}, [status(200, "<html>")], "the reply is no JSON: it begins with '<html>': check judge.url and the server"),
        ({}, [status(302, "", location="https://evil.example/")], "a redirect to 'https://evil.example/'"),
        ({"timeout": 0.3}, [silent], "no whole reply within 0.3 s: start the server, or correct judge.url"),
    ],
)  # fmt: skip
def test_check_refuses_a_judge_that_cannot_be_used_in_one_line(
    tmp_path: Path, settings: dict[str, Any], script: list[Fault], words: str
) -> None:
    settings = dict(settings)
    with loopback_judge(script=[*script] * 4) as url:
        url = url.replace("/v1", settings.pop("path", "/v1"))
        with pytest.raises(ConfigError) as refused:
            judge(url, tmp_path, **settings).check()
    assert words in str(refused.value)
    assert f"at {url} cannot be used" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 2


def test_check_says_at_once_that_a_server_cannot_be_reached(tmp_path: Path) -> None:
    clock = FakeClock()
    url = _unused_url()
    with pytest.raises(ConfigError) as refused:
        judge(url, tmp_path, clock).check()
    assert str(refused.value) == (
        f"the judge 'loopback' at {url} cannot be used: the connection failed (Connection refused): start the server, "
        "or correct judge.url"
    )
    assert clock.slept == []


def test_https_to_a_server_without_it_is_reported_as_what_it_is(tmp_path: Path) -> None:
    with loopback_judge() as url, pytest.raises(ConfigError, match=r"the connection failed \(.*SSL"):
        judge(url.replace("http:", "https:"), tmp_path).check()


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    monkeypatch.delitem(sys.modules, "balora.judging.judge_client")
    with pytest.raises(
        ConfigError, match=r"a judge needs the package openai: install it with pip install 'balora\[judge\]'"
    ):
        judge("http://127.0.0.1:9/v1", tmp_path).check()


def test_openais_client_is_loaded_only_to_send_a_request(tmp_path: Path) -> None:
    code = (
        "import sys; from balora.judging.judge import Judge; from balora.judging.config import JudgeConfig;"
        "import balora.judging.single_grading, balora.judging.pair_comparison;"
        "Judge(JudgeConfig(url='http://127.0.0.1:9/v1', model='m'));"
        "assert not {'openai', 'httpx2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
