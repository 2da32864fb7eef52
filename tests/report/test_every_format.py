"""Every format shows the same tables, read back from what was written: same rows, same headings, same numbers."""

import csv
import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from report_cases import TASKS, plan_of, records, study_of, write_study

from balora.report.formats import Format
from balora.report.latex import SPECIAL
from balora.report.records.dossier import Dossier, read_dossier
from balora.report.saving import save
from balora.report.tables.sections import sections
from balora.report.tables.table import Cell, Number, Table, text
from balora.report.watch.snapshot import Observer
from balora.report.watch.terminal import draw
from balora.study.plan.plan import Plan
from balora.study.plan.prepare import prepare
from balora.training.record import RunError

ARMS = {
    "warm": {"set": {"adapter.rank": 4}},
    "cold": {"set": {"adapter.rank": 2}},
    "c|d_e": {"set": {"adapter.rank": 3}},
}
CASES: dict[str, tuple[Callable[[], Plan], str, str]] = {
    "against": (lambda: study_of(ARMS, against="warm"), "warm", "seed"),
    "seeds": (plan_of, "ba-lora", "seed"),
    "blocks": (lambda: prepare("formulation-swap", profile="quick", seeds=3), "ba-lora", "block"),
}
"""A study against another arm than its base, one of seeds (a given model) and one of blocks (the testbed)."""


