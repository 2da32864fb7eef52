"""The page of a hostile study in Debian's chromium: nothing runs, nothing is requested, everything is shown."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile_studies import ATTACKS, hostile_dossier, hostile_name
from tests.report.pages import Visit, chromium

from balora.errors import printable
from balora.report.page.html import draw


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        dossier = hostile_dossier(patch)
        drawn = {"report": draw(dossier), "live": draw(dossier, refresh=3600), "reloading": draw(dossier, refresh=1)}
    for name, text in drawn.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in drawn}


@pytest.mark.parametrize("name", ["report", "live"])
def test_nothing_runs_and_nothing_is_requested(browser: Any, pages: dict[str, Path], name: str) -> None:
    with Visit(browser, pages[name]) as visit:
        visit.page.wait_for_timeout(500)
        assert visit.requests == [pages[name].as_uri()]
        assert visit.complaints == []
        assert visit.ask("typeof canary") == "undefined"
        assert visit.ask("document.scripts.length + document.images.length + document.links.length") == visit.ask(
            "document.querySelectorAll('nav a, a.skip').length"
        )
        assert (
            visit.ask("document.querySelectorAll('iframe, object, embed, base, form, link, style:not(head *)').length")
            == 0
        )
        visit.page.mouse.move(300, 300)
        visit.page.keyboard.press("Tab")
        assert visit.ask("typeof canary") == "undefined"


def test_the_live_page_loads_itself_anew_and_nothing_else(browser: Any, pages: dict[str, Path]) -> None:
    """Nothing is asked of the page here: it may load itself anew at any moment."""
    with Visit(browser, pages["reloading"]) as visit:
        visit.page.wait_for_event("request")
        assert set(visit.requests) == {pages["reloading"].as_uri()}
        assert visit.complaints == []


def test_the_policy_would_stop_what_markup_let_through(browser: Any, pages: dict[str, Path], tmp_path: Path) -> None:
    text = pages["report"].read_text(encoding="utf-8")
    other = tmp_path / "broken.html"
    markup = "<script>canary = 9</script><img src=x onerror='canary = 9'></main>"
    other.write_text(text.replace("</main>", markup), "utf-8")
    with Visit(browser, other) as visit:
        visit.page.wait_for_timeout(300)
        assert visit.ask("typeof canary") == "undefined"
        assert visit.complaints


@pytest.mark.parametrize("kind", ATTACKS)
def test_each_name_is_shown_as_text(browser: Any, pages: dict[str, Path], kind: str) -> None:
    cache: dict[Path, list[str]] = _HEADS
    path = pages["report"]
    if path not in cache:
        with Visit(browser, path) as visit:
            cache[path] = visit.ask("[...document.querySelectorAll('th[scope=row]')].map(head => head.textContent)")
    assert printable(hostile_name(kind)).strip() in [head.strip() for head in cache[path]]


_HEADS: dict[Path, list[str]] = {}
