"""Render conversations with a tokenizer's chat template, so that nothing of them is lost; torch-free.

Templates differ in what they can read: some want a call's arguments as an object and some as JSON, some want a text
and some its parts, some know no developer. A conversation is rendered in the first of these forms that its template
accepts and in which it shows every call and every result of a tool.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import product
from typing import Any

from balora.errors import DataError, printable, shortened, shown
from balora.tasks.conversations import Message, with_arguments
from balora.tasks.exchange import Exchange
from balora.tasks.learnt_turns import LearntTurns, learnt_turns
from balora.tasks.row_checks import Row
from balora.tasks.turn_end import ANSWER, MARK, QUESTION, TurnEnd, added_tokens, as_parts, turn_end, without_tail

PROVEN_ROLES = ("developer", "tool")
"""Roles that many templates do not know; some leave such a message out without a word."""


THOUGHTS = ("reasoning_content", "reasoning", "thinking")
"""The fields in which data files hold a thought."""


class ChatTemplate:
    """The chat template of one tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    @cached_property
    def end(self) -> TurnEnd:
        return turn_end(self.tokenizer)

    @cached_property
    def added(self) -> Sequence[str]:
        return list(added_tokens(self.tokenizer))

    @cached_property
    def wants_parts(self) -> bool:
        """Whether the template shows a text only as a list of parts, as some of models with images do."""
        turns = [QUESTION, ANSWER]
        parts = list(map(as_parts, turns))
        return not self._shows(turns) and self._shows(parts)

    def exchange(self, row: Row, *, all_turns: bool = False) -> Exchange:
        """Return a conversation's prompt, as generation gets it, and its answer up to the token that closes the turn.

        Templates may write more into the prompt for generation than before a finished answer (an empty thought, say).
        The model gets that prompt in generation, so it is also the one that the answer is learnt after. With
        ``all_turns`` the assistant's earlier turns are learnt too.

        Raises:
            DataError: the template refuses the conversation, or leaves a call out; names the row.
        """
        own = row.get("turn") or {"role": "assistant", "content": row["answer"]}
        (*before, turn), prompt, text = self._readable(row, [*row["messages"], own])
        answer = text[len(prompt) :] if text.startswith(prompt) else self._after_header(text, prompt, before, turn, row)
        answer, closed = without_tail(answer, self.end, self.added)
        eos = self.tokenizer.eos_token
        if closed and eos and answer.endswith(eos):  # the end token is added to every answer that is not closed
            answer, closed = answer.removesuffix(eos), False
        opening = self._opening(answer, prompt, before, turn, row)
        turns = learnt_turns(self, before, prompt, row) if all_turns else LearntTurns()
        return Exchange(prompt, answer, True, closed, opening, _leaves_out(answer, own), turns.spans, turns.missed)

    def try_render(self, messages: list[Message], row: Row, **options: Any) -> str | None:
        """Return the text that the template makes of a conversation; None if it refuses it."""
        try:
            return self._render(messages, row, **options)
        except Exception:  # a template is a program: it refuses in its own ways
            return None

    def _render(self, messages: list[Message], row: Row, **options: Any) -> str:
        given = {name: row[name] for name in ("tools", "documents") if name in row}
        text: str = self.tokenizer.apply_chat_template(messages, tokenize=False, **given, **options)
        return text

    def _readable(self, row: Row, messages: list[Message]) -> tuple[list[Message], str, str]:
        """Return the messages in the first form that the template accepts without leaving anything out.

        Beside them: the prompt for the last message, and the whole conversation, as texts.
        """
        lost, refused = [], []
        for form in self._forms(messages):
            try:
                prompt, text = self._render(form[:-1], row, add_generation_prompt=True), self._render(form, row)
            except Exception as error:  # a template is a program: it refuses in its own ways
                refused.append(_refusal(messages, error))
                continue
            missing = self._missing(form, row)
            if missing is None:
                return form, prompt, text
            lost.append(f"the tokenizer's chat template leaves out {missing}: leave the row out, or give another model")
        raise DataError(_where(row) + [*lost, *refused][0])

    def _forms(self, messages: list[Message]) -> Iterator[list[Message]]:
        """Yield the forms in which templates may want a conversation, the usual one first; only those that differ."""
        calls = any(message.get("tool_calls") for message in messages)
        silent = any(not message.get("content") for message in messages)
        developer = any(message["role"] == "developer" for message in messages)
        choices = product(
            (False, True) if developer else (False,),
            ("as found", "empty", "missing") if silent else ("as found",),
            (False, True) if calls else (False,),
        )
        for as_system, silence, as_text in choices:
            form = [with_arguments(_silent(message, silence), as_text=as_text) for message in messages]
            if as_system:
                form = [{**m, "role": "system"} if m["role"] == "developer" else m for m in form]
            yield list(map(as_parts, form)) if self.wants_parts else form

    def _missing(self, messages: list[Message], row: Row) -> str | None:
        """Return what of a conversation the template does not show; None if it shows everything that is proven.

        Every call's name and every text of :data:`PROVEN_ROLES` is replaced by a mark of its own, and looked for.
        """
        marked, proven = [], list[str]()
        for number, message in enumerate(messages, 1):
            changed = dict(message)
            if message["role"] in PROVEN_ROLES and message.get("content"):
                changed["content"] = _mark(proven, f"message {number}, of the role {message['role']!r}")
                changed = as_parts(changed) if self.wants_parts else changed
            calls = []
            for call in message.get("tool_calls", []):
                name = _mark(proven, f"the call of {shown(call['function']['name'])} in message {number}")
                calls.append({**call, "function": {**call["function"], "name": name}})
            marked.append(changed | ({"tool_calls": calls} if calls else {}))
        if not proven:
            return None
        try:
            text = self._render(marked, row)
        except Exception:  # a template may know its tools by name and refuse the marks: that proves nothing
            return None
        return next((what for place, what in enumerate(proven) if _mark_of(place) not in text), None)

    def _shows(self, messages: list[Message]) -> bool:
        try:
            return MARK in self._render(messages, {})
        except Exception:  # a template is a program: it refuses in its own ways
            return False

    def _after_header(self, text: str, prompt: str, before: list[Message], turn: Message, row: Row) -> str:
        """Return the last turn of a rendered conversation without the part of its opening that prompts have."""
        for answer in (ANSWER, {**turn, "content": MARK}):
            marked = as_parts(answer) if self.wants_parts else answer
            header = self._render([*before, marked], row).rpartition(MARK)[0]
            if header and text.startswith(header):
                opener = prompt.removeprefix(self._render(before, row))
                return _behind(header, opener, before[-1], self.end.closing) + text[len(header) :]
        raise DataError(
            f"{_where(row)}the tokenizer's chat template writes a finished turn otherwise than it opens one, so it is "
            f"unknown where the answer begins"
        )

    def _opening(self, answer: str, prompt: str, before: list[Message], turn: Message, row: Row) -> str:
        """Return what the template writes between the prompt and the content of an answer that calls nothing."""
        content = turn.get("content")
        if not isinstance(content, str) or not content.strip() or turn.get("tool_calls"):
            return ""
        if answer.lstrip().startswith(content.strip()):
            return ""
        marked = self._render([*before, {**turn, "content": MARK}], row)
        opening = marked[len(prompt) :].partition(MARK)[0] if marked.startswith(prompt) and MARK in marked else ""
        return opening if answer.startswith(opening) else ""


