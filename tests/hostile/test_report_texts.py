"""Hostile texts in a study's records: every format shows them escaped, whole and in their place."""

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
from hostile_studies import ATTACKS, NAMES, TASK_ATTACKS, hostile_dossier, hostile_name

from balora.cli.output import json_text
from balora.errors import is_printable, printable
from balora.report import latex, markdown, numbers
from balora.report.figures.all_figures import every_figure
from balora.report.figures.figure import slug, titled
from balora.report.page import html
from balora.report.records.dossier import Dossier
from balora.report.tables.sections import sections
from balora.report.watch.snapshot import Snapshot
from balora.report.watch.terminal import draw as draw_terminal

KINDS = list(ATTACKS)


class Formats:
    """The hostile study as each format has it; the page without its figures."""

    def __init__(self, dossier: Dossier) -> None:
        self.dossier = dossier
        self.markdown = markdown.draw(dossier.report)
        self.latex = latex.draw(dossier.report)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(html, "_picture", lambda figure: "")
            html._template.cache_clear()
            self.page = html.draw(dossier)
        html._template.cache_clear()
        self.columns = {name: numbers.columns(rows(dossier)) for name, rows in numbers.TABLES.items()}
        self.terminal = draw_terminal(Snapshot(dossier.report, True, False, 1, 0, _under_way(), None, (), ()))
        self.json = json_text(dossier.report)


def _under_way() -> tuple[dict[str, Any], ...]:
    row = {"phase": "train", "step": 1, "steps": 2, "loss": 0.5, "seconds": 1.0}
    return tuple({"id": "x", "label": name, **row} for name in NAMES.values())


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as found:
        yield found


@pytest.fixture(scope="module")
def formats(patch: pytest.MonkeyPatch) -> Formats:
    return Formats(hostile_dossier(patch))


def acting(text: str) -> set[str]:
    return {c for c in text if c != "\n" and not is_printable(c)}


@pytest.mark.parametrize("name", ["markdown", "latex", "page", "terminal", "json"])
def test_no_format_holds_a_character_that_acts(formats: Formats, name: str) -> None:
    assert acting(getattr(formats, name)) == set()


def rows_of_markdown(text: str) -> list[list[str]]:
    lines = [re.split(r"(?<!\\)(?:\\\\)*\|", line)[1:-1] for line in text.splitlines() if line.startswith("| ")]
    return [[re.sub(r"\\(.)", r"\1", cell.strip(" ").strip("*")) for cell in line] for line in lines]


@pytest.mark.parametrize("kind", KINDS)
def test_markdown_shows_each_name_in_its_own_cell(formats: Formats, kind: str) -> None:
    rows = rows_of_markdown(formats.markdown)
    tables = [table for section in sections(formats.dossier.report) for table in section.tables]
    width = len(next(table for table in tables if table.name == "arms").head)
    named = [row for row in rows if row[0] == printable(hostile_name(kind)).strip()]
    assert len(named) > 4, "arms, differences, strengths, tasks, costs"
    assert len(named[0]) == width


def test_markdown_has_only_the_blocks_of_a_report(formats: Formats) -> None:
    text = formats.markdown
    fences = re.findall(r"^`{3,}$", text, re.M)
    assert len(fences) == 2, "the command stands in one block"
    assert fences[0] == fences[1]
    assert len(fences[0]) == 5, "longer than the longest in the command"
    outside = re.sub(rf"^{fences[0]}\n.*?^{fences[0]}$", "", text, flags=re.S | re.M)
    for special in "<{[`$":
        assert re.search(rf"(?<!\\)(?:\\\\)*\{special}", outside) is None, special
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert len(heads) == 1 + sum(
        1 + len(one.tables) + sum(bool(title) for title, _ in one.lists)
        for one in sections(formats.dossier.report)
        if one.has_text
    )


