"""A study over the nodes of a real Ray cluster on loopback: as on one machine, also where a node is killed."""

import json
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from killing import HERE, STUDY, Command, kill, until
from ray_cluster import Cluster
from s3_server import S3Server
from study_content import content

pytest.importorskip("ray")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds the processes of a node in /proc")

WORDS = tuple(word for word in STUDY if word not in ("--workers", "2"))
BALORA = Path(sys.executable).with_name("balora")
RAY = (*WORDS, "--executor", "ray")


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder with a short path, for Ray's sockets."""
    folder = Path(tempfile.mkdtemp(prefix="balora-ray-"))
    (folder / "ray").mkdir()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[S3Server | None]:
    made = S3Server(place) if find_spec("moto") and find_spec("s3fs") else None
    yield made
    if made:
        made.close()


@pytest.fixture(scope="module")
def cluster(place: Path, server: S3Server | None) -> Iterator[Cluster]:
    """The head of a cluster, whose runs the tests steer through one folder."""
    made = Cluster(place / "ray", {"BALORA_STEERING": str(place / "study"), **(server.environment if server else {})})
    yield made
    made.close()


@pytest.fixture
def command(place: Path, cluster: Cluster) -> Iterator[Command]:
    """`balora` beside the head of a cluster of two nodes, in an empty folder."""
    made = Command(place / "study")
    made.environment |= {**cluster.environment, "BALORA_CACHE": str(place / "cache")}
    if len(cluster.nodes) < 2:
        cluster.add_node()
    yield made
    shutil.rmtree(made.folder)


@pytest.fixture(scope="module")
def local(place: Path) -> Command:
    """The same study on this machine."""
    made = Command(place / "local")
    made.run(*WORDS)
    return made


def under_way(folder: Path) -> int:
    try:
        return len(json.loads((folder / ".live.json").read_text())["under_way"])
    except (OSError, ValueError):
        return 0


def begun(command: Command) -> list[str]:
    return (command.folder / "begun").read_text().split()


def test_a_study_with_a_killed_node_equals_the_local_one(command: Command, cluster: Cluster, local: Command) -> None:
    command.hold_runs(3)
    study = command.start(*RAY)
    until(lambda: study.poll() is not None or under_way(command.folder / "s") == 2, "no two runs at a time")
    assert study.poll() is None, command.stderr()
    second = Command(command.folder / "second")
    assert second.start(*WORDS[:-1], "../s").wait() == 2, "two executors on one folder"
    assert "s: another `balora study run` is working here (process " in second.stderr()
    cluster.kill_all_but_the_head()
    command.hold_runs(1000)
    assert study.wait() == 0, command.stderr()
    assert content(command.folder / "s") == content(local.folder / "s")
    assert len(begun(command)) == len(set(begun(command))) + 1, "the node's one run was begun twice, and no other"


def test_so_does_one_on_object_storage(
    command: Command, cluster: Cluster, local: Command, server: S3Server | None
) -> None:
    if server is None:
        pytest.skip("s3fs or moto is not installed")
    command.hold_runs(3)
    study = command.start(*RAY[: RAY.index("--output")], "--output", "s3://studies/ray", "--executor", "ray")
    until(lambda: study.poll() is not None or server.records("ray") == 3, "no three runs are stored")
    until(lambda: study.poll() is not None or len(begun(command)) >= 5, "no two runs at a time")
    assert study.poll() is None, command.stderr()
    cluster.kill_all_but_the_head()
    command.hold_runs(1000)
    assert study.wait() == 0, command.stderr()
    assert server.content("ray") == content(local.folder / "s")
    assert len(begun(command)) == len(set(begun(command))) + 1


def test_a_run_that_no_node_has_room_for_is_refused(command: Command) -> None:
    assert command.start(*RAY, "--gpus-per-run", "2").wait() == 2
    found = re.search(
        r"--executor ray: no node has 1 CPUs and 2 GPUs for a run \((.*)\): lower --cpus", command.stderr()
    )
    assert found, command.stderr()
    assert found[1].count(": 1 CPUs, 0 GPUs") == 2


def test_ctrl_c_stops_the_runs_and_leaves_no_part_of_one(command: Command) -> None:
    command.hold_runs(1)
    study = command.start(*RAY)
    until(lambda: study.poll() is not None or under_way(command.folder / "s") == 2, "no two runs at a time")
    assert kill(study.pid, signal.SIGINT)
    assert study.wait() == 130, command.stderr()
    left = [path for path in (command.folder / "s" / "runs").iterdir() if not (path / "run.json").is_file()]
    assert left == []


def test_real_runs_leave_the_records_of_local_ones(command: Command, place: Path) -> None:
    words = (*WORDS[:-2], "--seeds", "1", "--set", "training.steps=4", "--output", "real")
    command.script = BALORA
    command.run(*words, "--executor", "ray")
    local = Command(place / "really-local", script=BALORA)
    local.environment["OMP_NUM_THREADS"] = "1"
    local.run(*words, "--workers", "2")
    found = records(command.folder / "real")
    assert len(found) == 10
    assert found == records(local.folder / "real")


def records(study: Path) -> dict[str, Any]:
    """Return every record without its times; it holds the digests of all other files."""
    found = {path.parent.name: json.loads(path.read_text()) for path in (study / "runs").glob("*/run.json")}
    timings = ("cost", "started", "digest")
    return {id: {name: value for name, value in one.items() if name not in timings} for id, one in found.items()}


def test_other_versions_on_a_node_are_refused_before_the_first_run(command: Command, cluster: Cluster) -> None:
    other = command.folder / "other" / "torch-0.0.1.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 0.0.1\n")
    cluster.add_node(PYTHONPATH=os.pathsep.join((str(other.parent), cluster.environment["PYTHONPATH"])))
    try:
        assert command.start(*RAY).wait() == 2
    finally:
        cluster.kill_all_but_the_head()
    assert " has torch 0.0.1, here 2." in command.stderr()
    assert command.stderr().rstrip().endswith("install the same versions on every node")
    assert not (command.folder / "begun").exists()
    assert not (command.folder / "s").exists()


def test_no_cluster_is_one_line(tmp_path: Path) -> None:
    command = Command(tmp_path)
    command.environment |= {"RAY_ADDRESS": "127.0.0.1:9", "PYTHONPATH": f"{HERE.parents[1] / 'src'}"}
    assert command.start(*RAY).wait() == 2
    assert "--executor ray: no Ray cluster can be reached at '127.0.0.1:9'" in command.stderr()
    assert len(command.stderr().strip().splitlines()) <= 2
