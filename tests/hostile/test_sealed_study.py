"""An edited or damaged `study.json` or `run.json` changes no report: it is named, and `study run` makes it anew."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from refusals import contents, nothing_written, refused
from sealed_study import BROKEN, carry_on, fakes, plan_of, reseal, rewrite

from balora.errors import BaloraError, InputError
from balora.report.records.measures import averages
from balora.report.records.report import read_report
from balora.report.watch.snapshot import Observer
from balora.study.engine.execute import Outcome
from balora.study.store.study_folder import read_study_record
from balora.training.record import read_record

PLAN = plan_of()


def report_of(folder: Path) -> dict[str, Any]:
    return asdict(read_report(folder))


def swap_ids(content: Any) -> None:
    runs = content["runs"]
    runs[0]["id"], runs[1]["id"] = runs[1]["id"], runs[0]["id"]


def swap_arms(content: Any) -> None:
    for run in content["runs"]:
        names = {"ba-lora": "plain-lora", "plain-lora": "ba-lora"}
        run["arm"] = names.get(run["arm"], run["arm"])


def relabel_seeds(content: Any) -> None:
    content["seeds"] = [43]
    for run in content["runs"]:
        run["seed"] = 43


def drop_task(content: Any) -> None:
    content["tasks"].remove("cola")
    content["runs"] = [run for run in content["runs"] if run["task"] != "cola"]


EDITS: dict[str, Callable[[Any], Any]] = {
    "ids swapped": swap_ids,
    "arms swapped": swap_arms,
    "seeds relabelled": relabel_seeds,
    "one seed relabelled": lambda content: content["runs"][3].update(seed=7),
    "another task": lambda content: content["runs"][0].update(task="gsm8k"),
    "an entry dropped": lambda content: content["runs"].pop(2),
    "an arm dropped": lambda content: content.update(runs=[r for r in content["runs"] if r["arm"] != "plain-lora"]),
    "no entry": lambda content: content.update(runs=[]),
    "an entry twice": lambda content: content["runs"].append(content["runs"][0]),
    "another order": lambda content: content["runs"].reverse(),
    "a task dropped": drop_task,
    "another set": lambda content: content["study"]["arms"]["plain-lora"].update(set={"adapter.rank": 3}),
    "another --set": lambda content: content["settings"].update({"training.steps": 3}),
    "another profile": lambda content: content.update(profile="thorough"),
    "an unknown profile": lambda content: content.update(profile="none"),
    "another base": lambda content: content["study"].update(base="lora"),
    "an arm without a run": lambda content: content["study"]["arms"].update(more={"set": {"adapter.rank": 5}}),
    "other data": lambda content: content["fingerprints"]["cola"].update(data="others"),
    "no fingerprint": lambda content: content["fingerprints"].pop("cola"),
    "a path for an id": lambda content: content["runs"][0].update(id="../../elsewhere"),
    "an id of no run": lambda content: content["runs"][0].update(id="0" * 16),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edited_study_is_refused_and_made_anew(edit, study: Path) -> None:
    before, path = report_of(study), study / "study.json"
    rewrite(path, edit, sealed=False)
    refused(["study", "report", study], str(path), "edited or damaged", "makes it anew", watched=study)
    with pytest.raises(InputError, match="edited or damaged"):
        Observer(study).read()
    outcome, messages = carry_on(PLAN, study)
    assert outcome == Outcome(8, 8, 0, 0, 0)
    [message] = messages
    place = study / "runs" / ".aside" / "study.json-1"
    assert message.startswith(f"set aside, to be made anew: {path}: was edited or damaged")
    assert message.endswith(f"now in {place}")
    assert place.exists()
    assert report_of(study) == before


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_a_new_seal_does_not_make_other_runs_those_of_the_study(edit, study: Path) -> None:
    rewrite(study / "study.json", edit, sealed=True)
    refused(["study", "report", study], str(study / "study.json"), "makes it anew", watched=study)
    with pytest.raises(InputError, match="makes it anew"):
        Observer(study).read()


VERSION = "0.0.1"


@pytest.mark.parametrize(
    "name", ["one seed relabelled", "an entry dropped", "an entry twice", "seeds relabelled", "a path for an id"]
)
def test_a_study_of_another_version_is_checked_too(name: str, study: Path) -> None:
    before = report_of(study)
    rewrite(study / "study.json", lambda content: content["versions"].update(balora=VERSION), sealed=True)
    assert {**report_of(study), "versions": before["versions"]} == before, "what other versions planned can be reported"
    rewrite(study / "study.json", EDITS[name], sealed=True)
    refused(["study", "report", study], str(study / "study.json"), "makes it anew", watched=study)


def test_a_study_of_an_earlier_format_is_left_alone(study: Path) -> None:
    def earlier(content: Any) -> None:
        content.pop("digest")
        content["format"] = 1

    rewrite(study / "study.json", earlier, sealed=False)
    refused(["study", "report", study], "not a study record of format 2 but 1", "another version", watched=study)
    with nothing_written(study / "runs"), pytest.raises(InputError, match="another version of balora"):
        carry_on(PLAN, study)


def test_a_damaged_study_of_another_name_is_left_alone(study: Path) -> None:
    def other(content: Any) -> None:
        content["study"]["study"] = "thesis"
        content["runs"] = [{"id": "0" * 16}]

    rewrite(study / "study.json", other, sealed=False)
    with nothing_written(study), pytest.raises(BaloraError, match="holds another study, which is damaged: choose ano"):
        carry_on(PLAN, study)


@pytest.mark.parametrize("damage", BROKEN.values(), ids=BROKEN)
def test_a_broken_study_is_named_and_made_anew(damage, study: Path) -> None:
    before, path = report_of(study), study / "study.json"
    damage(path)
    refused(["study", "report", study], str(path), "makes it anew", watched=study)
    kept = study / "kept"
    if kept.exists():
        kept.rename(study.parent / "kept")
    outcome, messages = carry_on(PLAN, study)
    assert outcome == Outcome(8, 8, 0, 0, 0)
    assert [line for line in messages if str(path) in line]
    assert report_of(study) == before


def field(**changes: Any) -> Callable[[Path], None]:
    return lambda path: rewrite(path, lambda content: content.update(changes), sealed=True)


def inner(group: str, **changes: Any) -> Callable[[Path], None]:
    return lambda path: rewrite(path, lambda content: content[group].update(changes), sealed=True)


def beside(make: Callable[[Path], Any]) -> Callable[[Path], None]:
    """Put something else in the place of the run's folder."""

    def damage(path: Path) -> None:
        path.parent.rename(path.parents[2] / "kept")
        make(path.parent)

    return damage


