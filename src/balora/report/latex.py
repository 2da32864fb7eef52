"""Render a report's tables as LaTeX with booktabs: one file that compiles alone or is taken apart by its labels."""

import re

from balora.errors import printable
from balora.report.records.report import Report
from balora.report.tables.sections import sections
from balora.report.tables.table import Table, text

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "−": r"$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "λ": r"$\lambda$",
    "τ": r"$\tau$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "∞": r"$\infty$",
    "–": "--",
    "“": "``",
    "”": "''",
    "’": "'",
    "…": r"\ldots{}",
}
BETWEEN = "\0"
"""Stands for an empty group until a text is escaped; no printable text holds it."""
LIGATURE = re.compile("-{2,}|'{2,}|,{2,}")
"""Characters that TeX's fonts draw as one (`--` as –) unless something stands between them."""
LONG, PARAGRAPH = 60, r"p{0.45\linewidth}"
"""Characters from which a column of words is set as paragraphs."""
PREAMBLE = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{booktabs,graphicx}
\begin{document}
"""


def escape(content: str) -> str:
    """Return ``content`` so that LaTeX prints it as it is; what pdfTeX has no glyph for becomes its code point."""
    single = LIGATURE.sub(lambda found: BETWEEN.join(found[0]), printable(content))
    return "".join(_character(character) for character in single)


def _character(character: str) -> str:
    if character == BETWEEN:
        return "{}"
    if character in SPECIAL:
        return SPECIAL[character]
    if character.isascii():
        return character
    # Latin-1 letters are all that T1 fonts surely hold
    return character if character.isalpha() and ord(character) < 256 else f"[U+{ord(character):04X}]"


def draw(report: Report) -> str:
    """Return a whole document with every table of the report."""
    head = f"% {re.sub('[^ -~]', '?', report.study)}, drawn by balora from the records of its runs\n"
    tables = (latex(table) for section in sections(report) for table in section.tables)
    return head + PREAMBLE + "\n".join(tables) + "\\end{document}\n"


def latex(table: Table) -> str:
    """Return one table as a float."""
    columns = "".join(_column(table, place) for place in range(len(table.head)))
    lines = [_row([escape(head) for head in table.head])]
    lines.append(r"\midrule")
    for place, row in enumerate(table.rows):
        first, *others = (escape(text(cell)) for cell in row)
        lines.append(_row([rf"\textbf{{{first}}}" if place == table.strong else first, *others]))
    note = f"\n\\par\\smallskip\\footnotesize {escape(table.note)}" if table.note else ""
    return (
        "\\begin{table}[p]\n\\centering\n"
        f"\\caption{{{escape(table.caption)}}}\n\\label{{tab:{re.sub('[^a-zA-Z0-9-]', '-', table.name)}}}\n"
        f"\\resizebox{{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}}{{!}}{{%\n"
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n"
        + "\n".join(lines)
        + f"\n\\bottomrule\n\\end{{tabular}}}}{note}\n\\end{{table}}\n"
    )


def _column(table: Table, place: int) -> str:
    if place >= table.texts:
        return "r"
    return PARAGRAPH if any(len(text(row[place])) > LONG for row in table.rows) else "l"


def _row(cells: list[str]) -> str:
    # a bracket that opens a row would be read as the optional argument of the \\ before it
    guarded = ["{}" + cell if cell.startswith("[") else cell for cell in cells]
    return " & ".join(guarded) + r" \\"
