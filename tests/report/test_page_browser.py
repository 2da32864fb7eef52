"""The page in Debian's chromium: quiet, offline, true to the records, visible in both themes, usable by keyboard."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import Visit, chromium
from report_cases import EVIL, EVIL_TOO, hostile, numbers_of, rich, rich_page, swept

from balora.report.page.html import draw
from balora.report.records.dossier import Dossier

THEMES = ("light", "dark")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def dossier() -> Dossier:
    return rich()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(rich_page(), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", THEMES)
def test_it_renders_without_a_complaint_or_a_request(browser: Any, page: Path, scheme: str) -> None:
    with Visit(browser, page, scheme) as visit:
        visit.page.wait_for_load_state("networkidle")
        assert visit.complaints == []
        assert visit.requests == [page.as_uri()]
        assert visit.ask("document.scripts.length") == 0


@pytest.mark.parametrize("guarded", [True, False])
def test_a_link_to_a_server_would_be_caught(browser: Any, page: Path, tmp_path: Path, guarded: bool) -> None:
    text = page.read_text(encoding="utf-8")
    text = text.replace("</body>", '<script src="https://cdn.jsdelivr.net/npm/vega@6"></script></body>')
    other = tmp_path / "cdn.html"
    other.write_text(text if guarded else text.replace("Content-Security-Policy", "x-nothing"), encoding="utf-8")
    with Visit(browser, other) as visit:
        visit.page.wait_for_load_state("networkidle")
        assert visit.requests == [other.as_uri(), "https://cdn.jsdelivr.net/npm/vega@6"]
        assert len(visit.complaints) == 1
        assert ("Content Security Policy" in visit.complaints[0]) is guarded, "with the policy it is not even tried"


NUMBERS = """() => [...document.querySelectorAll('td, tbody th')].map(cell => ({
  data: [...cell.querySelectorAll('data')].map(d => [d.value, d.textContent]),
  rest: [...cell.childNodes].filter(n => n.nodeType === 3).map(n => n.textContent).join(''),
  number: cell.className === 'number'}))"""


def test_every_number_in_a_table_is_a_number_of_the_records(browser: Any, page: Path, dossier: Dossier) -> None:
    known = numbers_of(dossier)
    with Visit(browser, page) as visit:
        cells = visit.ask(NUMBERS)
    shown = [(float(value), text) for cell in cells for value, text in cell["data"]]
    assert len(shown) > 400
    for value, text in shown:
        assert value in known, f"{text} is no number of the records"
        assert_shows(text, value)
    for cell in cells:
        assert not (cell["number"] and any(c.isdigit() for c in cell["rest"])), f"a number without its record: {cell}"


def assert_shows(text: str, value: float) -> None:
    """Fail unless ``text`` is ``value`` rounded to the digits that it shows."""
    bare = text.replace("−", "-").replace(",", "")
    if bare.endswith(" %"):
        bare, value = bare.removesuffix(" %"), 100 * value
    mantissa, _, exponent = bare.partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    assert abs(float(bare) - value) <= 0.5001 * unit, f"{text} is not {value}"


def test_each_cell_holds_its_own_number(browser: Any, page: Path, dossier: Dossier) -> None:
    """Rows and columns cannot have been swapped: every difference and every average is looked up by its place."""
    table = """name => [...document.querySelector(`#${name}-caption`).parentElement.rows].slice(1).map(row =>
      [...row.cells].map(cell => [cell.textContent.trim(), ...[...cell.querySelectorAll('data')].map(d => d.value)]))"""
    report = dossier.report
    with Visit(browser, page) as visit:
        differences = visit.page.evaluate(table, "differences")
        arms = visit.page.evaluate(table, "arms")
    labels = {"nlu_avg": "NLU Avg", "nlg_avg": "NLG Avg", "nlg_answer_loss": "NLG answer loss"}
    assert len(differences) == len(report.differences) == 9
    for row, one in zip(differences, report.differences, strict=True):
        assert [row[0][0], row[1][0]] == [one.arm, labels[one.measure]]
        assert float(row[3][1]) == one.paired.mean
        assert [float(value) for value in row[4][1:]] == [one.paired.low, one.paired.high]
    for row, arm in zip(arms, report.arms, strict=True):
        assert row[0][0] == arm.name
        for cell, measure in zip(row[2:], report.measures, strict=False):
            summary = arm.averages[measure]
            assert [float(value) for value in cell[1:]] == [summary.mean, summary.sd]


PIXELS = """async data => {
  const image = await createImageBitmap(await (await fetch('data:image/png;base64,' + data)).blob());
  const canvas = new OffscreenCanvas(image.width, image.height), context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, image.width, image.height).data;
  const far = i => [0, 1, 2].reduce((sum, k) => sum + Math.abs(pixels[i + k] - pixels[k]), 0);
  let count = 0;
  for (let i = 0; i < pixels.length; i += 4) count += far(i) > 60;
  return {share: count / (pixels.length / 4), background: [...pixels.slice(0, 3)]};
}"""


@pytest.mark.parametrize("scheme", THEMES)
def test_charts_can_be_seen_in_both_themes(browser: Any, page: Path, scheme: str) -> None:
    with Visit(browser, page, scheme) as visit, Visit(browser, page.parent) as eyes:
        drawings = visit.page.locator(".drawing svg").all()
        assert len(drawings) > 8
        for drawing in drawings:
            assert drawing.locator("path, rect, line").count() > 3
            seen = eyes.page.evaluate(PIXELS, b64encode(drawing.screenshot()).decode())
            assert 0.004 < seen["share"] < 0.9, seen
            assert (sum(seen["background"]) > 600) is (scheme == "light"), seen


CONTRAST = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const rgb = colour => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => [r, g, b].map(v => linear(v / 255))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = element => { for (let e = element; e; e = e.parentElement) {
    const found = rgb(getComputedStyle(e).backgroundColor); if (found[3] === 255) return found; }
    return rgb('white'); };
  const bad = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || element.closest('.description, .skip')) continue;
    const style = getComputedStyle(element);
    const pair = [light(rgb(element instanceof SVGElement ? style.fill : style.color)), light(ground(element))].sort();
    const ratio = (pair[1] + 0.05) / (pair[0] + 0.05);
    if (ratio < 4.5) bad.push([element.tagName, element.textContent.slice(0, 40), ratio]);
  }
  return bad; }"""


