"""Parse Markdown into headings, list items, lines of text and table rows, with emphasis marked and list depth."""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

from balora.importing.clean_text import BREAK, MARKS, OFF, ON

LONGEST = 2000
"""Characters of a line that are read; longer lines are cut."""
DEEPEST = 4
"""How deep code blocks inside code blocks are parsed as Markdown."""


class Line(NamedTuple):
    """One Markdown block: a heading, a list item, a paragraph or a table row."""

    kind: Literal["heading", "item", "text", "row"]
    level: int
    """A heading's level (1 to 6); for all others the depth of the list, 0 outside lists."""
    texts: tuple[str, ...]
    """Its lines of text, or a table row's cells; emphasis stands between ``ON`` and ``OFF``."""
    first_row: bool = False


def read_lines(markdown: str, depth: int = 0) -> Iterator[Line]:
    """Yield the lines of ``markdown``; code blocks too, since plans are often pasted into them."""
    # with lheading, a line of dashes below a block would turn its last field into a heading
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("lheading")
    yield from _lines(parser.parse(markdown), depth)


def _lines(tokens: list[Token], depth: int) -> Iterator[Line]:
    lists, heading, fresh_item, first_row = 0, 0, False, False
    cells: list[str] | None = None
    for token in tokens:
        if token.type in ("list_item_open", "list_item_close"):
            lists += token.nesting
            fresh_item = token.nesting > 0
        elif token.type in ("heading_open", "heading_close"):
            heading = int(token.tag[1:]) if token.nesting > 0 else 0
        elif token.type == "table_open":
            first_row = True
        elif token.type == "tr_open":
            cells = []
        elif token.type == "tr_close" and cells is not None:
            yield Line("row", lists, tuple(cells), first_row)
            cells, first_row = None, False
        elif token.type == "inline" and cells is not None:
            cells.append(flat(token)[:LONGEST])
        elif token.type == "inline":
            texts = tuple(filter(None, (" ".join(text.split())[:LONGEST] for text in flat(token).split("\n"))))
            if texts and heading and not lists:
                yield Line("heading", heading, texts[:1])
                texts = texts[1:]
            if texts:
                yield Line("item" if fresh_item else "text", lists, texts)
            fresh_item = False
        elif token.type in ("fence", "code_block") and depth < DEEPEST:
            inner = read_lines(token.content, depth + 1)
            yield from (line if line.kind == "heading" else line._replace(level=line.level + lists) for line in inner)


def flat(token: Token) -> str:
    """Return an inline token as text: emphasis between ``ON`` and ``OFF``, line breaks outside it as `\\n`."""
    parts: list[str] = []
    depth = 0
    for child in token.children or []:
        if child.type in ("strong_open", "em_open"):
            parts.append(ON)
        elif child.type in ("strong_close", "em_close"):
            parts.append(OFF)
        elif child.type == "code_inline":
            parts.append(ON + child.content + OFF)
        elif child.type in ("softbreak", "hardbreak"):
            parts.append(" " if depth > 0 and child.type == "softbreak" else "\n")
        else:
            parts.append(child.content)
        depth += parts[-1].count(ON) - parts[-1].count(OFF)
    return re.sub(f"({ON}|{OFF})\\1+", r"\1", "".join(parts)).replace(BREAK, "\n")


def unmarked(text: str) -> str:
    """Return ``text`` without marks, and without asterisks and backticks that broken Markdown leaves at its ends."""
    for mark in MARKS:
        text = text.replace(mark, " " if mark == BREAK else "")
    return " ".join(text.split()).strip("*_`~ ").strip()
