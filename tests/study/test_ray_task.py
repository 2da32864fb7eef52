"""What a node of a Ray cluster does with a job, in this process; and what is refused before a cluster is touched."""

from pathlib import Path
from typing import Any

import fakes
import pytest
from study_cases import plan_of

from balora.errors import ConfigError
from balora.study.engine import ray_pool
from balora.study.engine.protocol import Event, Job
from balora.study.engine.ray_task import Setting, differing, on_node, remove_tries, sees, versions
from balora.training.record import read_record, write_record


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every variable that a job sets have its old value afterwards."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TOKENIZERS_PARALLELISM", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "1")


def never(*given: object) -> Any:
    raise AssertionError("no run should begin")


def job(output: Path, run: Any = fakes.quick) -> Job:
    one = plan_of().distinct[0]
    (output / "runs").mkdir(parents=True, exist_ok=True)
    return Job(one.id, one.spec, output / one.folder, run)


def carried_out(one: Job, **changes: Any) -> tuple[Event, list[Event]]:
    sent: list[Event] = []
    setting = Setting(versions(), 1, False, None, str(Path.cwd()))._replace(**changes)
    return on_node(one, setting, sent.append).event, sent


def left(output: Path) -> list[str]:
    return sorted(path.name for path in (output / "runs").iterdir())


def test_a_job_leaves_its_run_in_one_step(tmp_path: Path) -> None:
    places = []

    def noted(spec: Any, folder: Path, on_progress: Any) -> Any:
        places.append(folder)
        return fakes.quick(spec, folder, on_progress)

    one = job(tmp_path, noted)
    event, sent = carried_out(one)
    assert event.kind == "done"
    assert [each.progress.phase for each in sent if each.progress] == ["train"]
    assert left(tmp_path) == [one.id]
    assert read_record(one.folder) == event.record
    assert places[0].parent == one.folder.parent
    assert places[0].name.startswith(f".partial-{one.id}-"), "which the next `study run` removes, if it is left"


def test_a_job_that_had_finished_is_not_carried_out_again(tmp_path: Path) -> None:
    event, _ = carried_out(job(tmp_path))
    again, _ = carried_out(job(tmp_path, never))
    assert again == event


def test_of_two_tries_at_the_same_time_the_first_to_end_counts(tmp_path: Path) -> None:
    """As where a node was cut off, and so taken for lost, but works on."""
    first: list[Event] = []

    def slow(spec: Any, folder: Path, on_progress: Any) -> Any:
        first.append(carried_out(job(tmp_path))[0])
        folder.mkdir()
        return write_record(fakes.record_of(spec, started="2026-11-28T12:00:00+00:00"), folder)

    one = job(tmp_path, slow)
    event, _ = carried_out(one)
    assert event == first[0]
    assert left(tmp_path) == [one.id]


def test_what_a_lost_try_left_in_the_place_is_replaced(tmp_path: Path) -> None:
    one = job(tmp_path)
    one.folder.mkdir()
    (one.folder / "series.jsonl").write_text("half")
    event, _ = carried_out(one)
    assert event.kind == "done"
    assert read_record(one.folder) == event.record


def test_a_job_that_fails_leaves_nothing_and_names_the_run_folder(tmp_path: Path) -> None:
    def fails(spec: Any, folder: Path, on_progress: Any) -> Any:
        folder.mkdir()
        raise RuntimeError(f"{folder}: broken")

    one = job(tmp_path, fails)
    event, _ = carried_out(one)
    assert event.error is not None
    assert (event.kind, event.error.message) == ("failed", f"{one.folder}: broken")
    assert left(tmp_path) == []


def test_what_tries_that_were_ended_have_left_is_removed(tmp_path: Path) -> None:
    one = job(tmp_path)
    carried_out(one)
    for name in (f".partial-{one.id}-0123abcd", ".partial-copy-fedc", f".partial-0{one.id}-0123abcd"):
        (one.folder.parent / name).mkdir()
    remove_tries([[one]])
    assert left(tmp_path) == sorted([".partial-copy-fedc", f".partial-0{one.id}-0123abcd", one.id])


