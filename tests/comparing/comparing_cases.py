"""Score files that the tests of comparisons share: logs as lm-eval writes them, tables, and made-up scores."""

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

TIME = "2026-11-28T10-36-07.815840"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def sample(number: int, metrics: Mapping[str, Any], filter: str = "none", **changes: Any) -> dict[str, Any]:
    """One sample, in the order in which lm-eval 0.4.13 writes its fields."""
    question = f'Question {number}: "what", {{"filter": "x"}} is {number} + 1? ' + "Some context. " * 20
    content: dict[str, Any] = {
        "doc_id": number,
        "doc": {"question": question, "answer": str(number + 1)},
        "target": str(number + 1),
        "arguments": {"gen_args_0": {"arg_0": question, "arg_1": {"until": ["\n\n"]}}},
        "resps": [[f"It is {number}."]],
        "filtered_resps": [str(number)],
        "filter": filter,
        "metrics": list(metrics),
        "doc_hash": digest(question),
        "prompt_hash": digest("prompt" + question),
        "target_hash": digest(str(number + 1)),
        **metrics,
    }
    return {**content, **changes}


def write_log(path: Path, samples: Iterable[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in samples), encoding="utf-8")
    return path


def log_folder(folder: Path, tasks: Mapping[str, Sequence[float]], metric: str = "acc", *, higher: bool = True) -> Path:
    """What `lm-eval --log_samples --output_path` leaves for one model; returns the output path."""
    model = folder / "a__model"
    for task, scores in tasks.items():
        write_log(model / f"samples_{task}_{TIME}.jsonl", (sample(i, {metric: x}) for i, x in enumerate(scores)))
    results = {"results": {}, "higher_is_better": {task: {metric: higher} for task in tasks}}
    (model / f"results_{TIME}.json").write_text(json.dumps(results))
    return folder


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def rows_of(scores: Mapping[str, Sequence[float]], **columns: Sequence[object]) -> list[dict[str, Any]]:
    """The rows of a table: system → one score an item, with further columns one value an item."""
    return [
        {"item": i, "system": system, "score": score, **{name: values[i] for name, values in columns.items()}}
        for system, values_of in scores.items()
        for i, score in enumerate(values_of)
    ]


def right_or_wrong(n: int, *shares: float, seed: int = 0) -> list[list[float]]:
    """Scores of 0 and 1 of several systems that agree on most items."""
    generator = np.random.default_rng(seed)
    difficulty = generator.random(n)
    return [((difficulty + generator.normal(0, 0.15, n)) < share).astype(float).tolist() for share in shares]
