"""`balora compare` prints a table or JSON, writes three files, and needs neither torch nor a model."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from comparing_cases import log_folder, right_or_wrong, rows_of, write_csv

sys.path.append(str(Path(__file__).resolve().parents[1] / "cli"))
from running import run_balora

HEAVY = {"torch", "transformers", "peft", "datasets", "sklearn", "scipy", "pandas", "pyarrow", "vl_convert", "yaml"}


@pytest.fixture
def logs(tmp_path: Path) -> list[str]:
    """Two logs, named."""
    scores = right_or_wrong(200, 0.5, 0.62)
    return [
        f"{name}={log_folder(tmp_path / name, {'boolq': x})}" for name, x in zip(("base", "ours"), scores, strict=True)
    ]


def test_it_prints_the_answer_the_table_and_what_was_resampled(logs: list[str]) -> None:
    ended = run_balora("compare", *logs)
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].startswith("ours compared with base: better (+")
    assert lines[1] == "2 systems · 1 task · 200 paired items · scores from 0 to 1, shown as points of 100"
    assert any(line.startswith("ours − base") for line in lines)
    assert any("Items are resampled: the interval and p say what other items" in line for line in lines)
    assert any(line.startswith("p: exact binomial test of the items that differ") for line in lines)


def test_json_is_one_document_with_the_numbers_of_the_files(logs: list[str], tmp_path: Path) -> None:
    ended = run_balora("compare", *logs, "--json", "--output", tmp_path / "out")
    printed = json.loads(ended.out)
    assert (ended.code, printed) == (0, json.loads((tmp_path / "out" / "compare.json").read_text()))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["compare.html", "compare.json", "compare.md"]
    text = (tmp_path / "out" / "compare.md").read_text()
    assert text.startswith("# Is ours better than base?\n")
    assert f"| ours − base | better | {printed['comparisons'][0]['difference']:+.2f} |" in text


def test_a_comparison_may_be_written_again_but_over_nothing_else(logs: list[str], tmp_path: Path) -> None:
    for _ in range(2):
        assert run_balora("compare", *logs, "--output", tmp_path / "out").code == 0
    (tmp_path / "out" / "thesis.tex").touch()
    ended = run_balora("compare", *logs, "--output", tmp_path / "out")
    assert ended.code == 2
    assert "holds something that is no comparison output ('thesis.tex')" in ended.err


def test_several_systems_and_seeds_on_a_terminal(tmp_path: Path) -> None:
    scores = right_or_wrong(60, 0.5, 0.6, 0.45)
    rows = [
        row | {"seed": seed}
        for seed in range(6)
        for row in rows_of(dict(zip("abc", (x[seed:] + x[:seed] for x in scores), strict=True)))
    ]
    ended = run_balora("compare", write_csv(tmp_path / "s.csv", rows), "--all-pairs", "--output", tmp_path / "out")
    assert ended.code == 0
    assert (tmp_path / "out" / "compare.md").read_text().startswith("# Which of 3 systems is better than another?\n")
    assert [line.split(":")[0] for line in ended.out.splitlines()[:3]] == [
        "b compared with a", "c compared with a", "c compared with b"
    ]  # fmt: skip
    assert "over seeds and items" in ended.out
    assert "Seeds are resampled, the items are taken as they are" in ended.out


def test_reading_and_comparing_logs_imports_no_heavy_library(logs: list[str]) -> None:
    code = f"from balora.cli import main\nassert main({['compare', *logs]!r}) == 0\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()} & HEAVY


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_tables_need_no_torch_either(ending: str, tmp_path: Path) -> None:
    rows = rows_of(dict(zip("ab", right_or_wrong(20, 0.5, 0.6), strict=True)))
    path = tmp_path / f"s.{ending}"
    if ending == "csv":
        write_csv(path, rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["compare", str(path), "--output", str(tmp_path / "out")]
    code = f"from balora.cli import main\nassert main({words!r}) == 0\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert not loaded & {"torch", "transformers", "scipy", "sklearn", "pandas"}
