"""Judgements are cached by the request, by all processes of a user; what is damaged is asked again without a word."""

import logging
import threading
from pathlib import Path

import pytest
from tests.judging.judging_cases import PROMPT, judge
from tests.judging.loopback_judge import judge_server, says

from balora.judging.judgement_cache import JudgementCache, Reply, request_key
from balora.judging.ratings import read_rating

BODY = {"model": "m", "messages": [{"role": "user", "content": "Rate."}], "temperature": 0.0}
KEY = request_key(BODY)
REPLY = Reply("Rating: [[7]]\n\u2028é", 10, 5, False)


def entry(root: Path, key: str = KEY) -> Path:
    return root / key[:2] / f"{key}.json"


def test_a_reply_is_found_again_as_it_was(tmp_path: Path) -> None:
    JudgementCache(tmp_path).store(KEY, REPLY)
    assert JudgementCache(tmp_path).find(KEY) == REPLY
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [entry(tmp_path)]


def test_the_key_is_the_sha256_of_everything_that_decides_a_reply() -> None:
    assert request_key(dict(reversed(BODY.items()))) == KEY
    changes = [{"model": "n"}, {"temperature": 0.1}, {"max_tokens": 9}, {"messages": []}]
    assert len({request_key({**BODY, **change}) for change in changes} | {KEY}) == 5


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: b"",
        lambda text: text[:-1],
        lambda text: text[: len(text) // 2],
        lambda text: text.replace(b"[[7]]", b"[[9]]"),
        lambda text: text + b"x",
        lambda text: b"\xff" + text[1:],
        lambda text: b"\n" * 3,
    ],
)
def test_a_damaged_entry_is_not_there_and_gives_no_warning(
    tmp_path: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    cache = JudgementCache(tmp_path)
    cache.store(KEY, REPLY)
    path = entry(tmp_path)
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with caplog.at_level(logging.DEBUG):
        assert cache.find(KEY) is None
    assert caplog.records == []
    cache.store(KEY, REPLY)
    assert cache.find(KEY) == REPLY


def test_the_entry_of_another_request_is_not_taken(tmp_path: Path) -> None:
    cache, other = JudgementCache(tmp_path), request_key({**BODY, "model": "n"})
    cache.store(KEY, REPLY)
    entry(tmp_path, other).parent.mkdir(exist_ok=True)
    entry(tmp_path, KEY).rename(entry(tmp_path, other))
    assert cache.find(other) is None


def test_a_link_and_a_folder_in_the_place_of_an_entry_are_not_read(tmp_path: Path) -> None:
    cache = JudgementCache(tmp_path / "cache")
    cache.store(KEY, REPLY)
    path = entry(tmp_path / "cache")
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    assert cache.find(KEY) is None
    path.unlink()
    path.mkdir()
    assert cache.find(KEY) is None


def test_a_cache_that_cannot_be_written_is_reported_once_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    cache = JudgementCache(tmp_path / "file")
    for _ in range(3):
        cache.store(KEY, REPLY)
    assert [record.message.partition(":")[2][:30] for record in caplog.records] == [
        " judgements are not cached: " + str(tmp_path)[:2]
    ]
    assert cache.find(KEY) is None


def test_the_users_cache_is_the_usual_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path))
    JudgementCache().store(KEY, REPLY)
    assert entry(tmp_path / "judgements").is_file()


def test_writers_of_the_same_entry_never_show_a_part_of_it(tmp_path: Path) -> None:
    long = Reply("Rating: [[7]] " + "x" * 100_000)
    JudgementCache(tmp_path).store(KEY, REPLY)

    def write() -> None:
        for _ in range(100):
            JudgementCache(tmp_path).store(KEY, long)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        seen.add(JudgementCache(tmp_path).find(KEY))
    assert seen <= {REPLY, long}
    assert JudgementCache(tmp_path).find(KEY) == long


def test_a_judgement_is_paid_once_and_then_needs_no_server(tmp_path: Path) -> None:
    with judge_server() as server:
        first, paid = judge(server.url, tmp_path).ask([PROMPT], read_rating)
    again, free = judge("http://127.0.0.1:9/v1", tmp_path).ask([PROMPT], read_rating)
    assert again == first
    assert (paid.requests, paid.cached) == (1, 0)
    assert (free.requests, free.cached, free.prompt_tokens, free.failures) == (0, 1, 0, 0)


def test_another_judge_or_sampling_is_another_judgement(tmp_path: Path) -> None:
    with judge_server() as server:
        for changes in ({}, {"temperature": 0.5}, {"max_tokens": 64}, {}):
            judge(server.url, tmp_path, **changes).ask([PROMPT], read_rating)
    assert len(server.bodies) == 3


def test_a_reply_without_a_verdict_is_not_cached(tmp_path: Path) -> None:
    with judge_server(script=[says("no rating")]) as server:
        judge(server.url, tmp_path, retries=0).ask([PROMPT], read_rating)
        assert not list(tmp_path.rglob("*.json"))
        found, _ = judge(server.url, tmp_path, retries=0).ask([PROMPT], read_rating)
    assert found[0].value is not None