RECORDS: dict[str, Callable[[Path], None]] = {
    **BROKEN,
    "a trillion rows": field(rows=10**12),
    "rows without a number": field(rows=None),
    "fewer rows": field(rows=0),
    "rows below zero": field(rows=-3, correct=None),
    "rows beyond integers": field(rows=10**30, correct=None),
    "bits that are no base64": field(correct="!!!!"),
    "a million bits": field(correct="A" * 10**6),
    "a score in words": field(score="much"),
    "a list for a score": field(score=[1]),
    "a null among the metrics": field(metrics={"accuracy": None}),
    "notes that are a text": field(notes="note"),
    "negative steps": inner("cost", steps=-1),
    "steps beyond integers": inner("cost", steps=10**100),
    "negative seconds": inner("cost", train_seconds=-1.0),
    "another status": field(status="fine"),
    "no spec": field(spec=None),
    "another spec": inner("spec", task="rte"),
    "another seed": lambda path: rewrite(path, lambda c: c["spec"]["training"].update(seed=7), sealed=True),
    "another rank": lambda path: rewrite(path, lambda c: c["spec"]["adapter"].update(rank=7), sealed=True),
    "another model": inner("fingerprints", model="others"),
    "no fingerprints": field(fingerprints={}),
    "another id": field(id="0" * 16),
    "a deep note": field(notes=json.loads("[" * 500 + "]" * 500)),
    "a folder that is a file": beside(lambda folder: folder.write_text("mine")),
    "a folder that is a fifo": beside(os.mkfifo),
    "a folder that is a link": beside(lambda folder: folder.symlink_to(folder.parents[1] / "kept")),
    "a folder that is a broken link": beside(lambda folder: folder.symlink_to("nowhere")),
}