class Page(HTMLParser):
    """Collects the tags with their attributes, and the first cells of rows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.heads: list[str] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = dict(attrs).get("scope") == "row"
        self.heads += [""] if self._inside else []

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "th"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.heads[-1] += data


@pytest.fixture(scope="module")
def page(formats: Formats) -> Page:
    return Page(formats.page)


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_shows_each_name_as_text(page: Page, kind: str) -> None:
    assert page.heads.count(printable(hostile_name(kind))) > 4


def test_the_page_has_no_tag_or_attribute_of_a_name(page: Page) -> None:
    usual = "html head meta title style body a header p h1 ul li nav main section h2 h3 div table caption thead tr th "
    usual += "tbody td data figure figcaption details summary pre code footer"
    assert {tag for tag, _ in page.tags} <= set(usual.split())
    names = {name for _, attributes in page.tags for name in attributes}
    usual = "lang charset http-equiv content name class href aria-label aria-labelledby id tabindex role scope value"
    assert names <= set(usual.split())
    targets = [found["href"] for _, found in page.tags if "href" in found]
    assert all(target and target.startswith("#") for target in targets)
    ids = [found["id"] for _, found in page.tags if "id" in found]
    assert all(id is not None and re.fullmatch(r"[\w-]+", id) for id in ids)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("kind", KINDS)
def test_latex_prints_each_name(formats: Formats, kind: str) -> None:
    assert f"\n{latex.escape(hostile_name(kind))} & " in formats.latex.replace("\n{}", "\n")


def test_latex_has_no_command_of_a_name(formats: Formats) -> None:
    commands = set(re.findall(r"\\([a-zA-Z]+)", formats.latex))
    own = set(re.findall(r"\\([a-zA-Z]+)", latex.PREAMBLE + latex.latex.__doc__ + "".join(latex.SPECIAL.values())))
    tables = "begin end centering caption label resizebox ifdim width linewidth else fi toprule midrule bottomrule "
    assert commands <= own | set((tables + "par smallskip footnotesize textbf").split())
    assert re.search(r"(?<!\\)(?:\\\\)*%(?! |$)", formats.latex.partition("\n")[2].replace("{!}{%", "")) is None
    head, _, body = formats.latex.partition("\n")
    assert head.startswith("% ")
    assert body.startswith("\\documentclass")


@pytest.fixture(scope="module")
def tables(formats: Formats) -> dict[str, list[list[str]]]:
    return {
        name: list(csv.reader(io.StringIO(numbers.csv_of(columns).decode(), newline="")))
        for name, columns in formats.columns.items()
        if columns
    }


@pytest.mark.parametrize("kind", KINDS)
def test_csv_and_parquet_hold_each_name_once_a_row(formats: Formats, tables: dict[str, Any], kind: str) -> None:
    import pyarrow.parquet as parquet

    name = printable(hostile_name(kind))
    head, *rows = tables["costs" if "costs" in tables else "arms"]
    place = head.index("arm")
    shown = {row[place] for row in rows}
    assert shown & {name, f"'{name}"}
    assert all(len(row) == len(head) for row in rows)
    typed = parquet.read_table(io.BytesIO(numbers.parquet_of(formats.columns["arms"])))
    assert name in typed.column("arm").to_pylist()


def test_no_cell_of_csv_is_a_formula_and_no_character_acts(tables: dict[str, list[list[str]]]) -> None:
    cells = [cell for rows in tables.values() for row in rows for cell in row]
    assert not [cell for cell in cells if re.match(r"\s*[=+@＝＋＠\-－]", cell) and not _is_number(cell)]
    assert acting("".join(cells)) == set()
    assert any(_is_number(cell) and cell.startswith("-") for cell in cells), "numbers stay numbers"


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "+1"),
        ("-0.5", "-0.5"),
        ("-1e-05", "-1e-05"),
        ("-inf", "-inf"),
        ("-1+1", "'-1+1"),
        ("-", "'-"),
        ("@x", "'@x"),
        (" =x", "' =x"),
        ("＝x", "'＝x"),
        ("a=b", "a=b"),
        ("'=x", "'=x"),
        (-0.5, "-0.5"),
        (-3, "-3"),
        (None, ""),
        ("", ""),
    ],
)
def test_an_apostrophe_precedes_what_a_spreadsheet_would_compute(cell: object, written: str) -> None:
    [_, [found]] = list(csv.reader(io.StringIO(numbers.csv_of({"x": [cell]}).decode() or "\n"))) or [[], [""]]
    assert found == written


@pytest.mark.parametrize("raw", ["\t=x", "\r=x", "\n=x"])
def test_blanks_before_a_formula_are_escaped_and_guarded(raw: str) -> None:
    [value] = numbers.columns([{"arm": raw}])["arm"]
    assert numbers.guarded(value) == "'" + printable(raw)


@pytest.mark.parametrize("kind", KINDS)
def test_the_terminal_shows_each_name_on_one_line(formats: Formats, kind: str) -> None:
    lines = formats.terminal.split("\n")
    name = printable(hostile_name(kind))
    assert sum(line.startswith(f"  {name} · train 1/2") for line in lines) == 1
    assert sum(line.startswith(name.rstrip()) for line in lines) >= 1, "its differences"


@pytest.mark.parametrize("kind", KINDS)
def test_json_gives_each_name_back_as_it_is(formats: Formats, kind: str) -> None:
    assert hostile_name(kind) in [arm["name"] for arm in json.loads(formats.json)["arms"]]


DRAW = """
import json, sys
from balora.report.figures.render import file
from balora.report.formats import Format
for spec in json.load(sys.stdin):
    for kind in (Format.SVG, *([Format.PNG, Format.PDF] if "layer" in spec else [])):
        drawn = file(spec, kind)
        print(json.dumps([kind, len(drawn), drawn.decode() if kind == "svg" else ""]))
