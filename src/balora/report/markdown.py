"""Render a report's sections as Markdown."""

import re
from collections.abc import Iterable, Iterator, Sequence

from balora.errors import printable
from balora.report.records.report import Report
from balora.report.tables.sections import Section, sections
from balora.report.tables.table import Table, text

SPECIAL = re.compile(r"([\\`*_\[\]{}<>|#~&$^])")
"""What CommonMark, GitHub's tables and formulas, Pandoc and Jekyll read as more than a character."""
OPENING = re.compile(r"^(\d*)([.)](?=\s|$)|(?<!\d)[-+=:])")
"""What makes a list, a rule or a heading of a paragraph that it opens."""


def draw(report: Report) -> str:
    """Return the whole report."""
    return "\n\n".join(_blocks(report)) + "\n"


def draw_sections(title: str, opening: Sequence[str], shown: Iterable[Section]) -> str:
    """Return a document of other sections than a report's: a title, paragraphs, and the sections."""
    blocks = [f"# {escape(title)}", *map(paragraph, opening)]
    for section in shown:
        blocks += _section(section) if section.has_text else ()
    return "\n\n".join(blocks) + "\n"


def escape(content: str) -> str:
    """Return ``content`` so that Markdown shows it as it is, in a table cell or within a paragraph."""
    return SPECIAL.sub(r"\\\1", printable(content))


def paragraph(content: str) -> str:
    """Return ``content`` so that Markdown shows it as it is, where it opens a paragraph or an item of a list."""
    return OPENING.sub(r"\1\\\2", escape(content.strip()))


def fenced(content: str) -> str:
    """Return ``content`` as a block of code, between fences longer than any that it holds."""
    longest = max(map(len, re.findall("`+", content)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{printable(content)}\n{fence}"


def _blocks(report: Report) -> Iterator[str]:
    yield f"# {escape(report.study)}"
    yield f"**Question.** {escape(report.question)}"
    if report.sentences:
        yield "**Answer.**"
        yield _listed(report.sentences)
    yield f"**In one sentence.** {escape(report.answer)}"
    for section in sections(report):
        if section.has_text:
            yield from _section(section)


def _section(section: Section) -> Iterator[str]:
    yield f"## {escape(section.title)}"
    if section.command:
        yield fenced(section.command)
    if section.intro:
        yield paragraph(section.intro)
    if section.points:
        yield _listed(section.points)
    for one in section.tables:
        yield f"### {escape(one.caption)}"
        yield _table(one)
        if one.note:
            yield paragraph(one.note)
    for title, lines in section.lists:
        if title:
            yield f"### {escape(title)}"
        yield _listed(lines)


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {paragraph(line)}" for line in lines)


def _table(table: Table) -> str:
    rows = [[escape(text(cell)) for cell in row] for row in table.rows]
    for place, row in enumerate(rows):
        row[0] = f"**{row[0]}**" if place == table.strong else row[0]
    align = ["---"] * table.texts + ["---:"] * (len(table.head) - table.texts)
    return "\n".join(f"| {' | '.join(row)} |" for row in (map(escape, table.head), align, *rows))
