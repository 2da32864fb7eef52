"""What every verb prints at its end: a table for people on stdout, or JSON for programs."""

import json
from collections.abc import Mapping
from typing import Any

import typer


def print_json(content: Mapping[str, Any]) -> None:
    """Print one JSON document; numbers that JSON lacks (nan, inf) become null."""
    typer.echo(json.dumps(_plain(content), indent=1, ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value
