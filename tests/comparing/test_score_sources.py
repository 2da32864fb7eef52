"""Tables, runs and studies are recognised by what they hold, and every system gets a name of its own."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path += [str(Path(__file__).resolve().parents[1] / name) for name in ("study", "hostile")]  # stand-ins for runs
import fakes
from comparing_cases import log_folder, rows_of, sample, write_csv, write_log
from sealed_study import carry_on, plan_of

from balora.comparing.compared import compare_systems
from balora.comparing.score_table import Key, SystemScores
from balora.comparing.sources import read_path, read_table, source_of
from balora.errors import InputError
from balora.progress import OnProgress
from balora.report.records.dossier import read_dossier
from balora.study.plan.suites import Tasks
from balora.training.record import RunRecord, TaskScore, packed_rows, write_record
from balora.training.spec import RunSpec, resolve

TWO = {"base": [0.0, 1.0, 1.0], "ours": [1.0, 1.0, 1.0]}


def names(*given: object, **options: Any) -> list[str]:
    return [one.name for one in read_table([str(one) for one in given], **options).systems]


def scores_of(system: SystemScores) -> list[float]:
    return [one.score for one in system.scores.values()]


def write_table(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows in the format of the file's ending."""
    if path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        write_log(path, rows)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        write_csv(path, rows)
        path.write_text(path.read_text().replace(",", "\t") if path.suffix == ".tsv" else path.read_text())
    return path


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_a_table_of_any_format_gives_its_systems(ending: str, tmp_path: Path) -> None:
    path = write_table(tmp_path / f"scores.{ending}", rows_of(TWO, cluster=["p", "p", "q"], task=["t", "t", "u"]))
    table = read_table([str(path)])
    assert [one.name for one in table.systems] == ["base", "ours"]
    assert scores_of(table.systems[1]) == TWO["ours"]
    assert list(table.systems[0].scores)[2] == Key("u", "2")
    assert [one.cluster for one in table.systems[0].scores.values()] == ["p", "p", "q"]


