"""The recipe that ends in MT-Bench: trained, answered in one turn or two, judged; and what happens without a judge."""

import json
from pathlib import Path
from typing import Any

import pytest
from loopback_judge import loopback_judge, status
from tests.training.recipe_data import write_recipe_data

from balora.errors import ConfigError
from balora.training import run as run_module
from balora.training.run import run
from balora.training.spec import RunSpec, resolve
from balora.training.trainer import BALoraTrainer


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe_data(tmp_path_factory.mktemp("recipes"), "wizardlm", "mt_bench")


def spec_of(checkpoint: Path, data: Path, url: str | None, **changes: Any) -> RunSpec:
    judge = {"url": url, "model": "loopback", "retries": 0, "timeout": 20} if url else None
    given = {
        "task": "wizardlm",
        "model": str(checkpoint),
        "adapter.rank": 2,
        "data.folder": str(data),
        "data.max_length": 512,
        "data.max_new_tokens": 8,
        "training.steps": 1,
        "training.batch_size": 2,
        "scoring": {"judge": judge},
    }
    return resolve({**given, **changes})


def test_the_score_is_ten_times_the_mean_rating_of_the_first_turn(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    with loopback_judge() as url:
        record = run(spec_of(checkpoint, data, url), tmp_path / "run")
    items = [json.loads(line) for line in (tmp_path / "run" / "items.jsonl").read_text().splitlines()]
    ratings = [item["score"] for item in items]
    assert len(ratings) == 3
    assert record.metrics == {"mt_bench_first_turn": pytest.approx(sum(ratings) / 3), "judged": 1.0}
    assert record.score == pytest.approx(10 * sum(ratings) / 3)
    assert any("the judge was asked 3 times (0 judgements came from the cache)" in note for note in record.notes)


def test_two_turns_are_asked_one_after_the_other(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    asked: list[str] = []

    def write(body: dict[str, Any]) -> str:
        asked.append("\n".join(message["content"] for message in body["messages"]))
        return "Rating: [[7]]"

    with loopback_judge(write=write) as url:
        spec = spec_of(checkpoint, data, url)
        two = spec.scoring.model_copy(update={"judge": spec.scoring.judge.replace(turns=2)})  # type: ignore[union-attr]
        record = run(spec.model_copy(update={"scoring": two}), tmp_path / "run")
    assert record.metrics == {"mt_bench_first_turn": 7.0, "mt_bench_second_turn": 7.0, "judged": 1.0}
    assert record.score == 70.0
    assert sum("Say them again." in text for text in asked) == 3


def test_where_the_judge_stands_is_no_part_of_the_id_and_which_it_is_one(checkpoint: Path, data: Path) -> None:
    from balora.training.identity import run_id

    def id_of(**changes: Any) -> str:
        spec = spec_of(checkpoint, data, "http://127.0.0.1:1/v1")
        judge = spec.scoring.judge.replace(**changes)  # type: ignore[union-attr]
        return run_id(spec.model_copy(update={"scoring": spec.scoring.model_copy(update={"judge": judge})}), {})

    assert id_of() == id_of(url="http://localhost:2/v1", retries=9, timeout=1, concurrency=1)
    assert len({id_of(), id_of(model="another"), id_of(turns=2), id_of(temperature=0.5)}) == 4


def test_a_judge_that_is_missing_or_unreachable_is_an_error_before_training(
    checkpoint: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "load_model", None)  # would fail if anything were loaded
    with pytest.raises(ConfigError, match=r"MT-Bench needs a judge: set scoring\.judge\.url"):
        run(spec_of(checkpoint, data, None), tmp_path / "run")
    with pytest.raises(ConfigError, match="judge"):
        run(spec_of(checkpoint, data, "http://127.0.0.1:9/v1"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_that_nobody_could_judge_fails_and_is_judged_later_without_another_training(
    checkpoint: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainings: list[int] = []
    train = BALoraTrainer.train
    monkeypatch.setattr(BALoraTrainer, "train", lambda self, **how: (trainings.append(1), train(self, **how)))

    class Down:
        """Answers the first request, which checks the judge, and fails all others."""

        seen = 0

        def __call__(self, body: dict[str, Any]) -> str:
            self.seen += 1
            return "Rating: [[5]]" if self.seen == 1 else "no verdict"

    with loopback_judge(write=Down()) as url:
        failed = run(spec_of(checkpoint, data, url), tmp_path / "failed")
    assert failed.status == "failed"
    assert failed.error is not None
    assert "no answer could be judged, so there is no score" in failed.error.message
    with loopback_judge(write=lambda body: "Rating: [[5]]") as url:
        record = run(spec_of(checkpoint, data, url), tmp_path / "again")
    assert (record.id, record.score, len(trainings)) == (failed.id, 50.0, 1)


def test_an_answer_without_a_judgement_is_missing_and_not_zero(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    def write(body: dict[str, Any]) -> str:
        text = "\n".join(message["content"] for message in body["messages"])
        return "I cannot." if "Say 2 words" in text else "Rating: [[6]]"

    with loopback_judge(write=write) as url:
        record = run(spec_of(checkpoint, data, url), tmp_path / "run")
    assert record.metrics == {"mt_bench_first_turn": 6.0, "judged": pytest.approx(2 / 3)}
    assert record.score == 60.0
    assert any("1 of 3 could not be rated" in note for note in record.notes)


def test_rate_limits_are_waited_for(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    with loopback_judge(script=[status(429, **{"Retry-After": "0"})]) as url:
        spec = spec_of(checkpoint, data, url)
        judge = spec.scoring.judge.replace(retries=3)  # type: ignore[union-attr]
        scoring = spec.scoring.model_copy(update={"judge": judge})
        assert run(spec.model_copy(update={"scoring": scoring}), tmp_path / "run").metrics["judged"] == 1.0
