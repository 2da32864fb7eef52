"""Schedules of λ at literal points."""

import itertools
import math

import pytest

from balora.errors import InputError
from balora.objective import Objective, ObjectiveConfig
from balora.objective.editions import Schedule
from balora.objective.schedule import weight_at

POINTS = (0.0, 0.2, 0.225, 0.25, 0.5, 1.0)
VALUES: dict[Schedule, tuple[float, ...]] = {
    "constant": (2.0, 2.0, 2.0, 2.0, 2.0, 2.0),
    # 2·(0.1 + 0.9·(1 + cos πp)/2); at p = ½ the mean of 1 and 0.1
    "cosine": (2.0, 1.82811529, 1.78436537, 1.73639610, 1.1, 0.2),
    "two-phase": (0.0, 0.0, 1.0, 2.0, 2.0, 2.0),
}


@pytest.mark.parametrize("schedule", VALUES)
def test_each_schedule_takes_its_published_values(schedule: Schedule) -> None:
    for progress, value in zip(POINTS, VALUES[schedule], strict=True):
        assert weight_at(2.0, schedule, progress) == pytest.approx(value, rel=1e-8, abs=1e-12)  # digits written above


def test_a_ramp_starts_after_a_fifth_and_is_linear() -> None:
    assert weight_at(1.0, "two-phase", 0.2 + 1e-6) == pytest.approx(2e-5, rel=1e-6)
    assert weight_at(1.0, "two-phase", 0.21) == pytest.approx(0.2)
    assert weight_at(1.0, "two-phase", 0.24) == pytest.approx(0.8)


def test_the_cosine_falls_all_the_way_and_ends_at_a_tenth() -> None:
    values = [weight_at(1.0, "cosine", step / 50) for step in range(51)]
    assert all(later < earlier for earlier, later in itertools.pairwise(values))
    assert values[-1] == pytest.approx(0.1, rel=1e-12)


@pytest.mark.parametrize("progress", [-0.01, 1.01, math.nan])
@pytest.mark.parametrize("schedule", VALUES)
def test_outside_of_training_is_an_error(schedule: Schedule, progress: float) -> None:
    with pytest.raises(InputError, match=f"`progress` must be between 0 and 1, got {progress}"):
        weight_at(1.0, schedule, progress)


def test_each_term_of_the_objective_follows_its_own_schedule() -> None:
    objective = Objective(ObjectiveConfig.preset("ba-lora", family="nlg"))
    assert objective.weights_at(0.0) == {"consistency": 0.025, "diversity": 0.0, "spectral": 0.0}
    assert objective.weights_at(1.0) == {"consistency": pytest.approx(0.0025), "diversity": 0.005, "spectral": 0.005}
