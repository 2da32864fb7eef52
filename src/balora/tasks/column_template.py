"""Fill prompt templates whose placeholders are columns of a row; torch-free."""

from collections.abc import Mapping
from string import Formatter

from balora.errors import shown

Piece = tuple[str, str | None]
"""A text, and the column whose value follows it."""


def columns_of(template: str) -> tuple[str, ...]:
    """Return the columns that ``template`` names in braces, each once, in order.

    Raises:
        ValueError: its braces do not match, a placeholder is empty or has a format or conversion, or there is none.
    """
    names = tuple(dict.fromkeys(name for _, name in pieces(template) if name is not None))
    if not names:
        raise ValueError(f"the prompt names no column: write one in braces, e.g. {{text}}, got {shown(template)}")
    return names


def pieces(template: str) -> list[Piece]:
    """Return the texts of ``template`` and the column behind each; names may hold blanks and dots.

    Raises:
        ValueError: as :func:`columns_of`.
    """
    try:
        found = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"not a template ({error}): write a literal brace twice, got {shown(template)}") from None
    for _, name, spec, conversion in found:
        if name is not None and (spec or conversion):
            raise ValueError(f"placeholder {{{name}}} takes no format or conversion, got {shown(template)}")
        if name is not None and not name.strip():
            raise ValueError(f"a placeholder names no column: write a literal brace twice, got {shown(template)}")
    return [(text, name) for text, name, *_ in found]


def filled(template: str, values: Mapping[str, str]) -> str:
    """Return ``template`` with the value of every column that it names."""
    return "".join(text + (values[name] if name is not None else "") for text, name in pieces(template))
