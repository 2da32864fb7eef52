"""The key goes to the judge's server and nowhere else: no file, log, text, error, redirect or proxy sees it."""

import logging
import traceback
from pathlib import Path
from typing import Any

import pytest
from tests.judging.judging_cases import PROMPT, judge
from tests.judging.loopback_judge import Fault, completion, judge_server, status

from balora.errors import ConfigError
from balora.judging.ratings import read_rating

KEY = "sk-test-0123456789abcdef"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPBACK_API_KEY", KEY)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def echo(code: int, kind: str) -> Fault:
    """Return a fault that repeats the key that it was sent, as a hostile or careless server may."""

    def answer(handler: Any) -> None:
        key = handler.headers["Authorization"].removeprefix("Bearer ")
        contents = {
            "text": completion(f"Your key is {key}. Rating: [[3]]"),
            "error": {"error": {"message": f"bad key {key}", "code": key}},
            "html": f"<html>{key}</html>",
            "divided": completion(f"Your key is {key[:9]}\x00{key[9:]}. Rating: [[3]]"),
            "late": f"<html>{' ' * 40}{key}</html>",
        }
        status(code, contents[kind], location=f"http://127.0.0.1:9/{key}", x_echo="1")(handler)

    return answer


def test_the_key_is_sent_as_a_bearer_token(tmp_path: Path) -> None:
    with judge_server(key=KEY) as server:
        judge(server.url, tmp_path).check()
    assert server.headers_seen[0]["authorization"] == f"Bearer {KEY}"


ECHOES = [
    (200, "text"),
    (200, "html"),
    (200, "divided"),
    (200, "late"),
    (400, "error"),
    (401, "error"),
    (403, "html"),
    (404, "error"),
    (307, "html"),
    (500, "error"),
]


@pytest.mark.parametrize(("code", "kind"), ECHOES)
def test_a_key_that_the_server_repeats_reaches_no_file_log_text_or_error(
    tmp_path: Path, code: int, kind: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    said = []
    with caplog.at_level(logging.DEBUG), judge_server(script=[echo(code, kind)] * 10, model=KEY) as server:
        asked = judge(server.url, tmp_path, retries=1)
        found, cost = asked.ask([PROMPT], read_rating)
        said += [repr(found), repr(cost), repr(asked), repr(vars(asked)), repr(asked.config)]
        try:
            asked.check()
        except ConfigError as error:
            whole = traceback.TracebackException.from_exception(error, capture_locals=True)
            said += [str(error), *whole.format()]
    said += [record.getMessage() for record in caplog.records] + [*capfd.readouterr()]
    said += [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(said)
    assert KEY[:10] not in "\n".join(said)  # not a part of it either
    if kind == "text":
        assert found[0].value == 3.0
        assert found[0].text == "Your key is [key]. Rating: [[3]]"


@pytest.mark.parametrize(
    ("status_code", "words"), [(401, "put a valid key into LOOPBACK_API_KEY"), (403, "put a valid key")]
)
def test_a_refused_key_is_reported_by_its_variable(tmp_path: Path, status_code: int, words: str) -> None:
    with judge_server(script=[status(status_code)]) as server, pytest.raises(ConfigError, match=words):
        judge(server.url, tmp_path).check()


def test_a_missing_key_is_named_where_the_server_asks_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOOPBACK_API_KEY")
    with judge_server(key=KEY) as server, pytest.raises(ConfigError, match="LOOPBACK_API_KEY is not set: set it"):
        judge(server.url, tmp_path).check()


def test_only_the_key_of_the_named_variable_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOOPBACK_API_KEY")
    for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID", "BASE_URL"):
        monkeypatch.setenv(f"OPENAI_{name}", "http://127.0.0.1:9/secret-of-mine")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Gateway: secret-of-mine\nAuthorization: Bearer secret-of-mine")
    with judge_server() as server:
        judge(server.url, tmp_path).check()
    headers = server.headers_seen[0]
    assert "secret-of-mine" not in repr(headers)
    assert "authorization" not in headers
    assert not [name for name in headers if name.startswith(("openai-", "x-gateway"))]


@pytest.mark.parametrize("key", ["sk-with blank", "sk-with\nline", "sk-ключ"])
def test_a_key_that_no_header_can_hold_is_refused_without_showing_it(
    tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPBACK_API_KEY", key)
    with judge_server() as server, pytest.raises(ConfigError) as refused:
        judge(server.url, tmp_path).check()
    assert str(refused.value).startswith("LOOPBACK_API_KEY: the key holds a blank")
    assert "sk-" not in str(refused.value)
    assert server.bodies == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [("HTTP_PROXY", "no://me:proxy-secret@host"), ("ALL_PROXY", "socks5://me:proxy-secret@127.0.0.1:9"),
     ("HTTP_PROXY", "http://me:proxy-secret@host:port")],
)  # fmt: skip
def test_a_proxy_that_cannot_be_used_is_reported_without_its_password(
    tmp_path: Path, variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match="HTTP_PROXY, HTTPS_PROXY and ALL_PROXY") as refused:
        judge("http://judge.invalid/v1", tmp_path, retries=0).check()
    assert "proxy-secret" not in str(refused.value)


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(tmp_path: Path, code: int) -> None:
    with judge_server() as other:
        target = f"{other.url}/chat/completions"
        with judge_server(script=[status(code, "", location=target)] * 2) as server:
            found, _ = judge(server.url, tmp_path).ask([PROMPT], read_rating)
            assert found[0].missing == f"status {code}, a redirect to {target!r}, is not followed"
            with pytest.raises(ConfigError, match="is not followed"):
                judge(server.url, tmp_path).check()
    assert other.bodies == []


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_in_the_environment_gets_no_request_to_this_machine(
    tmp_path: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with judge_server() as proxy, judge_server() as server:
        monkeypatch.setenv(variable, proxy.url.removesuffix("/v1"))
        judge(server.url, tmp_path).check()
    assert (len(proxy.bodies), len(server.bodies)) == (0, 1)


def test_a_proxy_in_the_environment_is_used_for_other_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with judge_server() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        with pytest.raises(ConfigError):
            judge("http://judge.invalid/v1", tmp_path, retries=0).check()
    assert len(proxy.bodies) == 1