class Shown(NamedTuple):
    """A table as somebody reads it."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    strong: tuple[str, ...] = ()
    """First cells in bold."""


class Case(NamedTuple):
    folder: Path
    dossier: Dossier
    against: str
    noun: str


def score(arm: str, task: str, seed: int) -> float:
    return 50 + len(arm) / 3 - 5 * len(task) % 7 + seed % 11 + (len(arm) * len(task) + seed * len(arm)) % 13 / 13


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """The study on disk, with a failed run, a missing one and an unreadable one, and its report beside it."""
    make, against, noun = CASES[request.param]
    folder: Path = tmp_path_factory.mktemp(request.param)
    plan = make()
    runs = {
        id: run.replace(behaviour={"ece": 0.1 + index % 7 / 50}, versions={"processor": "P|1"})
        for index, (id, run) in enumerate(records(plan, score).items())
    }
    failed, missing, torn = (run.id for run in plan.runs[-3:])
    error = RunError(kind="TrainingError", message="loss is NaN at step 3 | 50 %")
    runs[failed] = runs[failed].replace(status="failed", score=None, metrics={}, error=error)
    del runs[missing]
    write_study(folder, plan, runs)
    (folder / "runs" / torn / "run.json").write_text("{", encoding="utf-8")
    dossier = read_dossier(folder)
    save(dossier, folder, [Format.MARKDOWN, Format.HTML, Format.LATEX, Format.CSV, Format.PARQUET])
    return Case(folder, dossier, against, noun)


def tables_of(case: Case) -> list[Table]:
    return [table for section in sections(case.dossier.report) for table in section.tables]


def shown(table: Table) -> Shown:
    rows = tuple(tuple(text(cell) for cell in row) for row in table.rows)
    return Shown(table.caption, table.head, rows, (rows[table.strong][0],) if table.strong is not None else ())


def in_markdown(content: str) -> list[Shown]:
    found = []
    for caption, lines in re.findall(r"^### (.*)\n\n((?:\|.*\n)+)", content, re.M):
        head, _, *rows = (re.split(r"(?<!\\)\|", line)[1:-1] for line in lines.splitlines())
        plain = [tuple(re.sub(r"\\(.)", r"\1", cell).strip(" ") for cell in row) for row in (head, *rows)]
        strong = tuple(row[0].strip("*") for row in plain if row[0].startswith("**"))
        rows_plain = tuple((row[0].removeprefix("**").removesuffix("**"), *row[1:]) for row in plain[1:])
        found.append(Shown(re.sub(r"\\(.)", r"\1", caption), plain[0], rows_plain, strong))
    return found


def in_html(content: str) -> list[Shown]:
    def plain(markup: str) -> str:
        return html.unescape(re.sub(r"<[^>]+>", "", markup)).strip()

    found = []
    for name, body in re.findall(r'<table>\n<caption id="([^"]+)">(.*?)</table>', content, re.S):
        if not name.endswith("-folded"):  # the numbers of a figure
            caption, rest = body.split("</caption>")
            rows = re.findall(r"<tr( class=\"reference\")?>(.*?)</tr>", rest, re.S)
            cells = [tuple(plain(cell) for cell in re.findall(r"<t[hd][ >].*?</t[hd]>", row, re.S)) for _, row in rows]
            strong = tuple(row[0] for row, (bold, _) in zip(cells, rows, strict=True) if bold)
            found.append(Shown(plain(caption), cells[0], tuple(cells[1:]), strong))
    return found


def in_latex(content: str) -> list[Shown]:
    def plain(printed: str) -> str:
        for character, code in sorted(SPECIAL.items(), key=lambda pair: -len(pair[1])):
            printed = printed.replace(code, character) if character != "’" else printed  # ' is printed as it is, too
        return printed.removeprefix("{}")

    found = []
    for body in re.findall(r"\\begin\{table\}(.*?)\\end\{table\}", content, re.S):
        caption = re.search(r"\\caption\{(.*)\}\n", body)
        inside = re.search(r"\\toprule\n(.*)\n\\midrule\n(.*)\n\\bottomrule", body, re.S)
        assert caption is not None
        assert inside is not None
        rows = [line.removesuffix(r" \\").split(" & ") for line in (inside[1], *inside[2].split("\n"))]
        bold = [re.fullmatch(r"\\textbf\{(.*)\}", row[0]) for row in rows]
        cells = [
            tuple(plain(cell) for cell in (match[1] if match else row[0], *row[1:]))
            for match, row in zip(bold, rows, strict=True)
        ]
        strong = tuple(plain(match[1]) for match in bold if match)
        found.append(Shown(plain(caption[1]), cells[0], tuple(cells[1:]), strong))
    return found


READERS: dict[str, Callable[[str], list[Shown]]] = {
    "report.md": in_markdown,
    "report.html": in_html,
    "report.tex": in_latex,
}


@pytest.mark.parametrize("file", READERS)
def test_markdown_page_and_latex_show_every_table_and_nothing_else(case: Case, file: str) -> None:
    expected = [shown(table) for table in tables_of(case)]
    assert len(expected) >= 14
    for found, table in zip(READERS[file]((case.folder / file).read_text(encoding="utf-8")), expected, strict=True):
        assert found == table


def test_the_terminal_shows_the_same_differences(case: Case) -> None:
    lines = draw(Observer(case.folder).read()).splitlines()
    [table] = [shown(table) for table in tables_of(case) if table.name == "differences"]
    place = next(place for place, line in enumerate(lines) if line.startswith(table.caption))
    assert lines[place] == f"{table.caption}: early ones, which move until the study is complete"
    cells = [tuple(re.split(r"\s{2,}", line)) for line in lines[place + 1 :]]
    in_order = [(*row[:2], row[4], *row[2:4], *row[5:]) for row in cells]  # the terminal shows the verdict behind these
    assert (in_order[0], tuple(in_order[1:])) == (table.head, table.rows)
    verdicts = [line.index(row[2]) for line, row in zip(lines[place + 2 :], table.rows, strict=True)]
    assert max(verdicts) <= 80, "80 columns show the difference and its interval"


@pytest.mark.parametrize("file", ["report.md", "report.html", "report.tex"])
def test_the_arm_of_reference_stands_in_bold_and_in_the_captions(case: Case, file: str) -> None:
    found = READERS[file]((case.folder / file).read_text(encoding="utf-8"))
    bold = {table.caption.partition(":")[0]: table.strong for table in found if table.strong}
    of_arms = ("Arms", "Score of each task, points", "Answer loss of each task, nats/token", "What the runs took")
    assert bold == dict.fromkeys(of_arms, (case.against,))
    captions = [
        table.caption for table in found if "ifferences to" in table.caption or "difference to" in table.caption
    ]
    assert captions[0] == f"Differences to {case.against}, {case.noun} by {case.noun}"
    assert len(captions) == 3
    assert all(f" to {case.against}" in caption for caption in captions)
    [compared] = [table for table in found if table.caption == captions[0]]
    assert case.against not in {row[0] for row in compared.rows}


def words_of(path: Path) -> str:
    """Everything that a reader reads in a file, figures included, but the names of seeds and the command."""
    content = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        content = html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", content, flags=re.S)))
    return re.sub(r"(fine-tuning|pre-training) seeds?|seed \d+\b|balora study run.*", "", content)


def test_a_block_is_called_what_it_is_in_every_word(case: Case, tmp_path: Path) -> None:
    (tmp_path / "watch.txt").write_text(draw(Observer(case.folder).read()), encoding="utf-8")
    other = {"seed": "block", "block": "seed"}[case.noun]
    for path in (*(case.folder / file for file in READERS), tmp_path / "watch.txt"):
        words = words_of(path)
        assert re.findall(rf".*\b{other}s?\b.*", words, re.I) == [], path.name
        assert re.search(rf"\b{case.noun}s\b", words), path.name


def rows_of(case: Case, name: str) -> list[dict[str, str]]:
    import pyarrow.parquet as parquet

    with (case.folder / "tables" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    typed = parquet.read_table(case.folder / "tables" / f"{name}.parquet").to_pylist()
    assert [{key: "" if value is None else str(value) for key, value in row.items()} for row in typed] == rows
    return rows


def numbers(cell: Cell) -> list[float]:
    return [piece.value for piece in cell if isinstance(piece, Number)]


def known(*values: str) -> list[float]:
    return [float(value) for value in values if value]


def test_csv_and_parquet_hold_the_numbers_of_the_tables(case: Case) -> None:
    report = case.dossier.report
    tables: dict[str, Table] = {table.name: table for table in tables_of(case)}
    compared = rows_of(case, "differences")
    assert {row["against"] for row in compared} == {case.against}
    for row, cells, strength in zip(compared, tables["differences"].rows, tables["strengths"].rows, strict=True):
        assert row["arm"] == text(cells[0]) == text(strength[0])
        by_head: dict[str, Any] = dict(zip(tables["differences"].head, map(numbers, cells), strict=True))
        assert by_head["difference"] == known(row["mean"])
        assert by_head["95 % interval"] == known(row["low"], row["high"])
        assert by_head["p"] + by_head["corrected p"] == known(row["p"], row["adjusted_p"])
        assert by_head[f"{case.noun}s"] == known(row["n"])
        assert [x for cell in strength[2:] for x in numbers(cell)] == known(
            row["effect_size"], row["detectable"], row["needed"]
        )
    averages = {(row["arm"], row["measure"]): row for row in rows_of(case, "arms")}
    for cells in tables["arms"].rows:
        for measure, cell in zip(report.measures, cells[2:], strict=False):
            row = averages[text(cells[0]), measure]
            assert numbers(cell) == known(row["mean"], row["sd"])
    of_tasks = {(row["arm"], row["task"]): row for row in rows_of(case, "tasks")}
    for name, columns in (("tasks", ("mean", "sd")), ("task-losses", ("answer_loss", "answer_loss_sd"))):
        for cells in tables[name].rows:
            for head, cell in zip(tables[name].head[1:], cells[1:], strict=True):
                row = of_tasks[text(cells[0]), head.partition(" (")[0]]
                assert numbers(cell) == known(*(row[column] for column in columns)) != []
    beside = {(row["arm"], row["family"]): row for row in rows_of(case, "inherited")}
    for family in ("nlu", "nlg"):
        for suffix, columns in (("", ("mean", "sd")), ("-changes", ("difference", "low", "high"))):
            table = tables[f"inherited-{family}{suffix}"]
            for arm, cell in zip(table.head[2:], table.rows[0][2:], strict=True):
                assert numbers(cell) == known(*(beside[arm, family][column] for column in columns)) != []


def test_each_arm_of_the_tables_has_its_own_numbers(case: Case) -> None:
    """The tables themselves against the scores that the records were made with."""
    report = case.dossier.report
    tables: dict[str, Table] = {table.name: table for table in tables_of(case)}
    assert [text(row[0]) for row in tables["arms"].rows] == [arm.name for arm in report.arms]
    assert tables["arms"].head[-1] == tables["differences"].head[-1] == f"{case.noun}s"
    assert tables["strengths"].head[-1] == f"{case.noun}s needed"
    seeds = report.seeds[:-1]  # the last one lacks runs
    for row in tables["tasks"].rows:
        task = report.tasks[0]
        every = [score(text(row[0]), task, seed) for seed in report.seeds]
        assert numbers(row[1])[0] == pytest.approx(sum(every) / len(every))
    losses = tables["task-losses"]
    assert losses.head == (
        "arm",
        *(task for task in report.tasks if task in (*TASKS.present[2:], "arithmetic", "code", "facts")),
    )
    whole = [row for row in tables["differences"].rows if text(row[1]) == "NLU Avg"]
    nlu = [task for task in report.tasks if task not in losses.head]
    for row in whole:
        if numbers(row[-1]) == [3]:
            continue
        pairs = [score(text(row[0]), task, s) - score(case.against, task, s) for s in seeds for task in nlu]
        assert numbers(row[3])[0] == pytest.approx(sum(pairs) / len(pairs))
