"""Tasks of our own making in the harness' format, a tiny run, and the command line in this process."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from balora.cli import main

CHOICES = [
    {"story": f"Once upon a time, there was a little {word}", "ends": [" girl", " boy", " zebra"], "best": number % 3}
    for number, word in enumerate(("red", "blue", "happy", "sad", "big", "small", "old", "kind"))
]
NAMES = [
    {"story": "Once upon a time, there was a little girl named", "name": "Lily"},
    {"story": "One day, a boy named", "name": "Tim"},
    {"story": "Tom and his sister", "name": "Lily"},
    {"story": "The little dog was very", "name": "happy"},
    {"story": "Lily wanted to play with her", "name": "toys"},
]
MEAN = {"aggregation": "mean", "higher_is_better": True}
CHOICE: dict[str, Any] = {
    "task": "stories_choice",
    "dataset_path": "json",
    "test_split": "test",
    "output_type": "multiple_choice",
    "doc_to_text": "{{story}}",
    "doc_to_choice": "{{ends}}",
    "doc_to_target": "best",
    "target_delimiter": "",
    "metric_list": [{"metric": "acc", **MEAN}, {"metric": "acc_norm", **MEAN}],
    "metadata": {"version": 1.5},
}
GENERATE: dict[str, Any] = {
    "task": "stories_name",
    "dataset_path": "json",
    "test_split": "test",
    "output_type": "generate_until",
    "doc_to_text": "{{story}}",
    "doc_to_target": "{{name}}",
    "generation_kwargs": {"until": ["."], "max_gen_toks": 6},
    "metric_list": [{"metric": "exact_match", **MEAN}],
    "filter_list": [
        {
            "name": "first-word",
            "filter": [{"function": "regex", "regex_pattern": r"(\w+)"}, {"function": "take_first"}],
        },
        {"name": "as-said", "filter": [{"function": "take_first"}]},
    ],
    "metadata": {"version": 2.0},
}
GSM8K: dict[str, Any] = {
    **GENERATE,
    "task": "gsm8k_local",
    "training_split": "train",
    "fewshot_split": "train",
    "doc_to_text": "Question: {{question}}\nAnswer:",
    "doc_to_target": "{{answer}}",
    "generation_kwargs": {"until": ["Question:"], "max_gen_toks": 8, "do_sample": True, "temperature": 0.7},
    "filter_list": [
        {
            "name": "strict-match",
            "filter": [{"function": "regex", "regex_pattern": r"#### (\-?[0-9\.\,]+)"}, {"function": "take_first"}],
        }
    ],
}
PERPLEXITY: dict[str, Any] = {
    "task": "stories_perplexity",
    "dataset_path": "json",
    "test_split": "test",
    "output_type": "loglikelihood_rolling",
    "doc_to_text": "",
    "doc_to_target": "{{story}}",
    "metric_list": [{"metric": "word_perplexity"}],
    "metadata": {"version": 1},
}


class Ended(NamedTuple):
    """Exit code and what was printed."""

    code: int
    out: str
    err: str


def run_balora(*words: object) -> Ended:
    """Run `balora` with ``words`` in this process."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = main([str(word) for word in words])
    return Ended(code, out.getvalue(), err.getvalue())


def evaluate(model: Path, tasks: str, folder: Path, output: Path, *more: object) -> Ended:
    """Run `balora evaluate --harness lm-eval` on tasks defined in ``folder``."""
    given = ("--model", model, "--tasks", tasks, "--include-path", folder, "--output", output)
    return run_balora("evaluate", "--harness", "lm-eval", *given, *more)


def define(folder: Path, task: dict[str, Any], **files: Path) -> Path:
    """Write the definition of a task on local files, named by split, into ``folder``."""
    folder.mkdir(exist_ok=True)
    sources = {split: str(path) for split, path in files.items()}
    content = task | {"dataset_kwargs": {"data_files": sources}} if sources else task
    (folder / f"{task['task']}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return folder


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def story_tasks(folder: Path) -> Path:
    """Define a multiple-choice and a generation task on rows of our own making."""
    folder.mkdir(exist_ok=True)
    define(folder, CHOICE, test=write_rows(folder / "choices.jsonl", CHOICES))
    return define(folder, GENERATE, test=write_rows(folder / "names.jsonl", NAMES))


def read_items(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "items.jsonl").read_text().splitlines()]


def read_scores(output: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((output / "scores.json").read_text())
    return content
