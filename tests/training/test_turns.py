"""Runs that take turns: in order, each with its own random states and time, and none harmed by another's end."""

import os
import random
import warnings
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from balora.training import turns
from balora.training.turns import own_seconds, pass_turn, take_turns


def test_each_gets_as_far_as_the_others_and_one_that_ends_is_left_out() -> None:
    seen: list[str] = []

    def work(name: str, steps: int) -> Callable[[], None]:
        def steps_of() -> None:
            for step in range(steps):
                seen.append(f"{name}{step}")
                pass_turn()

        return steps_of

    take_turns([work("a", 3), work("b", 1), work("c", 2)])
    assert seen == ["a0", "b0", "c0", "a1", "c1", "a2"]


def test_one_that_fails_takes_none_with_it_and_its_error_is_raised_at_the_end() -> None:
    ended: list[int] = []

    def fails() -> None:
        pass_turn()
        raise ValueError("the first")

    def goes_on() -> None:
        for _ in range(3):
            pass_turn()
        ended.append(1)

    with pytest.raises(ValueError, match=r"^the first$"):
        take_turns([goes_on, fails, goes_on])
    assert ended == [1, 1]


def test_each_draws_the_numbers_that_it_would_draw_alone() -> None:
    def draws(seed: int, found: list[float]) -> Callable[[], None]:
        def draw() -> None:
            random.seed(seed)
            np.random.seed(seed)
            torch.manual_seed(seed)
            for _ in range(3):
                found.extend((random.random(), float(np.random.rand()), float(torch.rand(()))))
                pass_turn()

        return draw

    alone: list[list[float]] = [[], [], []]
    together: list[list[float]] = [[], [], []]
    for seed, found in enumerate(alone):
        draws(seed, found)()
    take_turns([draws(seed, found) for seed, found in enumerate(together)])
    assert together == alone


def test_the_time_of_others_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(turns, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    took: list[float] = []

    def work(seconds: float) -> Callable[[], None]:
        def steps() -> None:
            start = own_seconds()
            for _ in range(2):
                now[0] += seconds
                pass_turn()
            took.append(own_seconds() - start)

        return steps

    take_turns([work(1.0), work(10.0)])
    assert took == [2.0, 20.0]
    assert now == [22.0]


def test_what_they_set_for_their_process_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALORA_TEST_THERE", "before")
    filters = list(warnings.filters)

    def work() -> None:
        os.environ["BALORA_TEST_THERE"] = os.environ["BALORA_TEST_NEW"] = "now"
        warnings.filterwarnings("ignore", "something")

    take_turns([work, work])
    assert os.environ["BALORA_TEST_THERE"] == "before"
    assert "BALORA_TEST_NEW" not in os.environ
    assert list(warnings.filters) == filters


def test_alone_nothing_is_passed() -> None:
    state = torch.get_rng_state()
    pass_turn()
    assert torch.equal(torch.get_rng_state(), state)
