"""`balora doctor` reports what is installed, missing or broken, and never fails itself."""

import re
import socket
import socketserver
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from balora import diagnosis as doctor
from balora.cli import main
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
    versions(trl=None)
    checks = examine()
    assert found(checks, "trl") == Check(
        "trl", "note", "not installed (optional: BALoraSFTTrainer: pip install 'balora[trl]')"
    )
    assert healthy(checks)


def test_a_full_or_missing_disk_is_noted(tmp_path: Path) -> None:
    assert found(examine(tmp_path / "gone"), "disk").status == "note"


def test_only_what_the_code_imports_is_offered() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in Path(doctor.__file__).parent.rglob("*.py"))
    for package in doctor.OPTIONAL:
        module = doctor.MODULES.get(package, package)
        used = rf"^\s*(from|import) {module}\b|import_module\(f?\"{module}\b|PACKAGE = \"{module}\""
        assert re.search(used, source, re.M), f"nothing uses {package}"
    assert "triton" not in {check.about for check in examine()}


def hub(monkeypatch: pytest.MonkeyPatch, endpoint: str | None = None, **variables: str) -> Check:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_ENDPOINT", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**variables, **({"HF_ENDPOINT": endpoint} if endpoint else {})}.items():
        monkeypatch.setenv(name, value)
    return doctor._hub()


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
@pytest.mark.parametrize("value", ["1", "true", "ON", "yes"])
def test_offline_nothing_is_asked(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setattr(doctor, "urlopen", lambda *_, **__: pytest.fail("a request was made"))
    check = hub(monkeypatch, **{variable: value})
    text = f"offline ({variable}): models and data come from folders and the local cache only"
    assert check == Check("hub", "ok", text)


@pytest.fixture
def server() -> Iterator[socketserver.TCPServer]:
    class Quiet(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(403 if self.path.startswith("/no") else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with socketserver.TCPServer(("127.0.0.1", 0), Quiet) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def test_a_hub_that_answers_is_named(monkeypatch: pytest.MonkeyPatch, server: socketserver.TCPServer) -> None:
    place = f"127.0.0.1:{server.server_address[1]}"
    check = hub(monkeypatch, f"http://{place}")
    assert check == Check("hub", "ok", f"{place} answers: models and data can be downloaded by name")
    refusing = hub(monkeypatch, f"http://{place}/no")
    assert refusing.status == "note"
    assert "does not answer (Forbidden)" in refusing.text


def test_a_hub_that_does_not_answer_is_not_called_online(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        check = hub(monkeypatch, f"http://somebody:secret@127.0.0.1:{taken.getsockname()[1]}")
    assert check.status == "note"
    assert "does not answer" in check.text
    assert "secret" not in check.text


def test_a_hub_that_says_nothing_is_waited_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ANSWERS_WITHIN", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        check = hub(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert check.status == "note"
    assert "does not answer" in check.text


@pytest.mark.parametrize("endpoint", ["file:///etc/passwd", "nonsense", "ftp://x", "http://[", "http://a b\x1b[31m"])
def test_an_address_that_is_none_is_a_note(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    check = hub(monkeypatch, endpoint)
    assert check.status == "note"
    assert check.text.isprintable()


def test_a_present_folder_that_was_removed_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert found(list(doctor._hardware(Path())), "disk").status == "note"


def test_a_run_is_told_to_fit_or_not_before_it_starts(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["doctor", "--model", str(checkpoint), "--task", "gsm8k", "--set", "data.max_length=32"]
    assert main([*given, "--set", "training.batch_size=2"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"^base +0\.00 GiB  the pre-trained weights, frozen$", text, re.M)
    assert re.search(r"^reference +0\.00 GiB  none: the model with its adapter off$", text, re.M)
    assert re.search(r"^peak +\d\.\d\d GiB  of \d+\.\d\d GiB$", text, re.M)
    monkeypatch.setattr(doctor, "memory_of_a_run", lambda: 2**20)
    assert main(given) == 1
    text = capsys.readouterr().out
    assert "but there are only 0.00 GiB" in text
    assert "to need less: lower training.batch_size (now 16)" in text


def test_a_run_of_no_model_is_refused_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--task", "gsm8k"]) == 2
    assert "model" in capsys.readouterr().err
