"""Conversations as people have them: every field reaches the chat template, or the row is refused by name."""

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from chat_cases import (
    CALL,
    CASES,
    CHATML,
    CHATML_TOKENS,
    FINAL,
    FLAT_CALL,
    HERMES,
    RESULT,
    TOOL,
    USER,
    Case,
    byte_tokenizer,
    calling,
    loop,
    public_template,
)
from refusals import refused

from balora.errors import DataError
from balora.tasks.catalogue import TASKS
from balora.tasks.config import DataConfig
from balora.tasks.exchange import Exchange
from balora.tasks.files import SourceRow
from balora.tasks.prompts import render
from balora.tasks.row_checks import check_row
from balora.tasks.splits import read_split

AS_OBJECT = '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}</tool_call>'


def checked(values: dict[str, Any]) -> Any:
    return check_row(TASKS["chat"], SourceRow("f.jsonl:7", copy.deepcopy(values)))


def exchange(values: dict[str, Any], template: str = HERMES) -> Exchange:
    tokenizer = byte_tokenizer(Case(template, "", "", CHATML_TOKENS))
    return render(TASKS["chat"], DataConfig(), tokenizer)(checked(values))


def said(values: dict[str, Any], template: str = HERMES) -> str:
    made = exchange(values, template)
    return made.prompt + made.answer


def filled(row: Any, names: tuple[str, ...] = ("name", "tool_calls", "tool_call_id", "reasoning_content")) -> Any:
    """Return a row as `datasets` gives it: every message has every field, null where it had none."""
    messages = [{**dict.fromkeys(names), **message} for message in row["messages"]]
    return {"documents": None, "tools": None, "conversations": None, **row, "messages": messages}


ROWS = {
    "a call before the answer": {"tools": [TOOL], "messages": [USER, calling(), RESULT, FINAL]},
    "a call is the answer": {"tools": [TOOL], "messages": [USER, calling()]},
    "text and call": {"tools": [TOOL], "messages": [USER, calling("I look.")]},
    "empty text and call": {"tools": [TOOL], "messages": [USER, calling("")]},
    "two calls": {"messages": [USER, {**calling(), "tool_calls": [CALL, CALL]}]},
    "flat call": {"messages": [USER, {**calling(), "tool_calls": [FLAT_CALL]}]},
    "calls as JSON": {"messages": [USER, {**calling(), "tool_calls": json.dumps([CALL])}]},
    "old function_call": {"messages": [USER, {"role": "assistant", "content": None, "function_call": FLAT_CALL}]},
    "tools as JSON": {"tools": json.dumps([TOOL]), "messages": [USER, calling()]},
    "each tool as JSON": {"tools": [json.dumps(TOOL)], "messages": [USER, calling()]},
    "arguments as object": {"messages": [USER, {**calling(), "tool_calls": [{"function": FLAT_CALL}]}]},
    "sharegpt call": {"conversations": [{"from": "human", "value": "Is it raining in Oslo?"},
                                        {"from": "function_call", "value": json.dumps(FLAT_CALL)}]},
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_a_call_reaches_the_template(name: str) -> None:
    text = said(ROWS[name])
    assert text.count(AS_OBJECT) == (2 if name == "two calls" else 1)
    assert text.endswith("<|im_end|>")
    if "tools" in ROWS[name]:
        assert text.startswith(f"<|im_start|>system\nTools: [{json.dumps(TOOL)}]<|im_end|>\n")


@pytest.mark.parametrize("name", [name for name in ROWS if "messages" in ROWS[name]])
def test_fields_that_are_filled_with_null_do_not_matter(name: str) -> None:
    assert exchange(filled(ROWS[name])) == exchange(ROWS[name])


@pytest.mark.parametrize("name", ["a call before the answer", "a call is the answer", "text and call"])
def test_parquet_and_jsonl_give_the_same(name: str, tmp_path: Path) -> None:
    rows = [{"tools": [], "messages": [USER, FINAL]}, ROWS[name]]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "train.parquet")
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tokenizer = byte_tokenizer(Case(HERMES, "", "", CHATML_TOKENS))
    make = render(TASKS["chat"], DataConfig(), tokenizer)
    both = [[make(row) for row in read_split(TASKS["chat"], DataConfig(folder=str(tmp_path)), split).rows]
            for split in ("train", "test")]  # fmt: skip
    assert both[0] == both[1]


def test_an_answer_that_is_only_a_call_is_learnt() -> None:
    made = exchange(ROWS["a call is the answer"])
    assert made.answer == f"{AS_OBJECT}<|im_end|>"
    assert made.prompt.endswith("<|im_end|>\n<|im_start|>assistant\n")


