"""Reports as LaTeX, CSV, Parquet and figures, and the verb that writes them."""

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from report_cases import EVIL, EVIL_TOO, hostile, plan_of, rich, write_study

from balora.cli import main
from balora.errors import OutputError
from balora.report import latex, markdown, numbers
from balora.report.formats import Format
from balora.report.records.dossier import Dossier
from balora.report.records.report import read_report
from balora.report.saving import save
from balora.report.tables.table import Table, count


@pytest.fixture(scope="module")
def dossier() -> Dossier:
    return rich()


def test_latex_tables_are_whole_and_use_booktabs(dossier: Dossier) -> None:
    text = latex.draw(dossier.report)
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == text.count(r"\toprule") >= 8
    assert text.count(r"\midrule") == text.count(r"\bottomrule") == text.count(r"\toprule")
    assert r"\usepackage{booktabs,graphicx}" in text
    assert r"\hline" not in text
    for table in re.findall(r"\\toprule\n(.*?)\\bottomrule", text, re.S):
        columns = {line.count(" & ") for line in table.splitlines() if line.endswith(r"\\")}
        assert len(columns) == 1, table
    one = dossier.report.differences[0]
    assert f"{one.arm} & NLU Avg & hurts" in text
    assert f"$-${abs(one.paired.mean or 0):.2f}" in text
    labels = re.findall(r"\\label\{(.*?)\}", text)
    assert len(set(labels)) == len(labels)


def test_latex_prints_text_as_it_is() -> None:
    assert latex.escape(r"50% of $x_1$ & #2 {~^} \n") == (
        r"50\% of \$x\_1\$ \& \#2 \{\textasciitilde{}\textasciicircum{}\} \textbackslash{}n"
    )
    assert latex.escape("λ ≥ 0.1 − 2 × 3 – “x”") == r"$\lambda$ $\geq$ 0.1 $-$ 2 $\times$ 3 -- ``x''"
    assert latex.escape("naïve 中\x07\n") == r"naïve [U+4E2D]\textbackslash{}x07\textbackslash{}n"
    assert latex.escape("a--b ''c'' ,,d") == r"a-{}-b '{}'c'{}' ,{},d", "no ligatures, which show other characters"


def test_latex_columns_and_rows_that_open_with_a_bracket() -> None:
    table = Table("t 1", "c", ("arm", "why", "n"), ((("[2] x",), ("w" * 61,), count(1)),), texts=2)
    drawn = latex.latex(table)
    assert r"\begin{tabular}{lp{0.45\linewidth}r}" in drawn
    assert "\n{}[2] x & " in drawn, "after \\\\, LaTeX would take [2] for a distance"
    assert r"\label{tab:t-1}" in drawn


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX here: apt-get install texlive-latex-recommended")
@pytest.mark.parametrize("kind", ["rich", "hostile"])
def test_latex_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    report = rich().report if kind == "rich" else hostile(monkeypatch).report
    (tmp_path / "report.tex").write_text(latex.draw(report), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "report.pdf").stat().st_size > 10_000


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_csv_holds_every_number_in_full(dossier: Dossier, tmp_path: Path) -> None:
    written = save(dossier, tmp_path, [Format.CSV])
    assert {path.name for path in written} == {f"{name}.csv" for name in numbers.TABLES}
    runs = read_csv(tmp_path / "tables" / "runs.csv")
    assert len(runs) == len(dossier.runs) == 96
    assert sum(row["status"] == "failed" for row in runs) == 1
    assert sum(row["status"] == "missing" for row in runs) == 1
    for row, known in zip(runs, dossier.runs, strict=True):
        assert (row["arm"], row["task"], row["seed"], row["id"]) == (known.arm, known.task, str(known.seed), known.id)
        if known.record is not None and known.record.score is not None:
            assert float(row["score"]) == known.record.score
            assert float(row["behaviour.ece"]) == known.record.behaviour["ece"]
            assert float(row["set.training.learning_rate"]) == known.record.spec.training.learning_rate
    differences = read_csv(tmp_path / "tables" / "differences.csv")
    for row, one in zip(differences, dossier.report.differences, strict=True):
        assert (row["arm"], row["measure"], float(row["mean"])) == (one.arm, one.measure, one.paired.mean)
        assert (float(row["low"]), row["verdict"]) == (one.paired.low, one.paired.verdict)
    seeds = read_csv(tmp_path / "tables" / "seeds.csv")
    base = {
        int(row["seed"]): float(row["value"]) for row in seeds if (row["arm"], row["measure"]) == ("ba-lora", "nlu_avg")
    }
    assert base == dossier.report.arms[0].by_seed["nlu_avg"]
    arms = read_csv(tmp_path / "tables" / "arms.csv")
    assert {row["factor.regularizers"] for row in arms} == {"on", "off"}
    assert {row["set.adapter.init"] for row in arms} == {"", "standard"}


