"""Conversations teach every turn of the assistant: which tokens are learnt, beside TRL's masks and by hand."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.hostile.chat_cases import (
    CASES,
    CHATML_TOKENS,
    FINAL,
    HERMES,
    RESULT,
    TOOL,
    USER,
    Case,
    byte_tokenizer,
    calling,
    public_template,
)

from balora.tasks.catalogue import TASKS
from balora.tasks.config import DataConfig
from balora.tasks.conversations import conversation
from balora.tasks.encoding import IGNORED, encode_exchanges
from balora.tasks.nlg import prepare_nlg
from balora.tasks.prompts import render
from balora.tasks.token_spans import tokens_within

TURNS = [
    {"role": "user", "content": "Is it?"},
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": "Why?"},
    {"role": "assistant", "content": "Rain: so wet."},
    {"role": "user", "content": "And now?"},
    {"role": "assistant", "content": "Dry."},
]
TOKENS = re.compile(r"<\|[a-zA-Z_/]+\|>|<[a-z_]*turn[a-z_|]*>|</?s>|<eos>|<｜[^｜]+｜>|</?think>|<\|[A-Z_]+\|>")


def runs(tokenizer: Any, ids: list[int], learnt: list[bool]) -> list[str]:
    """Return the texts of the runs of tokens that are learnt."""
    found: list[list[int]] = [[]]
    for token, kept in zip(ids, learnt, strict=True):
        if kept:
            found[-1].append(token)
        elif found[-1]:
            found.append([])
    return [tokenizer.decode(run) for run in found if run]


def learnt(tokenizer: Any, turns: list[dict[str, Any]], which: str = "all", **extra: Any) -> list[str]:
    row = conversation("f.jsonl:1", {"messages": turns, **extra}, "messages")
    exchange = render(TASKS["chat"], DataConfig(turns=which), tokenizer)(row)
    (encoded,) = encode_exchanges([exchange], tokenizer)
    for token, label in zip(encoded["input_ids"], encoded["labels"], strict=True):
        assert label in (token, IGNORED)
    return runs(tokenizer, encoded["input_ids"], [label != IGNORED for label in encoded["labels"]])


MASKED = ["cohere", "cohere2", "deepseek_r1_distill", "deepseekv3", "gemma", "gemma3", "glm4moe", "lfm2", "llama3",
          "muse_glimmer", "nemotron_3_nano", "phi3", "phi3_5", "qwen2_5", "qwen3", "qwen3_5_nothink", "qwen3_5_think",
          "qwen3_instruct_2507"]  # fmt: skip


@pytest.mark.parametrize("name", MASKED)
def test_the_turns_of_trls_masks_are_learnt(name: str) -> None:
    """TRL's training templates mark what is learnt. Ours leaves out what generation gives, and what ends no turn."""
    template = public_template(f"{name}_training")
    tokenizer = byte_tokenizer(Case(template, "", "", tuple(dict.fromkeys(TOKENS.findall(template)))))
    masked = tokenizer.apply_chat_template(TURNS, return_dict=True, return_assistant_tokens_mask=True)
    theirs = runs(tokenizer, masked["input_ids"], [bool(kept) for kept in masked["assistant_masks"]])
    ours = learnt(tokenizer, TURNS)
    around = {tuple(their.split(our)) for their, our in zip(theirs, ours, strict=True)}
    openings, tails = {opening for opening, _ in around}, {tail for _, tail in around}
    assert len(ours) == 3
    assert len(openings) == 1  # part of the prompt for generation, in every turn
    assert tails <= {"", "\n", "\n<|endoftext|>"}


def test_last_learns_the_last_turn_alone() -> None:
    tokenizer = byte_tokenizer(CASES["chatml"])
    assert learnt(tokenizer, TURNS, "last") == ["Dry.<|im_end|>"]
    assert learnt(tokenizer, TURNS) == ["Yes.<|im_end|>", "Rain: so wet.<|im_end|>", "Dry.<|im_end|>"]


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_kind_of_template_gives_the_text_of_every_turn(name: str) -> None:
    tokenizer = byte_tokenizer(CASES[name])
    found = learnt(tokenizer, TURNS)
    assert len(found) == 3
    for turn, text in zip(TURNS[1::2], found, strict=True):
        assert turn["content"] in text
    assert not any("?" in text for text in found)  # nothing of the user's


def test_a_call_and_what_follows_its_result_are_learnt() -> None:
    tokenizer = byte_tokenizer(Case(HERMES, "", "", CHATML_TOKENS))
    call = '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}</tool_call><|im_end|>'
    system = {"role": "system", "content": "Be kind."}
    found = learnt(tokenizer, [system, USER, calling("I look."), RESULT, FINAL], tools=[TOOL])
    assert found == ["I look." + call, "Yes, it is.<|im_end|>"]
    assert learnt(tokenizer, [USER, calling(), RESULT, FINAL, USER, FINAL], tools=[TOOL]) == [
        call,
        "Yes, it is.<|im_end|>",
        "Yes, it is.<|im_end|>",
    ]


def test_a_thought_that_the_template_drops_is_not_learnt_and_the_answer_is() -> None:
    tokenizer = byte_tokenizer(Case(public_template("qwen3"), "", "", (*CHATML_TOKENS, "<think>", "</think>")))
    thinking = {**FINAL, "reasoning_content": "drizzle is rain"}
    found = learnt(tokenizer, [USER, thinking, USER, thinking])
    assert found == ["Yes, it is.<|im_end|>", "<think>\ndrizzle is rain\n</think>\n\nYes, it is.<|im_end|>"]


