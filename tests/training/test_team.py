"""What the processes of one run share, where there is only one, and how a failure gets its reason."""

import pytest

from balora.errors import FirstProcessError, TrainingError
from balora.training.launch_config import LaunchConfig
from balora.training.team import REASON, Team, joined


class Store(dict):
    """Torch's, as far as a team reads it."""

    def check(self, keys):
        return all(key in self for key in keys)

    def get(self, key):
        return self[key].encode()


def test_a_process_alone_is_a_team_that_shares_nothing() -> None:
    with joined(LaunchConfig()) as team:
        assert (team.rank, team.size, team.is_first) == (0, 1, True)
        assert team.first(lambda: "found") == "found"
        calls = []
        team.in_turn(lambda: calls.append(1))
        assert calls == [1]
    with pytest.raises(ZeroDivisionError), joined(LaunchConfig(processes=1)) as team:
        team.first(lambda: 1 / 0)


def test_a_lost_connection_has_the_reason_of_the_process_that_failed() -> None:
    team = Team(0, 2, Store({REASON: "TrainingError\nprocess 1: step 3: nan\nand more"}))
    assert team.why(RuntimeError("connection closed")) == ("TrainingError", "process 1: step 3: nan\nand more")
    assert team.why(TrainingError("step 2:\n inf")) == ("TrainingError", "step 2: inf")  # its own
    assert Team(0, 2, Store()).why(RuntimeError("connection closed")) == ("RuntimeError", "connection closed")
    assert Team().why(ValueError()) == ("ValueError", "ValueError()")


def test_a_process_that_was_killed_is_told_from_one_that_failed() -> None:
    lost = RuntimeError("[pair.cc:537] Read error [127.0.0.1]:59078: Connection reset by peer.")
    assert Team(0, 2, Store()).has_lost_another(lost)
    assert not Team(0, 2, Store({REASON: "TrainingError\nprocess 1: step 3: nan"})).has_lost_another(lost)
    assert not Team(0, 2, Store()).has_lost_another(RuntimeError("shapes differ"))
    assert not Team(0, 2, Store()).has_lost_another(TrainingError(str(lost)))
    assert not Team().has_lost_another(lost)


def test_a_process_alone_gathers_its_own_value() -> None:
    assert Team().gather("found") == ["found"]


def test_the_first_processs_failure_is_told_apart_from_ones_own() -> None:
    assert FirstProcessError(2).exit_code == 2
    assert not Team(0, 2, Store()).has_lost_the_first()
    assert not Team(1, 2, Store()).has_lost_the_first()
