"""MT-Bench under chat templates, and its second turn where it cannot be asked: the first turn keeps its answer."""

from pathlib import Path
from typing import Any

import pytest
from loopback_judge import loopback_judge
from tests.training.recipe_data import write_recipe_data
from transformers import AutoTokenizer

from balora.judging.config import JudgeConfig
from balora.judging.judge import Judge
from balora.tasks import nlg
from balora.tasks.catalogue import find_task
from balora.tasks.config import DataConfig, ScoringConfig
from balora.tasks.grading import Tools
from balora.tasks.nlg import evaluate_nlg, prepare_nlg
from balora.tasks.prepared import Prepared

OPEN = "{% if add_generation_prompt %}<assistant>\n{% endif %}"
REFUSES_EMPTY = (
    "{% for m in messages %}{% if not m['content'] %}{{ raise_exception('empty turn') }}{% endif %}"
    "<{{ m['role'] }}>\n{{ m['content'] }}</s>{% endfor %}" + OPEN
)
SKIPS_EMPTY = (
    "{% for m in messages %}{% if m['content'] %}<{{ m['role'] }}>\n{{ m['content'] }}</s>{% endif %}{% endfor %}"
    + OPEN
)
THINKS = (
    "{% for m in messages %}<{{ m['role'] }}>\n{% if m['role'] == 'assistant' and loop.last %}<think>\n\n</think>\n\n"
    "{% endif %}{{ m['content'] }}</s>{% endfor %}" + OPEN
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    return write_recipe_data(tmp_path / "data", "mt_bench")


def prepared(checkpoint: Path, questions: Path, template: str, positions: int = 512) -> tuple[Any, Prepared]:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    tokenizer.chat_template = template
    data = DataConfig(folder=str(questions), max_new_tokens=8)
    task = find_task("mt_bench")
    return tokenizer, prepare_nlg(task, data, tokenizer, seed=0, max_positions=positions, train=False)


@pytest.mark.parametrize("template", [REFUSES_EMPTY, SKIPS_EMPTY])
def test_a_question_needs_no_answer_that_a_template_would_take(
    template: str, checkpoint: Path, questions: Path
) -> None:
    tokenizer, rows = prepared(checkpoint, questions, template)
    prompts = [tokenizer.decode(row["prompt_ids"]) for row in rows.eval]
    assert all(prompt.endswith("<assistant>\n") for prompt in prompts)
    assert rows.follow_up is not None
    second = tokenizer.decode(rows.follow_up("Say 1 words.", "One.", "Say them again."))
    assert second.replace("</s> ", "</s>").endswith("One.</s><user>\nSay them again.</s><assistant>\n")


def test_the_thought_that_a_template_writes_is_known_to_the_questions(checkpoint: Path, questions: Path) -> None:
    _, rows = prepared(checkpoint, questions, THINKS)
    assert all(row["thought"].startswith("<think>") for row in rows.eval)


def test_the_first_turn_keeps_its_answer_where_the_second_cannot_be_asked(
    checkpoint: Path, questions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer, rows = prepared(checkpoint, questions, REFUSES_EMPTY, positions=128)
    monkeypatch.setattr(nlg, "generate_samples", lambda *words, **names: [["word " * 60], [""], ["Yes."]])
    monkeypatch.setattr(nlg, "generate", lambda model, tokenizer, prompts, **names: ["Again."] * len(prompts))
    with loopback_judge(write=lambda body: "Rating: [[7]]") as url:
        judge = JudgeConfig(url=url, model="loopback", turns=2, retries=0)
        tools = Tools(ScoringConfig(judge=judge), None, Judge(judge))
        found = evaluate_nlg(None, tokenizer, rows, batch_size=4, max_new_tokens=8, tools=tools)
    assert [item["text"] for item in found.items] == ["word " * 60 + "\n\n", "\n\n", "Yes.\n\nAgain."]
    assert found.notes[0].startswith("2 of 3 second questions were not asked")
    assert found.metrics["judged"] == 1.0


def test_a_template_that_takes_no_conversation_of_two_turns_is_refused(
    checkpoint: Path, questions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = "{% if messages|length > 2 %}{{ raise_exception('one question only') }}{% endif %}" + REFUSES_EMPTY
    tokenizer, rows = prepared(checkpoint, questions, one)
    monkeypatch.setattr(nlg, "generate_samples", lambda *words, **names: [["Yes."]] * 3)
    tools = Tools(ScoringConfig(judge=JudgeConfig(url="http://127.0.0.1:9/v1", model="loopback", turns=2)))
    with pytest.raises(Exception, match="refuses a conversation of user, assistant, user, assistant: one question"):
        evaluate_nlg(None, tokenizer, rows, batch_size=4, max_new_tokens=8, tools=tools)
