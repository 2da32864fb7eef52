"""The page as a file: self-contained, escaped, bounded, and the same twice; what a browser makes of it comes after."""

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from report_cases import (
    EVIL,
    EVIL_TOO,
    additive,
    crowded,
    dossier_of,
    hostile,
    plan_of,
    record_of,
    records,
    rich,
    rich_page,
    some_curves,
    write_study,
)

from balora.report.page.html import LIMIT, draw
from balora.report.page.inline import inline
from balora.report.records.curves import RUNS, Curves, read_curves
from balora.report.records.dossier import Dossier, read_dossier
from balora.report.tables.table import Table, count, text


@pytest.fixture(scope="module")
def dossier() -> Dossier:
    return rich()


@pytest.fixture(scope="module")
def page() -> str:
    return rich_page()


def test_the_page_needs_nothing_else(page: str) -> None:
    style = re.search("<style>(.*)</style>", page, re.S)
    assert style is not None
    digest = b64encode(sha256(style[1].encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in page
    assert not re.search(r"<script|<link|<img|<iframe|@import|url\(|\son\w+=|style=|javascript:", page)
    assert set(re.findall(r'https?://[^"\s<]+', page)) == {"http://www.w3.org/2000/svg"}


def test_question_answer_cautions_and_every_section_are_there(page: str, dossier: Dossier) -> None:
    report = dossier.report
    assert f"<h1>{report.question.replace(chr(39), '&#39;')}</h1>" in page
    titles = re.findall(r"<h2[^>]*>([^<]+)</h2>", page)
    assert titles == [
        "Cautions",
        "Arms",
        "Differences to ba-lora",
        "Where the noise comes from",
        "Factors",
        "Tasks",
        "What was inherited",
        "Training",
        "Cost",
        "Runs",
        "Repeat it",
    ]
    assert page.count("<figure ") == page.count("<summary>") == page.count('role="img"') > 8
    for part in ("spectral", "k ≥ D", "TrainingError: loss is NaN at step 3", "balora study run x", "c0de"):
        assert part in page, part
    counts = re.findall(r'<data value="(\d+)">', page.split('id="counts-caption"')[1].split("</table>")[0])
    assert counts == ["96", "94", "1", "0", "1"], "planned, finished, failed, unreadable, not run"


def test_the_same_records_make_the_same_page(page: str) -> None:
    assert draw(rich()) == page
    assert 'http-equiv="refresh"' not in page
    assert '<meta http-equiv="refresh" content="5">' in draw(rich(), refresh=5)


def test_markup_in_names_stays_text(monkeypatch: pytest.MonkeyPatch) -> None:
    made = draw(hostile(monkeypatch))
    assert "<script" not in made
    assert "<img" not in made
    assert made.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 20
    assert "&lt;/script&gt;&lt;img src=x onerror=&#34;alert(2)&#34;&gt; &amp; &#34;quoted&#34;" in made
    for name in (EVIL, EVIL_TOO):
        assert name not in made


def test_a_crowd_of_arms_does_not_blow_it_up() -> None:
    made = draw(crowded(1000))
    assert len(made.encode()) < LIMIT / 2
    assert "The first 200 of 1,004 rows; all are in report.md." in made
    assert "996 more arms are in the files of numbers" in made
    assert "and 950 more" in made
    assert "arm 999" not in made


def test_a_study_without_results_has_a_page() -> None:
    plan = plan_of()
    made = draw(dossier_of(plan, {}, Curves()))
    assert "no seed in common" in made
    assert "<figure " not in made
    assert '<data value="36">36</data>' in made, "runs that are missing"
    one_seed = plan_of(seeds=1)
    assert "<figure " in draw(dossier_of(one_seed, records(one_seed, additive)))


def test_tables_are_cut_with_a_word_and_only_where_they_are_long() -> None:
    table = Table("t", "c", ("arm", "n"), tuple((("a",), count(i)) for i in range(1200)), note="Read it.")
    assert table.cut(1200, elsewhere="a file") is table
    short = replace(table, strong=7).cut(200, elsewhere="a file")
    assert (len(short.rows), short.strong) == (200, 7)
    assert short.note == "Read it. The first 200 of 1,200 rows; all are in a file."
    assert text(table.rows[1111][1]) == "1,111"


def test_only_vegas_svg_is_put_on_the_page() -> None:
    with pytest.raises(AssertionError, match="not Vega's SVG"):
        inline("<p>hello</p>", "x")


def rows(*losses: tuple[int, float]) -> str:
    return "".join(f'{{"step": {step}, "loss": {loss}, "task_share": 0.5}}\n' for step, loss in losses)


def test_curves_are_means_over_runs_at_the_steps_that_all_recorded(tmp_path: Path) -> None:
    plan = plan_of()
    runs = records(plan, additive)
    series = {
        42: rows((1, 3.0), (16, 2.0)),
        1024: rows((1, 5.0), (16, 3.0), (31, 9.0)),
        2024: rows((1, 1.0), (16, 1.0)),
    }
    for planned in plan.runs:
        folder = tmp_path / planned.folder
        folder.mkdir(parents=True)
        (folder / "series.jsonl").write_text(series[planned.seed], encoding="utf-8")
    write_study(tmp_path, plan, runs)
    found = read_dossier(tmp_path).curves
    curve = next(c for c in found.curves if (c.arm, c.family, c.quantity) == ("plain-lora", "nlu", "loss"))
    assert (curve.steps, curve.means, curve.runs) == ((1, 16), (3.0, 2.0), 6), "step 31 is of one seed alone"
    assert (found.unreadable, found.left_out) == (0, 0)

    damaged, gone, odd = (plan.runs[i] for i in (0, 1, 2))
    (tmp_path / damaged.folder / "series.jsonl").write_text(rows((1, 99.0), (16, 99.0)))
    (tmp_path / gone.folder / "series.jsonl").unlink()
    (tmp_path / odd.folder / "series.jsonl").write_text("{")
    found = read_dossier(tmp_path).curves
    assert found.unreadable == 3
    assert max(mean for curve in found.curves for mean in curve.means) < 99
    told = read_dossier(tmp_path).report.unreadable
    assert [line.partition(": ")[0] for line in told] == [f"{one.folder}/series.jsonl" for one in (damaged, gone, odd)]
    page = draw(read_dossier(tmp_path))
    assert "The steps of 3 runs are missing or damaged." in page
    assert all(f"{one.folder}/series.jsonl" in page for one in (damaged, gone, odd))


def test_curves_of_too_many_runs_are_read_in_part_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of()
    runs = records(plan, additive)
    for planned in plan.runs:
        folder = tmp_path / planned.folder
        folder.mkdir(parents=True)
        (folder / "series.jsonl").write_text(rows((1, 3.0)), encoding="utf-8")
    write_study(tmp_path, plan, runs)
    monkeypatch.setattr("balora.report.records.curves.RUNS", 2)
    monkeypatch.setattr("balora.report.records.curves.ARMS", 3)
    found = read_curves(tmp_path, record_of(plan), runs)
    assert {curve.runs for curve in found.curves} == {2}
    assert {curve.arm for curve in found.curves} == {"ba-lora", "standard-initialization", "no-regularizers"}
    assert found.left_out == 36 - 3 * 2 * 2
    assert RUNS > 100
    made = dossier_of(plan, runs, replace(some_curves(plan), left_out=24))
    assert "24 more runs were not read for these means." in draw(made)
