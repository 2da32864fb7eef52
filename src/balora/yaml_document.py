"""Read YAML that somebody else may have written: plain values, text keys, the line of every key; torch-free.

PyYAML follows YAML 1.1, where the keys ``on`` and ``off`` are booleans, ``1:30`` is 90, ``017`` is 15, ``1e-4`` is text
and a repeated key silently wins. All of that would quietly change a design. So keys are taken as they are written,
repeated ones are faults, and only decimal numbers, `true`, `false` and `null` are more than text. Anchors, aliases and
tags are refused, because a few bytes of them stand for gigabytes or for code.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from balora.errors import ConfigError, is_printable, printable, shortened, shown, unwritable
from balora.regular_files import SETTINGS_BYTES
from balora.settings import number

DEEPEST = 50
"""Most mappings and lists inside each other."""
MOST_VALUES = 100_000
"""Most keys and values of a file."""
LONGEST_KEY = 1_000
"""Most characters of a key."""
TEMPLATE = ".data.prompt"
"""The setting whose text has placeholders: `{question}` without quotes, a mapping in YAML, is taken as it is typed."""
ADVICE = {
    r"character '\t'": "write spaces instead of tabs",
    "character '": "put the text in quotes",
    "mapping values are not allowed": "put a text that holds `: ` in quotes, and give each key a line of its own",
    "could not find expected ':'": "a space must follow the `:` of a key, and a text in quotes must end with one",
    "alphabetic or numeric character, but found": "put a text that starts with `*` or `&` in quotes",
}
"""Part of what PyYAML says → what to do."""
CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
"""What plain words stand for; all others are text."""


class Document(NamedTuple):
    """The content of a YAML file, the line of every dotted key, and the faults found while reading."""

    content: dict[str, Any]
    lines: dict[str, int]
    faults: list[tuple[int, str]]

    def line(self, dotted: str) -> int | None:
        """Return the line of the longest known key that ``dotted`` starts with (keys may hold dots themselves)."""
        while dotted and dotted not in self.lines:
            dotted = dotted.rpartition(".")[0]
        return self.lines.get(dotted)


class UnreadableError(Exception):
    """A YAML text cannot be read: where and why."""

    def __init__(self, line: int | None, reason: str) -> None:
        self.line, self.reason = line, reason
        super().__init__(reason)


def parse(text: str, source: str) -> Document:
    """Read one YAML mapping, the content of the file called ``source``.

    Raises:
        ConfigError: the text is not YAML, its top level is not a mapping, or it holds something that is not read here.
    """
    reader = _Reader(text.lstrip("\ufeff"))  # byte order marks, of which scripts that join files leave several
    try:
        content = reader.whole()
        if not isinstance(content, dict):
            raise UnreadableError(None, "expected a mapping of settings (`study: …`, `base: …`) at the top level")
    except UnreadableError as error:
        place = f":{error.line}" if error.line else ""
        raise ConfigError(f"{source}{place}: {error.reason}") from None
    return Document(content, reader.lines, reader.faults)


def read_value(text: str) -> Any:
    """Return the value that a YAML text on its own stands for.

    Raises:
        UnreadableError: it is not YAML, gives a key twice, or holds something that is not read here.
    """
    reader = _Reader(text)
    value = reader.whole()
    if reader.faults:
        raise UnreadableError(*reader.faults[0])
    return value


class _Reader:
    """Builds plain values from the events of PyYAML's parser, one after the other."""

    def __init__(self, text: str) -> None:
        self.lines: dict[str, int] = {}
        self.faults: list[tuple[int, str]] = []
        self._text, self._events = text, _events(text)
        self._count = 0

    def whole(self) -> Any:
        """Return the value of the only document; None if there is none."""
        next(self._events)  # the start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        value = self._value(next(self._events), "", 0)
        next(self._events)  # the end of the document
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise UnreadableError(_line(after), "a second document (`---`) is not read: leave one of them")
        return value

    def _value(self, event: yaml.Event, path: str, depth: int) -> Any:
        self._check(event, depth)
        if isinstance(event, yaml.ScalarEvent):
            if reason := unwritable(event.value):
                raise UnreadableError(_line(event), reason)
            return event.value if event.style else _plain(event.value, _line(event))
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(path, depth + 1)
        start = event.start_mark.index  # type: ignore[union-attr]
        content, end = self._mapping(path, depth + 1)
        setting = re.sub(r"(\.\d+)+$", "", f".{path}")  # without places in lists
        is_template = setting.endswith(TEMPLATE) and content and not any(content.values())
        return self._text[start:end] if is_template else content

    def _list(self, path: str, depth: int) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            values.append(self._value(event, f"{path}.{len(values)}" if path else str(len(values)), depth))
        return values

    def _mapping(self, path: str, depth: int) -> tuple[dict[str, Any], int]:
        content: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            self._check(event, depth)
            key, line = _key(event), _line(event)
            dotted = f"{path}.{key}" if path else key
            if dotted in self.lines:  # also as `a: {b: 1}` beside `a.b: 2`
                self.faults.append((line, f"{dotted}: given twice"))
            self.lines[dotted] = line
            content[key] = self._value(next(self._events), dotted, depth)
        return content, event.end_mark.index  # type: ignore[union-attr]

    def _check(self, event: yaml.Event, depth: int) -> None:
        self._count += 1
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)  # an alias has an anchor too
        if anchor is not None:
            names = "YAML anchors and aliases (&name, *name)"
            raise UnreadableError(_line(event), f"{names} are not read here: write the settings out")
        if tag is not None:
            raise UnreadableError(_line(event), f"YAML tags ({shown(tag)}) are not read here: write the plain value")
        if depth > DEEPEST:
            raise UnreadableError(_line(event), f"more than {DEEPEST} mappings and lists lie inside each other")
        if self._count > MOST_VALUES:
            raise UnreadableError(_line(event), f"more than {MOST_VALUES:,} keys and values: make the file smaller")


def _events(text: str) -> Iterator[yaml.Event]:
    if len(text) > SETTINGS_BYTES:
        raise UnreadableError(None, f"{len(text):,} characters: at most {SETTINGS_BYTES:,} are read")
    try:
        yield from yaml.parse(text, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        character = shown(text[error.position])
        raise UnreadableError(line, f"not YAML: the character {character} may not stand in it") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = printable(shortened(str(getattr(error, "problem", None) or error)))
        hint = next((f": {advice}" for part, advice in ADVICE.items() if part in problem), "")
        raise UnreadableError(mark and mark.line + 1, f"not YAML: {problem}{hint}") from None
    except (ValueError, OverflowError) as error:  # an escape or a version of more than any character or number
        raise UnreadableError(None, f"not YAML: {printable(shortened(str(error)))}") from None


def _line(event: yaml.Event) -> int:
    return int(event.start_mark.line) + 1  # type: ignore[union-attr]


def _key(event: yaml.Event) -> str:
    if not isinstance(event, yaml.ScalarEvent):
        raise UnreadableError(_line(event), "a list or mapping is no key: keys are text")
    if len(event.value) > LONGEST_KEY:
        length = f"a key of {len(event.value):,} characters"
        raise UnreadableError(_line(event), f"{length}: at most {LONGEST_KEY:,} are read")
    if not all(map(is_printable, event.value)):
        raise UnreadableError(_line(event), f"the name {shown(event.value)} holds a character that is not printable")
    return str(event.value)


def _plain(text: str, line: int) -> Any:
    if text in CONSTANTS:
        return CONSTANTS[text]
    try:
        found = number(text)
    except ValueError as error:
        raise UnreadableError(line, str(error)) from None
    return text if found is None else found