def test_a_semicolon_and_a_decimal_that_is_written_as_true_are_read(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("Item;System;Score\nq 1;a;true\nq 2;a;False\nq 1;b;0.5\nq 2;b;1e-1\n")
    table = read_table([str(path)])
    assert [scores_of(one) for one in table.systems] == [[1.0, 0.0], [0.5, 0.1]]


def test_metric_names_the_column(tmp_path: Path) -> None:
    rows = [{**row, "rouge": row["score"] / 2} for row in rows_of(TWO)]
    path = write_csv(tmp_path / "scores.csv", rows)
    assert scores_of(read_table([str(path)], metrics=["rouge"]).systems[1]) == [0.5, 0.5, 0.5]
    with pytest.raises(InputError, match=r"unknown column 'rogue': did you mean 'rouge'\?"):
        read_table([str(path)], metrics=["rogue"])


def test_names_are_given_or_come_from_the_table_or_from_the_paths(tmp_path: Path) -> None:
    one, other = (
        write_csv(tmp_path / f"{name}.csv", [{"item": i, "score": x} for i, x in enumerate(TWO[name])]) for name in TWO
    )
    assert names(one, other) == ["base", "ours"]
    assert names(f"x={one}", other) == ["x", "ours"]
    assert names(one, other, against="ours") == ["ours", "base"]
    logs = [log_folder(tmp_path / place / "out", {"t": TWO["base"]}) for place in ("a", "b")]
    assert names(*logs) == ["a/out", "b/out"]
    both = write_csv(tmp_path / "both.csv", rows_of(TWO))
    again = write_csv(tmp_path / "again.csv", rows_of(TWO))
    assert names(both) == ["base", "ours"]
    assert names(both, f"new={again}") == ["base", "ours", "new: base", "new: ours"]
    assert names(both, again) == ["both: base", "both: ours", "again: base", "again: ours"]


def test_a_path_with_an_equals_sign_is_a_path_if_it_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lr=3.csv").touch()
    assert source_of("lr=3.csv") == ("", Path("lr=3.csv"))
    assert source_of("a=lr=3.csv") == ("a", Path("lr=3.csv"))
    assert source_of("out/lr=3.csv") == ("", Path("out/lr=3.csv"))


def spec(seed: int = 0) -> RunSpec:
    return resolve({"method": "lora", "task": "gsm8k", "model": "m", "training.seed": seed})


def run_folder(folder: Path, right: list[bool], answers: list[str] | None = None, **changes: Any) -> Path:
    """A finished run with its items."""
    folder.mkdir(parents=True)
    given = answers or [str(i) for i in range(len(right))]
    items = [
        {"index": i, "prediction": "7", "answer": answer, "correct": one, "text": "It is 7."}
        for i, (one, answer) in enumerate(zip(right, given, strict=True))
    ]
    write_log(folder / "items.jsonl", items)
    write_record(fakes.record_of(spec(), rows=len(right), correct=packed_rows(right), **changes), folder)
    return folder


def test_two_runs_are_compared_by_their_items(tmp_path: Path) -> None:
    a = run_folder(tmp_path / "a", [True, False, False, True])
    b = run_folder(tmp_path / "b", [True, True, False, True])
    for given in ((a, b), (a / "run.json", b / "items.jsonl")):
        table = read_table([str(one) for one in given])
        assert table.tasks == ["gsm8k"]
        assert [scores_of(one) for one in table.systems] == [[1, 0, 0, 1], [1, 1, 0, 1]]
    (b / "run.json").unlink()
    table = read_table([str(a / "items.jsonl"), str(b)])
    assert scores_of(table.systems[1]) == [1, 1, 0, 1]


def test_a_run_that_is_scored_on_several_tasks_has_them_all(tmp_path: Path) -> None:
    folders = []
    for name, right in (("a", [True, False]), ("b", [True, True])):
        folder = tmp_path / name
        items = [{"task": task, "index": i, "answer": "1", "correct": x} for task in ("gsm8k", "math")
                 for i, x in enumerate(right)]  # fmt: skip
        write_log(folder / "items.jsonl", items)
        both = resolve({"method": "lora", "task": "gsm8k", "model": "m", "score": ["gsm8k", "math"]})
        packed = packed_rows(right)
        other = TaskScore(score=50.0, rows=2, correct=packed)
        write_record(fakes.record_of(both, rows=2, correct=packed, others={"math": other}), folder)
        folders.append(str(folder))
    table = read_table(folders)
    assert table.tasks == ["gsm8k", "math"]
    assert scores_of(table.systems[0]) == [1, 0, 1, 0]
    assert read_table(folders, tasks=["math"]).tasks == ["math"]
    assert table.notes == ()


def test_runs_on_other_items_or_edited_ones_are_refused(tmp_path: Path) -> None:
    a = run_folder(tmp_path / "a", [True, False, True])
    b = run_folder(tmp_path / "b", [True, True, True], ["0", "one", "two"])
    with pytest.raises(InputError, match=r"2 of 3 items of 'a' and 'b' are not the same ones in both.*'1' of task"):
        compare_systems(read_table([str(a), str(b)]))
    items = b / "items.jsonl"
    items.write_text(items.read_text().replace('"correct": true', '"correct": false'))
    with pytest.raises(InputError, match="was edited or damaged"):
        read_table([str(a), str(b)])


def test_items_of_an_evaluation_with_lm_eval_pair_with_its_own_log(tmp_path: Path) -> None:
    scores = [1.0, 0.0, 1.0]
    log = log_folder(tmp_path / "log", {"gsm8k": scores}, "exact_match")
    samples = [sample(i, {"exact_match": x}) for i, x in enumerate(scores)]
    items = [
        {
            "task": "gsm8k",
            "index": i,
            "correct": x == 1,
            "answer": "x",
            "metrics": {"exact_match,none": x, "f1,none": 0.5},
        }
        | {name: samples[i][name] for name in ("doc_hash", "prompt_hash", "target_hash")}
        for i, x in enumerate(scores)
    ]
    folder = tmp_path / "evaluated"
    write_log(folder / "items.jsonl", items)
    stated = {"metric": "exact_match,none", "higher_is_better": {"exact_match": True, "f1": False}}
    (folder / "scores.json").write_text(json.dumps({"tasks": {"gsm8k": stated}}))
    table = read_table([str(log), str(folder)])
    assert table.systems[0].scores == table.systems[1].scores
    assert table.systems[1].metrics == {"gsm8k": "exact_match"}
    assert table.systems[1].higher_is_better is True
    compare_systems(table)
    (by_f1,) = read_path(folder, ["f1"])
    assert (scores_of(by_f1), by_f1.metrics, by_f1.higher_is_better) == ([0.5] * 3, {"gsm8k": "f1"}, False)


def test_a_failed_run_has_no_scores(tmp_path: Path) -> None:
    a = run_folder(tmp_path / "a", [True, False])
    b = run_folder(tmp_path / "b", [True, False], status="failed")
    with pytest.raises(InputError, match=r"b: its run failed, so it has no scores: run it again"):
        read_table([str(a), str(b)])


ITEMS = 24


def with_items(spec: RunSpec, folder: Path, on_progress: OnProgress) -> RunRecord:
    """A run whose items are right by a rule, and whose score is their share, as of a real run."""
    folder.mkdir(parents=True)
    shift = 5 * (spec.method == "ba-lora") + spec.training.seed % 3
    right = [(7 * i + 3 * shift + spec.training.seed) % 11 < 3 + shift for i in range(ITEMS)]
    write_log(folder / "items.jsonl", [{"index": i, "answer": "x", "correct": one} for i, one in enumerate(right)])
    (folder / "series.jsonl").write_text("{}\n")
    score = 100 * sum(right) / ITEMS
    metrics = {"exact_match": score / 100, "answer_loss": 1.0}
    return write_record(
        fakes.record_of(spec, rows=ITEMS, correct=packed_rows(right), score=score, metrics=metrics), folder
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("study") / "s"
    carry_on(plan_of(Tasks(("sst2", "gsm8k", "math"), ()), seeds=4), folder, with_items)
    return folder


def test_a_studys_arms_give_the_figures_of_its_report(study: Path) -> None:
    found = compare_systems(read_table([str(study)], tasks=["gsm8k", "math"]))
    report = read_dossier(study).report
    assert found.systems[0].name == report.against
    expected = {one.arm: one for one in report.differences if one.measure == "nlg_avg"}
    assert {one.system for one in found.results} == set(expected)
    for one in found.results:
        theirs = expected[one.system]
        assert one.paired.mean == pytest.approx(theirs.paired.mean)
        assert (one.paired.low, one.paired.high) == pytest.approx((theirs.paired.low, theirs.paired.high))
        assert one.paired.p == pytest.approx(theirs.paired.p)
        assert one.joint == pytest.approx(theirs.joint)


def test_a_seed_with_an_unfinished_run_is_left_out_with_a_note(study: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(study, tmp_path / "copy"))
    record = read_dossier(copy)
    run = next(row for row in record.runs if row.task == "math")
    shutil.rmtree(copy / "runs" / run.id)
    table = read_table([str(copy)])
    assert {key.seed for key in table.systems[0].scores} == {str(row.seed) for row in record.runs} - {str(run.seed)}
    assert any(note.startswith("seeds left out, because not every arm") for note in table.notes)


def test_a_study_without_a_finished_seed_is_refused(study: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(study, tmp_path / "copy"))
    shutil.rmtree(copy / "runs")
    (copy / "runs").mkdir()
    with pytest.raises(InputError, match="no seed has a finished run of every arm and task: finish it with `balora st"):
        read_table([str(copy)])


def test_grades_count_as_shares_and_math_verify_before_exact_match(tmp_path: Path) -> None:
    for name, grade, verified in (("one", 7.5, True), ("two", 1, False)):
        (tmp_path / name).mkdir()
        items = [
            {"task": "mt_bench", "index": 0, "score": grade, "ratings": [grade]},
            {"task": "math", "index": 0, "answer": "1/2", "correct": False, "verified": verified},
        ]
        (tmp_path / name / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    table = read_table([str(tmp_path / "one" / "items.jsonl"), str(tmp_path / "two" / "items.jsonl")])
    assert [sorted(scores_of(one)) for one in table.systems] == [[0.75, 1.0], [0.0, 0.1]]
    (result,) = compare_systems(table).results
    assert result.paired.mean == pytest.approx(-100 * (0.65 + 1) / 2)
