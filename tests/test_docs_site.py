"""The documentation's site: its reference is that of the code, and it links only to what it holds."""

import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path, PurePosixPath
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def script(name: str) -> ModuleType:
    loader = SourceFileLoader(name.partition(".")[0], str(ROOT / "scripts" / name))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_reference_is_that_of_the_code() -> None:
    for file, text in script("reference_pages").pages().items():
        written = (ROOT / "docs" / "reference" / file).read_text(encoding="utf-8")
        assert written == text, f"docs/reference/{file} is out of date: run scripts/reference_pages"


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = {word for line in yaml.safe_load(text)["nav"] for word in _files(line)}
    written = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert listed == {name for name in written if not name.startswith("pages/")}


def _files(entry: object) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    values = entry.values() if isinstance(entry, dict) else entry
    assert not isinstance(values, str)
    return [file for value in values for file in _files(value)]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("page", "target", "leaves"),
    [
        ("a.md", "../README.md", True),
        ("a.md", "b.md#part", False),
        ("a.md", "figures/x.svg", False),
        ("deep/a.md", "../b.md", False),
        ("deep/a.md", "../../src/x.py", True),
        ("a.md", "https://example.org/../x", False),
        ("a.md", "#here", False),
        ("a.md", "pages/starts/report.md", True),
        ("a.md", "pages/starts/report.html", False),
    ],
)
def test_links_that_leave_the_documentation_are_found(page: str, target: str, leaves: bool) -> None:
    assert script("site_links.py").leads_out(PurePosixPath(page).parent, target) is leaves
