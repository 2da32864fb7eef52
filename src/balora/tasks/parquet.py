"""Read the rows of a Parquet file; a value that Python cannot hold blocks only the rows that need it; torch-free."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from balora.errors import DataError, shown

UNREADABLE = (ValueError, OverflowError, TypeError, NotImplementedError, ImportError, RecursionError, KeyError)
"""What pyarrow raises for values that Python has no type for; its own errors are among them."""


class Unreadable(NamedTuple):
    """A value that Python cannot hold, such as a date after the year 9999."""

    type: str

    def __repr__(self) -> str:
        return f"a Parquet value of type {self.type} that Python cannot hold"


class ClassValue(NamedTuple):
    """The number of a class whose names the data set states (a `ClassLabel` of `datasets`)."""

    number: int
    names: tuple[str, ...]

    def __repr__(self) -> str:
        return f"{self.number} ({self.names[self.number]!r})"


def parquet_rows(path: Path, content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the values of every row of a Parquet file, given its content.

    Raises:
        DataError: it is torn, or a column stands twice in it.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(content))
        names = file.schema_arrow.names
        _refuse_twice(path, names)
        read = file.read()
    except (pyarrow.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: not a whole Parquet file ({reason}): fetch it again") from None
    classes = _class_names(read.schema.metadata or {})
    columns = [_named(_values(read.column(name)), classes.get(name)) for name in names]
    for number, cells in enumerate(zip(*columns, strict=True), 1):
        yield number, dict(zip(names, cells, strict=True))


def _named(values: list[Any], names: tuple[str, ...] | None) -> list[Any]:
    if not names:
        return values
    return [with_name(value, names) for value in values]


def _refuse_twice(path: Path, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: column {shown(twice[0])} stands twice")


def with_name(value: Any, names: tuple[str, ...]) -> Any:
    """Return the number of a class together with the ``names`` of all; −1 and what is no class stay as they are."""
    return ClassValue(value, names) if type(value) is int and 0 <= value < len(names) else value


def _values(column: Any) -> list[Any]:
    """Return a column as Python values; those that fail are :class:`Unreadable`."""
    try:
        return list(column.to_pylist())
    except UNREADABLE:  # a date after 9999, an unknown time zone, text that is not UTF-8: each value of its own
        return [_value(scalar) for scalar in column]


def _value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except UNREADABLE:
        return Unreadable(str(scalar.type))


def _class_names(metadata: dict[bytes, bytes]) -> dict[str, tuple[str, ...]]:
    """Return the names of the classes of every column for which `datasets` wrote them into the file."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return {
            column: tuple(map(str, feature["names"]))
            for column, feature in features.items()
            if feature.get("_type") == "ClassLabel" and isinstance(feature.get("names"), list)
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
