"""What can happen to a study's folder: torn and edited records, copies from elsewhere, wild clocks, a full disk."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import fakes
import pytest
from killing import HERE, STUDY, Command
from study_cases import SMALL, four_arms, go, plan_of

from balora.errors import OutputError
from balora.report.markdown import draw
from balora.report.records.report import read_report
from balora.study.engine import execute as execution
from balora.study.engine.execute import Outcome
from balora.study.engine.pretraining import PlannedModel
from balora.study.plan.plan import Choices, make_plan
from balora.study.plan.suites import Tasks
from balora.training.fingerprint import model_fingerprint
from balora.training.record import read_record
from balora.training.spec import RunSpec


def test_records_that_cannot_be_used_are_named_set_aside_and_run_again(tmp_path: Path) -> None:
    plan = plan_of()
    go(plan, tmp_path)
    whole = draw(read_report(tmp_path))
    folders = [tmp_path / run.folder for run in plan.runs]
    records = [folder / "run.json" for folder in folders]
    records[0].write_bytes(records[0].read_bytes()[:100])
    records[1].write_text(records[1].read_text().replace('\n "score": ', '\n "score": 1'))
    records[2].write_text(records[2].read_text().replace('"format": 3', '"format": 1'))
    records[3].write_bytes(records[4].read_bytes())
    (folders[5] / "series.jsonl").unlink()
    (folders[6] / "series.jsonl").write_text("{'edited': 1}")
    assert read_report(tmp_path).counts.unreadable == 4, "named by the report"
    assert not (tmp_path / "runs" / ".aside").exists(), "which moves nothing"
    outcome, lines = go(plan, tmp_path)
    assert outcome == Outcome(8, 2, 6, 0, 0)
    about = "message: set aside, to be run again: "
    noted = [line.removeprefix(about) for line in lines if line.startswith(about)]
    reasons = ("not a whole run record", "edited or damaged", "format 3", "another run", "not there", "edited or dam")
    assert len(noted) == len(reasons)
    for number, reason in zip((0, 1, 2, 3, 5, 6), reasons, strict=True):
        id = folders[number].name
        place = tmp_path / "runs" / ".aside" / f"{id}-1"
        assert [line for line in noted if id in line and reason in line and line.endswith(f"now in {place}")], id
    assert (tmp_path / "runs" / ".aside" / f"{folders[6].name}-1" / "series.jsonl").read_text() == "{'edited': 1}"
    assert draw(read_report(tmp_path)) == whole
    records[0].write_text("{")
    go(plan, tmp_path)
    assert (tmp_path / "runs" / ".aside" / f"{folders[0].name}-2").is_dir(), "the first one stays"
    shutil.rmtree(tmp_path / "runs" / ".aside" / f"{folders[0].name}-1")
    records[0].write_text("{")
    go(plan, tmp_path)
    assert len(list((tmp_path / "runs" / ".aside").glob(f"{folders[0].name}-*"))) == 2, "none is written over"


def test_a_run_that_ended_before_its_worker_died_is_kept(tmp_path: Path) -> None:
    outcome, _ = go(plan_of(Tasks(("cola",), ())), tmp_path, fakes.dies_after_its_work, workers=2)
    assert outcome == Outcome(planned=4, skipped=0, ok=4, failed=0, failed_before=0)


def test_a_worker_that_dies_over_a_model_leaves_it_to_the_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = Tasks(("sentiment", "facts"), ())
    plan = make_plan(four_arms(), Choices("testbed", seeds=1), tasks, fakes.fingerprints)
    model = PlannedModel("nlu", plan.runs[0].spec, "nlu-1")
    monkeypatch.setattr(execution, "missing_models", lambda todo: (model,))
    monkeypatch.setattr(execution, "pretrain", fakes.dies)
    outcome, lines = go(plan, tmp_path, workers=1)
    assert outcome == Outcome(planned=8, skipped=0, ok=8, failed=0, failed_before=0)
    assert "pretraining 1" in lines
    [line] = [line for line in lines if line.startswith(f"message: {model.label}")]
    assert line.startswith(f"message: {model.label}: the worker process was ended by SIGKILL")
    assert line.endswith("the first run that needs this model tries again")


def test_a_study_that_can_confirm_nothing_says_so_before_it_begins(tmp_path: Path) -> None:
    """Three arms in two metrics: 6 comparisons, which 8 seeds (p ≥ 0.0078) can confirm and 7 (0.0156) cannot."""
    _, lines = go(plan_of(seeds=7), tmp_path / "seven")
    assert lines[0].startswith("message: warning: 7 seeds: ")
    assert "family of 6 comparisons" in lines[0]
    _, lines = go(plan_of(seeds=8), tmp_path / "eight")
    assert not [line for line in lines if line.startswith("message: warning")]


def test_runs_begin_in_the_order_of_the_plan_so_that_pairs_are_there_early(tmp_path: Path) -> None:
    plan = plan_of(seeds=2)
    _, lines = go(plan, tmp_path, workers=3)
    began = [line.removeprefix("started ") for line in lines if line.startswith("started")]
    assert began == [run.label for run in plan.distinct]
    blocks = [(run.seed, run.task) for run in plan.distinct]
    assert blocks == sorted(blocks, key=blocks.index), "all arms of one task and block, then the next"


def test_a_run_folder_from_another_machine_counts(tmp_path: Path) -> None:
    """Model and data lie elsewhere there; what they hold is the same."""

    def fingerprints(spec: RunSpec) -> dict[str, str]:
        return {"model": model_fingerprint(spec.model), "data": "rows"}

    plans = []
    for machine in ("here", "there"):
        model, data = tmp_path / machine / "model", tmp_path / machine / "data"
        data.mkdir(parents=True)
        model.mkdir()
        (model / "config.json").write_text("{}")
        choices = Choices(str(model), str(data), seeds=1)
        plans.append(make_plan(four_arms(), choices, SMALL, fingerprints))
    here, there = plans
    assert [run.id for run in here.runs] == [run.id for run in there.runs]
    for run in there.runs:
        record = fakes.record_of(run.spec, fingerprints)
        fakes.write_record(record, tmp_path / "there" / "s" / run.folder)
    ids = [run.id for run in there.runs]
    for id in ids[:3]:
        shutil.copytree(tmp_path / "there" / "s" / "runs" / id, tmp_path / "here" / "s" / "runs" / id)
    (tmp_path / "here" / "s" / "runs" / ids[2] / "run.json").write_text("{")
    outcome, lines = go(here, tmp_path / "here" / "s", fakes.quick, reuse=[tmp_path / "there" / "s"])
    assert outcome == Outcome(8, 8, 0, 0, 0), "two were copied by hand, a torn one and the rest by --reuse"
    assert [line for line in lines if line.startswith("message: set aside") and ids[2] in line]


def test_a_failed_run_gives_way_to_one_that_another_study_has_finished(tmp_path: Path) -> None:
    plan = plan_of(Tasks(("rte", "gsm8k"), ()))
    go(plan, tmp_path / "one", fakes.failing)
    go(plan, tmp_path / "two")
    assert go(plan, tmp_path / "one", reuse=[tmp_path / "two"])[0] == Outcome(8, 8, 0, 0, 0)


def test_what_a_killed_run_was_copying_or_removing_is_cleared(tmp_path: Path) -> None:
    plan = plan_of()
    go(plan, tmp_path)
    (tmp_path / "runs" / f".partial-{plan.runs[0].id}").mkdir()
    (tmp_path / "runs" / f".partial-{plan.runs[0].id}" / "run.json").write_text("{}")
    (tmp_path / "runs" / ".partial-file").touch()
    go(plan, tmp_path)
    assert not list((tmp_path / "runs").glob(".*"))


def test_a_run_that_was_killed_while_it_wrote_its_first_record_leaves_a_folder_that_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / ".partial-study.json-17-0badcafe").write_text('{"format":')
    (tmp_path / ".partial-report.html-18-0badcafe").write_text("<html")  # `study report` may be writing it
    go(plan_of(), tmp_path)
    assert [path.name for path in tmp_path.glob(".partial-*")] == [".partial-report.html-18-0badcafe"]


def test_clocks_that_jump_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(seeds=2)
    go(plan, tmp_path / "calm")
    times = iter(range(2_000_000_000, 0, -7_000_000))
    monkeypatch.setattr(time, "time", lambda: float(next(times)))
    go(plan, tmp_path / "wild", fakes.with_a_wild_clock, workers=2)
    starts = {record.started for run in plan.distinct if (record := read_record(tmp_path / "wild" / run.folder))}
    assert min(starts) < "2026" < max(starts)
    assert draw(read_report(tmp_path / "wild")) == draw(read_report(tmp_path / "calm"))
    assert go(plan, tmp_path / "wild")[0] == Outcome(16, 16, 0, 0, 0)


def test_a_full_disk_in_a_librarys_words_stops_the_study_and_fails_no_run(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"No space left on device .*: free space or .*; finished runs remain"):
        go(plan_of(seeds=2), tmp_path, fakes.wrapped_full_disk)
    assert len(list((tmp_path / "runs").iterdir())) == 8
    assert go(plan_of(seeds=2), tmp_path)[0] == Outcome(16, 8, 8, 0, 0)


FILLING = """
mount -t tmpfs -o size=400k none s || exit 77
{balora}; echo "$?" > code-1; cp stderr stderr-1
{balora}; echo "$?" > code-2; cp stderr stderr-2
ls -A s/runs > kept
mount -o remount,size=64m s
{balora}; echo "$?" > code-3
cp s/report.md report.md; ls -A s/runs > all
"""


@pytest.mark.slow
def test_a_full_disk_in_mid_study(tmp_path: Path) -> None:
    """A real one: a file system of 400 KiB in a name space of its own, which then grows."""
    folder = tmp_path / "x"
    command = Command(folder)
    words = f"{sys.executable} {HERE / 'brief.py'} {' '.join(STUDY)} --seeds 3 > stdout 2> stderr"
    (folder / "s").mkdir()
    ended = subprocess.run(
        ["unshare", "-rm", "sh", "-c", FILLING.format(balora=words)],
        cwd=folder, env=command.environment, capture_output=True, check=False,
    )  # fmt: skip
    if ended.returncode in (1, 77) and not (folder / "code-1").exists():
        pytest.skip("no mounting in a name space of one's own here")
    codes = [(folder / f"code-{number}").read_text().strip() for number in (1, 2, 3)]
    assert codes == ["2", "2", "0"], ended.stderr
    for number in (1, 2):
        last = (folder / f"stderr-{number}").read_text().splitlines()[-1]
        assert last.startswith("balora: error: ")
        assert "No space left on device" in last
        assert "finished runs remain" in last
    assert 0 < len((folder / "kept").read_text().split()) < 30 == len((folder / "all").read_text().split())
    undisturbed = Command(tmp_path / "y")
    undisturbed.run(*STUDY, "--seeds", "3")
    assert (folder / "report.md").read_bytes() == (tmp_path / "y" / "s" / "report.md").read_bytes()
    assert json.loads((tmp_path / "y" / "s" / "study.json").read_text())["study"]["study"] == "pissa-initialization"
    assert not os.path.ismount(folder / "s")


def test_a_study_with_a_hole_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    command = Command(tmp_path)
    (tmp_path / "study.yaml").write_text(
        "study: h\nquestion: q?\nbase: ba-lora\narms:\n  whole: {set: {adapter.rank: 3}}\n  open: {set: '???'}\n"
    )
    assert command.start("study", "run", "study.yaml", "--profile", "glance", "--output", "s").wait() == 2
    assert "open" in command.stderr()
    assert not (tmp_path / "s").exists()
