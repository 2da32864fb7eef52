"""GPUs of a study's workers: which are seen, which are chosen, and that each worker has its own."""

import os
from importlib import metadata
from pathlib import Path

import fakes
import pytest
from study_cases import go, plan_of

from balora.errors import ConfigError
from balora.progress import OnProgress
from balora.study.engine import devices as devices_module
from balora.study.engine.devices import Device, choose_devices, read_listing, visible_devices
from balora.study.engine.pool import LocalPool, local_pool
from balora.training.record import RunRecord
from balora.training.spec import RunSpec

FIRST, SECOND = (f"GPU-{digit}a0f1b2c-0000-1111-2222-333344445555" for digit in "56")
TWO = """GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-5a0f1b2c-0000-1111-2222-333344445555)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-6a0f1b2c-0000-1111-2222-333344445555)
"""
DIVIDED = """GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-5a0f1b2c-0000-1111-2222-333344445555)
  MIG 3g.40gb     Device  0: (UUID: MIG-aaaa1b2c-0000-1111-2222-333344445555)
  MIG 3g.40gb     Device  1: (UUID: MIG-bbbb1b2c-0000-1111-2222-333344445555)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-6a0f1b2c-0000-1111-2222-333344445555)
"""
MIG = ("MIG-aaaa1b2c-0000-1111-2222-333344445555", "MIG-bbbb1b2c-0000-1111-2222-333344445555")


@pytest.fixture
def _for_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices_module, "version", lambda name: "2.13.0+cu130")


def handles(devices: tuple[Device, ...]) -> tuple[str, ...]:
    return tuple(device.handle for device in devices)


def plain(*names: str) -> tuple[Device, ...]:
    return tuple(Device((name,), name) for name in names)


@pytest.mark.parametrize(
    ("text", "found"), [("", ()), (TWO, (FIRST, SECOND)), (DIVIDED, (*MIG, SECOND)), ("No devices", ())]
)
def test_the_listing_of_a_machine_is_read(text: str, found: tuple[str, ...]) -> None:
    """In place of a divided GPU stand its instances; UUIDs, because CUDA may count in another order than it."""
    assert handles(read_listing(text)) == found


def test_a_gpu_may_be_called_by_its_number_or_its_uuid() -> None:
    seen = read_listing(DIVIDED)
    assert choose_devices("1", seen) == choose_devices(SECOND, seen) == (SECOND,)
    assert choose_devices(MIG[0], seen) == (MIG[0],)
    with pytest.raises(ConfigError, match="names a GPU twice"):
        choose_devices(f"1,{SECOND}", seen)


@pytest.mark.usefixtures("_for_gpus")
@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("0,1", ("0", "1")),
        ("3, 1", ("3", "1")),
        ("GPU-5a0f1b2c,MIG-aaaa1b2c", ("GPU-5a0f1b2c", "MIG-aaaa1b2c")),
        ("0,-1,1", ("0",)),
        ("-1", ()),
        ("", ()),
        ("0,0", ("0",)),
    ],
)
def test_the_variable_of_cuda_is_respected(named: str, found: tuple[str, ...]) -> None:
    """Entries after one that is none do not count, as for CUDA."""
    assert visible_devices({"CUDA_VISIBLE_DEVICES": named}, lambda: TWO) == plain(*found)


@pytest.mark.usefixtures("_for_gpus")
def test_without_the_variable_the_machine_is_asked() -> None:
    assert handles(visible_devices({}, lambda: DIVIDED)) == (*MIG, SECOND)


@pytest.mark.usefixtures("_for_gpus")
def test_a_machine_without_nvidia_smi_has_no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_devices({}) == ()


@pytest.mark.parametrize("torch", ["2.13.0+cpu", None])
def test_a_torch_for_the_cpu_uses_none(torch: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(name: str) -> str:
        if torch is None:
            raise metadata.PackageNotFoundError(name)
        return torch

    monkeypatch.setattr(devices_module, "version", found)
    assert visible_devices({"CUDA_VISIBLE_DEVICES": "0,1"}, lambda: TWO) == ()


def test_all_that_are_visible_are_used_unless_some_are_named() -> None:
    assert choose_devices(None, plain("0", "1")) == ("0", "1")
    assert choose_devices(None, ()) == ()
    assert choose_devices("1", plain("0", "1")) == ("1",)
    assert choose_devices(f"{MIG[1]}, 1", plain(*MIG, "1")) == (MIG[1], "1")
    assert choose_devices("none", plain("0", "1")) == ("",)


@pytest.mark.parametrize(
    ("text", "visible", "message"),
    [
        ("2", ("0", "1"), "--devices '2': this process sees 0, 1, not '2': name some of them, or none"),
        ("0", (), "--devices '0': this process sees no GPU, not '0': name some of them, or none"),
        ("0,0", ("0",), "--devices '0,0': names a GPU twice: for several workers on it, give --workers"),
        ("", ("0",), "--devices '': this process sees 0, not '': name some of them, or none"),
    ],
)
def test_devices_that_there_are_not_are_refused(text: str, visible: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        choose_devices(text, plain(*visible))
    assert str(caught.value) == message


def test_there_is_a_worker_for_each_gpu_unless_more_are_asked_for() -> None:
    assert local_pool(False, None, ("0", "1", "2")).workers == 3
    assert local_pool(True, None, ("0",)).workers == 1
    assert local_pool(False, 5, ("0", "1")).workers == 5
    assert local_pool(True, None, ("",)).workers == local_pool(True).workers, "hidden GPUs leave the CPU's number"


def noting(spec: RunSpec, folder: Path, on_progress: OnProgress) -> RunRecord:
    """Leave which GPUs the worker sees, and its number."""
    record = fakes.quick(spec, folder, on_progress)
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
    (folder.parent / f"{os.getpid()}.worker").write_text(seen)
    return record


@pytest.mark.parametrize(
    ("devices", "workers", "seen"),
    [(("3", "MIG-x"), 2, {"3", "MIG-x"}), (("5",), 2, {"5"}), (("",), 1, {""}), ((), 1, {"all"})],
)
def test_each_worker_sees_its_own_gpu(
    devices: tuple[str, ...], workers: int, seen: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    go(plan_of(seeds=2), tmp_path, run=noting, pool=LocalPool(workers, devices=devices))
    assert {path.read_text() for path in (tmp_path / "runs").glob("*.worker")} == seen


def test_a_worker_that_is_replaced_keeps_its_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    go(plan_of(), tmp_path, run=noting_and_dying, pool=LocalPool(1, devices=("3",)))
    assert {path.read_text() for path in (tmp_path / "runs").glob("*.worker")} == {"3"}
    assert len(list((tmp_path / "runs").glob("*.worker"))) > 1


def noting_and_dying(spec: RunSpec, folder: Path, on_progress: OnProgress) -> RunRecord:
    """Die on the first run."""
    is_first = not list(folder.parent.glob("*.worker"))
    record = noting(spec, folder, on_progress)
    if is_first:
        os.abort()
    return record
