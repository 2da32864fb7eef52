"""`balora settings`: list the settings of a run, or find one by any name or word."""

from collections.abc import Iterable, Iterator
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from balora.cli import completion
from balora.errors import ConfigError

if TYPE_CHECKING:
    from balora.training.setting_list import SettingRow

WIDTH = 100
"""Characters of a line."""


def settings(
    word: Annotated[
        str | None,
        typer.Argument(
            metavar="[WORD]",
            autocompletion=completion.settings,
            help="A key or its last part (warmup), another trainer's name for it (lora_r), or a word.",
        ),
    ] = None,
    schema: Annotated[
        Literal["config", "study", "task"] | None,
        typer.Option(help="Print the JSON Schema of config, study or task files, for editors, instead of a list."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """List the settings that --set, config files and the arms of studies take: type, default, and what they do.

    With a word, show those that have this name here, or in TRL, transformers, PEFT, LLaMA-Factory or the paper.
    """
    from balora.cli.output import print_json, print_lines
    from balora.training.setting_list import find_settings, setting_rows

    if schema is not None:
        if word is not None:
            raise ConfigError("--schema prints a whole schema: leave out the word, or the option")
        print_json(_schema(schema))
        return
    rows = setting_rows()
    found = rows if word is None else find_settings(word, rows)
    if as_json:
        print_json({"settings": found})
    else:
        print_lines(_keys(found) if word is None else _whole(found))


def _schema(kind: str) -> dict[str, Any]:
    from balora.study.design.study_schema import study_schema
    from balora.training.setting_schema import config_schema, task_schema

    return {"config": config_schema, "study": study_schema, "task": task_schema}[kind]()


def _keys(rows: Iterable["SettingRow"]) -> Iterator[str]:
    """Yield a line for each setting."""
    rows = list(rows)
    widest = max(len(row.key) for row in rows)
    for row in rows:
        yield f"{row.key:<{widest}}  {row.default}"
    yield ""
    yield f"{len(rows)} settings with their defaults; `balora settings WORD` says what one does."


def _whole(rows: Iterable["SettingRow"]) -> Iterator[str]:
    """Yield everything about each setting."""
    for number, row in enumerate(rows):
        yield from [""] * bool(number)
        yield f"{row.key}: {row.type}; default: {row.default}"
        yield from fill(row.meaning, WIDTH, initial_indent="    ", subsequent_indent="    ").splitlines()
        if row.other_names:
            names = f"elsewhere: {', '.join(row.other_names)}"
            yield from fill(names, WIDTH, initial_indent="    ", subsequent_indent="    ").splitlines()
