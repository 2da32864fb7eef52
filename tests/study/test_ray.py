"""A study over the nodes of a real Ray cluster on loopback: as on one machine, also where a node is killed."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from killing import STUDY, Command, until
from ray_cluster import Cluster
from study_content import content

pytest.importorskip("ray")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds the processes of a node in /proc")

WORDS = tuple(word for word in STUDY if word not in ("--workers", "2"))
RAY = (*WORDS, "--executor", "ray")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short path, for Ray's sockets."""
    folder = Path(tempfile.mkdtemp(prefix="balora-ray-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def command(place: Path) -> Command:
    return Command(place / "study")


@pytest.fixture
def cluster(place: Path, command: Command) -> Iterator[Cluster]:
    (place / "ray").mkdir()
    made = Cluster(place / "ray", {"BALORA_STEERING": str(command.folder)})
    command.environment |= made.environment
    yield made
    made.close()


def under_way(folder: Path) -> int:
    try:
        return len(json.loads((folder / ".live.json").read_text())["under_way"])
    except (OSError, ValueError):
        return 0


def test_a_study_with_a_killed_node_equals_the_local_one(place: Path, command: Command, cluster: Cluster) -> None:
    local = Command(place / "local")
    local.run(*WORDS)
    command.hold_runs(3)
    study = command.start(*RAY)
    until(lambda: study.poll() is not None or under_way(command.folder / "s") == 2, "no two runs at a time")
    assert study.poll() is None, command.stderr()
    cluster.kill(1)
    command.hold_runs(1000)
    assert study.wait() == 0, command.stderr()
    assert content(command.folder / "s") == content(local.folder / "s")
    begun = (command.folder / "begun").read_text().split()
    assert len(begun) == len(set(begun)) + 1, "the node's one run was begun twice, and no other"
