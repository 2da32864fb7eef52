"""Prepare an SVG for the page: it has one description, scales, and takes its colours from the page's style."""

import re

from balora.report.figures.palette import DARK

ROOT = re.compile(r"<svg [^>]*?width=\"([\d.]+)\" height=\"([\d.]+)\" viewBox=\"([^\"]+)\"[^>]*>")
COLOURS = re.compile(r"(?:fill|stroke)=\"(#[0-9a-fA-F]{3,8})\"")


WIDE = 520.0
"""Pixels from which a figure is as wide as the page; smaller ones stand side by side."""


def inline(svg: str, described_by: str) -> str:
    """Return ``svg`` with the id of the text that describes it; it shrinks with the page and never grows."""
    found = ROOT.match(svg)
    if found is None:
        raise AssertionError(f"not Vega's SVG: {svg[:120]}")
    width, height, box = found.groups()
    root = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="{described_by}" '
        f'class="{"wide" if float(width) > WIDE else "small"}" width="{width}" height="{height}" viewBox="{box}">'
    )
    return root + svg[found.end() :]


def dark_style() -> str:
    """Return the style that gives each colour of the palette its dark counterpart, on a dark screen alone."""
    return "\n".join(
        f'  figure svg [fill="{light}"] {{ fill: {dark}; }}\n  figure svg [stroke="{light}"] {{ stroke: {dark}; }}'
        for light, dark in DARK.items()
    )


def foreign_colours(svg: str) -> set[str]:
    """Return the colours in ``svg`` that are not in the palette, and so would not follow the theme."""
    return set(COLOURS.findall(svg)) - set(DARK)
