"""Group a plan's lines into blocks: one ablation each, in the plan's own words."""

from collections.abc import Iterable
from typing import NamedTuple

from balora.importing.clean_text import OFF, ON, one_line, plain
from balora.importing.labels import Field, field_named, has_unknown_label, labelled_pieces, starts_a_label
from balora.importing.markdown_lines import LONGEST, Line, unmarked

LONGEST_TITLE = 15
"""Words that a line may have to count as a block's title."""


class Block(NamedTuple):
    """One ablation as the plan writes it."""

    name: str
    part: str
    action: str
    replacements: tuple[str, ...]
    """The entries of its list, or one text, not yet split into single replacements."""
    metrics: tuple[str, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """Equal for two blocks that describe the same ablation in the same words."""
        return tuple(plain(text) for text in (self.part, self.action, *self.replacements))


class Paper(NamedTuple):
    """The blocks of one plan; a file may hold several, each under the name of its paper."""

    name: str
    blocks: tuple[Block, ...]


def read_blocks(lines: Iterable[Line]) -> list[Paper]:
    """Return the plans that ``lines`` hold, each with its blocks, in order; blocks that are repeated count once."""
    builder = _Builder()
    for line in lines:
        builder.line(line)
    builder.finish()
    papers: dict[str, dict[tuple[str, ...], Block]] = {}
    for paper, block in builder.finished:
        papers.setdefault(paper, {}).setdefault(block.key, block)
    return [Paper(name, tuple(blocks.values())) for name, blocks in papers.items()]


class _Builder:
    """Reads line by line: holds the headings above, the block being read, and the finished blocks."""

    def __init__(self) -> None:
        self.finished: list[tuple[str, Block]] = []
        self.paper = ""
        self.heading, self.level = "", 0
        self.title = ""
        self.title_stands_out = False
        self.columns: list[Field | None] | None = None
        self._clear()

    def _clear(self) -> None:
        self.fields: dict[Field, list[str]] = {}
        self.block_name = ""
        self.open_field: Field | None = None
        self.field_depth, self.field_in_item = 0, False
        self.list_depth: int | None = None
        """Depth of the list whose items are the open field's values; None if its values are no list."""

    def line(self, line: Line) -> None:
        """Read one line."""
        if line.kind == "row":
            self._row(line)
        elif line.kind == "heading":
            self._heading(line)
        else:
            self._text(line)

    def _heading(self, line: Line) -> None:
        text = line.texts[0]
        first = next(labelled_pieces(text))[0]
        field = first or (field_named(text) if self._inside(line.level) else None)
        if field not in (None, "name", "other") and (self._inside(line.level) or not self.fields):
            values = list(labelled_pieces(text)) if ":" in text else [(field, "")]
            for field, value in values:
                self._value(field, value, line, fresh=True)
            return
        self.finish()
        self.heading, self.level, self.title = unmarked(text), line.level, ""
        if line.level == 1 and _names_a_paper(self.heading):
            self.paper = self.heading

    def _inside(self, level: int) -> bool:
        return level > self.level or not self.heading

    def _text(self, line: Line) -> None:
        texts = list(line.texts)
        for at, text in enumerate(texts[:-1]):
            if starts_a_label(text) and next(labelled_pieces(f"{text} {texts[at + 1]}"))[0]:
                texts[at : at + 2] = ["", f"{text} {texts[at + 1]}"]
        for at, text in enumerate(texts):
            bulleted = text.startswith(("- ", "* ", "• ", "+ "))
            for field, value in labelled_pieces(text):
                self._value(field, value, line._replace(kind="item") if bulleted else line, fresh=at == 0)

    def _value(self, field: Field | None, text: str, line: Line, fresh: bool) -> None:
        """Read a text with its label, or without one (None); ``fresh``: the text starts a Markdown block."""
        if field is None and has_unknown_label(text) and self.open_field and not self._in_its_list(line):
            field = "other"
        if field is None:
            self._unlabelled(text, line, fresh)
            return
        if field == "part" and self.fields.get("part"):
            self.finish()
        if field == "name" and self.fields:
            self.finish()
        if not self.fields:
            self.block_name, self.title = self._name(), ""
        self.open_field, self.list_depth, self.field_in_item = field, None, line.kind == "item"
        self.field_depth = 0 if line.kind == "heading" else line.level
        values = self.fields.setdefault(field, [])
        value = unmarked(text)
        if value:
            values.append(value)

    def _unlabelled(self, text: str, line: Line, fresh: bool) -> None:
        value = unmarked(text).lstrip("-*•+ ") if line.kind == "item" else unmarked(text)
        if not value:
            return
        if self._continues(line, fresh):
            values = self.fields[self.open_field or "part"]
            starts = not values or (line.kind == "item" and fresh) or self.open_field in ("replacement", "metrics")
            if starts or line.kind == "item":
                values.append(value)
            else:
                values[-1] += f" {value}"
            if line.kind == "item" and self.list_depth is None:
                self.list_depth = line.level
            return
        self.open_field = None
        if len(value.split()) <= LONGEST_TITLE:
            self.title = value
            self.title_stands_out = line.kind == "item" or (text.startswith(ON) and text.rstrip().endswith(OFF))

    def _continues(self, line: Line, fresh: bool) -> bool:
        """Whether a line without a label continues the open field."""
        if self.open_field is None:
            return False
        empty = not self.fields[self.open_field]
        same_item = self.field_in_item and line.kind == "text" and line.level == self.field_depth
        deeper = line.level > self.field_depth or same_item
        return not fresh or empty or deeper or self._in_its_list(line)

    def _in_its_list(self, line: Line) -> bool:
        """Whether a line is an item of the open field's list, or could be its first item."""
        if line.kind != "item":
            return False
        first = self.field_depth if not self.fields.get(self.open_field or "part") else self.field_depth + 1
        return line.level >= (first if self.list_depth is None else self.list_depth)

    def _row(self, line: Line) -> None:
        if line.first_row:
            self.finish()
            self.columns = None
            columns = [field_named(cell) for cell in line.texts]
            if "part" in columns and sum(field is not None for field in columns) > 1:
                self.columns = columns
                return
        if self.columns:
            self.finish()
            for field, cell in zip(self.columns, line.texts, strict=False):
                if field:
                    self.block_name = self.heading
                    self.fields[field] = [value for part in cell.split("\n") if (value := unmarked(part).lstrip("-• "))]
            self.finish()
        elif len(line.texts) > 1 and (field := field_named(line.texts[0])):
            for cell in line.texts[1:]:
                for at, text in enumerate(cell.split("\n")):
                    self._value(None if at else field, text, Line("text", 0, ()), fresh=False)

    def finish(self) -> None:
        """End the current block; it counts if it has a part, and an action or a replacement."""
        fields = self.fields
        part = one_line(" ".join(fields.get("part", [])))[:LONGEST]
        if part and ("action" in fields or "replacement" in fields):
            name = " ".join(fields.get("name", [])) or self.block_name
            self.finished.append((self.paper, Block(
                one_line(name),
                part,
                one_line(" ".join(fields.get("action", [])))[:LONGEST],
                tuple(filter(None, map(one_line, fields.get("replacement", [])))),
                tuple(filter(None, map(one_line, fields.get("metrics", [])))),
            )))  # fmt: skip
        self._clear()

    def _name(self) -> str:
        plan = "plan" in plain(self.heading) or not self.heading
        return self.title if self.title and (plan or self.title_stands_out) else self.heading


def _names_a_paper(heading: str) -> bool:
    """Whether a first-level heading is AblationBench's `planner/model/paper`; others are sections."""
    return " " not in heading and ("/" in heading or "_" in heading)
