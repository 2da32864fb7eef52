"""Adapters are under the seal: a run whose files are not what it wrote counts nowhere, and is never exported."""

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from refusals import contents, nothing_written, refused, run_verb
from sealed_study import carry_on, fakes, plan_of, rewrite

from balora.errors import InputError
from balora.progress import Progress
from balora.report.records.report import read_report
from balora.study.engine.execute import Outcome
from balora.study.store.run_folders import read_finished
from balora.training import run_in_folder
from balora.training.record import RunRecord, check_files, read_record, write_record

PLAN = plan_of()
WEIGHTS = Path("adapter") / "adapter_model.safetensors"


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def swap(folder: Path) -> None:
    """Put another run's adapter in the place of this one's."""
    other = next(path for path in folder.parent.iterdir() if path != folder and not path.name.startswith("."))
    shutil.rmtree(folder / "adapter")
    shutil.copytree(other / "adapter", folder / "adapter")


def link_inside(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "adapter" / "moved")
    (folder / WEIGHTS).symlink_to("moved")


def link_folder(folder: Path) -> None:
    (folder / "adapter").rename(folder / "moved")
    (folder / "adapter").symlink_to("moved")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "an empty adapter": lambda folder: (folder / WEIGHTS).write_bytes(b""),
    "a torn adapter": lambda folder: os.truncate(folder / WEIGHTS, 10),
    "a flipped bit": lambda folder: flip(folder / WEIGHTS),
    "a byte more": lambda folder: (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes() + b"0"),
    "no weights": lambda folder: (folder / WEIGHTS).unlink(),
    "no adapter": lambda folder: shutil.rmtree(folder / "adapter"),
    "an edited configuration": lambda folder: (folder / "adapter" / "adapter_config.json").write_text('{"r": 1}'),
    "another run's adapter": swap,
    "a link inside": link_inside,
    "a link in place of the adapter": link_folder,
    "a file in place of the adapter": lambda folder: (shutil.rmtree(folder / "adapter"), (folder / "adapter").touch()),
    "weights that are a folder": lambda folder: ((folder / WEIGHTS).unlink(), (folder / WEIGHTS).mkdir()),
    "a model that is missing": lambda folder: rewrite(
        folder / "run.json", lambda content: content["files"].update({"model/config.json": "0" * 64}), sealed=True
    ),
    "a file elsewhere": lambda folder: rewrite(
        folder / "run.json", lambda content: content["files"].update({"../../study.json": "0" * 64}), sealed=True
    ),
    "edited steps": lambda folder: flip(folder / "series.jsonl"),
    "no scored rows": lambda folder: (folder / "items.jsonl").unlink(),
    "scored rows that are a link": lambda folder: (
        (folder / "items.jsonl").rename(folder / "moved"),
        (folder / "items.jsonl").symlink_to("moved"),
    ),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_study_sets_the_run_aside_and_makes_it_again(damage, study: Path) -> None:
    before, whole, victim = asdict(read_report(study)), contents(study / "runs"), study / PLAN.runs[2].folder
    damage(victim)
    assert asdict(read_report(study)) == before, "a report needs the record alone"
    outcome, [message] = carry_on(PLAN, study)
    assert outcome == Outcome(8, 7, 1, 0, 0)
    assert message.startswith(f"set aside, to be run again: {victim}/")
    assert message.endswith(f"now in {study / 'runs' / '.aside' / victim.name}-1")
    aside = str(study / "runs" / ".aside")
    assert {path: state for path, state in contents(study / "runs").items() if not path.startswith(aside)} == whole


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_another_study_does_not_take_the_run_over(damage, study: Path, tmp_path: Path) -> None:
    victim = study / PLAN.runs[2].folder
    damage(victim)
    with nothing_written(study):
        outcome, [message] = carry_on(PLAN, tmp_path / "new", reuse=[study])
    assert outcome == Outcome(8, 7, 1, 0, 0)
    assert message.startswith("not reused: ")
    assert str(victim) in message
    assert read_finished(tmp_path / "new" / PLAN.runs[2].folder, PLAN.runs[2].id)
    assert not list((tmp_path / "new" / "runs").glob(".*"))


