"""The number of threads, on which bits depend: recorded, fixed where asked, and a mixture is said."""

import pytest
import torch

from balora import ConfigError, resolve, run
from balora.report.records.cautions import _threads
from balora.training.identity import run_id
from balora.training.machine import using_threads
from balora.training.record import RunRecord, read_record

QUICK = {
    "model": "testbed",
    "task": "facts",
    "training.steps": 2,
    "data.train_rows": 16,
    "data.eval_rows": 4,
    "adapter.rank": 2,
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BALORA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("asked", "used"), [(None, 2), (1, 1), (3, 3)])
def test_the_record_holds_the_threads_that_computed_it(asked, used, cache, two_threads, checkpoint, data, tmp_path):
    real = {"model": str(checkpoint), "task": "cola", "data.folder": str(data), "data.max_length": 40}
    record = run(resolve({**QUICK, **real, "training.threads": asked}), tmp_path / "run")
    assert record.status == "ok"
    assert (record.threads, record.processes) == (used, 1)
    assert record.interop_threads == torch.get_num_interop_threads()
    assert torch.get_num_threads() == 2, "they are given back"
    assert read_record(tmp_path / "run") == record


@pytest.mark.parametrize("asked", [1, 2, 5])
def test_threads_are_given_back_after_a_fault(asked, two_threads):
    with pytest.raises(ZeroDivisionError), using_threads(asked) as threads:  # noqa: PT012
        assert threads.inside == torch.get_num_threads() == asked
        raise ZeroDivisionError
    assert torch.get_num_threads() == 2


def test_asked_for_they_are_part_of_the_id():
    specs = [resolve({**QUICK, "training.threads": threads}) for threads in (None, 1, 2)]
    assert len({run_id(spec, {}) for spec in specs}) == 3


@pytest.mark.parametrize("value", [0, -1, 1025, 1.5, "all"])
def test_a_number_of_threads_that_is_none_is_refused(value):
    with pytest.raises(ConfigError, match=r"training\.threads"):
        resolve({**QUICK, "training.threads": value})


def record(threads, status="ok"):
    spec = resolve(QUICK)
    return RunRecord(id=f"{threads}", spec=spec, status=status, threads=threads)


@pytest.mark.parametrize(
    ("threads", "said"),
    [
        ([1, 1, 1], None),
        ([None, None], None),
        ([2, 1, 2], "1 (1), 2 (2)"),
        ([16, None, 4], "not recorded (1), 4 (1), 16 (1)"),
    ],
)
def test_a_report_says_that_runs_with_several_numbers_are_mixed(threads, said):
    runs = {str(place): record(count) for place, count in enumerate(threads)}
    runs["failed"] = record(7, "failed")
    found = list(_threads(runs))
    assert bool(found) == bool(said)
    if said:
        assert f"different numbers of threads (runs in brackets): {said}." in found[0]


@pytest.mark.parametrize(("on_testbed", "workers", "threads"), [(True, 1, 1), (True, 2, 1), (True, 8, 1)])
def test_a_worker_of_the_testbed_has_one_thread_however_many_there_are(on_testbed, workers, threads):
    from balora.study.engine.pool import local_pool

    assert local_pool(on_testbed, workers).threads == threads


def test_factors_of_another_number_of_threads_are_other_factors():
    from balora.adapters.factor_cache import _identity_of

    weight = torch.eye(4)
    with using_threads(1):
        one = _identity_of(weight, 2, "exact", torch.Generator())
    with using_threads(2):
        two = _identity_of(weight, 2, "exact", torch.Generator())
    assert one != two
