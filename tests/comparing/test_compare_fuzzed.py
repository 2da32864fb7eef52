"""Made-up rows of every kind, whole and torn, end in a comparison or in one of our errors, never in another one."""

import json
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from balora.comparing.compared import compare_systems
from balora.comparing.sources import read_table
from balora.errors import BaloraError

VALUES: list[Any] = [None, True, 0, 1, -1, 0.5, 1e308, -1e308, 5e-324, "x", "", [], {}, [1], {"a": 1}, 10**30, "1e400",
                     "nan", "0", "\x00", "é", float("inf")]  # fmt: skip
FIELDS = ("item", "system", "score", "cluster", "seed", "task", "index", "correct", "doc_id", "filter", "metrics",
          "doc_hash", "prompt_hash", "acc", "answer", "label")  # fmt: skip


def rows_of(generator: random.Random) -> list[dict[str, Any]]:
    """Rows that are right in most of their values, and lack some fields."""
    chosen = generator.sample(FIELDS, generator.randint(1, len(FIELDS)))
    rows = []
    for i in range(generator.randint(1, 6)):
        right = {"item": i, "system": generator.choice("ab"), "score": 0.5, "doc_id": i, "index": i, "correct": True}
        right |= {"filter": "none", "metrics": ["acc"], "acc": 1.0}
        rows.append({k: generator.choice(VALUES) if generator.random() < 0.2 else right.get(k, "s") for k in chosen})
    return rows


def text_of(rows: list[dict[str, Any]], ending: str) -> str:
    if ending == "json":
        return json.dumps(rows)
    if ending == "jsonl":
        return "\n".join(map(json.dumps, rows))
    separator = "," if ending == "csv" else "\t"
    return "\n".join([separator.join(rows[0]), *(separator.join(map(str, row.values())) for row in rows)])


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "tsv"])
def test_no_file_gives_another_error_than_ours(ending: str, tmp_path: Path) -> None:
    generator, compared = random.Random(0), 0
    one, other = tmp_path / f"one.{ending}", tmp_path / f"other.{ending}"
    for _ in range(400):
        text = text_of(rows_of(generator), ending)
        one.write_text(text)
        other.write_text(text if generator.random() < 0.7 else text[: generator.randint(0, len(text))])
        for given in ((one,), (one, other)):
            with suppress(BaloraError):
                compare_systems(read_table(list(map(str, given))))
                compared += 1
    assert compared > 5, "some of them are right"
