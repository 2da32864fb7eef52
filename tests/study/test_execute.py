"""Execution: finished runs remain, failed ones recorded, torn ones repeated, foreign folders refused."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from pathlib import Path

import fakes
import pytest
from study_cases import SMALL, Here, Notebook, go, plan_of

from balora.errors import InputError, OutputError
from balora.study.design.reading import find_study, read_study
from balora.study.engine.execute import Outcome, execute
from balora.study.engine.protocol import Event, Job
from balora.study.engine.watcher import Work
from balora.study.engine.worker import carry_out
from balora.study.plan.plan import Choices, make_plan
from balora.study.plan.suites import Tasks
from balora.study.store.study_folder import read_runs, read_study_record
from balora.training.record import read_record


def test_a_study_leaves_one_record_a_run_and_a_second_call_repeats_nothing(tmp_path: Path) -> None:
    plan = plan_of()
    outcome, lines = go(plan, tmp_path / "s", workers=2)
    assert outcome == Outcome(planned=8, skipped=0, ok=8, failed=0, failed_before=0)
    assert lines.count("progress train") == 8
    record = read_study_record(tmp_path / "s")
    assert (record.seeds, record.tasks, record.absent, record.command) == ((42,), SMALL.present, ("mnli",), "again")
    runs, faulty = read_runs(tmp_path / "s", record)
    assert set(runs) == {run.id for run in plan.runs}
    assert not faulty
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "s" / "runs").rglob("run.json")}
    assert go(plan, tmp_path / "s", fakes.full_disk)[0] == Outcome(8, 8, 0, 0, 0)
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_seeds_can_be_added_to_a_study(tmp_path: Path) -> None:
    go(plan_of(), tmp_path)
    assert go(plan_of(seeds=2), tmp_path)[0] == Outcome(16, 8, 8, 0, 0)
    assert read_study_record(tmp_path).seeds == (42, 1024)


def test_runs_that_another_study_has_finished_are_taken_over_and_failed_ones_are_not(tmp_path: Path) -> None:
    tasks = Tasks(("rte", "gsm8k"), ())
    go(plan_of(tasks), tmp_path / "one", fakes.failing)  # every run of rte fails
    swap = make_plan(find_study("formulation-swap"), Choices("m", seeds=1), tasks, fakes.fingerprints)
    outcome, lines = go(swap, tmp_path / "two", reuse=[tmp_path / "one", tmp_path / "two"])
    assert outcome == Outcome(planned=8, skipped=2, ok=6, failed=0, failed_before=0)
    assert not [line for line in lines if line == "started ba-lora · gsm8k · seed 42"]
    assert len(list((tmp_path / "two" / "runs").glob("*/series.jsonl"))) == 8


def test_a_dead_worker_costs_its_own_run_alone(tmp_path: Path) -> None:
    plan = plan_of(Tasks(("cola", "sst2", "rte", "stsb", "gsm8k"), ()), seeds=2)
    outcome, _ = go(plan, tmp_path, fakes.unlucky, workers=2)
    assert outcome == Outcome(planned=40, skipped=0, ok=20, failed=20, failed_before=0)
    errors = {}
    for run in plan.runs:
        record = read_record(tmp_path / run.folder)
        assert record is not None
        if record.error is not None:
            errors.setdefault((run.task, run.seed), set()).add((record.error.kind, record.error.message))
    killed = "the worker process was ended by SIGKILL, perhaps because memory ran out; its last output is in log.txt"
    assert errors == {
        ("cola", 42): {("WorkerDied", killed)},
        ("rte", 42): {("RuntimeError", "a bug")},
        ("rte", 1024): {("RuntimeError", "a bug")},
        ("stsb", 42): {("TrainingError", "loss is NaN at step 3")},
        ("stsb", 1024): {("TrainingError", "loss is NaN at step 3")},
    }
    assert not list(tmp_path.rglob("half"))
    assert "with details" in (tmp_path / "log.txt").read_text()


def test_failed_runs_are_left_alone_until_asked_for(tmp_path: Path) -> None:
    plan = plan_of(Tasks(("rte", "gsm8k"), ()))
    assert go(plan, tmp_path, fakes.failing)[0] == Outcome(8, 0, 4, 4, 0)
    assert go(plan, tmp_path)[0] == Outcome(8, 4, 0, 0, 4)
    assert go(plan, tmp_path, retry_failed=True)[0] == Outcome(8, 4, 4, 0, 0)


def test_torn_and_half_written_runs_are_done_again(tmp_path: Path) -> None:
    plan = plan_of()
    go(plan, tmp_path)
    folders = [tmp_path / run.folder for run in plan.runs]
    (folders[0] / "run.json").unlink()
    (folders[0] / "left-over").write_text("x")
    (folders[1] / "run.json").write_text('{"format": 1, "id"')
    (folders[2] / "run.json").write_text((folders[3] / "run.json").read_text())
    assert go(plan, tmp_path)[0] == Outcome(8, 5, 3, 0, 0)
    assert not (folders[0] / "left-over").exists()


def test_refused_input_stops_the_study_and_names_the_arm(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"arm 'standard-initialization' on cola: adapter\.rank must be between 1 and 64"
    ):
        go(plan_of(), tmp_path / "s", fakes.picky)
    plan = plan_of()
    assert read_record(tmp_path / "s" / plan.runs[0].folder) is not None, "what was finished is kept"


def test_a_study_that_never_began_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No space left on device: free space"):
        go(plan_of(), tmp_path / "s", fakes.full_disk)
    assert not (tmp_path / "s").exists()


def test_foreign_folders_are_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match=r"holds something else \(thesis.txt\)"):
        go(plan_of(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(OutputError, match="is a file"):
        go(plan_of(), tmp_path / "thesis.txt")


def test_another_study_and_other_choices_are_refused(tmp_path: Path) -> None:
    go(plan_of(), tmp_path)
    other = read_study("study: other\nquestion: q\nbase: lora\narms: {a: {set: {adapter.rank: 3}}}", "x")
    with pytest.raises(OutputError, match="holds study 'pissa-initialization', not 'other'"):
        go(make_plan(other, Choices("m", seeds=1), SMALL, fakes.fingerprints), tmp_path)
    with pytest.raises(OutputError, match="with another profile: choose another --output"):
        go(plan_of(profile="quick"), tmp_path)
    with pytest.raises(OutputError, match="with another --set, tasks"):
        go(plan_of(Tasks(("rte", "gsm8k"), ()), settings={"training.steps": 3}), tmp_path)


def test_an_unwritable_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot be written \(Not a directory\)"):
        go(plan_of(), tmp_path / "file" / "below")


def test_two_at_once_in_one_folder_are_refused(tmp_path: Path) -> None:
    class Intruder(Notebook):
        def job_started(self, work: Work) -> None:
            with pytest.raises(OutputError, match="another `balora study run` is working here"):
                go(plan_of(), tmp_path)
            super().job_started(work)

    watcher = Intruder()
    outcome = execute(plan_of(), tmp_path, watcher, command="", run=fakes.quick, pool=Here())
    assert outcome.ok == 8
    assert len([line for line in watcher.lines if line.startswith("started")]) == 8


SCRIPT = """
import signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits that it is ignored
    import fakes, study_cases
    plan = study_cases.plan_of(seeds=2)
    try:
        study_cases.go(plan, Path(sys.argv[2]), fakes.slow, workers=1)
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_study_goes_on_where_it_stopped(
    tmp_path: Path, how: signal.Signals, request: pytest.FixtureRequest
) -> None:
    """Eight quick runs of the first seed, then one that sleeps: interrupted there, and resumed."""
    script, output = tmp_path / "go.py", tmp_path / "s"
    script.write_text(SCRIPT)
    child = subprocess.Popen([sys.executable, str(script), str(Path(__file__).parent), str(output)])
    request.addfinalizer(child.kill)
    plan = plan_of(seeds=2)
    while not (output / plan.runs[8].folder).is_dir():
        assert child.poll() is None
        time.sleep(0.02)
    os.kill(child.pid, how)
    assert child.wait() == (130 if how == signal.SIGINT else -signal.SIGKILL)
    if how == signal.SIGINT:
        assert not (output / plan.runs[8].folder).exists(), "the run under way leaves nothing"
    assert go(plan, output)[0] == Outcome(planned=16, skipped=8, ok=8, failed=0, failed_before=0)


class Stopped:
    """A pool that is interrupted when its first run has ended, before anyone hears of it."""

    workers = 1

    def carry_out(self, stages: Sequence[Sequence[Job]], output: Path, lock: int) -> Generator[Event]:
        yield Event("started", stages[-1][0])
        carry_out(stages[-1][0], lambda progress: None)
        raise KeyboardInterrupt


def test_a_finished_run_whose_event_was_lost_is_kept(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        go(plan_of(), tmp_path, pool=Stopped())
    assert go(plan_of(), tmp_path)[0] == Outcome(planned=8, skipped=1, ok=7, failed=0, failed_before=0)


def test_the_study_record_can_be_read_without_the_product(tmp_path: Path) -> None:
    go(plan_of(), tmp_path)
    content = json.loads((tmp_path / "study.json").read_text())
    assert content["study"]["question"].startswith("Does BA-LoRA")
    assert len(content["runs"]) == 8
    assert content["versions"]["torch"]
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        read_study_record(tmp_path)
    with pytest.raises(InputError, match="no study here"):
        read_study_record(tmp_path / "runs")
