"""Scores that cannot be compared are refused in one line: which items, how many, on which side, and what to do."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from comparing_cases import TIME, log_folder, rows_of, sample, write_csv, write_log

sys.path.append(str(Path(__file__).resolve().parents[1] / "hostile"))
from refusals import refused

A, B = [0.0, 1.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 0.0, 0.0]


def table(folder: Path, change: Callable[[list[dict[str, Any]]], object] = lambda rows: None, **columns: Any) -> Path:
    rows = rows_of({"base": A, "ours": B}, **columns)
    change(rows)
    return write_csv(folder / "scores.csv", rows)


def with_value(row: int, column: str, value: object) -> Callable[[list[dict[str, Any]]], object]:
    return lambda rows: rows[row].__setitem__(column, value)


def scaled(factor: float) -> Callable[[list[dict[str, Any]]], object]:
    return lambda rows: [row.update(score=row["score"] * factor) for row in rows if row["system"] == "ours"]


ITEMS = {
    "a missing item": (
        lambda rows: rows.pop(),
        "'base' (5 scores) and 'ours' (4) do not pair up: 1 is only in 'base' ('4'): leave these out, or score both on "
        "the same items",
    ),
    "others on both sides": (
        lambda rows: [rows[place].update(item=f"x{place}") for place in (5, 6, 7, 8)],
        "4 are only in 'base' ('0', '1', '2', …) and 4 are only in 'ours' ('x5', 'x6', 'x7', …)",
    ),
    "no item in common": (
        lambda rows: [row.update(item=f"x{row['item']}") for row in rows[5:]],
        "have no item in common ('0' in the one, 'x0' in the other): score both on the same items, called alike",
    ),
    "an item twice": (
        lambda rows: rows.append(dict(rows[0])),
        "item '0' has two scores, at scores.csv:2 and at scores.csv:12: remove one, or tell repeated runs",
    ),
    "not a number": (with_value(2, "score", "good"), "scores.csv:4: score is 'good', not a finite number"),
    "nan": (with_value(2, "score", "nan"), "score is 'nan', not a finite number"),
    "infinite": (with_value(2, "score", "inf"), "score is 'inf', not a finite number"),
    "no score": (with_value(2, "score", ""), "score is '', not a finite number"),
    "no item": (with_value(2, "item", " "), "item is ' ': a text or a whole number is needed in every row"),
    "below 0": (
        with_value(2, "score", -0.5),
        "the score of item '2' of 'base' is -0.5, below 0: pass the worst and the",
    ),
    "mixed units": (scaled(100), "mixed units: the scores of 'base' go up to 1, those of 'ours' up to 100: write all"),
    "grades or points": (
        lambda rows: [row.update(score=1 + 2 * row["score"]) for row in rows],
        "scores go up to 3, which may be grades or points of 100: pass the worst and the best possible score with",
    ),
    "beyond 100": (
        lambda rows: [row.update(score=120 * row["score"] + 20) for row in rows],
        "6 scores lie outside 0 to 100, the first is 140, of item '1' of 'base': correct it, or pass the worst and",
    ),
    "one system": (
        lambda rows: rows.__delitem__(slice(5, None)),
        "holds one system ('base'), and two or more are compared: pass a second path, or a table with a column",
    ),
}


@pytest.mark.parametrize("name", ITEMS)
def test_a_table_that_cannot_be_compared(name: str, tmp_path: Path) -> None:
    change, says = ITEMS[name]
    refused(("compare", table(tmp_path, change), "--output", tmp_path / "out"), says, watched=tmp_path)


OPTIONS = {
    "an unknown metric": (("--metric", "scor"), "unknown column 'scor': did you mean 'score'?"),
    "an unknown system": (("--against", "bas"), "--against: unknown system 'bas': did you mean 'base'?"),
    "an unknown task": (("--task", "gsm8k"), "--task: "),
    "no seeds": (("--over", "seeds"), "--over seeds: the scores are of no named seed: score with several seeds"),
    "no margin": (("--margin", "0"), "--margin 0: the margin is a positive number of points of 100"),
    "nan for a margin": (("--margin", "nan"), "--margin nan: the margin is a positive number of points of 100"),
    "a range upside down": (
        ("--range", "1", "0"),
        "--range 1 0: the first number must be below the second, and finite",
    ),
    "an endless range": (("--range", "0", "inf"), "--range 0 inf: the first number must be below the second"),
    "a range too small": (("--range", "0", "0.5"), "6 scores lie outside 0 to 0.5, the first is 1, of item '1'"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_that_does_not_fit(name: str, tmp_path: Path) -> None:
    words, says = OPTIONS[name]
    refused(("compare", table(tmp_path), *words), says, watched=tmp_path)


def test_items_in_other_clusters_and_seeds_in_one_system_alone(tmp_path: Path) -> None:
    path = table(tmp_path, with_value(6, "cluster", "other"), cluster=["p"] * 5)
    refused(("compare", path), "1 of 5 items of 'base' and 'ours' lie in other clusters ('1'): give every item one")
    rows = [row | {"seed": seed} for seed in (1, 2) for row in rows_of({"base": A, "ours": B})]
    rows = [row | {"seed": 3 if row["system"] == "ours" and row["seed"] == 2 else row["seed"]} for row in rows]
    path = write_csv(tmp_path / "seeds.csv", rows)
    refused(
        ("compare", path), "do not have the same seeds ('2', '3' in one alone): leave those out, or pass --over items"
    )


def logs(folder: Path, **changes: Any) -> tuple[Path, Path]:
    """Two logs of one task; every sample of the second has ``changes``."""
    first = write_log(folder / "a" / f"samples_t_{TIME}.jsonl", [sample(i, {"acc": x}) for i, x in enumerate(A)])
    other = [sample(i, {"acc": x}) | changes for i, x in enumerate(B)]
    return first, write_log(folder / "b" / f"samples_t_{TIME}.jsonl", other)


def test_other_documents_and_other_prompts(tmp_path: Path) -> None:
    refused(
        ("compare", *logs(tmp_path, doc_hash="0")),
        "5 of 5 items of 'a/samples_t_2026-11-28T10-36-07.815840' and",
        "are not the same ones in both: their documents or right answers differ ('0' of task 't', '1' of task 't', ",
    )
    both = logs(tmp_path, prompt_hash="0")
    refused(("compare", *both), "had another prompt", "pass --other-prompts if the prompt belongs to what is compared")
    from refusals import run_verb

    ended = run_verb("compare", *both, "--other-prompts")
    assert ended.code == 0
    assert "were given different prompts for 5 items, so their difference is one of system and prompt" in ended.out


def test_other_tasks_and_other_metrics(tmp_path: Path) -> None:
    a = log_folder(tmp_path / "a", {"boolq": A, "piqa": A})
    b = log_folder(tmp_path / "b", {"boolq": B, "rte": B})
    refused(
        ("compare", a, b),
        "'a' and 'b' do not have the same tasks ('piqa' only in 'a'; 'rte' only in 'b'): compare them with --task b",
    )
    c = log_folder(tmp_path / "c", {"boolq": B, "piqa": B}, "f1")
    refused(
        ("compare", a, c), "'a' is scored by 'acc' and 'c' by 'f1' in task 'boolq': choose one score of both with --met"
    )


def test_paths_of_other_kinds(tmp_path: Path) -> None:
    path = table(tmp_path)
    (tmp_path / "results_2026-11-28T10-36-07.815840.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("text")
    (tmp_path / "folder").mkdir()
    refused(
        ("compare", path, tmp_path / "results_2026-11-28T10-36-07.815840.json"), "pass its folder, which holds samples"
    )
    refused(("compare", path, tmp_path / "notes.txt"), "is no file of scores: pass a folder of lm-eval")
    refused(
        ("compare", path, tmp_path / "folder"), "the folder holds no scores that are known: pass a folder of lm-eval"
    )
    refused(("compare", path, path), "was given twice: a system is compared with another one")
    refused(
        ("compare", path, f"base={tmp_path / 'nowhere'}"), "cannot be read (No such file or directory): pass a folder"
    )
    (tmp_path / "other.csv").write_text("id,mark\n1,2\n")
    refused(
        ("compare", tmp_path / "other.csv"), "has no column 'item' (its columns are id, mark): a table of scores has"
    )
    (tmp_path / "other.csv").write_text("item,mark\n1,2\n")
    refused(
        ("compare", tmp_path / "other.csv"), "has no column 'score' (its columns are item, mark): name the column with"
    )
    (tmp_path / "torn.jsonl").write_text('{"item": 1, "system": "a", "score": 1}\n{"item": 2, "sys')
    refused(("compare", tmp_path / "torn.jsonl"), "torn.jsonl:2: not a whole JSON object", "the last line is torn")


def test_names_that_act_on_a_terminal_stay_text(tmp_path: Path) -> None:
    rows = rows_of({"a\x1b[31m": A, "b\u202e": B[:4]})
    refused(
        ("compare", write_csv(tmp_path / "s.csv", rows)), r"'a\x1b[31m' (5 scores) and 'b\u202e' (4) do not pair up"
    )
