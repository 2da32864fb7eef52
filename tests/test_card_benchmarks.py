"""Test what `python -m benchmarks.card` makes of its measurements, on literals and on a tiny model."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from benchmarks import objective
from benchmarks.card import Counts, main
from benchmarks.llama_step import (
    CHUNKED,
    LIVE,
    LLAMA_8B,
    PISSA,
    PUBLISHED,
    SMALL,
    WARM,
    RandomFactors,
    Steps,
    _memory_rows,
    _peaks,
    _time_rows,
    batch_of,
    step_rows,
)
from benchmarks.measure import interleaved
from benchmarks.objective import Size, objective_rows

TINY = SMALL._replace(vocabulary=97, layers=1, rows=2, length=8)
SECONDS = {PISSA: 2.0, CHUNKED: 1.9, PUBLISHED: 1.5, WARM: 2.2, LIVE: 3.0}


def test_the_llama_is_the_published_one() -> None:
    assert (LLAMA_8B.tokens, LLAMA_8B.rank) == (8192, 128)
    with torch.device("meta"):
        from transformers import LlamaForCausalLM

        model = LlamaForCausalLM(LLAMA_8B.config())
    assert sum(parameter.numel() for parameter in model.parameters()) == 8_030_261_248


def test_steps_are_compared_with_pissas_and_tokens_with_the_published_ways() -> None:
    live, live_rate, warm, warm_rate = _time_rows(LLAMA_8B, SECONDS, published_rows=8)
    assert [(row.ratio, row.goal, row.missed) for row in (live, warm)] == [(1.5, 1.6, False), (1.1, 1.05, True)]
    # the published way makes half the tokens in 1.5 s, as many as the other two in 3 s
    assert [row.ratio for row in (live_rate, warm_rate)] == pytest.approx([1.0, 2.2 / 3.0])
    assert live_rate.goal == pytest.approx(1 / 1.5, abs=1e-3)
    assert live_rate.detail.endswith("published on 8 of 16 rows, for which there is memory")
    assert "d = 4,096, 32 layers, V = 128,256" in next(_memory_rows(LLAMA_8B, {CHUNKED: 1, LIVE: 1})).what


def test_a_method_without_memory_is_named_and_has_no_rows() -> None:
    seconds = {name: taken for name, taken in SECONDS.items() if name not in (PUBLISHED, LIVE)}
    (row,) = _time_rows(LLAMA_8B, seconds, published_rows=0, notes=["logits are materialised"])
    assert row.what.startswith("step with warm cache")
    assert row.detail.endswith("logits are materialised; no memory for published, ba-lora live")


def test_memory_is_compared_with_that_of_a_chunked_cross_entropy() -> None:
    rows = list(_memory_rows(LLAMA_8B, {PISSA: 900.0, CHUNKED: 500.0, WARM: 510.0, LIVE: 600.0}))
    assert [(row.ratio, row.goal) for row in rows] == [(1.2, 1.05), (1.02, 1.05)]


def test_the_published_way_gets_fewer_rows_until_there_is_memory_for_it() -> None:
    steps: Any = SimpleNamespace(optimizer=torch.optim.SGD([torch.zeros(1)]), published_rows=16)

    def needs(most: int) -> Any:
        def step() -> None:
            if steps.published_rows > most:
                raise torch.OutOfMemoryError

        return step

    peaks = _peaks(steps, {PISSA: lambda: None, LIVE: needs(0), PUBLISHED: needs(4)}, "cpu")
    assert steps.published_rows == 4
    assert set(peaks) == {PISSA, PUBLISHED}
    assert set(_peaks(steps, {PUBLISHED: needs(0)}, "cpu")) == set()


@pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning")
def test_every_row_of_a_step_is_measured_without_materialised_logits() -> None:
    rows = list(step_rows(TINY, "cpu"))
    assert [row.what.split(" ÷ ")[0].removeprefix("peak memory of a ") for row in rows] == [
        "step with live reference", "step with warm cache",
        "step with live reference", "time a token with live reference",
        "step with warm cache", "time a token with warm cache", "offset form",
    ]  # fmt: skip
    assert all(row.ratio > 0 for row in rows)
    assert not any("materialised" in row.detail for row in rows)


def test_the_warm_cache_gives_the_live_references_loss(tmp_path: Any) -> None:
    steps = Steps(TINY, "cpu", tmp_path)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        for parameter in steps.model.parameters():
            if parameter.requires_grad:  # away from the start, where student and reference agree
                parameter.add_(0.1)
        warm, live = steps._ours(steps._warm_cache()), steps._ours(None)
        assert torch.isclose(warm, live, rtol=1e-3)
        assert not torch.isclose(live, steps.chunked(steps.model, steps.batch)[0].loss, rtol=1e-3)
        # value of the published way: the same objective up to its approximate singular values
        assert torch.isclose(steps._published(), live, rtol=2e-2)


def test_every_token_but_the_first_is_learned() -> None:
    batch = batch_of(TINY, "cpu")
    assert [count for _, count in batch["row_keys"]] == [7, 7]
    assert torch.equal(batch["labels"], batch["input_ids"])


def test_random_factors_have_the_shapes_of_a_start() -> None:
    A, B = RandomFactors().factors(torch.zeros(5, 3), 2, 1.0, "exact", torch.Generator())
    assert (A.shape, B.shape) == ((2, 3), (5, 2))


def test_the_objective_is_compared_on_the_rows_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objective, "free_memory", lambda device: 11 * 4 * 50 * 6)  # six rows
    rows = objective_rows(Size(16, 50, 40, torch.bfloat16), goal=1.3, memory_goal=None)
    assert rows[0][0] == "objective, all terms ÷ three products (N = 16, V = 50, d = 40, bfloat16)"
    assert rows[0][2] == 1.3
    assert rows[1][0] == "objective ÷ published way, time (4 rows, for which there is memory)"
    assert "objective of 4 rows" in rows[1][3]


def test_a_clock_waits_for_the_gpu_only_if_one_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[int] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: waits.append(1))
    interleaved({"a": lambda: None}, rounds=1, warmup=0)
    assert waits == []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    interleaved({"a": lambda: None}, rounds=1, warmup=0)
    assert len(waits) == 2


def test_tests_are_counted_once() -> None:
    counts = Counts()
    for when, outcome in (
        ("setup", "passed"), ("call", "passed"), ("teardown", "passed"),
        ("setup", "passed"), ("call", "failed"), ("setup", "failed"), ("setup", "skipped"),
    ):  # fmt: skip
        flags = {name: name == outcome for name in ("passed", "failed", "skipped")}
        counts.pytest_runtest_logreport(SimpleNamespace(when=when, **flags))
    assert (counts.ran, counts.failed, counts.skipped) == (3, 2, 1)


def test_a_missing_package_has_an_exit_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.card.TEST_PACKAGES", ("no_such_package",))
    monkeypatch.setattr("sys.argv", ["card", "tests", str(tmp_path / "x.json"), "--dry"])
    assert main() == 3
    assert capsys.readouterr().err == "no_such_package\n"
    assert not (tmp_path / "x.json").exists()
