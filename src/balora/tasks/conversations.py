"""Check the conversation of a row, and bring it into the form that chat templates know; torch-free.

A conversation is a list of messages as OpenAI and transformers write them (`role`, `content`) or as ShareGPT does
(`from`, `value`). Every further field of a message (tool calls, names, thoughts) stays as it is. Fields that are null
count as missing, since `datasets` and Parquet fill the fields that one row has and another lacks with nulls.
"""

import json
from collections.abc import Mapping
from typing import Any

from balora.errors import DataError, shown

Message = dict[str, Any]

ROLES = ("system", "developer", "user", "assistant", "tool")
OTHER_ROLES = {
    "function": "tool",
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "tool_call": "assistant",
    "observation": "tool",
    "function_response": "tool",
    "tool_response": "tool",
}
"""Roles by other names: OpenAI's old one, and those of ShareGPT's files."""
CALLS = ("function_call", "tool_call")
"""ShareGPT's speakers whose text is the JSON of a call."""


def conversation(where: str, values: Mapping[str, Any], column: str) -> dict[str, Any] | None:
    """Return a row's conversation up to the assistant's last message; None if that message says and calls nothing.

    The result holds `messages` (what stands before the answer), `turn` (the message that holds the answer), `answer`
    (the text of that message, unchanged), `where`, and `tools` and `documents` if the row has any.

    Args:
        where: file and line of the row.
        values: the row's columns; `tools`, `documents` and `system` are read beside the conversation.
        column: the column that holds the conversation.

    Raises:
        DataError: no conversation, no answer in it, or a message of another shape; names file, line and message.
    """
    found = values[column]
    if not isinstance(found, list) or not found:
        raise DataError(f"{where}: {column} is {shown(found)}, but a list of messages is needed")
    turns = [_message(where, number, message) for number, message in enumerate(found, 1)]
    system = values.get("system")
    if isinstance(system, str) and system and turns[0]["role"] not in ("system", "developer"):
        turns.insert(0, {"role": "system", "content": system})
    answers = [number for number, turn in enumerate(turns) if turn["role"] == "assistant"]
    if not answers:
        raise DataError(f"{where}: {column} holds no message of the assistant, so there is no answer to learn")
    before, turn = turns[: answers[-1]], turns[answers[-1]]
    if not any(message["role"] == "user" for message in before):
        raise DataError(f"{where}: {column} holds no message of the user before the assistant's last one")
    answer = turn.get("content", "")
    if not answer.strip() and not turn.get("tool_calls"):
        return None
    row = {"messages": before, "turn": turn, "answer": answer, "where": where}
    extra = {name: _objects(where, name, values.get(name)) for name in ("tools", "documents")}
    return row | {name: objects for name, objects in extra.items() if objects}


def _message(where: str, number: int, message: Any) -> Message:
    fields = without_nulls(message) if isinstance(message, Mapping) else {}
    speaker = fields.pop("from", None) if "role" not in fields else fields["role"]
    content = fields.pop("value", None) if "content" not in fields else fields["content"]
    if speaker in CALLS:
        fields["tool_calls"], content = _read(where, number, speaker, content), None
    role = OTHER_ROLES.get(speaker, speaker) if isinstance(speaker, str) else speaker
    if speaker is None or (content is None and role in ("system", "developer", "user")):
        raise DataError(f"{where}: message {number} is {shown(message)}, but {{'role': …, 'content': text}} is needed")
    if role not in ROLES:
        raise DataError(f"{where}: message {number} has role {shown(role)}, allowed: {', '.join(ROLES)}")
    fields["role"] = role
    if role == "tool" and isinstance(content, Mapping):
        fields["content"] = json.dumps(without_nulls(content), ensure_ascii=False)
    elif content is not None:
        fields["content"] = _text(where, number, message, content)
    elif role == "tool":
        fields["content"] = ""
    if role == "assistant":
        _take_calls(where, number, fields)
    return fields


def without_nulls(value: Any) -> Any:
    """Return ``value`` without the entries of mappings that are null, at any depth."""
    if isinstance(value, Mapping):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list | tuple) else value


def _text(where: str, number: int, message: Any, content: Any) -> str:
    """Return a message's text; parts of text are joined as they are."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise DataError(f"{where}: message {number} is {shown(message)}, but {{'role': …, 'content': text}} is needed")
    texts = []
    for part in content:
        kind = part.get("type", "text") if isinstance(part, Mapping) else None
        text = part if isinstance(part, str) else part.get("text", "") if kind == "text" else None
        if not isinstance(text, str):
            what = f"of type {shown(kind)}" if kind not in (None, "text") else shown(part)
            raise DataError(
                f"{where}: message {number} has a part {what}, but only text can be read: leave the row out"
            )
        texts.append(text)
    return "".join(texts)


def _take_calls(where: str, number: int, fields: Message) -> None:
    """Bring the calls of a message into the form `{'type': 'function', 'function': {'name': …, 'arguments': …}}`."""
    calls = fields.pop("tool_calls", None) or fields.pop("function_call", None) or []
    fields.pop("function_call", None)
    if isinstance(calls, str):
        calls = _read(where, number, "tool_calls", calls)
    calls = [_call(where, number, call) for call in (calls if isinstance(calls, list) else [calls])]
    if calls:
        fields["tool_calls"] = calls


def _call(where: str, number: int, call: Any) -> Message:
    function = call.get("function", call) if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str) or not function["name"]:
        raise DataError(
            f"{where}: message {number} has the tool call {shown(call)}, but "
            f"{{'function': {{'name': …, 'arguments': …}}}} is needed"
        )
    outer = {} if function is call else call
    return {"type": "function", **outer, "function": {**function, "arguments": function.get("arguments", {})}}


def _read(where: str, number: int, name: str, text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        raise DataError(f"{where}: message {number} has {name} {shown(text)}, but a call as JSON is needed") from None


def _objects(where: str, name: str, found: Any) -> list[Message]:
    """Return a row's tools or documents, from a list or from its JSON; none where it is null or empty."""
    read = (_parsed(found) if isinstance(found, str) else without_nulls(found)) or []
    objects = [_parsed(one) for one in read] if isinstance(read, list) else [read]
    if not all(isinstance(one, dict) for one in objects):
        raise DataError(f"{where}: {name} is {shown(found)}, but a list of objects, or its JSON, is needed")
    return objects


def _parsed(found: Any) -> Any:
    """Return what a JSON text holds; anything else, and a text that is no JSON, as it is."""
    try:
        return json.loads(found) if isinstance(found, str) else found
    except (ValueError, RecursionError):
        return found


def calls_of(message: Message) -> list[Message]:
    """Return the functions that a message calls: `name` and `arguments` each."""
    return [call["function"] for call in message.get("tool_calls", [])]


def with_arguments(message: Message, *, as_text: bool) -> Message:
    """Return a message whose calls have their arguments as an object (transformers' form) or as the JSON text of it.

    A text that is no JSON of an object stays a text.
    """
    if not message.get("tool_calls"):
        return message
    calls = [
        {**call, "function": {**call["function"], "arguments": _arguments(call["function"]["arguments"], as_text)}}
        for call in message["tool_calls"]
    ]
    return {**message, "tool_calls": calls}


def _arguments(found: Any, as_text: bool) -> Any:
    if as_text:
        return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    read = _parsed(found)
    return read if isinstance(read, dict) else found
