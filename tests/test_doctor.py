"""`balora doctor` reports what is installed, missing or broken, and never fails itself."""

import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from balora import diagnosis as doctor
from balora.diagnosis import TESTED, Check, examine, healthy


def found(checks: list[Check], about: str) -> Check:
    return next(check for check in checks if check.about == about)


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch):
    """Pretend that packages have other versions (None: not installed)."""

    def pretend(**changes: str | None) -> None:
        real = doctor.version

        def version(name: str) -> str:
            if name in changes and changes[name] is None:
                raise PackageNotFoundError(name)
            return changes.get(name) or real(name)

        monkeypatch.setattr(doctor, "version", version)

    return pretend


def test_the_tested_versions_are_healthy(tmp_path: Path) -> None:
    checks = examine(tmp_path)
    assert healthy(checks)
    for name, tested in TESTED.items():
        check = found(checks, name)
        assert (check.status, check.text.split("+")[0]) == ("ok", tested)
    assert str(tmp_path) in found(checks, "disk").text
    assert "one run uses" in found(checks, "training").text


def test_a_missing_package_is_broken_and_says_what_to_install(versions) -> None:
    versions(transformers=None)
    checks = examine()
    assert found(checks, "transformers") == Check(
        "transformers", "broken", "not installed; tested with 5.23.0: pip install 'transformers==5.23.0'"
    )
    assert not healthy(checks)


def test_another_minor_is_noted_but_of_peft_it_is_broken(versions) -> None:
    versions(accelerate="1.99.0", peft="0.22.0")
    checks = examine()
    assert found(checks, "accelerate") == Check("accelerate", "note", "1.99.0, tested with 1.15.0")
    assert found(checks, "peft").status == "broken"
    assert "work with 0.21.2 only: pip install 'peft==0.21.2'" in found(checks, "peft").text
    assert not healthy(checks)


def test_another_patch_of_peft_is_fine(versions) -> None:
    versions(peft="0.21.9")
    assert found(examine(), "peft") == Check("peft", "ok", "0.21.9")


@pytest.mark.parametrize("error", [ImportError("no libcudart.so"), OSError("torn\nlibrary"), RuntimeError("x")])
def test_a_package_that_does_not_import_is_broken(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    real = doctor.importlib.import_module

    def import_module(name: str) -> object:
        if name in ("torch", "trl"):
            raise error
        return real(name)

    monkeypatch.setattr(doctor.importlib, "import_module", import_module)
    checks = examine()
    torch = found(checks, "torch")
    assert torch.status == "broken"
    assert f"does not import ({type(error).__name__}: " in torch.text
    assert "\n" not in torch.text
    assert found(checks, "trl").status == "note"  # optional
    assert not healthy(checks)


def test_a_torch_that_does_not_import_leaves_the_other_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it raises ModuleNotFoundError
    checks = examine()
    assert found(checks, "training") == Check(
        "training", "broken", "cannot run: torch is not usable (ModuleNotFoundError)"
    )
    assert found(checks, "gpus").text == "torch finds none"
    assert found(checks, "cores").status == "ok"


def test_gpus_are_named_with_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    class Properties:
        name = "Test GPU"
        total_memory = 80 * 2**30

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: Properties)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    checks = examine()
    assert found(checks, "gpus").text == "Test GPU (80 GiB); Test GPU (80 GiB)"
    assert found(checks, "training").text == "one run uses the first of 2 GPUs, in float32 or bfloat16"


def test_missing_optional_packages_are_notes_with_their_purpose(versions) -> None:
    versions(trl=None, ray=None)
    checks = examine()
    assert found(checks, "trl") == Check(
        "trl", "note", "not installed (optional: BALoraSFTTrainer: pip install 'balora[trl]')"
    )
    assert found(checks, "ray").status == "note"
    assert healthy(checks)


def test_a_full_or_missing_disk_is_noted(tmp_path: Path) -> None:
    assert found(examine(tmp_path / "gone"), "disk").status == "note"


def test_the_hub_line_follows_the_offline_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert found(examine(), "hub").text.startswith("offline")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    assert found(examine(), "hub").text.startswith("online")
