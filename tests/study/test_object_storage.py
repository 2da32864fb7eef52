"""The mirror of a study on object storage: pull, push, the order of uploads, the lock; on a storage in memory."""

import errno
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import fakes
import pytest
from study_cases import Notebook, plan_of
from study_content import content

from balora.errors import ConfigError, OutputError
from balora.study.engine.execute import Outcome, execute
from balora.study.engine.protocol import Event, Job
from balora.study.engine.stored_pool import StoredPool
from balora.study.engine.worker import carry_out
from balora.study.store.lock import own_line
from balora.study.store.object_storage import Storage, is_url, located, mirrored, run_folder

URL = "memory://bucket/study"


@pytest.fixture
def store() -> Iterator[Any]:
    """The storage in memory, empty."""
    import fsspec

    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    yield files
    files.store.clear()


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_machine("one", tmp_path, monkeypatch)


def use_machine(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go on as another machine would: with a cache of its own."""
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path / name))
    return tmp_path / name


def names(store: Any) -> list[str]:
    return sorted(path.removeprefix("/bucket/study/") for path in store.store)


class Inline:
    """A pool that carries out every job in this process."""

    workers = 1

    def carry_out(self, stages: Sequence[Sequence[Job]], output: Path, lock: int) -> Generator[Event]:
        for job in (job for stage in stages for job in stage):
            yield Event("started", job)
            yield carry_out(job, lambda progress: None)._replace(job=job)


def never(*given: object) -> Any:
    raise AssertionError("no run should begin")


def go(run: Any = fakes.quick, **how: Any) -> Outcome:
    """Carry out a study at the URL with one worker."""
    with located(URL) as (folder, storage):
        assert storage is not None
        pool = StoredPool(Inline(), storage)
        return execute(plan_of(), folder, Notebook(), command="again", pool=pool, run=run, **how)


def test_what_is_a_url() -> None:
    assert is_url("s3://bucket/study")
    assert is_url("abfs://container@account/study")
    assert not any(is_url(text) for text in ("runs/pissa", "/tmp/s3://x", "C:\\runs", "s3:/bucket", "://x", ""))


def test_which_paths_are_of_a_run() -> None:
    id = "0123456789abcdef"
    assert run_folder(f"runs/{id}/adapter/adapter_model.safetensors") == f"runs/{id}"
    assert run_folder(f"rates/runs/{id}/run.json") == f"rates/runs/{id}"
    assert run_folder("study.json") is None
    assert run_folder(f"runs/{id}") is None
    assert run_folder(f"runs/{id[:-1]}/run.json") is None


def test_a_folder_is_left_alone(tmp_path: Path) -> None:
    with located(str(tmp_path / "s")) as found:
        assert found == (tmp_path / "s", None)
    with mirrored(str(tmp_path / "s")) as found:
        assert found == (tmp_path / "s", None)
    assert not (tmp_path / "s").exists()


def test_a_study_at_a_url_is_the_study_in_a_folder(tmp_path: Path, store: Any) -> None:
    execute(plan_of(), tmp_path / "s", Notebook(), command="again", pool=Inline(), run=fakes.quick)
    assert go().ok == 8
    with mirrored(URL) as (mirror, _):
        assert content(mirror) == content(tmp_path / "s")
    assert {name for name in names(store) if name != "log.txt"} == set(content(tmp_path / "s"))


def test_the_plan_is_stored_before_the_first_run(store: Any) -> None:
    there: list[list[str]] = []

    def noted(*given: Any) -> Any:
        there.append(names(store))
        return fakes.quick(*given)

    go(noted)
    assert there[0] == [".lock", "study.json"]


def test_another_machine_repeats_nothing(tmp_path: Path, store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    go()
    use_machine("two", tmp_path, monkeypatch)
    assert go(never).skipped == 8


def test_failed_runs_are_stored_and_not_repeated(tmp_path: Path, store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert go(never).failed == 8
    use_machine("two", tmp_path, monkeypatch)
    assert go().failed_before == 8
    assert go(retry_failed=True).ok == 8


@pytest.mark.parametrize("loss", ["run.json", "series.jsonl"])
def test_a_run_that_is_there_in_part_is_repeated(
    tmp_path: Path, store: Any, monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    go()
    before = dict.fromkeys(names(store))
    store.rm_file(next(path for path in sorted(store.store) if path.endswith(loss)))
    use_machine("two", tmp_path, monkeypatch)
    outcome = go()
    assert (outcome.skipped, outcome.ok) == (7, 1)
    assert dict.fromkeys(names(store)) == before


class Watched:
    """The storage in memory, which notes what is written and removed, and fails when it is told to."""

    def __init__(self, files: Any) -> None:
        self.files, self.done, self.fails_at = files, list[str](), ""

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self.files, name)
        if name not in ("pipe_file", "put_file", "rm_file"):
            return inner

        def noted(*given: Any, **options: Any) -> Any:
            path = str(given[1] if name == "put_file" else given[0]).removeprefix("/bucket/study/")
            if self.fails_at and path.endswith(self.fails_at):
                raise OSError(errno.ECONNRESET, "Connection reset by peer")
            self.done.append(f"{'-' if name == 'rm_file' else '+'}{path.rsplit('/', 1)[-1]}")
            return inner(*given, **options)

        return noted


def run_in(folder: Path, text: str = "steps") -> Path:
    (folder / "adapter").mkdir(parents=True)
    for name in ("items.jsonl", "series.jsonl", "adapter/weights", "run.json"):
        (folder / name).write_text(f"{name} {text}")
    return folder


def test_the_record_is_removed_first_and_written_last(tmp_path: Path, store: Any) -> None:
    storage, name = Storage(URL), "runs/0123456789abcdef"
    storage.files = watched = Watched(store)
    storage.push_run(run_in(tmp_path / "old"), name)
    assert watched.done[-1] == "+run.json"
    watched.done.clear()
    storage.push_run(tmp_path / "old", name)
    assert watched.done == [], "the same run is not uploaded twice"
    storage.push_run(run_in(tmp_path / "new", "anew"), name)
    assert (watched.done[0], watched.done[-1]) == ("-run.json", "+run.json")
    assert len(watched.done) == 5


def test_an_upload_that_breaks_off_leaves_no_record_and_is_made_good(tmp_path: Path, store: Any) -> None:
    storage, name = Storage(URL), "runs/0123456789abcdef"
    storage.files = watched = Watched(store)
    storage.push_run(run_in(tmp_path / "old"), name)
    watched.fails_at = "series.jsonl"
    with pytest.raises(OSError, match="Connection reset"):
        storage.push_run(run_in(tmp_path / "new", "anew"), name)
    assert f"{name}/run.json" not in names(store)
    watched.fails_at = ""
    storage.push_run(tmp_path / "new", name)
    assert store.cat_file(f"/bucket/study/{name}/run.json") == b"run.json anew"


def test_a_failing_storage_is_one_line(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(store)
    watched.fails_at = "study.json"
    monkeypatch.setattr("balora.study.store.object_storage._open", lambda url: (watched, "/bucket/study"))
    with pytest.raises(OutputError) as caught:
        go()
    assert str(caught.value) == (
        f"{URL}: cannot be read or written ([Errno 104] Connection reset by peer): check the address, the credentials "
        "and the network; what has finished is in the mirror, and the same command goes on"
    )


def test_names_that_lead_out_of_the_mirror_are_not_pulled(store: Any, machine: Path) -> None:
    store.pipe_file("/bucket/study/study.json", b"{}")
    for name in ("../../out", "a/../../../out", ".hidden", "runs/.aside/x", "a\\b"):
        store.store[f"/bucket/study/{name}"] = store.store["/bucket/study/study.json"]
    storage = Storage(URL)
    storage.pull()
    assert [path.name for path in machine.rglob("*") if path.is_file()] == ["study.json"]


def test_a_study_that_was_deleted_at_the_url_is_not_revived(store: Any) -> None:
    go()
    store.store.clear()
    assert go().skipped == 0


def test_a_run_that_was_not_uploaded_is_uploaded_by_the_next_command(store: Any) -> None:
    go()
    record = next(path for path in sorted(store.store) if path.endswith("run.json"))
    store.rm_file(record)
    assert go(never).skipped == 8
    assert record in store.store


def test_a_lock_is_held_and_released(store: Any) -> None:
    with Storage(URL).locked():
        assert store.cat_file("/bucket/study/.lock").decode() == own_line()
        with pytest.raises(OutputError) as caught, Storage(URL).locked():
            raise AssertionError
    number, host, _ = own_line().split()
    assert str(caught.value) == (
        f"{URL}: another `balora study run` is working here (process {number} on {host}): wait for it to end; if it "
        f"was killed, delete {URL}/.lock"
    )
    assert names(store) == []


def test_the_lock_of_a_dead_process_of_this_machine_is_taken_over(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store.pipe_file("/bucket/study/.lock", own_line().encode())
    monkeypatch.setattr("balora.study.store.lock.is_alive", lambda mark: False)
    with Storage(URL).locked():
        pass
    assert names(store) == []


def test_a_lock_that_no_study_wrote_is_respected(store: Any) -> None:
    store.pipe_file("/bucket/study/.lock", b"mine")
    with pytest.raises(OutputError, match=r"is working here: wait for it to end"), Storage(URL).locked():
        raise AssertionError
    assert store.cat_file("/bucket/study/.lock") == b"mine"


def test_two_commands_of_one_machine_on_one_url(store: Any) -> None:
    with located(URL), pytest.raises(OutputError, match=r"another `balora study run` is working here"):
        go()


def test_what_cannot_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"'nosuch://x': Protocol not known: nosuch.*: give a folder, or a URL such"):
        Storage("nosuch://x")

    def lacks(url: str) -> Any:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", lacks)
    with pytest.raises(ConfigError) as caught:
        Storage("s3://bucket/study")
    assert str(caught.value) == (
        "'s3://bucket/study': this kind of storage needs a package (Install s3fs to access S3): "
        'pip install "balora[s3]"'
    )
    with pytest.raises(ConfigError, match="install that package"):
        Storage("gs://bucket/study")