def test_a_call_that_the_template_rewrites_is_learnt_as_it_stands() -> None:
    tokenizer = byte_tokenizer(Case(public_template("qwen3"), "", "", (*CHATML_TOKENS, "<think>", "</think>")))
    turns = [USER, calling(reasoning_content="look"), RESULT, FINAL, USER, FINAL]
    first, second, third = learnt(tokenizer, turns, tools=[TOOL])
    assert first.startswith('<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}')
    assert first.endswith("</tool_call><|im_end|>")
    assert "drizzle" not in first
    assert [second, third[-21:]] == ["Yes, it is.<|im_end|>", "Yes, it is.<|im_end|>"]


def test_a_call_whose_end_is_unknown_is_not_learnt_together_with_its_result() -> None:
    """The last turn alone has a thought, and calls end in a token of their own: only the result's end is known."""
    template = HERMES.replace(
        "{{ '\n' }}", "{{ '\n' }}{% if m.role == 'assistant' and loop.last %}<think></think>{% endif %}"
    )
    template = template.replace(
        "<|im_end|>\n{% endfor %}{% if add", "{{ '<|eom|>' if m.tool_calls else '<|im_end|>' }}\n{% endfor %}{% if add"
    )
    assert template.count("<think></think>") == template.count("<|eom|>") == 1
    tokenizer = byte_tokenizer(Case(template, "", "", (*CHATML_TOKENS, "<|eom|>")))
    assert learnt(tokenizer, [USER, calling(), RESULT, FINAL]) == ["<think></think>Yes, it is.<|im_end|>"]


def test_lines_teach_every_answer_without_its_line_end() -> None:
    tokenizer = byte_tokenizer(Case("", "", ""))
    assert learnt(tokenizer, TURNS) == [" Yes.", " Rain: so wet.", " Dry.<|endoftext|>"]
    assert learnt(tokenizer, TURNS, "last") == [" Dry.<|endoftext|>"]


def test_an_assistant_that_says_nothing_teaches_nothing() -> None:
    silent = [TURNS[0], {"role": "assistant", "content": ""}, *TURNS[2:4]]
    assert learnt(byte_tokenizer(CASES["chatml"]), silent) == ["Rain: so wet.<|im_end|>"]
    assert learnt(byte_tokenizer(Case("", "", "")), silent) == [" Rain: so wet.<|endoftext|>"]


def test_a_greeting_before_the_user_speaks_is_learnt() -> None:
    greeting = {"role": "assistant", "content": "Hello."}
    assert learnt(byte_tokenizer(CASES["chatml"]), [greeting, *TURNS[:2]]) == ["Hello.<|im_end|>", "Yes.<|im_end|>"]


def test_turns_that_are_not_found_are_left_out_and_counted(tmp_path: Path) -> None:
    """A template that repeats the first answer at the end: no one place is the turn's."""
    template = CASES["chatml"].template.replace(
        "{% if add_generation_prompt %}", "{{ messages[1].content }}{% if add_generation_prompt %}"
    )
    tokenizer = byte_tokenizer(Case(template, "", "", CHATML_TOKENS))
    tokenizer.pad_token = "<|endoftext|>"
    for split in ("train", "validation"):
        (tmp_path / f"{split}.jsonl").write_text(json.dumps({"messages": TURNS}) + "\n")
    prepared = prepare_nlg(TASKS["chat"], DataConfig(folder=str(tmp_path), max_length=999), tokenizer, seed=0)
    assert any("these turns are not learnt" in note for note in prepared.notes)


def test_only_the_last_answer_is_scored(tmp_path: Path) -> None:
    tokenizer = byte_tokenizer(CASES["chatml"])
    for split in ("train", "validation"):
        (tmp_path / f"{split}.jsonl").write_text(json.dumps({"messages": TURNS}) + "\n")
    prepared = prepare_nlg(TASKS["chat"], DataConfig(folder=str(tmp_path), max_length=999), tokenizer, seed=0)
    texts = [
        runs(tokenizer, row["input_ids"], [label != IGNORED for label in row["labels"]])
        for row in (prepared.train[0], prepared.eval[0])
    ]
    assert texts == [["Yes.<|im_end|>", "Rain: so wet.<|im_end|>", "Dry.<|im_end|>"], ["Dry.<|im_end|>"]]
    assert prepared.eval[0]["answer"] == "Dry."


class Slow:
    """A tokenizer of letters without positions, which joins `:` with what follows."""

    is_fast = False
    eos_token_id = None

    def __call__(self, text: str, **_: Any) -> dict[str, list[str]]:
        return {"input_ids": re.findall(r":.|.", text)}


def test_tokens_that_reach_over_a_border_belong_to_no_span() -> None:
    slow = Slow()
    ids = slow("ab:cd")["input_ids"]
    assert tokens_within("ab:cd", ids, [(1, 2)], slow) == [False, True, False, False]  # type: ignore[arg-type]
    assert tokens_within("ab:cd", ids, [(3, 5)], slow) == [False] * 4  # type: ignore[arg-type]
    assert tokens_within("ab:cd", ids, [], slow) == [False] * 4  # type: ignore[arg-type]
