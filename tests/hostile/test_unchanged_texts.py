"""Texts of data files reach the model as they are: no blank, tab or line end of them is lost or added."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from chat_cases import CASES, byte_tokenizer

from balora.tasks.catalogue import TASKS
from balora.tasks.config import DataConfig
from balora.tasks.nlg import prepare_nlg
from balora.tasks.splits import read_rows, read_split

TEXTS = {
    "indented": "    return a",
    "indented lines": "    a = 1\n\n        b\n",
    "tab": "\tx",
    "line ends": "\n\na\n\n",
    "blanks around": "  a  ",
    "carriage return": "a\r\n",
    "no-break space": "\u00a0a\u00a0",
    "wide space": "\u3000a",
    "form feed": "\x0ca\x0b",
    "line separator": "a\u2028",
}


def jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def table(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.with_suffix(".csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)


def parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path.with_suffix(".parquet"))


FORMATS = {"jsonl": jsonl, "csv": table, "parquet": parquet}


def data(folder: Path, rows: list[dict[str, Any]], write: Callable[..., None] = jsonl, **settings: Any) -> DataConfig:
    for split in ("train", "validation", "test"):
        write(folder / split, rows)
    return DataConfig(folder=str(folder), **settings)


def learnt(task: str, config: DataConfig, case: str = "nothing closes", *, template: bool = False) -> tuple[str, str]:
    """Return the prompt and the answer of the first training row as the texts of their tokens."""
    tokenizer = byte_tokenizer(CASES[case])
    if not template:
        tokenizer.chat_template = None
    prepared = prepare_nlg(TASKS[task], config, tokenizer, seed=0)
    row, prompt = prepared.train[0], prepared.eval[0]["prompt_ids"]
    assert row["input_ids"] == prepared.eval[0]["input_ids"]
    assert row["input_ids"][: len(prompt)] == prompt
    return tokenizer.decode(prompt), tokenizer.decode(row["input_ids"][len(prompt) :])


@pytest.mark.parametrize("write", FORMATS)
@pytest.mark.parametrize("name", TEXTS)
def test_an_alpaca_row(name: str, write: str, tmp_path: Path) -> None:
    text = TEXTS[name]
    config = data(tmp_path, [{"instruction": text, "input": text, "output": text}], FORMATS[write])
    prompt, answer = learnt("alpaca", config)
    assert prompt == f"Instruction: {text}\nInput: {text}\nResponse:"
    assert answer == f" {text}<|endoftext|>"


@pytest.mark.parametrize("name", TEXTS)
def test_a_worked_solution(name: str, tmp_path: Path) -> None:
    text = TEXTS[name]
    config = data(tmp_path, [{"question": text, "answer": f"{text}\n#### 4\n "}])
    prompt, answer = learnt("gsm8k", config)
    assert (prompt, answer) == (f"Question: {text}\nAnswer:", f" {text}\n#### 4\n <|endoftext|>")


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("template", [False, True])
def test_a_conversation(name: str, template: bool, tmp_path: Path) -> None:
    text = TEXTS[name]
    turns = [("system", text), ("user", text), ("assistant", text), ("user", text), ("assistant", text)]
    config = data(tmp_path, [{"messages": [{"role": role, "content": content} for role, content in turns]}])
    prompt, answer = learnt("chat", config, "chatml", template=template)
    names = ("system", "user", "assistant", "user")
    if template:
        expected = "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role in names) + "<|im_start|>assistant\n"
        assert (prompt, answer) == (expected, f"{text}<|im_end|>")
    else:
        expected = "".join(f"{role.capitalize()}: {text}\n" for role in names) + "Assistant:"
        assert (prompt, answer) == (expected, f" {text}<|endoftext|>")


@pytest.mark.parametrize("name", TEXTS)
def test_a_pair_to_classify(name: str, tmp_path: Path) -> None:
    text = TEXTS[name]
    config = data(tmp_path, [{"sentence1": text, "sentence2": text, "label": " 1 "}])
    assert read_rows(TASKS["rte"], config, "train") == [{"sentence1": text, "sentence2": text, "label": 1}]


@pytest.mark.parametrize(
    ("template", "question", "prompt", "answer"),
    [
        ("{question}", "a ", "a", " 4"),
        ("{question}", "a   ", "a", "   4"),
        ("{question}", "a\n", "a\n", "4"),
        ("{question}", "a\t", "a\t", "4"),
        ("{question}\u3000", "a", "a\u3000", "4"),
        ("{question}:", " a ", " a :", " 4"),
        ("Q: {question}\n\n", "\na", "Q: \na\n\n", "4"),
        ("{question}\n  ", "a", "a\n", "  4"),
    ],
)
def test_prompt_and_answer_together_are_the_text_that_the_prompt_defines(
    template: str, question: str, prompt: str, answer: str, tmp_path: Path
) -> None:
    config = data(tmp_path, [{"question": question, "answer": "4"}], prompt=template)
    assert learnt("gsm8k", config) == (prompt, f"{answer}<|endoftext|>")


@pytest.mark.parametrize("answer", ["", " ", "\n", "\u00a0\t"])
def test_an_answer_of_blanks_is_empty_and_counted(answer: str, tmp_path: Path) -> None:
    config = data(tmp_path, [{"instruction": "a", "output": answer}, {"instruction": "a", "output": " b"}])
    split = read_split(TASKS["alpaca"], config, "train")
    assert [row["answer"] for row in split.rows] == [" b"]
    assert split.notes == ["train: 1 of 2 rows have an empty answer and were left out"]


def test_an_input_of_blanks_is_none(tmp_path: Path) -> None:
    config = data(tmp_path, [{"instruction": "a", "input": " \n", "output": "b"}])
    assert learnt("alpaca", config)[0] == "Instruction: a\nResponse:"