@pytest.mark.parametrize("merged", [[], ["--merged"]], ids=["adapter", "merged"])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_the_run_is_not_exported(damage, merged: list[str], study: Path, tmp_path: Path) -> None:
    victim = study / PLAN.runs[2].folder
    damage(victim)
    refused(["export", victim, "--output", tmp_path / "out", *merged], str(victim), watched=tmp_path)


@pytest.mark.parametrize("extra", ["secret", "adapter/secret", "more"])
@pytest.mark.parametrize("kind", ["file", "link", "fifo"])
def test_what_the_run_did_not_write_is_not_taken_over(extra: str, kind: str, study: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis").write_text("years of work")
    path = study / PLAN.runs[2].folder / extra
    make = {"file": Path.touch, "link": lambda path: path.symlink_to(tmp_path / "precious"), "fifo": os.mkfifo}
    make[kind](path)
    outcome, messages = carry_on(PLAN, tmp_path / "new", reuse=[study])
    assert outcome == (Outcome(8, 8, 0, 0, 0) if kind == "file" else Outcome(8, 7, 1, 0, 0))
    assert len(messages) == (kind != "file"), "links and pipes are named, and the run is carried out here"
    assert not os.path.lexists(tmp_path / "new" / PLAN.runs[2].folder / extra)


def test_a_record_that_names_no_adapter_exports_none(study: Path, tmp_path: Path) -> None:
    victim = study / PLAN.runs[2].folder
    rewrite(victim / "run.json", lambda content: content.update(files={}), sealed=True)
    refused(["export", victim, "--output", tmp_path / "out"], "names no such file of the adapter", watched=tmp_path)


def test_a_whole_run_is_exported(study: Path, tmp_path: Path) -> None:
    victim = study / PLAN.runs[2].folder
    assert run_verb("export", victim, "--output", tmp_path / "out").code == 0
    assert (tmp_path / "out" / WEIGHTS.name).read_bytes() == (victim / WEIGHTS).read_bytes()


@pytest.mark.parametrize("name", ["a flipped bit", "no adapter", "a link inside", "edited steps"])
def test_train_does_not_pass_the_run_off_as_done(name: str, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = PLAN.runs[2]
    monkeypatch.setattr("balora.training.fingerprint.fingerprints", fakes.fingerprints)
    assert run_in_folder.run_in_folder(planned.spec, study / planned.folder)[1]
    DAMAGE[name](study / planned.folder)
    with nothing_written(study), pytest.raises(InputError, match="delete the folder to run it again"):
        run_in_folder.run_in_folder(planned.spec, study / planned.folder)


def test_a_record_that_names_files_elsewhere_is_refused(study: Path) -> None:
    victim = study / PLAN.runs[2].folder
    record = read_record(victim)
    assert record is not None
    for name in ("../../study.json", "/etc/hostname", "run.json", "adapter/../run.json"):
        with pytest.raises(InputError, match="which no run writes"):
            check_files(record.model_copy(update={"files": {**record.files, name: "0" * 64}}), victim)


def test_every_file_of_a_model_is_in_its_record(tmp_path: Path) -> None:
    (tmp_path / "model" / "below").mkdir(parents=True)
    for name in ("model.safetensors", "config.json", "below/part"):
        (tmp_path / "model" / name).write_text(name)
    record = write_record(fakes.record_of(PLAN.runs[0].spec), tmp_path)
    assert list(record.files) == ["model/config.json", "model/model.safetensors", "model/below/part"]
    check_files(record, tmp_path)


def test_a_run_that_fails_after_another_process_finished_it_stays_finished(study: Path, tmp_path: Path) -> None:
    """As when the lock file was deleted, and two worked in one folder."""

    def overtaken(spec, folder, on_progress) -> RunRecord:
        on_progress(Progress("train", 1, 2, 0.5))
        shutil.copytree(study / "runs" / folder.name, folder)
        raise FileExistsError(17, "File exists", str(folder))

    outcome, _ = carry_on(PLAN, tmp_path / "new", overtaken)
    assert outcome == Outcome(8, 0, 8, 0, 0)
    assert read_report(tmp_path / "new").counts.ok == 8
