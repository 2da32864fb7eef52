"""The paper's NLG Avg takes MT-Bench as 1 to 10, NLG Avg as points of 100."""

import pytest

from balora.errors import InputError
from balora.tasks.paper_average import paper_average, rating_to_points
from balora.tasks.scores import suite_average

SCORES = {"gsm8k": 50.0, "math": 10.0, "humaneval": 20.0, "mbpp": 35.0, "mt_bench": rating_to_points(5.0)}


def test_both_averages_of_five_tasks() -> None:
    assert paper_average(SCORES) == (50 + 10 + 20 + 35 + 5) / 5 == 24
    assert suite_average(SCORES) == (50 + 10 + 20 + 35 + 50) / 5 == 33


def test_a_point_of_mt_bench_weighs_as_much_as_one_of_a_hundred() -> None:
    better = {**SCORES, "mt_bench": rating_to_points(6.0)}
    easier = {**SCORES, "gsm8k": 51.0}
    assert paper_average(better) == paper_average(easier)


def test_without_mt_bench_there_is_no_average_of_the_paper() -> None:
    assert paper_average({"gsm8k": 50.0}) is None
    assert paper_average({}) is None


@pytest.mark.parametrize("rating", [0.0, 0.99, 10.01, 50.0, float("nan")])
def test_what_is_no_rating_is_refused(rating: float) -> None:
    with pytest.raises(InputError, match="lies between 1 and 10"):
        rating_to_points(rating)