def test_names_ids_thoughts_and_documents_reach_the_template() -> None:
    document = {"title": "Oslo", "text": "It rains."}
    row = {"documents": [document], "messages": [{**USER, "name": "ann"}, calling(), RESULT,
                                                 {**FINAL, "reasoning_content": "drizzle is rain"}]}  # fmt: skip
    text = said(row)
    assert f"Documents: [{json.dumps(document)}]" in text
    assert "<|im_start|>user ann\n" in text
    assert "<|im_start|>tool get_weather call_0001\nlight drizzle<|im_end|>" in text
    assert text.endswith("<think>drizzle is rain</think>\nYes, it is.<|im_end|>")


@pytest.mark.parametrize("name", ["name", "weight", "id", "end_turn"])
def test_a_field_that_balora_does_not_know_reaches_the_template_too(name: str) -> None:
    template = CHATML.replace("{{ m.content }}", f"{{{{ m.{name} }}}}:{{{{ m.content }}}}")
    assert "<|im_start|>user\nso:Is it" in said({"messages": [{**USER, name: "so"}, {**FINAL, name: "no"}]}, template)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "Hello"}], "Hello"),
        ([{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo "}], "Hello "),
        ([{"type": "text", "text": "Hello", "image_url": None}], "Hello"),
        ([{"text": "Hello"}], "Hello"),
        (["Hel", "lo"], "Hello"),
    ],
)
@pytest.mark.parametrize("case", ["chatml", "wants parts"])
def test_a_text_in_parts(content: Any, text: str, case: str) -> None:
    row = {"messages": [{"role": "user", "content": content}, {"role": "assistant", "content": content}]}
    made = exchange(row, CASES[case].template)
    assert made.prompt == f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    assert made.answer == f"{text}<|im_end|>"


HUMAN, GPT = {"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hi"}
SHAREGPT = {
    "system, human, gpt": ([{"from": "system", "value": "Be kind."}, HUMAN, GPT],
                           "system:Be kind.|user:Hello|assistant:Hi|"),
    "chatgpt": ([HUMAN, {"from": "chatgpt", "value": "Hi"}], "user:Hello|assistant:Hi|"),
    "model": ([{"from": "user", "value": "Hello"}, {"from": "model", "value": "Hi"}], "user:Hello|assistant:Hi|"),
    "tool": ([HUMAN, GPT, {"from": "tool", "value": "4"}, GPT], "user:Hello|assistant:Hi|tool:4|assistant:Hi|"),
    "observation": ([HUMAN, GPT, {"from": "observation", "value": "4"}, GPT],
                    "user:Hello|assistant:Hi|tool:4|assistant:Hi|"),
    "nulls": ([{**HUMAN, "role": None, "content": None}, {**GPT, "weight": None}], "user:Hello|assistant:Hi|"),
    "human last": ([HUMAN, GPT, HUMAN], "user:Hello|assistant:Hi|"),
    "names of openai": ([{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}],
                        "user:Hello|assistant:Hi|"),
}  # fmt: skip
LINES = loop("{{ m.role }}:{{ m.content }}|", "assistant:")


@pytest.mark.parametrize("name", SHAREGPT)
@pytest.mark.parametrize("column", ["conversations", "messages"])
def test_rows_of_sharegpt(name: str, column: str) -> None:
    turns, expected = SHAREGPT[name]
    assert said({column: turns}, LINES) == expected


def test_a_system_text_beside_the_conversation_comes_first() -> None:
    assert said({"conversations": [HUMAN, GPT], "system": "Be kind."}, LINES).startswith("system:Be kind.|user:")
    assert said({"conversations": [HUMAN, GPT], "system": ""}, LINES).startswith("user:")
    assert said({"conversations": [{"from": "system", "value": "A"}, HUMAN, GPT], "system": "B"}, LINES).startswith(
        "system:A|u"
    )


@pytest.mark.parametrize("tools", [None, [], "", "[]", "null", "{}"])
def test_no_tools(tools: Any) -> None:
    assert "tools" not in checked({"messages": [USER, FINAL], "tools": tools})


def test_the_result_of_a_tool_may_be_an_object() -> None:
    row = {"messages": [USER, calling(), {**RESULT, "content": {"sky": "grau, grün", "wind": None}}, FINAL]}
    assert '\n{"sky": "grau, grün"}<|im_end|>' in said(row)


@pytest.mark.parametrize("role", ["developer", "tool", "system", "function"])
def test_roles(role: str) -> None:
    shown = {"function": "tool"}.get(role, role)
    assert f"<|im_start|>{shown}\nso<|im_end|>" in said(
        {"messages": [{"role": role, "content": "so"}, USER, FINAL]}, CHATML
    )


NO_DEVELOPER = {
    "refused": "{% if messages[0].role == 'developer' %}{{ raise_exception('who?') }}{% endif %}" + CHATML,
    "left out": "{% for m in messages if m.role != 'developer' %}" + CHATML.removeprefix("{% for m in messages %}"),
}  # fmt: skip


@pytest.mark.parametrize("how", NO_DEVELOPER)
def test_a_template_that_knows_no_developer_gets_a_system_message(how: str) -> None:
    row = {"messages": [{"role": "developer", "content": "so"}, USER, FINAL]}
    assert "<|im_start|>system\nso<|im_end|>" in said(row, NO_DEVELOPER[how])


AS_TEXT = CHATML.replace(
    "<|im_end|>\n{% endfor",
    "{% for c in m.tool_calls or [] %}{{ c.function.name + ' ' + c.function.arguments }}{% endfor %}"
    "<|im_end|>\n{% endfor",
)
"""DeepSeek's template puts the arguments into a text, so they must be one."""


@pytest.mark.parametrize("arguments", ['{"city": "Oslo"}', {"city": "Oslo"}])
def test_a_template_that_wants_arguments_as_text(arguments: Any) -> None:
    call = {"function": {"name": "get_weather", "arguments": arguments}}
    row = {"messages": [USER, {"role": "assistant", "content": "", "tool_calls": [call]}]}
    assert exchange(row, AS_TEXT).answer == 'get_weather {"city": "Oslo"}<|im_end|>'


@pytest.mark.parametrize("arguments", ["", "city=Oslo", "[1]", '{"city": '])
def test_arguments_that_are_no_json_stay_as_they_are(arguments: str) -> None:
    call = {"function": {"name": "get_weather", "arguments": arguments}}
    row = {"messages": [USER, {"role": "assistant", "tool_calls": [call]}]}
    assert f'"arguments": {json.dumps(arguments)}' in said(row)


@pytest.mark.parametrize(
    "name", ["qwen2_5", "qwen3", "llama3_1", "deepseekv3", "lfm2_2_5", "gptoss", "nemotron_3_nano"]
)
def test_public_templates_show_calls(name: str) -> None:
    row = {"tools": [TOOL], "messages": [USER, calling(), RESULT, FINAL]}
    text = said(row, public_template(name))
    assert text.index("get_weather") < text.index("Oslo", text.rindex("get_weather") - 300)
    assert "light drizzle" in text
    assert "None" not in said({"messages": [USER, calling()]}, public_template(name))


@pytest.mark.parametrize("template", ["gptoss", "gptoss_training"])
def test_what_opens_an_answer_is_learnt_where_an_earlier_thought_falls_away(template: str) -> None:
    """gpt-oss shows the thought before a call in the prompt, and no longer once the answer stands."""
    added = ("<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|call|>", "<|return|>")
    case = Case(public_template(template), "<|return|>", "", added, "<|return|>")
    row = {"messages": [USER, calling(reasoning_content="I must look."), RESULT, FINAL], "tools": [TOOL]}
    made = render(TASKS["chat"], DataConfig(), byte_tokenizer(case))(checked(row))
    assert "I must look." in made.prompt
    whole = ("<|start|>assistant", "<|channel|>final<|message|>Yes, it is.")
    assert (made.prompt[-len(whole[0]) :], made.answer) == whole


@pytest.mark.parametrize("content", [None, ""])
def test_a_conversation_with_a_silent_turn_is_rendered_without_a_word_for_nothing(content: Any) -> None:
    row = {"messages": [USER, {"role": "assistant", "content": content}, USER, FINAL]}
    assert "<|im_start|>assistant\n<|im_end|>" in said(row, CHATML)
    assert "None" not in said(row, CHATML.replace("m.content", "m['content']"))


# --- refused by name ---

BLIND = {
    "calls": (CHATML, {"messages": [USER, calling("x")]}, "leaves out the call of 'get_weather' in message 2"),
    "calls of the past": (CHATML, {"messages": [USER, calling("x"), FINAL]},
                          "leaves out the call of 'get_weather' in message 2"),
    "the second call": (CHATML.replace("{{ m.content }}", "{{ m.content or m.tool_calls[0].function.name }}"),
                        {"messages": [USER, {**calling(""), "tool_calls": [CALL, CALL]}]},
                        "leaves out the call of 'get_weather' in message 2"),
    "results": ("{% for m in messages if m.role != 'tool' %}" + HERMES.split("{% for m in messages %}")[1],
                {"messages": [USER, calling(), RESULT, FINAL]}, "leaves out message 3, of the role 'tool'"),
    "alternation": ("{{ raise_exception('roles must\nalternate') }}", {"messages": [USER, USER, FINAL]},
                    "refuses a conversation of user, user, assistant: roles must alternate"),
    "a fault of its own": (CHATML.replace("m.content", "m.content + 1"), {"messages": [USER, FINAL]},
                           "refuses a conversation of user, assistant: can only concatenate str"),
    "no jinja": ("{% for", {"messages": [USER, FINAL]}, "refuses a conversation of user, assistant:"),
}  # fmt: skip


@pytest.mark.parametrize("name", BLIND)
def test_a_template_that_refuses_or_hides_a_row_is_named_with_file_and_line(name: str) -> None:
    template, row, reason = BLIND[name]
    with pytest.raises(DataError) as caught:
        exchange(row, template)
    assert str(caught.value).startswith(f"f.jsonl:7: the tokenizer's chat template {reason}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"messages": [USER, calling()]}, "calls the tool 'get_weather'"),
        ({"messages": [USER, calling("x"), RESULT, FINAL]}, "calls the tool 'get_weather'"),
        ({"tools": [TOOL], "messages": [USER, FINAL]}, "brings tools"),
        ({"documents": [{"text": "a"}], "messages": [USER, FINAL]}, "brings documents"),
    ],
)
def test_without_a_template_calls_and_tools_are_refused(row: dict[str, Any], what: str) -> None:
    tokenizer = byte_tokenizer(CASES["chatml"])
    tokenizer.chat_template = None
    with pytest.raises(DataError, match=rf"^f\.jsonl:7: the conversation {what}, which plain lines have no form for"):
        render(TASKS["chat"], DataConfig(), tokenizer)(checked(row))