@pytest.mark.parametrize("scheme", THEMES)
def test_all_text_can_be_read(browser: Any, page: Path, scheme: str) -> None:
    with Visit(browser, page, scheme) as visit:
        assert visit.ask(CONTRAST) == []


def test_markup_in_names_stays_text(browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "evil.html"
    path.write_text(draw(hostile(monkeypatch)), encoding="utf-8")
    with Visit(browser, path) as visit:
        visit.page.wait_for_load_state("networkidle")
        assert visit.complaints == []
        assert visit.requests == [path.as_uri()]
        assert visit.ask("document.scripts.length + document.images.length") == 0
        heads = visit.ask("[...document.querySelectorAll('th')].map(head => head.textContent.trim())")
        assert EVIL in heads, "an arm and a task of that name, readable as they are"
        assert " ".join(EVIL_TOO.split()) in heads
        assert EVIL in visit.ask("[...document.querySelectorAll('svg text')].map(text => text.textContent)")
        assert EVIL in visit.ask("document.querySelector('h1').textContent")


REACHABLE = "a[href], summary, [tabindex='0']"


def test_the_keyboard_reaches_everything_and_shows_where_it_is(browser: Any, page: Path) -> None:
    with Visit(browser, page) as visit:
        visit.ask(f'document.querySelectorAll("{REACHABLE}").forEach((e, i) => e.dataset.place = i)')
        visible = (
            "[...document.querySelectorAll('[data-place]')].filter(e => e.checkVisibility()).map(e => e.dataset.place)"
        )
        expected, reached = set(visit.ask(visible)), []
        assert len(expected) > 30
        for _ in range(len(expected)):
            visit.page.keyboard.press("Tab")
            here = visit.ask(
                "() => { const e = document.activeElement, s = getComputedStyle(e), b = e.getBoundingClientRect();"
                " return [e.dataset.place, s.outlineStyle, parseFloat(s.outlineWidth), b.left, b.top >= -1]; }"
            )
            reached.append(here[0])
            assert here[1] != "none", "the focus can be seen"
            assert here[2] >= 2
            assert here[3] >= 0, "also the skip link, once it has the focus"
        assert set(reached) == expected
        assert reached[0] == "0"
        assert visit.ask("document.querySelector('[data-place=\"0\"]').getAttribute('href')") == "#main"
        details = "document.querySelectorAll('details[open]').length"
        visit.page.locator("summary").first.focus()
        visit.page.keyboard.press("Enter")
        assert visit.ask(details) == 1, "the table of a figure unfolds"


STRUCTURE = """() => ({
  ids: [...document.querySelectorAll('[id]')].map(e => e.id),
  named: [...document.querySelectorAll('[aria-labelledby]')].map(e => e.getAttribute('aria-labelledby')),
  jumps: [...document.querySelectorAll('a[href^="#"]')].map(e => e.getAttribute('href').slice(1)),
  levels: [...document.querySelectorAll('h1, h2, h3, h4')].map(e => +e.tagName[1]),
  landmarks: ['header', 'nav', 'main', 'footer'].map(name => document.querySelectorAll(`body > ${name}`).length),
  tables: [...document.querySelectorAll('table')].map(t => !!t.caption && t.caption.textContent.length > 5 &&
    [...t.querySelectorAll('thead th')].every(h => h.scope === 'col') &&
    [...t.tBodies[0].rows].every(r => r.cells[0].scope === 'row' && r.cells.length === t.rows[0].cells.length)),
  figures: [...document.querySelectorAll('figure')].map(f => {
    const svg = f.querySelector('svg[role=img]'), said = document.getElementById(svg.getAttribute('aria-labelledby'));
    return said.textContent.length > 20 && !!f.querySelector('details table') && !!f.querySelector('figcaption h3'); }),
  language: document.documentElement.lang, title: document.title})"""


def test_it_is_built_for_screen_readers(browser: Any, page: Path) -> None:
    with Visit(browser, page) as visit:
        found = visit.ask(STRUCTURE)
        roles = visit.page.locator("main").aria_snapshot()
    assert len(set(found["ids"])) == len(found["ids"])
    assert set(found["named"]) | set(found["jumps"]) <= set(found["ids"])
    assert found["levels"][0] == 1
    assert found["levels"].count(1) == 1
    assert all(after - before <= 1 for before, after in zip(found["levels"], found["levels"][1:], strict=False))
    assert found["landmarks"] == [1, 1, 1, 1]
    assert found["tables"]
    assert all(found["tables"])
    assert len(found["figures"]) > 8
    assert all(found["figures"])
    assert found["language"] == "en"
    assert "Does BA-LoRA" in found["title"]
    assert 'img "Differences in NLU Avg with 95 % intervals: standard-initialization' in roles


def test_print_is_dark_on_white_without_the_screens_furniture(browser: Any, page: Path) -> None:
    with Visit(browser, page, "dark") as visit:
        visit.page.emulate_media(media="print", color_scheme="dark")
        colours = visit.ask("[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]")
        assert colours == ["rgb(27, 29, 34)", "rgb(255, 255, 255)"]
        assert visit.ask("getComputedStyle(document.querySelector('svg text')).fill") in (
            "rgb(27, 29, 34)",
            "rgb(93, 98, 107)",
        )
        assert visit.ask("getComputedStyle(document.querySelector('nav')).display") == "none"
        assert visit.page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("width", [360, 768])
def test_narrow_screens_scroll_tables_and_figures_not_the_page(browser: Any, page: Path, width: int) -> None:
    with Visit(browser, page, width=width) as visit:
        assert visit.ask("document.documentElement.scrollWidth") <= width


def test_sweeps_are_drawn(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "swept.html"
    path.write_text(draw(swept()), encoding="utf-8")
    with Visit(browser, path) as visit:
        assert visit.complaints == []
        titles = visit.ask("[...document.querySelectorAll('#sweeps h3')].map(title => title.textContent)")
        assert "NLU Avg over adapter.rank" in titles
        assert "NLG Avg over objective.consistency.weight" in titles
