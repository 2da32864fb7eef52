"""What an answer is compared with, and what is said about it, where a message holds more than a text."""

import json
from pathlib import Path
from typing import Any

import pytest
from chat_cases import CASES, CHATML, CHATML_TOKENS, FINAL, HERMES, USER, Case, byte_tokenizer, calling

from balora.tasks import nlg
from balora.tasks.catalogue import TASKS
from balora.tasks.config import DataConfig
from balora.tasks.nlg import evaluate_nlg, prepare_nlg


@pytest.mark.parametrize(
    ("template", "turn", "incomplete"),
    [
        (HERMES, calling("I look."), 0),
        (HERMES, {**FINAL, "reasoning_content": "so it is"}, 0),
        (HERMES, {**FINAL, "content": "  Yes,\n it is.  "}, 0),
        (CHATML, {**FINAL, "reasoning_content": "so it is"}, 2),
        (CHATML, {**FINAL, "thinking": "so it is"}, 2),
        (CHATML, {**FINAL, "reasoning": ""}, 0),
        (HERMES.replace("{% if m.content %}", "{% if m.content and not m.tool_calls %}"), calling("I look."), 2),
    ],
)
def test_answers_of_which_the_template_leaves_something_out_are_counted(
    template: str, turn: dict[str, Any], incomplete: int, tmp_path: Path
) -> None:
    for split in ("train", "validation"):
        (tmp_path / f"{split}.json").write_text(json.dumps([{"messages": [USER, turn]}]))
    tokenizer = byte_tokenizer(Case(template, "", "", CHATML_TOKENS))
    prepared = prepare_nlg(TASKS["chat"], DataConfig(folder=str(tmp_path)), tokenizer, seed=0)
    note = "2 of 2 rows: the chat template leaves out the text beside the call, or the thought, of the answer"
    assert (note in prepared.notes) == bool(incomplete)
    assert set(prepared.train[0]) == {"input_ids", "attention_mask", "labels", "index"}


@pytest.mark.parametrize("case", ["chatml", "words close", "chatml, no eos"])
def test_a_call_is_right_when_the_model_writes_it_as_the_template_does(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = CASES[case].template.replace(
        "{{ m.content }}",
        "{{ m.content }}{% for c in m.tool_calls or [] %}<call>{{ c.function.name }}</call>{% endfor %}",
    )
    tokenizer = byte_tokenizer(CASES[case]._replace(template=template))
    for split in ("train", "validation"):
        (tmp_path / f"{split}.json").write_text(json.dumps([{"messages": [USER, calling("")]}] * 2))
    prepared = prepare_nlg(TASKS["chat"], DataConfig(folder=str(tmp_path)), tokenizer, seed=0)
    monkeypatch.setattr(nlg, "generate_samples", lambda *_, **__: [["<call>get_weather</call>"], ["get_weather"]])
    monkeypatch.setattr(nlg, "answer_loss", lambda *_, **__: 1.0)
    items = evaluate_nlg(None, None, prepared, batch_size=2, max_new_tokens=4).items
    assert [item["correct"] for item in items] == [True, False]
    assert items[0]["answer"] == "<call>get_weather</call>"