def test_parquet_says_the_same_with_types(dossier: Dossier, tmp_path: Path) -> None:
    import pyarrow.parquet as parquet

    save(dossier, tmp_path, [Format.PARQUET, Format.CSV])
    for name in numbers.TABLES:
        table = parquet.read_table(tmp_path / "tables" / f"{name}.parquet").to_pylist()
        rows = read_csv(tmp_path / "tables" / f"{name}.csv")
        assert [{key: "" if value is None else str(value) for key, value in row.items()} for row in table] == rows
    runs = parquet.read_table(tmp_path / "tables" / "runs.parquet")
    kinds = {field.name: str(field.type) for field in runs.schema}
    assert (kinds["score"], kinds["seed"], kinds["arm"], kinds["set.data.cue"]) == (
        "double",
        "int64",
        "string",
        "double",
    )


def test_columns_have_one_type() -> None:
    rows: list[dict[str, Any]] = [{"a": 1, "b": 2}, {"a": 1.5, "b": "two", "c": [1]}, {"a": None, "c": None}]
    found = numbers.columns(rows)
    assert found == {"a": [1.0, 1.5, None], "b": ["2", "two", None], "c": [None, "[1]", None]}
    assert [type(value) for value in found["a"][:2]] == [float, float]


def test_names_full_of_markup_come_back_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(hostile(monkeypatch), tmp_path, [Format.CSV, Format.PARQUET])
    arms = {row["arm"] for row in read_csv(tmp_path / "tables" / "arms.csv")}
    assert {EVIL, EVIL_TOO} <= arms


def test_what_is_written_is_what_was_asked_for(dossier: Dossier, tmp_path: Path) -> None:
    assert [path.name for path in save(dossier, tmp_path / "a" / "b")] == ["report.md", "report.html"]
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == ["report.html", "report.md"]
    assert (tmp_path / "a" / "b" / "report.md").read_text(encoding="utf-8") == markdown.draw(dossier.report)
    figures = save(dossier, tmp_path, [Format.SVG])
    assert {path.parent.name for path in figures} == {"figures"}
    assert "differences-nlu_avg.svg" in {path.name for path in figures}
    assert "NLU Avg, points" in (tmp_path / "figures" / "differences-nlu_avg.svg").read_text(), "a title of its own"
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        save(dossier, tmp_path / "file")


@pytest.fixture(scope="module")
def folder(dossier: Dossier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rich study on disk."""
    path: Path = tmp_path_factory.mktemp("study")
    write_study(path, plan_of(seeds=8), {row.id: row.record for row in dossier.runs if row.record is not None})
    return path


def test_the_verb_writes_page_and_markdown_and_prints_the_report(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", "report", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("# pissa-initialization")
    assert err == f"written to {folder / 'report.md'} and {folder / 'report.html'}\n"
    assert "<h1>Does BA-LoRA" in (folder / "report.html").read_text(encoding="utf-8")


def test_the_verb_writes_formats_elsewhere_and_prints_their_paths(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "paper"
    assert main(["study", "report", str(folder), "--format", "latex", "--format", "csv", "--to", str(to)]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        str(to / "report.tex"),
        *(str(to / "tables" / f"{n}.csv") for n in numbers.TABLES if n != "curves"),
    ]
    assert err == ""
    assert sorted(path.name for path in to.iterdir()) == ["report.tex", "tables"]
    assert main(["study", "report", str(folder), "--format", "markdown", "--json", "--to", str(to)]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["study"] == "pissa-initialization"
    assert err == f"{to / 'report.md'}\n"


def test_all_means_every_format(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "report", str(folder), "--all", "--to", str(tmp_path)]) == 0
    endings = {Path(line).suffix for line in capsys.readouterr().out.splitlines()}
    assert endings == {".md", ".html", ".tex", ".csv", ".parquet", ".svg", ".png", ".pdf"}


def test_the_answer_comes_with_its_places(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "report", str(folder), "--answer"]) == 0
    lines = capsys.readouterr().out.splitlines()
    report = read_report(folder)
    assert lines[0] == f"{report.study}: {report.question}"
    assert lines[2 : 2 + len(report.sentences)] == [f"- {sentence}" for sentence in report.sentences]
    assert lines[-3:-1] == [str(folder / "report.md"), str(folder / "report.html")]


@pytest.mark.parametrize("words", [(), ("--answer",), ("--json",)])
def test_the_report_itself_can_go_elsewhere(words: tuple[str, ...], folder: Path, tmp_path: Path) -> None:
    assert main(["study", "report", str(folder), *words, "--to", str(tmp_path / "there")]) == 0
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == ["report.html", "report.md"]


def test_an_unknown_format_is_wrong_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "report", str(folder), "--format", "docx"]) == 2
    assert "'docx' is not one of 'markdown', 'html', 'latex'" in capsys.readouterr().err


@pytest.mark.parametrize("there_is_one", [True, False])
def test_the_page_is_shown_in_the_browser(
    there_is_one: bool,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda page: shown.append(page) or there_is_one)
    assert main(["study", "report", str(folder), "--answer", "--open", "--to", str(tmp_path)]) == 0
    assert shown == [(tmp_path / "report.html").as_uri()]
    complaint = f"there is no browser here: open {tmp_path / 'report.html'} yourself\n"
    assert capsys.readouterr().err == ("" if there_is_one else complaint)


def test_a_page_that_is_not_written_is_not_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "report", str(folder), "--format", "csv", "--open"]) == 2
    wanted = "balora: error: --open shows report.html, which is not among the formats: add --format html\n"
    assert capsys.readouterr().err == wanted