def _behind(header: str, opener: str, last: Message, closing: str) -> str:
    """Return what stands in a finished turn's ``header`` behind the ``opener`` that prompts end with; often nothing.

    gpt-oss opens with `<|start|>assistant` and goes on with the channel, which is the model's to write. Where the last
    opener of the header is that of an earlier turn, with the ``last`` message behind it, nothing is known to follow.
    """
    rest = header.rpartition(opener)[2] if opener and opener in header else ""
    texts = [closing, str(last.get("content") or "").strip()]
    return "" if any(text and text in rest for text in texts) else rest


def _leaves_out(answer: str, turn: Message) -> bool:
    """Return whether a rendered answer lacks the text or the thought of its message; white space does not count."""
    texts = [turn.get(name) for name in ("content", *THOUGHTS)]
    compact = "".join(answer.split())
    return any(isinstance(text, str) and "".join(text.split()) not in compact for text in texts)


def _mark(proven: list[str], what: str) -> str:
    """Note ``what`` is proven next, and return the mark that stands for it."""
    proven.append(what)
    return _mark_of(len(proven) - 1)


def _mark_of(place: int) -> str:
    return f"{MARK}{place}Zq"


def _where(row: Row) -> str:
    return f"{row['where']}: " if "where" in row else ""


def _refusal(messages: list[Message], error: Exception) -> str:
    roles = shortened(", ".join(message["role"] for message in messages))
    reason = printable(shortened(" ".join(str(error).split()) or type(error).__name__))
    return f"the tokenizer's chat template refuses a conversation of {roles}: {reason}"


def _silent(message: Message, silence: str) -> Message:
    """Return a message without text in the form asked for: its content as found, an empty text, or missing."""
    if message.get("content") or silence == "as found":
        return message
    if silence == "empty":
        return {**message, "content": ""}
    return {name: value for name, value in message.items() if name != "content"}
