"""A judge's instructions: balora's own, and FastChat's where its file is the published one."""

import json
import string
from pathlib import Path
from typing import Any

import pytest
from tests.judging.judging_cases import PLAIN, SUM

from balora.errors import ConfigError
from balora.judging.config import JudgeConfig
from balora.judging.judge_prompts import (
    FASTCHAT,
    OWN,
    Form,
    Template,
    digest,
    pair_prompt,
    read_published,
    single_prompt,
    templates,
)  # fmt: skip

FAKE = {form: Template(f"system of {name}", f"{name}: " + OWN[form].user) for form, (name, _) in FASTCHAT.items()}
FAKE_DIGESTS = {form: (name, digest(FAKE[form])) for form, (name, _) in FASTCHAT.items()}


def written(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "judge_prompts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def fake_rows() -> list[dict[str, Any]]:
    return [
        {"name": name, "system_prompt": FAKE[form].system, "prompt_template": FAKE[form].user, "type": form.kind}
        for form, (name, _) in FASTCHAT.items()
    ]


def test_the_wording_named_balora_1_is_unchanged() -> None:
    whole = digest(Template("", "\n\n".join(text for form in sorted(OWN) for text in OWN[form])))
    assert whole == "d22793642448e3cf875dd7fb087bbeba28644379f41553b8f3597bacd03072e9", (
        "another wording needs another name than balora-1"
    )


@pytest.mark.parametrize("form", list(OWN))
def test_each_own_prompt_shows_all_texts_of_its_form_and_asks_for_its_verdict(form: Form) -> None:
    fields = {name for _, name, _, _ in string.Formatter().parse(OWN[form].user) if name}
    turns = range(1, form.turn + 1)
    answers = ["answer"] if form.kind == "single" else ["answer_a", "answer_b"]
    expected = {f"{name}_{turn}" for name in ["question", *answers] for turn in turns}
    assert fields == expected | ({f"ref_answer_{turn}" for turn in turns} if form.reference else set())
    assert ("[[4]]" in OWN[form].user) == (form.kind == "single")
    assert ("[[A]]" in OWN[form].user) == (form.kind == "pair")


def test_a_single_prompt_holds_question_and_answer_and_nothing_of_the_second_turn() -> None:
    text = single_prompt(OWN, PLAIN.turns[:1], ("Aloha!",)).user
    assert "Write a post." in text
    assert "Aloha!" in text
    assert "Now in rhyme." not in text


def test_a_two_turn_prompt_holds_the_conversation_in_order() -> None:
    text = single_prompt(OWN, SUM.turns, ("It is 5.", "It is 10."), SUM.reference).user
    places = [text.index(part) for part in ("What is 2", "\n5\n", "It is 5.", "And doubled?", "\n10\n", "It is 10.")]
    assert places == sorted(places)


def test_a_pair_prompt_shows_the_first_answer_as_a() -> None:
    text = pair_prompt(OWN, PLAIN.turns[:1], ("mine",), ("yours",)).user
    assert text.index("Assistant A's answer:") < text.index("mine") < text.index("Assistant B's answer:")
    assert text.index("Assistant B's answer:") < text.index("yours")


def test_braces_and_marks_in_an_answer_stay_as_they_are() -> None:
    answer = "{question} {0.__class__} [[10]] %s {{"
    assert answer in single_prompt(OWN, PLAIN.turns[:1], (answer,)).user


def test_fastchats_file_is_read_by_name_where_each_text_is_the_published_one(tmp_path: Path) -> None:
    path = written(tmp_path, [{"name": "more", "system_prompt": "", "prompt_template": ""}, *fake_rows()])
    assert read_published(path, FAKE_DIGESTS) == FAKE


def test_fastchats_real_file_is_the_published_one(data: Path) -> None:
    path = data / "mt_bench" / "judge_prompts.jsonl"
    if not path.is_file():
        pytest.skip("FastChat's judge_prompts.jsonl is not beside question.jsonl")
    config = JudgeConfig(url="http://127.0.0.1/v1", model="m", prompts="fastchat", prompt_file=str(path))
    text = single_prompt(templates(config), PLAIN.turns[:1], ("Aloha!",)).user
    assert "[Question]\nWrite a post." in text
    assert "[The Start of Assistant's Answer]\nAloha!\n" in text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rows: rows[:-1], "prompt pair-math-v1-multi-turn is missing"),
        (lambda rows: [{**rows[0], "prompt_template": rows[0]["prompt_template"] + " "}, *rows[1:]],
         "prompt single-v1 is not the published text"),
        (lambda rows: [{**rows[0], "system_prompt": ""}, *rows[1:]], "prompt single-v1 is not the published text"),
        (lambda rows: [{**rows[0], "system_prompt": 7}, *rows[1:]], "prompt single-v1 is not the published text"),
        (lambda rows: [{"name": "single-v1"}], "not one JSON object a line"),
        (lambda rows: ["single-v1"], "not one JSON object a line"),
    ],
)  # fmt: skip
def test_another_text_than_the_published_one_is_refused(tmp_path: Path, change: Any, says: str) -> None:
    path = written(tmp_path, change(fake_rows()))
    with pytest.raises(ConfigError) as refused:
        read_published(path, FAKE_DIGESTS)
    assert str(refused.value).startswith(f"judge.prompt_file {path}: ")
    assert says in str(refused.value)


def test_fastchats_prompts_need_their_file(tmp_path: Path) -> None:
    config = JudgeConfig(url="http://127.0.0.1/v1", model="m", prompts="fastchat")
    with pytest.raises(ConfigError, match=r"needs judge\.prompt_file"):
        templates(config)
    with pytest.raises(ConfigError, match="cannot be read"):
        templates(config.replace(prompt_file=str(tmp_path / "none.jsonl")))
