"""Render a report's sections as Markdown."""

import re
from collections.abc import Iterator

from balora.report.records.report import Report
from balora.report.tables.sections import Section, sections
from balora.report.tables.table import Table, text

FENCE = "`" * 3


def draw(report: Report) -> str:
    """Return the whole report."""
    return "\n\n".join(_blocks(report)) + "\n"


def escape(content: str) -> str:
    """Return ``content`` so that Markdown shows it as it is, in a table cell or a paragraph."""
    one_line = " ".join(content.split())
    return re.sub(r"([\\`*_\[\]<>|#~&])", r"\\\1", one_line)


def _blocks(report: Report) -> Iterator[str]:
    yield f"# {escape(report.study)}"
    yield f"**Question.** {escape(report.question)}"
    yield f"**Answer.** {escape(report.answer)}"
    for section in sections(report):
        if section.has_text:
            yield from _section(section)


def _section(section: Section) -> Iterator[str]:
    yield f"## {escape(section.title)}"
    if section.command:
        yield f"{FENCE}\n{section.command}\n{FENCE}"
    if section.intro:
        yield escape(section.intro)
    for one in section.tables:
        yield f"### {escape(one.caption)}"
        yield _table(one)
        if one.note:
            yield escape(one.note)
    for title, lines in section.lists:
        if title:
            yield f"### {escape(title)}"
        yield "\n".join(f"- {escape(line)}" for line in lines)


def _table(table: Table) -> str:
    rows = [[escape(text(cell)) for cell in row] for row in table.rows]
    for place, row in enumerate(rows):
        row[0] = f"**{row[0]}**" if place == table.strong else row[0]
    align = ["---"] * table.texts + ["---:"] * (len(table.head) - table.texts)
    return "\n".join(f"| {' | '.join(row)} |" for row in (map(escape, table.head), align, *rows))
