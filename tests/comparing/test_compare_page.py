"""The page of a comparison: one quiet file with every number, in which names stay text."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from comparing_cases import right_or_wrong, rows_of, write_csv

sys.path.append(str(Path(__file__).resolve().parents[1] / "report"))
from pages import Visit, chromium

from balora.comparing.compared import Compared, compare_systems
from balora.comparing.comparison_page import draw_markdown, draw_page
from balora.comparing.sources import read_table

EVIL = '<img src=x onerror="alert(1)">&amp;'


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """Three systems on two tasks with clusters; names that would act."""
    scores = right_or_wrong(240, 0.5, 0.6, 0.49)
    rows = rows_of(
        dict(zip(("base", EVIL, "|pipe*"), scores, strict=True)),
        task=["reading"] * 160 + ["<script>alert(2)</script>"] * 80,
        cluster=[i // 4 for i in range(240)],
    )
    path: Path = tmp_path_factory.mktemp("table") / "scores.csv"
    return compare_systems(read_table([str(write_csv(path, rows))]), margin=2)


@pytest.fixture(scope="module")
def page(found: Compared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("page") / "compare.html"
    path.write_text(draw_page(found), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_renders_without_a_complaint_or_a_request(browser: Any, page: Path, scheme: str) -> None:
    with Visit(browser, page, scheme) as visit:
        visit.page.wait_for_load_state("networkidle")
        assert visit.complaints == []
        assert visit.requests == [page.as_uri()]
        assert visit.ask("document.scripts.length + document.images.length") == 0
        assert visit.ask("document.querySelector('h1').textContent") == "Which of 2 systems is better than base?"
        heads = visit.ask(
            "[...document.querySelectorAll('#differences table:not(details table) tbody th')].map(h => h.textContent)"
        )
        assert heads[:2] == [f"{EVIL} − base", "|pipe* − base"]
        assert visit.ask("document.querySelectorAll('figure svg[role=img]').length") == 1
        drawn = visit.ask("[...document.querySelectorAll('svg text')].map(t => t.textContent)")
        assert "better" in drawn, "the verdict is worded as in the tables"
        assert visit.ask("document.documentElement.scrollWidth") <= 1180


def test_narrow_screens_scroll_tables_not_the_page(browser: Any, page: Path) -> None:
    with Visit(browser, page, width=360) as visit:
        assert visit.ask("document.documentElement.scrollWidth") <= 360


def test_every_number_of_the_differences_is_on_the_page_and_in_the_markdown(found: Compared, page: Path) -> None:
    html, markdown = page.read_text(encoding="utf-8"), draw_markdown(found)
    for one in found.results:
        for value in (one.paired.mean, one.paired.low, one.paired.p, one.paired.adjusted_p, one.paired.detectable):
            assert f'<data value="{value}">' in html
        assert f"{one.paired.mean:+.2f}".replace("-", "−") in markdown
    assert html.count("Content-Security-Policy") == 1
    assert "default-src 'none'" in html
    assert "balora study report" not in html, "the page of another thing"


def test_names_stay_text(found: Compared, page: Path) -> None:
    html, markdown = page.read_text(encoding="utf-8"), draw_markdown(found)
    assert "<img" not in html
    assert "<script" not in html
    rows = [line for line in markdown.splitlines() if "pipe" in line and line.startswith("|")]
    assert rows
    assert all(r"\|pipe\*" in row for row in rows)
    assert not re.search(r"(?<!\\)<img", markdown)