def test_without_a_template_developers_and_silent_turns_are_lines() -> None:
    tokenizer = byte_tokenizer(CASES["chatml"])
    tokenizer.chat_template = None
    turns = [{"role": "developer", "content": "so"}, USER, {"role": "assistant", "content": None}, USER, FINAL]
    made = render(TASKS["chat"], DataConfig(), tokenizer)(checked({"messages": turns, "tools": []}))
    question = USER["content"]
    assert made.prompt == f"System: so\nUser: {question}\nAssistant: \nUser: {question}\nAssistant:"


MALFORMED = {
    "null messages": ({"messages": None}, "messages is None, but a list of messages is needed"),
    "a text": ({"conversations": "hi"}, "conversations is 'hi', but a list of messages is needed"),
    "no column": ({"text": "hi"}, "conversation column missing (looked for 'messages', 'conversations'); columns"),
    "null text of a user": ({"messages": [{"role": "user", "content": None}, FINAL]}, "message 1 is {"),
    "null role": ({"messages": [{"role": None, "content": "a"}, FINAL]}, "message 1 is {"),
    "a number for a role": ({"messages": [{"role": 1, "content": "a"}, FINAL]}, "message 1 has role 1, allowed: "),
    "an image": ({"messages": [{"role": "user", "content": [{"type": "image", "url": "a"}]}, FINAL]},
                 "message 1 has a part of type 'image', but only text can be read"),
    "a number for a part": ({"messages": [{"role": "user", "content": [3]}, FINAL]}, "message 1 has a part 3, but"),
    "a number for a text": ({"messages": [USER, {"role": "assistant", "content": 3}]}, "message 2 is {"),
    "a call without a name": ({"messages": [USER, {**calling(), "tool_calls": [{"function": {"arguments": {}}}]}]},
                              "message 2 has the tool call {"),
    "a call that is a text": ({"messages": [USER, {**calling(), "tool_calls": ["f"]}]},
                              "message 2 has the tool call 'f'"),
    "calls that are no JSON": ({"messages": [USER, {**calling(), "tool_calls": "f()"}]},
                               "message 2 has tool_calls 'f()'"),
    "a spoken function_call": ({"conversations": [HUMAN, {"from": "function_call", "value": "f()"}]},
                               "message 2 has function_call 'f()', but a call as JSON is needed"),
    "tools that are no JSON": ({"tools": "f", "messages": [USER, FINAL]}, "tools is 'f', but a list of objects"),
    "tools of numbers": ({"tools": [1], "messages": [USER, FINAL]}, "tools is [1], but a list of objects"),
    "deep JSON": ({"tools": "[" * 100_000, "messages": [USER, FINAL]}, "tools is '[[["),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_conversation_is_refused_in_one_short_line(name: str) -> None:
    values, reason = MALFORMED[name]
    with pytest.raises(DataError) as caught:
        checked(values)
    assert str(caught.value).startswith(f"f.jsonl:7: {reason}")
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


def test_the_command_line_names_the_row_that_a_template_hides(checkpoint: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(checkpoint, model)
    (model / "chat_template.jinja").write_text(CHATML)
    rows = [{"messages": [USER, FINAL]}, {"messages": [USER, calling("x")]}]
    for split in ("train", "validation"):
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    refused(
        ["evaluate", "--model", model, "--task", "chat", "--data", tmp_path],
        f"{tmp_path}/validation.jsonl:2: the tokenizer's chat template leaves out the call of 'get_weather' in message",
        watched=tmp_path,
    )
