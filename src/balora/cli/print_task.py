"""Print the preview of a task of one's own: as text for people, as JSON for programs."""

from collections.abc import Iterator

from rich.text import Text

from balora.cli.output import print_json
from balora.cli.plain_table import plain_console, print_texts
from balora.errors import printable
from balora.tasks.task_preview import RowPreview, SplitPreview, TaskPreview

LEARNT = "bold green"
"""How learnt tokens look where there is colour; where there is none they stand in brackets."""
OPEN, CLOSE = "⟦", "⟧"


def print_task(shown: TaskPreview, *, as_json: bool) -> None:
    """Print what a task file makes of its data."""
    if as_json:
        print_json({**vars(shown), "rows": [{**vars(row), "pieces": list(row.pieces)} for row in shown.rows]})
        return
    console = plain_console()
    coloured = console.is_terminal and not console.no_color and console.color_system is not None
    print_texts(console, _summary(shown))
    marks = "in colour" if coloured else f"between {OPEN} and {CLOSE}"
    what = "the label" if shown.family == "nlu" else f"what stands {marks}"
    console.print(f"\nthe first {len(shown.rows)} training rows; {what} is learnt:", soft_wrap=True)
    for number, row in enumerate(shown.rows, 1):
        console.print(f"--- row {number}: {row.length:,} {shown.unit}", soft_wrap=True)
        console.print(_row(row, coloured), soft_wrap=True)
    print_texts(console, [f"note: {note}" for note in shown.notes])


def _summary(shown: TaskPreview) -> Iterator[str]:
    further = f" (also reported: {', '.join(shown.score[1:])})" if shown.score[1:] else ""
    yield f"{shown.task}: {shown.family}, score {shown.score[0]}{further}"
    width = max(map(len, shown.columns))
    for name, use in shown.columns.items():
        yield f"column {name:<{width}}  {use or 'not used'}"
    for name, split in (("train", shown.train), ("validation", shown.validation)):
        yield f"{name}: {split.rows:,} rows, {_lengths(shown, split)}"
        if split.labels:
            yield f"{name}: " + ", ".join(f"{label} {count:,}" for label, count in split.labels.items())


def _lengths(shown: TaskPreview, split: SplitPreview) -> str:
    lengths = f"{split.shortest:,} to {split.longest:,} {shown.unit}, half of them up to {split.median:,g}"
    over = f"; {split.over:,} are longer than data.max_length = {shown.limit:,}" if shown.unit == "tokens" else ""
    return lengths + over


def _row(row: RowPreview, coloured: bool) -> Text:
    text = Text()
    for piece in row.pieces:
        lines = "\n".join(map(printable, piece.text.split("\n")))
        if piece.learnt and not coloured:
            lines = f"{OPEN}{lines}{CLOSE}"
        text.append(lines, style=LEARNT if piece.learnt else "")
    if row.label is not None:
        text.append("\n→ ")
        text.append(printable(row.label), style=LEARNT)
    return text
