"""Print what `balora demo` did: the first answers of both fine-tunings, and what was measured, side by side."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from balora.cli.output import print_json
from balora.cli.plain_table import plain_console, plain_table, print_texts
from balora.tasks.catalogue import Task, find_task
from balora.tasks.testbed.config import TestbedConfig
from balora.tasks.testbed.testbed_tasks import rows
from balora.training.record import RunRecord

METHODS = {"lora": "plain LoRA", "ba-lora": "BA-LoRA"}
SHOWN = 5
"""The first rows of the test, whatever the answers are."""
MEASURES = {
    "minority_recall": "right answers about the minority, of 1 (high is good)",
    "worst_group": "right answers about the worst group, of 1 (high is good)",
    "aligned_minus_robust": "lead of answers that a stereotype helps (near 0 is good)",
    "memorised_noise": "errors of the text that come back, of 1 (low is good)",
    "forgetting": "forgetting of the text, nats a word (low is good)",
}


def print_demo(records: Mapping[str, RunRecord], folders: Mapping[str, Path], *, is_kept: bool, as_json: bool) -> None:
    """Print the records as JSON, or a few answers and all measures of both runs for people."""
    if as_json:
        print_json({method: record.model_dump(mode="json") for method, record in records.items()})
        return
    console = plain_console()
    spec = next(iter(records.values())).spec
    task, usual = find_task(spec.task), spec.testbed or TestbedConfig()
    print_texts(console, [
        f"A tiny model has read a small language in which {100 * usual.noise:g} % of the statements are wrong, a "
        "minority is rare and stereotypes hold.",
        f"We fine-tuned it on {spec.data.train_rows} rows of the task {task.name}, once without the method and once "
        "with it, on the same rows in the same order.",
        "",
    ])  # fmt: skip
    columns = tuple(METHODS.values())
    console.print(plain_table(_answers(task, usual, folders), ("asked", "right", *columns)))
    print_texts(console, [""])
    console.print(plain_table(_measures(records), ("measured on the whole test", *(f"{name}>" for name in columns))))
    print_texts(
        console, ["", "One fine-tuning of each proves nothing: `make study` compares them over 8 paired blocks."]
    )
    print_texts(console, [f"{METHODS[method]}: {folder}" for method, folder in folders.items()] if is_kept else [])


def _answers(task: Task, testbed: TestbedConfig, folders: Mapping[str, Path]) -> list[list[str]]:
    """Return the first questions of the test with the right answer and that of each run."""
    given = [_first_items(folder) for folder in folders.values()]
    return [
        [_question(row), _right(task, row), *(_answer(task, item) for item in items)]
        for row, *items in zip(rows(task.name, "test", testbed, SHOWN), *given, strict=True)
    ]


def _question(row: Mapping[str, Any]) -> str:
    sentences = (row[name] for name in ("question", "sentence", "sentence1", "sentence2") if name in row)
    return " / ".join(sentences)


def _right(task: Task, row: Mapping[str, Any]) -> str:
    return str(row["answer"]) if task.family == "nlg" else _label(task, row["label"])


def _answer(task: Task, item: Mapping[str, Any]) -> str:
    said = str(item["text"]).strip() if task.family == "nlg" else _label(task, item["prediction"])
    return said or "(nothing)"


def _label(task: Task, value: float) -> str:
    return str(task.labels[int(value)]) if task.labels else f"{value:.2f}"


def _first_items(folder: Path) -> list[dict[str, Any]]:
    with (folder / "items.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line, _ in zip(lines, range(SHOWN), strict=False)]


def _measures(records: Mapping[str, RunRecord]) -> list[list[str]]:
    """Return the score and the measures of inheritance that both runs have, by method."""
    both = list(records.values())
    table = [["score, of 100 (high is good)", *(f"{one.score:.1f}" for one in both)]]
    for name, words in MEASURES.items():
        if all(name in one.inheritance for one in both):
            table.append([words, *(f"{one.inheritance[name]:.2f}" for one in both)])
    return [*table, ["seconds", *(f"{one.cost.train_seconds + one.cost.eval_seconds:.1f}" for one in both)]]
