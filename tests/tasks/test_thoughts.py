"""An answer is what follows the thought that a chat template writes before it."""

import pytest

from balora.tasks.thoughts import after_thought, thought_of


class Special:
    all_special_tokens = ("<|channel|>", "<|message|>")


@pytest.mark.parametrize(
    ("opening", "thought"),
    [
        ("<think>\n\n</think>\n\n", "<think>\n\n</think>"),
        ("<|channel|>final<|message|>", "final"),
        ("<|channel|>", ""),
        ("", ""),
    ],
)
def test_a_thought_is_what_generation_shows_of_it(opening: str, thought: str) -> None:
    assert thought_of(opening, Special()) == thought


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("<think>\n\n</think>\n\nyes", "<think>\n\n</think>", "\n\nyes"),
        ("\n<think>\n\n</think>yes", "<think>\n\n</think>", "yes"),
        ("<think>\nlet me see\n</think>\n\nyes", "<think>\n\n</think>", "\n\nyes"),
        ("let me see</think>yes</think>", "<think>\n\n</think>", "yes</think>"),
        ("yes", "<think>\n\n</think>", "yes"),
        ("  yes", "", "  yes"),
        ("<think>yes", "<think></think>", "<think>yes"),
        ("[THINK]so[/THINK]yes", "[THINK][/THINK]", "yes"),
        ("finalyes", "final", "yes"),
        ("the final answer", "final", "the final answer"),
        ("\n</think>\n\nyes", "</think>", "\n\nyes"),
    ],
)
def test_an_answer_is_what_follows_its_thought(text: str, thought: str, answer: str) -> None:
    assert after_thought(text, thought) == answer