"""


DRAWN = {"svg", "g", "path", "rect", "line", "text", "clipPath", "defs", "circle", "tspan"}
"""Elements of a figure: no link, no script, no style."""


@pytest.mark.parametrize("part", range(4))
@pytest.mark.slow
def test_every_figure_is_drawn_with_each_name(patch: pytest.MonkeyPatch, part: int) -> None:
    """In a process of its own: a control character ends the process that draws it."""
    arms = list(NAMES)[part::4]
    figures = every_figure(hostile_dossier(patch, arms))
    specs = json.dumps([{**figure.spec, "title": titled(figure.title)} for figure in figures])
    done = subprocess.run([sys.executable, "-c", DRAW], input=specs, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr[-2000:]
    drawn = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(size > 500 for _, size, _ in drawn)
    pictures = [svg for kind, _, svg in drawn if kind == "svg"]
    assert len(pictures) == len(figures) > 6
    for picture in pictures:
        root = fromstring(picture)  # well-formed, or this raises
        assert float(root.get("width", "0")) < 4000, "no name widens a figure without end"
        assert {tag.tag.partition("}")[2] for tag in root.iter()} <= DRAWN
        assert acting(picture) == set()
    texts = {text for picture in pictures for text in fromstring(picture).itertext()}
    for arm in arms[:12]:
        start = re.split(" ", printable(NAMES[arm]))[0][:40]
        assert any(start in text for text in texts), start


def test_tasks_of_any_name_stand_in_the_heat_map(patch: pytest.MonkeyPatch) -> None:
    tasks = {figure.name: figure for figure in every_figure(hostile_dossier(patch, list(NAMES)[:3]))}["tasks"]
    assert [ATTACKS[kind] in str(tasks.spec) or repr(ATTACKS[kind])[1:-1] in str(tasks.spec) for kind in TASK_ATTACKS]


@pytest.mark.parametrize("setting", ["adapter.rank", "a/b", "../../etc/x", "a\x00b", "x" * 300, "", "a-b", "a b", "é"])
def test_a_setting_in_the_name_of_a_file_is_letters_digits_and_hyphens(setting: str) -> None:
    assert re.fullmatch(r"[\w-]{0,80}", slug(setting), re.ASCII)


def test_two_settings_have_two_names_of_files() -> None:
    settings = ["adapter.rank", "adapter/rank", "adapter rank", "adapter-rank", "x" * 300, "x" * 301]
    assert slug("adapter.rank") == "adapter-rank"
    assert len({slug(setting) for setting in settings}) == len(settings)
