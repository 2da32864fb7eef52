"""Find the assistant's earlier turns in a rendered conversation, so that all of them can be learnt; torch-free.

The text of a turn is what the chat template writes for it in the whole conversation, which may be less than it would
write at the end (many templates drop the thoughts of earlier turns). Two ways lead to it. Where the conversation up to
a turn, rendered alone, begins the whole one, the turn is what it adds. Otherwise the turn's text is replaced by a mark,
and what stands around the mark is looked for in the whole.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from balora.tasks.conversations import Message
from balora.tasks.files import Row
from balora.tasks.turn_end import MARK, TurnEnd, as_parts, without_tail

Span = tuple[int, int]
"""Where a text begins and ends within the prompt."""


class Template(Protocol):
    """What is needed of a chat template (:class:`balora.tasks.chat_template.ChatTemplate`)."""

    @property
    def end(self) -> TurnEnd:
        """How it closes a turn."""

    @property
    def added(self) -> Sequence[str]:
        """The tokens that stand for themselves in any text."""

    @property
    def wants_parts(self) -> bool:
        """Whether it shows a text only as a list of parts."""

    def try_render(self, messages: list[Message], row: Row, **options: Any) -> str | None:
        """Return the text that it makes of a conversation; None if it refuses it."""


class LearntTurns(NamedTuple):
    """The earlier turns of a conversation that are learnt, in order, and how many could not be found."""

    spans: tuple[Span, ...] = ()
    missed: int = 0


def learnt_turns(template: Template, messages: list[Message], prompt: str, row: Row) -> LearntTurns:
    """Return where the assistant's turns among ``messages`` stand in ``prompt``, each up to what closes it.

    ``prompt`` is the text that ``template`` makes of ``messages``, opened for the answer.
    """
    places = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
    spoken = [place for place in places if _text_of(messages[place]).strip() or messages[place].get("tool_calls")]
    found = [_turn(template, messages, place, prompt, row) for place in spoken]
    spans, last = list[Span](), 0
    for span in found:
        if span is not None and last <= span[0] < span[1]:
            spans.append(span)
            last = span[1]
    return LearntTurns(tuple(spans), len(found) - len(spans))


def _turn(template: Template, messages: list[Message], place: int, prompt: str, row: Row) -> Span | None:
    opened = template.try_render(messages[:place], row, add_generation_prompt=True)
    finished = template.try_render(messages[: place + 1], row)
    if opened is None or not prompt.startswith(opened):
        opened = None
    if opened is not None and finished is not None and finished.startswith(opened):
        answer, _ = without_tail(finished[len(opened) :], template.end, template.added)
        if prompt.startswith(opened + answer):
            return len(opened), len(opened) + len(answer)
    if messages[place].get("tool_calls"):
        return None if opened is None else _calling(template, messages, place, prompt, row, len(opened))
    around = _around(template, messages, place, {**messages[place], "content": MARK}, prompt, row)
    if around is None:
        return None
    start, stop = around
    if opened is not None and len(opened) <= start:  # what generation does not give, the model has to write
        start = len(opened)
    closing = template.end.closing
    return start, stop + (len(closing) if prompt.startswith(closing, stop) else 0)


def _calling(template: Template, messages: list[Message], place: int, prompt: str, row: Row, start: int) -> Span | None:
    """Return the turn that begins at ``start`` and calls tools: up to the first closing behind its last call's name."""
    *others, last = messages[place]["tool_calls"]
    marked = {**messages[place], "tool_calls": [*others, {**last, "function": {**last["function"], "name": MARK}}]}
    around = _around(template, messages, place, marked, prompt, row)
    closing = template.end.closing
    stop = prompt.find(closing, around[1]) if around is not None and closing else -1
    if stop < 0:
        return None
    following = messages[place + 1] if place + 1 < len(messages) else None
    if following is not None and _text_of(following):  # the closing must not be one of a later message
        next_text = _around(template, messages, place + 1, {**following, "content": MARK}, prompt, row)
        if next_text is None or next_text[0] < stop:
            return None
    return start, stop + len(closing)


def _around(
    template: Template, messages: list[Message], place: int, marked: Message, prompt: str, row: Row
) -> Span | None:
    """Return what stands in ``prompt`` where the mark of the message ``marked`` stands in place of another text."""
    shown = as_parts(marked) if template.wants_parts else marked
    text = template.try_render([*messages[:place], shown, *messages[place + 1 :]], row, add_generation_prompt=True)
    if text is None or text.count(MARK) != 1:
        return None
    before, _, after = text.partition(MARK)
    stop = len(prompt) - len(after)
    return (len(before), stop) if prompt.startswith(before) and prompt.endswith(after) and len(before) < stop else None


def _text_of(message: Message) -> str:
    """Return the text of a message, also where it stands in one part."""
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
