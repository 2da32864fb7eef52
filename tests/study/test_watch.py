"""Watching a study from its records alone while it runs, and the file in which the running one says where it is."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fakes
import pytest
from study_cases import Here, Notebook, go, plan_of

from balora.cli import main
from balora.cli.study_watch import follow
from balora.errors import InputError
from balora.progress import Progress
from balora.report.watch.live_page import LivePage
from balora.report.watch.snapshot import Observer, Snapshot, seconds_left
from balora.report.watch.terminal import draw
from balora.study.engine import live_file as live
from balora.study.engine.execute import execute
from balora.study.engine.live_file import Live, LiveFile, UnderWay, read_live
from balora.study.engine.pool import LocalPool
from balora.study.plan.plan import PlannedRun
from balora.study.plan.suites import Tasks
from balora.study.store import study_folder as folder
from balora.study.store.lock import locked
from balora.study.store.study_folder import Entry
from balora.training.record import Cost, RunRecord, read_record


class Window(Notebook):
    """Looks at the folder, as another process would, whenever a run ends."""

    def __init__(self, output: Path) -> None:
        super().__init__()
        self.observer, self.seen = Observer(output), list[Snapshot]()

    def run_finished(self, run: PlannedRun, record: RunRecord) -> None:
        super().run_finished(run, record)
        self.seen.append(self.observer.read())


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Snapshot]:
    """What could be seen while the eight runs of one block were carried out, one of them failing, and after."""
    monkeypatch.setattr(live, "EVERY", 0.0)
    window = Window(tmp_path / "s")
    plan = plan_of(Tasks(("rte", "gsm8k"), ()))
    execute(plan, tmp_path / "s", window, command="again", run=fakes.unlucky, pool=LocalPool(2))
    return [*window.seen, window.observer.read()]


def test_a_running_study_is_seen_as_it_stands(seen: list[Snapshot]) -> None:
    *during, after = seen
    there = [one.report.counts.ok + one.report.counts.failed for one in during]
    assert there == sorted(there)
    assert all(heard <= seen <= 8 for heard, seen in enumerate(there, start=1)), "some are not yet heard of"
    assert all(one.active and not one.complete for one in during)
    assert max(len(one.under_way) for one in during) in (1, 2)
    assert {one["phase"] for snapshot in during for one in snapshot.under_way} <= {"starting", "train"}
    assert all(one.workers == 2 for one in seen)
    assert during[-1].left_seconds == 0
    assert (after.active, after.complete, after.under_way) == (False, True, ())
    assert [(arm.planned, arm.ok, arm.failed) for arm in after.arms] == [(2, 1, 1)] * 4
    assert after.arms[0].arm == "ba-lora"
    assert len(after.latest) == live.LATEST
    assert {(ended.status, "gsm8k" in ended.label) for ended in after.latest} == {("ok", True), ("failed", False)}
    assert {one.measure for one in after.report.differences if one.paired.n} == {"nlg_avg", "nlg_answer_loss"}


def test_differences_come_in_block_by_block(tmp_path: Path) -> None:
    window = Window(tmp_path)
    execute(plan_of(seeds=2), tmp_path, window, command="again", run=fakes.quick, pool=Here())
    blocks = [max(one.paired.n for one in snapshot.report.differences) for snapshot in window.seen]
    done = [snapshot.report.counts.ok for snapshot in window.seen]
    assert blocks == [(n >= 2) + (n >= 10) for n in done], "as soon as an arm and the base have all tasks of a block"
    assert {1, 2} <= set(blocks)


def test_a_finished_run_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of()
    go(plan, tmp_path)
    (tmp_path / plan.runs[7].folder / "run.json").rename(tmp_path / "kept")
    read: list[Path] = []

    def reading(place: Path) -> RunRecord | None:
        read.append(place)
        return read_record(place)

    monkeypatch.setattr(folder, "read_record", reading)
    observer = Observer(tmp_path)
    assert observer.read().report.counts.missing == 1
    assert len(read) == 8
    (tmp_path / "kept").rename(tmp_path / plan.runs[7].folder / "run.json")
    assert observer.read().complete
    assert observer.read().report.counts.ok == 8
    assert len(read) == 9


def test_a_killed_run_leaves_nothing_under_way(tmp_path: Path) -> None:
    plan = plan_of()
    go(plan, tmp_path)
    (tmp_path / plan.runs[0].folder / "run.json").unlink()
    (tmp_path / plan.runs[1].folder / "run.json").write_text("{")
    told = Live(workers=2, models=3, under_way=(UnderWay(id=plan.runs[0].id, label="a", seconds=0.25),))
    (tmp_path / live.NAME).write_text(told.model_dump_json())
    seen = Observer(tmp_path).read()
    assert (seen.active, seen.complete, seen.under_way, seen.models) == (False, False, (), 0)
    assert seen.left_seconds == 2 * 1.75 / 2, "two runs of 1.75 s each"
    assert "not running · 6/8 runs · about 0:02 left with 2 workers" in draw(seen)
    assert f"cannot be used: {plan.runs[1].folder}/run.json: not a whole run record" in draw(seen)
    with locked(tmp_path):
        seen = Observer(tmp_path).read()
        assert seen.active is True
        assert [one["label"] for one in seen.under_way] == ["a"]
        assert seen.left_seconds == pytest.approx((2 * 1.75 - 0.25) / 2)
        assert "running · 6/8 runs · 3 models to be pre-trained first" in draw(seen)


def test_time_left_is_by_task() -> None:
    entries = [Entry(arm="a", task=task, seed=seed, id=f"{task}{seed}") for task in ("x", "y", "z") for seed in (1, 2)]
    spec = plan_of().runs[0].spec

    def run(seconds: float, status: str = "ok") -> RunRecord:
        cost = Cost(setup_seconds=seconds / 4, train_seconds=seconds / 2, eval_seconds=seconds / 4)
        return RunRecord(id="i", spec=spec, status=status, cost=cost)  # type: ignore[arg-type]

    assert seconds_left(entries, {}, 0.0, 2) is None
    assert seconds_left(entries, {"x1": run(100.0, "failed")}, 0.0, 2) is None, "what fails at once says nothing"
    runs = {"x1": run(4.0), "y1": run(10.0), "y2": run(1.0, "failed")}
    assert seconds_left(entries, runs, 0.0, 1) == pytest.approx(4 + 2 * 7), "an unknown task takes what runs take"
    assert seconds_left(entries, runs, 2.0, 2) == pytest.approx((18 - 2) / 2)
    assert seconds_left(entries, runs, 99.0, 0) == 0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"workers": "many"}', '{"colour": "red"}'])
def test_what_cannot_be_read_tells_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / live.NAME).write_text(text)
    assert read_live(tmp_path) == Live()
    assert read_live(tmp_path / "missing") == Live()


def test_the_live_file_is_written_once_a_second_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    notebook, (run, other, *_) = Notebook(), plan_of().runs
    live_file = LiveFile(notebook, tmp_path)
    live_file.runs_started([run], 0, 0, 3)
    live_file.job_started(run)
    assert read_live(tmp_path) == Live(workers=3), "a second has not gone by"
    now[0] += 2.5
    live_file.job_progress(run, Progress("train", 3, 9, 0.5))
    shown = UnderWay(id=run.id, label=run.label, phase="train", step=3, steps=9, loss=0.5, seconds=2.5)
    assert read_live(tmp_path).under_way == (shown,)
    live_file.run_finished(run, fakes.record_of(run.spec))
    live_file.run_finished(other, fakes.record_of(other.spec))
    live_file.close()
    assert read_live(tmp_path) == Live(workers=3, latest=(other.id, run.id)), "the last one first"
    passed_on = ["runs 1 0 0", f"started {run.label}", "progress train", "finished ok", "finished ok"]
    assert notebook.lines == passed_on
    assert [path.name for path in tmp_path.iterdir()] == [live.NAME]
    LiveFile(notebook, tmp_path / "missing").runs_started([run], 0, 0, 3)


def test_the_terminal_shows_the_state_and_the_tables(seen: list[Snapshot]) -> None:
    lines = draw(seen[-1]).splitlines()
    assert lines[0].startswith("pissa-initialization: Does BA-LoRA's gain come from PiSSA")
    assert lines[1] == "complete · 8/8 runs, 4 failed"
    assert lines[2].startswith("  ended: ")
    table = lines[lines.index("") + 1 :]
    assert table[:3] == [
        "Runs of each arm",
        "arm                      planned  finished  failed",
        "ba-lora                        2         1       1",
    ]
    assert "Differences to ba-lora, seed by seed" in lines
    assert [line for line in lines if line.startswith("plain-lora") and "NLG Avg" in line and line.endswith("  1")]
    early = draw(replace(seen[-1], complete=False, active=None))
    assert "unknown if running (this file system has no locks) · 8/8 runs, 4 failed · about 0:00 left" in early
    assert "Differences to ba-lora, seed by seed: early ones, which move until the study is complete" in early
    [line] = [line for line in draw(seen[-2]).splitlines() if line.startswith("running")]
    assert line == "running · 8/8 runs, 4 failed · about 0:00 left with 2 workers"


def test_a_terminal_is_redrawn_until_the_study_is_complete(
    seen: list[Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.console import Console

    page, slept = io.StringIO(), list[float]()
    monkeypatch.setattr("time.sleep", slept.append)
    states: Iterator[Snapshot] = iter([seen[0], seen[5], seen[-1]])
    follow(lambda: next(states), Console(file=page, force_terminal=True, color_system=None, width=100), 3.0)
    assert [slept.count(3.0), next(states, None)] == [2, None]
    for snapshot in (seen[0], seen[5], seen[-1]):
        assert draw(snapshot).splitlines()[1] in page.getvalue()


def test_the_page_is_kept_up_to_date_and_rests_when_all_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_of()
    go(plan, tmp_path)
    record, page = tmp_path / plan.runs[0].folder / "run.json", tmp_path / "report.html"
    record.rename(tmp_path / "kept")
    observer, live_page = Observer(tmp_path), LivePage(tmp_path, 0.5)
    live_page.follow(observer.read())
    assert '<meta http-equiv="refresh" content="10">' in page.read_text()
    page.write_text("as it was")
    live_page.follow(observer.read())
    assert page.read_text() == "as it was", "nothing new, nothing written"
    (tmp_path / "kept").rename(record)
    live_page.follow(observer.read())
    assert "Does BA-LoRA" in page.read_text()
    assert 'http-equiv="refresh"' not in page.read_text()
    page.unlink()
    assert main(["study", "watch", str(tmp_path), "--page", "--once"]) == 0
    assert page.exists()
    assert "complete" in capsys.readouterr().out


def test_the_verb_prints_text_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    go(plan_of(), tmp_path / "s")
    for words in (["--once"], []):
        assert main(["study", "watch", str(tmp_path / "s"), *words]) == 0
        assert "complete · 8/8 runs" in capsys.readouterr().out
    assert main(["study", "watch", str(tmp_path / "s"), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["complete"], content["counts"]["ok"], content["arms"][0]["planned"]) == (True, 8, 2)
    assert (content["base"], content["against"], content["noun"]) == ("ba-lora", "ba-lora", "seed")
    assert main(["study", "watch", str(tmp_path)]) == 2
    assert "no study here" in capsys.readouterr().err
    with pytest.raises(InputError):
        Observer(tmp_path).read()
