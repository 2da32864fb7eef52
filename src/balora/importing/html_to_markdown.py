"""Convert HTML in a plan to Markdown: headings, lists, tables and breaks stay, other tags are removed."""

import re
from html.parser import HTMLParser

from balora.importing.clean_text import BREAK, OFF, ON

EMPHASIS = {"b", "strong", "em", "i", "code", "mark", "u", "dt"}
BLOCKS = {
    *("address", "article", "blockquote", "body", "center", "details", "div", "dd", "dl", "dt", "figure", "footer"),
    *("form", "header", "hr", "html", "main", "p", "pre", "section", "summary"),
}
SILENT = {"style", "script", "head", "template", "svg"}
INLINE = {
    *("a", "abbr", "del", "font", "img", "ins", "kbd", "label", "s", "small", "span", "sub", "sup", "tt", "var"),
    *("tbody", "thead", "tfoot"),
}
HEADINGS = {f"h{level}": level for level in range(1, 7)}
LISTS = {"ul", "ol"}
KNOWN = EMPHASIS | BLOCKS | SILENT | INLINE | set(HEADINGS) | LISTS | {"li", "br", "table", "tr", "td", "th"}
DEEPEST = 6
"""Deepest list level that is indented further, so that lists that are never closed do not indent without end."""
_NO_TAG = re.compile(r"<(?=[^<>]*(?:<|\Z))")
"""A `<` that is never closed; the parser would search the whole rest of the text for its end."""
_NO_CHARACTER = re.compile(r"&#(?:x[0-9a-f]{8,}|[0-9]{8,});?", re.I)
"""A character reference beyond every character; the parser would turn any number of its digits into a number."""
_BLANK_LINE = re.compile(r"\n[ ]*\n")


def to_markdown(text: str) -> str:
    """Return ``text``, Markdown with any HTML in it, as Markdown without HTML.

    Only names of HTML elements count as tags: `rank <r> 8` and `k<min(n, d)` stay as they are.
    """
    text = _NO_TAG.sub("&lt;", _NO_CHARACTER.sub("\ufffd", _without_comments(text)))
    reader = _Reader(text)
    reader.feed(text)
    reader.close()
    return "".join(reader.out)


def _without_comments(text: str) -> str:
    """Remove `<!-- … -->`; the parser would search the whole text for the end of each one that is never closed."""
    outside, at = [], 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        outside.append(text[at:start])
        at = end + 3
    return "".join([*outside, text[at:].replace("<!--", "")])


class _Reader(HTMLParser):
    """Writes the text of an HTML document to ``out``, with Markdown for its structure."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        lower = text.casefold()
        self._closed = {name for name in SILENT if f"</{name}" in lower}
        self._silent: list[str] = []
        self._lists = 0
        self._pre = 0
        self._line: list[str] | None = None
        """Collects the text of an open heading, list item or table cell, which must stay on one line."""
        self._cells: list[str] | None = None
        """The finished cells of the open table row."""
        self._rows = 0

    def set_cdata_mode(self, elem: str, **_: object) -> None:
        """Parse the content of `<script>` and the like as well: an unclosed one must not swallow the plan."""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        """Write what an opening tag stands for; a tag that HTML does not know is text."""
        if tag not in KNOWN:
            self.handle_data(self.get_starttag_text() or "")
        elif tag in SILENT:
            self._silent += [tag] if tag in self._closed else []
        elif not self._silent:
            self._open(tag)
            if tag in EMPHASIS and not self._pre:
                self._put(ON)

    def handle_endtag(self, tag: str) -> None:
        """Write what a closing tag stands for."""
        if tag in self._silent:
            del self._silent[self._silent.index(tag) :]
        elif not self._silent:
            if tag in EMPHASIS and not self._pre:
                self._put(OFF)
            self._close(tag)

    def handle_data(self, data: str) -> None:
        """Write text; an open heading, item or cell takes it, and a blank line ends an open heading."""
        if self._silent:
            return
        if self._line is None:
            self.out.append(data)
            return
        blank = None if self._cells is not None or self._lists else _BLANK_LINE.search(data)
        self._line.append(data[: blank.start()] if blank else data)
        if blank:
            self._end_line()
            self.out.append(data[blank.start() :])

    def _open(self, tag: str) -> None:
        if tag == "br":
            self._put(BREAK)
        elif tag == "table":
            self._end_line()
            self.out.append("\n\n")
            self._rows = 0
        elif tag == "tr":
            self._end_row()
            self._cells = []
        elif tag in ("td", "th") and self._cells is not None:
            self._end_cell()
            self._line = []
        elif tag in BLOCKS or self._cells is not None:
            self._pre += tag == "pre"
            self._gap(tag)
        elif tag in LISTS:
            self._end_line()
            self._lists += 1
            self.out.append("\n" if self._lists > 1 else "\n\n")
        elif tag == "li":
            self._start_line("\n" + "  " * min(max(self._lists - 1, 0), DEEPEST) + "- ")
        elif tag in HEADINGS:
            self._start_line("\n\n" + "#" * HEADINGS[tag] + " ")

    def _close(self, tag: str) -> None:
        if tag == "table":
            self._end_row()
            self.out.append("\n\n")
        elif tag == "tr":
            self._end_row()
        elif tag in ("td", "th"):
            self._end_cell()
        elif tag in BLOCKS or self._cells is not None:
            self._pre = max(self._pre - (tag == "pre"), 0)
            self._gap(tag)
        elif tag in LISTS:
            self._end_line()
            self._lists = max(self._lists - 1, 0)
            self.out.append("\n" if self._lists else "\n\n")
        elif tag == "li" or tag in HEADINGS:
            self._end_line()
            self.out.append("\n" if tag == "li" else "\n\n")

    def _gap(self, tag: str) -> None:
        """End a paragraph; in a heading, item or cell, which is one line, write a break instead."""
        if self._line is None:
            self.out.append("\n\n")
        elif tag not in INLINE | EMPHASIS:
            self._line.append(BREAK)

    def _put(self, mark: str) -> None:
        (self.out if self._line is None else self._line).append(mark)

    def _start_line(self, prefix: str) -> None:
        self._end_line()
        self.out.append(prefix)
        self._line = []

    def _end_line(self) -> None:
        if self._line is not None and self._cells is None:
            self.out.append(single("".join(self._line)))
            self._line = None

    def _end_cell(self) -> None:
        if self._line is not None and self._cells is not None:
            self._cells.append(single("".join(self._line)))
            self._line = None

    def _end_row(self) -> None:
        self._end_cell()
        if self._cells:
            self.out.append("\n| " + " | ".join(cell.replace("|", "\\|") or " " for cell in self._cells) + " |")
            if not self._rows:
                self.out.append("\n|" + " --- |" * len(self._cells))
            self._rows += 1
        self._cells = None

    def close(self) -> None:
        """Write the row and line that are still open at the end of the text."""
        super().close()
        self._end_row()
        self._end_line()


def single(text: str) -> str:
    """Return ``text`` with single spaces; only its break marks remain as breaks."""
    return BREAK.join(part for part in (" ".join(piece.split()) for piece in text.split(BREAK)) if part)