@pytest.mark.parametrize("damage", RECORDS.values(), ids=RECORDS)
def test_a_broken_record_is_named_left_out_and_run_again(damage, study: Path) -> None:
    before, victim = report_of(study), study / PLAN.runs[2].folder
    damage(victim / "run.json")
    kept = study / "kept"
    if kept.exists():
        kept = kept.rename(study.parent / "kept")
        if victim.is_symlink() and os.readlink(victim) != "nowhere":
            victim.unlink()
            victim.symlink_to(kept)
    report = read_report(study)
    assert (report.counts.ok, report.counts.unreadable) == (7, 1)
    [line] = report.unreadable
    assert f"runs/{victim.name}" in line
    assert len(line) < 1000
    precious = contents(study.parent / "kept")
    outcome, messages = carry_on(PLAN, study)
    assert outcome == Outcome(8, 7, 1, 0, 0)
    [message] = messages
    assert message.startswith(f"set aside, to be run again: {victim}")
    assert f"now in {study / 'runs' / '.aside' / victim.name}-1" in message
    assert contents(study.parent / "kept") == precious
    assert report_of(study) == before


def test_a_record_of_another_run_is_refused_whatever_it_says_of_itself(study: Path) -> None:
    """Its spec hashes to its id, but not to the id of the entry."""
    first, second = (study / run.folder / "run.json" for run in PLAN.runs[:2])
    first.write_bytes(second.read_bytes())
    assert read_report(study).counts.unreadable == 1


def test_a_sealed_record_comes_back_unchanged(study: Path) -> None:
    path = study / PLAN.runs[0].folder / "run.json"
    record = read_record(path.parent)
    assert record is not None
    path.write_text(reseal(path.read_text()))
    again = read_record(path.parent)
    assert again is not None
    assert again.model_copy(update={"digest": record.digest}) == record
    assert read_study_record(study).runs[0].id == record.id


@pytest.mark.parametrize(
    "line",
    [
        '{"step": "one", "loss": 1}',
        '{"loss": 1}',
        "[]",
        "1",
        "[" * 5000,
        '{"step": 1, "loss": NaN}',
        '{"step": null}',
        "{",
    ],
)
def test_steps_that_are_no_numbers_draw_no_curve(line: str, study: Path) -> None:
    """With a record that agrees: somebody made both."""
    from balora.report.records.dossier import read_dossier
    from balora.training.seal import sha256

    victim = study / PLAN.runs[2].folder
    (victim / "series.jsonl").write_text(line)
    digest = sha256(line.encode())
    rewrite(victim / "run.json", lambda content: content["files"].update({"series.jsonl": digest}), sealed=True)
    assert read_dossier(study).curves.unreadable == 1


def test_a_metric_without_a_task_has_no_average() -> None:
    assert averages({}, ()) == {}


def test_a_study_whose_metric_has_no_task_is_refused(study: Path) -> None:
    rewrite(study / "study.json", drop_task, sealed=True)
    refused(["study", "report", study], "it is judged by 'nlu_avg', but has no task of that kind", watched=study)


@pytest.mark.parametrize("folder", ["missing", "empty", "file", "events"])
def test_reuse_of_a_folder_without_a_study_is_refused(folder: str, study: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "events" / "runs" / "first").mkdir(parents=True)  # as TensorBoard's users have
    what = "no such folder" if folder == "missing" else "no study here"
    with nothing_written(tmp_path), pytest.raises(InputError, match=rf"^--reuse {tmp_path / folder}: {what}.*pass the"):
        carry_on(PLAN, tmp_path / "new", reuse=[study, tmp_path / folder])


def test_a_folder_may_be_given_to_itself(study: Path) -> None:
    assert carry_on(PLAN, study, fakes.full_disk, reuse=[study])[0] == Outcome(8, 8, 0, 0, 0)
