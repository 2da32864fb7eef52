"""Read the rows of a `datasets` name, with the names of its classes; torch-free."""

from typing import Any

from balora.errors import DataError, printable, shortened, shown
from balora.tasks.files import SourceRow
from balora.tasks.parquet import with_name


def hub_rows(name: str, subset: str | None, split: str, *, whose: str, advice: str) -> list[SourceRow]:
    """Return the rows of a split of a `datasets` name.

    Raises:
        DataError: it cannot be loaded; the message begins with ``whose`` and ends with ``advice``.
    """
    import datasets

    named = f"{shown(name)} ({printable(shortened(subset))})" if subset else shown(name)
    try:
        rows: Any = datasets.load_dataset(name, subset, split=split)
    except (OSError, ValueError) as error:  # not found, no connection, offline mode; unknown split or configuration
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{whose} dataset {named}, split {shown(split)}, cannot be loaded ({reason}): {advice}"
        ) from None
    classes = {
        column: tuple(map(str, feature.names))
        for column, feature in (rows.features or {}).items()
        if isinstance(feature, datasets.ClassLabel) and feature.names
    }
    return [
        SourceRow(
            f"{name}:{split} row {number}",
            {column: with_name(value, classes.get(column, ())) for column, value in row.items()},
        )
        for number, row in enumerate(rows, 1)
    ]
