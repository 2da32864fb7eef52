"""Name the formats of a report, apart from the code that writes them, so that the command line starts at once."""

from enum import StrEnum


class Format(StrEnum):
    """One way of writing a report."""

    MARKDOWN = "markdown"
    HTML = "html"
    LATEX = "latex"
    CSV = "csv"
    PARQUET = "parquet"
    SVG = "svg"
    PNG = "png"
    PDF = "pdf"


USUAL = (Format.MARKDOWN, Format.HTML)
"""What every report is written as."""