def test_an_address_where_nothing_listens_is_noticed_at_once() -> None:
    with pytest.raises(ConnectionRefusedError):
        ray_pool.check_answers("127.0.0.1:9")
    ray_pool.check_answers("auto")


def test_what_a_job_prints_goes_into_the_log(tmp_path: Path) -> None:
    def prints(spec: Any, folder: Path, on_progress: Any) -> Any:
        print("step 1")
        raise RuntimeError("broken")

    ended = on_node(job(tmp_path, prints), Setting(versions(), 1, False, None, "."), lambda event: None)
    assert ended.output.startswith("step 1\nTraceback ")


def test_a_node_that_joins_with_other_versions_refuses_its_jobs(tmp_path: Path) -> None:
    event, _ = carried_out(job(tmp_path, never), versions={**versions(), "torch": "1.13.0"})
    assert event.kind == "refused"
    assert event.error is not None
    torch = versions()["torch"]
    assert event.error.message == (
        f"a node that joined the Ray cluster has torch {torch} and not 1.13.0: install the same versions on every node"
    )


def test_builds_may_differ_and_versions_not() -> None:
    mine = {"torch": "2.13.0+cpu", "peft": "0.21.2", "ray": "2.60.0"}
    assert differing(mine, {"torch": "2.13.0+cu130", "peft": "0.21.2", "ray": "2.60.0"}) == {}
    assert differing(mine, {"torch": "2.12.0+cpu", "peft": "0.21.2"}) == {
        "torch": ("2.13.0+cpu", "2.12.0+cpu"),
        "ray": ("2.60.0", "none"),
    }


def test_a_node_sees_the_folder_if_it_reads_the_same_lock(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_bytes(b"1 here 2")
    assert sees(tmp_path / ".lock", b"1 here 2")
    assert not sees(tmp_path / ".lock", b"3 there 4")
    assert not sees(tmp_path / "other" / ".lock", b"1 here 2")


def node(cpus: float, gpus: float = 0) -> dict[str, Any]:
    return {"Resources": {"CPU": cpus, **({"GPU": gpus} if gpus else {})}}


@pytest.mark.parametrize(
    ("nodes", "on_testbed", "cpus", "gpus", "expected"),
    [
        ([node(8), node(4)], True, None, None, (1, 0.0)),
        ([node(8), node(4)], False, None, None, (2, 0.0)),
        ([node(1)], False, None, None, (1, 0.0)),
        ([node(16, 4), node(64)], False, None, None, (4, 1.0)),
        ([node(16, 4)], True, None, None, (1, 0.0)),
        ([node(16, 4)], False, None, 0.5, (2, 0.5)),
        ([node(16, 4)], False, 3, 2.0, (3, 2.0)),
    ],
)
def test_what_a_run_asks_for(nodes: Any, on_testbed: bool, cpus: Any, gpus: Any, expected: Any) -> None:
    assert ray_pool._request(nodes, on_testbed, cpus, gpus) == expected


@pytest.mark.parametrize(
    ("has", "request_", "room"),
    [
        (node(8), (1, 0.0), 8),
        (node(8), (3, 0.0), 2),
        (node(8, 4), (1, 1.0), 4),
        (node(2, 4), (1, 1.0), 2),
        (node(8, 1), (1, 0.1), 8),
        (node(16, 1), (1, 0.1), 10),
        (node(8), (1, 1.0), 0),
        ({"Resources": {}}, (1, 0.0), 0),
    ],
)
def test_how_many_runs_a_node_has_room_for(has: Any, request_: Any, room: int) -> None:
    assert ray_pool._room(has, ray_pool.Request(*request_)) == room


def test_a_missing_ray_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_pool, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as caught:
        ray_pool.ray_pool(True)
    assert str(caught.value) == '--executor ray: the package ray is missing: pip install "balora[ray]"'
