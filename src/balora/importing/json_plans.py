"""Read plans in JSON: AblationBench's JSON lines, its `plans.json` with many papers, and objects inside text."""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

from balora.importing.ablation_blocks import Block, Paper
from balora.importing.clean_text import one_line
from balora.importing.labels import Field, field_named
from balora.importing.markdown_lines import LONGEST

MOST_FAILURES = 200
"""Failed attempts to parse JSON at a bracket after which the search ends."""
DEEPEST = 12
_START = re.compile(r"^(?:[ >`]|<[^>\n]*>)*([{\[])", re.M)
_WRAPPERS = {"predictions", "plan", "plans", "ablations", "ablation_plan", "suggestions", "results", "data", "response"}


def json_plans(text: str) -> tuple[list[Paper], str]:
    """Return the plans that ``text`` contains as JSON, and the text without them."""
    papers: dict[str, dict[tuple[str, ...], Block]] = {}
    remaining, last = [], 0
    for start, end, value in _values(text):
        blocks_of_value = list(_blocks(value, "", 0))
        for paper, block in blocks_of_value:
            papers.setdefault(paper, {}).setdefault(block.key, block)
        if blocks_of_value:
            remaining.append(text[last:start])
            last = end
    return [Paper(name, tuple(blocks.values())) for name, blocks in papers.items()], "".join([*remaining, text[last:]])


def _values(text: str) -> Iterator[tuple[int, int, Any]]:
    decoder, end, failures = json.JSONDecoder(), 0, 0
    for match in _START.finditer(text):
        if match.start(1) < end or failures == MOST_FAILURES:
            continue
        try:
            value, end = decoder.raw_decode(text, match.start(1))
        except (ValueError, RecursionError):
            failures += 1
            continue
        yield match.start(1), end, value


def _blocks(value: Any, paper: str, depth: int) -> Iterator[tuple[str, Block]]:
    if depth > DEEPEST:
        return
    if isinstance(value, list):
        for item in value:
            yield from _blocks(item, paper, depth + 1)
    elif isinstance(value, str) and "{" in value:
        for _, _, inner in _values(value):
            yield from _blocks(inner, paper, depth + 1)
    elif isinstance(value, dict):
        block = _block(value)
        if block:
            yield paper, block
            return
        own = value.get("id") or value.get("paper_id")
        paper = own if isinstance(own, str) else paper
        for key, inner in value.items():
            named = isinstance(inner, dict | list) and key not in _WRAPPERS
            yield from _blocks(inner, key if named else paper, depth + 1)


def _block(value: dict[str, Any]) -> Block | None:
    fields: dict[Field, list[str]] = {}
    for key, inner in value.items():
        if field := field_named(key):
            fields.setdefault(field, []).extend(filter(None, map(one_line, texts(inner))))
    if not fields.get("part") or not ("action" in fields or "replacement" in fields):
        return None
    name, part, action = (" ".join(fields.get(field, [])) for field in ("name", "part", "action"))
    return Block(name, part, action, tuple(fields.get("replacement", [])), tuple(fields.get("metrics", [])))


def texts(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield the texts in a JSON value: `{"lambda": [0.1, 1]}` is `lambda = 0.1` and `lambda = 1`."""
    if value is None or depth > DEEPEST:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from (f"{key} = {text}" for text in texts(inner, depth + 1))
    elif isinstance(value, list | tuple | set):
        for inner in value:
            yield from texts(inner, depth + 1)
    else:
        yield str(value)[:LONGEST]


def unpacked(text: str) -> list[str]:
    """Return the entries of a list or mapping in Python syntax (`['a', 'b']`, `{'k': [1, 2]}`), or the text itself."""
    bracketed = text[:1] + text[-1:] in ("{}", "[]")
    if not bracketed:
        return [text]
    try:
        return list(texts(ast.literal_eval(text)))
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return [text[1:-1]] if text[:1] == "[" else [text]
