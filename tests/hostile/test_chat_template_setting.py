"""The chat template for every generation task: on where the tokenizer has one, off and on by a setting."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from chat_cases import CASES, CHATML, CHATML_TOKENS, Case, byte_tokenizer
from refusals import refused, run_verb

from balora.errors import ConfigError
from balora.tasks.catalogue import TASKS
from balora.tasks.config import DataConfig
from balora.tasks.exchange import Exchange
from balora.tasks.nlg import prepare_nlg
from balora.tasks.prompts import render
from balora.training.identity import run_id
from balora.training.spec import resolve

ROWS: dict[str, dict[str, Any]] = {
    "gsm8k": {"question": "2 + 2?", "answer": "so #### 4"},
    "math": {"question": "2 + 2?", "answer": "so #### 4"},
    "alpaca": {"question": "2 + 2?", "input": "", "answer": "4"},
    "chat": {"messages": [{"role": "user", "content": "2 + 2?"}], "answer": "4"},
}
PLAIN = {
    "gsm8k": "Question: 2 + 2?\nAnswer:",
    "math": "Question: 2 + 2?\nAnswer:",
    "alpaca": "Instruction: 2 + 2?\nResponse:",
    "chat": "User: 2 + 2?\nAssistant:",
}


def asked(turn: str) -> str:
    return f"<|im_start|>user\n{turn}<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize("task", ROWS)
@pytest.mark.parametrize("setting", [None, True])
def test_the_question_is_the_users_turn(task: str, setting: bool | None) -> None:
    made = render(TASKS[task], DataConfig(chat_template=setting), byte_tokenizer(CASES["chatml"]))(ROWS[task])
    assert (made.prompt, made.answer) == (asked("2 + 2?"), f"{ROWS[task]['answer']}<|im_end|>")
    assert (made.special, made.closed) == (True, True)


@pytest.mark.parametrize("task", ROWS)
@pytest.mark.parametrize("template", [False, True])
def test_without_it_prompts_are_those_of_a_base_model(task: str, template: bool) -> None:
    tokenizer = byte_tokenizer(CASES["chatml"])
    tokenizer.chat_template = tokenizer.chat_template if template else None
    data = DataConfig(chat_template=False if template else None)
    made = render(TASKS[task], data, tokenizer)(ROWS[task])
    assert made == Exchange(PLAIN[task], f" {ROWS[task]['answer']}", special=False)


@pytest.mark.parametrize("task", ["gsm8k", "math", "alpaca"])
@pytest.mark.parametrize(
    ("prompt", "turn"),
    [
        ("Solve: {question}", "Solve: 2 + 2?"),
        ("{question}\nThink first. ", "2 + 2?\nThink first. "),
        ("  {question}\n\n", "  2 + 2?\n\n"),
        ("{{{question}}}", "{2 + 2?}"),
    ],
)
def test_a_prompt_of_ones_own_is_the_users_turn_as_it_stands(task: str, prompt: str, turn: str) -> None:
    made = render(TASKS[task], DataConfig(prompt=prompt), byte_tokenizer(CASES["chatml"]))(ROWS[task])
    assert made.prompt == asked(turn)
    assert made.answer == f"{ROWS[task]['answer']}<|im_end|>"


def test_an_input_follows_the_instruction() -> None:
    row = {**ROWS["alpaca"], "input": "in words"}
    tokenizer = byte_tokenizer(CASES["chatml"])
    assert render(TASKS["alpaca"], DataConfig(), tokenizer)(row).prompt == asked("2 + 2?\n\nin words")
    data = DataConfig(prompt="{input}: {question}")
    assert render(TASKS["alpaca"], data, tokenizer)(row).prompt == asked("in words: 2 + 2?")


@pytest.mark.parametrize("task", ROWS)
def test_asked_for_where_there_is_none(task: str) -> None:
    tokenizer = byte_tokenizer(CASES["chatml"])
    tokenizer.chat_template = None
    with pytest.raises(ConfigError, match=r"^data\.chat_template is true, but the tokenizer has no chat template: "):
        render(TASKS[task], DataConfig(chat_template=True), tokenizer)


@pytest.mark.parametrize("template", ["{{ raise_exception('no') }}", "{% for", "{{ messages[3].content }}"])
def test_a_template_that_refuses_a_question_is_an_error_of_the_template(template: str) -> None:
    tokenizer = byte_tokenizer(Case(template, "", "", CHATML_TOKENS))
    with pytest.raises(ConfigError) as caught:
        render(TASKS["gsm8k"], DataConfig(), tokenizer)(ROWS["gsm8k"])
    assert str(caught.value).startswith("the tokenizer's chat template refuses a conversation of user, assistant: ")
    assert str(caught.value).endswith("; data.chat_template = false writes prompts without it")


@pytest.mark.parametrize(
    ("task", "row"),
    [("gsm8k", {"question": "2 + 2?", "answer": "#### 4"}), ("alpaca", {"instruction": "2 + 2?", "output": "4"})],
)
def test_the_notes_say_that_the_template_is_used(task: str, row: dict[str, str], tmp_path: Path) -> None:
    for split in ("train", "test", "validation"):
        (tmp_path / f"{split}.json").write_text(json.dumps([row]))
    data, tokenizer = DataConfig(folder=str(tmp_path)), byte_tokenizer(CASES["chatml"])
    with_template = prepare_nlg(TASKS[task], data, tokenizer, seed=0)
    without = prepare_nlg(TASKS[task], data.replace(chat_template=False), tokenizer, seed=0)
    note = "prompts take the tokenizer's chat template (data.chat_template = false: they do not)"
    assert note in with_template.notes
    assert note not in without.notes
    assert with_template.train[0]["input_ids"] != without.train[0]["input_ids"]


def test_a_template_that_writes_the_date_is_noted(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / f"{split}.json").write_text(json.dumps([{"question": "a", "answer": "#### 4"}]))
    tokenizer = byte_tokenizer(Case("{{ strftime_now('%Y') }}\n" + CHATML, "", "", CHATML_TOKENS))
    data = DataConfig(folder=str(tmp_path))
    note = "the chat template writes the date of the day into prompts: another day gives other numbers"
    assert note in prepare_nlg(TASKS["gsm8k"], data, tokenizer, seed=0).notes
    assert note not in prepare_nlg(TASKS["gsm8k"], data.replace(chat_template=False), tokenizer, seed=0).notes


def test_the_setting_is_part_of_the_runs_identity() -> None:
    specs = [
        resolve({"task": "gsm8k", "model": "m", "data.folder": "d", "data.chat_template": value})
        for value in (None, False, True)
    ]
    assert len({run_id(spec, {}) for spec in specs}) == 3


@pytest.mark.parametrize("value", ["maybe", 3, "auto", [True]])
def test_other_values_are_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match="chat_template"):
        DataConfig(chat_template=value)


def test_the_command_line_sets_it(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    words = ["evaluate", "--model", checkpoint, "--task", "gsm8k", "--data", data, "--json"]
    few = ["--set", "data.eval_rows=2", "--set", "data.max_new_tokens=4"]
    refused([*words, *few, "--set", "data.chat_template=true"], "data.chat_template is true, but the tokenizer has no")
    shutil.copytree(checkpoint, tmp_path / "model")
    (tmp_path / "model" / "chat_template.jinja").write_text(CHATML)
    words[2] = tmp_path / "model"
    losses = []
    for setting in ("false", "true", None):
        ended = run_verb(*words, *few, *(["--set", f"data.chat_template={setting}"] if setting else []))
        assert ended.code == 0, ended.err
        losses.append(json.loads(ended.out)["tasks"]["gsm8k"]["metrics"]["answer_loss"])
    assert losses[1] == losses[2] != losses[0]
