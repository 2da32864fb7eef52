"""Prompts, answers and the border between them, in tokens; limits; exact match with known generations."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from balora.errors import ConfigError, DataError
from balora.tasks import nlg
from balora.tasks.catalogue import TASKS
from balora.tasks.config import DataConfig
from balora.tasks.encoding import encode_exchanges
from balora.tasks.exchange import Exchange
from balora.tasks.grading import grade
from balora.tasks.nlg import evaluate_nlg, prepare_nlg
from balora.tasks.prompts import render
from balora.tasks.testbed.program import cases_of

BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())


def gpt2_like(**special: str) -> PreTrainedTokenizerFast:
    """Bytes with the merges `Ġ 4` and `: Ġ`, which reaches over the border of `Answer:` and ` 4`."""
    vocabulary = {"<|end|>": 0} | {byte: number for number, byte in enumerate(BYTES, 1)} | {"Ġ4": 257, ":Ġ": 258}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges=[("Ġ", "4"), (":", "Ġ")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **(special or {"eos_token": "<|end|>"}))


def llama_like(ending: str = "", over_the_border: bool = False) -> PreTrainedTokenizerFast:
    """SentencePiece habits: `▁` before every text, a start token before every row (and an end token, if asked).

    With ``over_the_border``, the blank after a colon is one token with it.
    """
    characters = sorted({"▁", "\n", *"abcdefghijklmnopqrstuvwxyz", *"QAUSIR", *"0123456789", *":#+=."})
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2} | {c: number for number, c in enumerate([*characters, ":▁"], 3)}
    merges = [(":", "▁")] if over_the_border else []
    tokenizer = Tokenizer(models.BPE(vocabulary, merges=merges, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"<s> $A{ending}", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<unk>"
    )


def tokens(tokenizer: Any, ids: list[int]) -> list[str]:
    return list(tokenizer.convert_ids_to_tokens(ids))


def write(folder: Path, rows: list[dict[str, Any]], test: list[dict[str, Any]] | None = None) -> DataConfig:
    for name, content in (("train", rows), ("test", test or rows), ("validation", test or rows)):
        (folder / f"{name}.json").write_text(json.dumps(content))
    return DataConfig(folder=str(folder), max_new_tokens=4)


def gsm(question: str, answer: str) -> dict[str, str]:
    return {"question": question, "answer": answer}


def test_the_answer_and_its_end_are_learnt_and_nothing_else(tmp_path: Path) -> None:
    tokenizer = llama_like()
    data = write(tmp_path, [gsm("a", "#4")]).replace(prompt="Q:{question}A:")
    (row,) = prepare_nlg(TASKS["gsm8k"], data, tokenizer, seed=0).train
    assert tokens(tokenizer, row["input_ids"]) == ["<s>", *"▁Q:aA:▁#4", "</s>"]
    assert row["labels"][:7] == [-100] * 7
    assert tokens(tokenizer, row["labels"][7:]) == ["▁", "#", "4", "</s>"]
    assert row["attention_mask"] == [1] * 11
    assert set(row) == {"input_ids", "attention_mask", "labels", "index"}


def test_evaluation_rows_also_hold_prompt_and_final_answer(tmp_path: Path) -> None:
    tokenizer = llama_like()
    data = write(tmp_path, [gsm("a", "2 + 2 = 4\n#### 4.0")]).replace(prompt="Q:{question}A:")
    (row,) = prepare_nlg(TASKS["gsm8k"], data, tokenizer, seed=0).eval
    assert tokens(tokenizer, row["prompt_ids"]) == ["<s>", *"▁Q:aA:"]
    assert row["answer"] == "4.0"
    assert row["index"] == 0


@pytest.mark.parametrize("prompt", ["Q:{question}", "Q:{question} "])
def test_one_blank_stands_before_the_answer_whether_the_prompt_ends_in_it_or_not(prompt: str) -> None:
    exchange = render(TASKS["gsm8k"], DataConfig(prompt=prompt), llama_like())(gsm("a", "4"))
    assert exchange == Exchange("Q:a", " 4", special=False)


def test_blanks_and_line_ends_of_the_prompt_are_kept() -> None:
    def of(prompt: str) -> Exchange:
        return render(TASKS["gsm8k"], DataConfig(prompt=prompt), llama_like())(gsm("a", "4"))

    assert of("Q:{question}\n") == Exchange("Q:a\n", "4", special=False)
    assert of("Q:{question}  ") == Exchange("Q:a", "  4", special=False)
    assert of("{{{question}}}") == Exchange("{a}", " 4", special=False)


def test_braces_in_a_question_are_text() -> None:
    row = {"question": "{input} {0}", "input": "{question}", "answer": "4"}
    assert render(TASKS["alpaca"], DataConfig(prompt="{question}|{input}"), llama_like())(row).prompt == (
        "{input} {0}|{question}"
    )


def test_a_token_over_the_border_is_split() -> None:
    """`:Ġ` would swallow the blank of the answer; the prompt keeps the tokens it is asked with."""
    tokenizer = gpt2_like()
    (row,) = encode_exchanges([Exchange("A:", " 5", special=False)], tokenizer)
    assert tokens(tokenizer, row["prompt_ids"]) == ["A", ":"]
    assert tokens(tokenizer, row["input_ids"]) == ["A", ":", "Ġ", "5", "<|end|>"]
    (row,) = encode_exchanges([Exchange("A:", " 4", special=False)], tokenizer)
    assert tokens(tokenizer, row["input_ids"]) == ["A", ":", "Ġ4", "<|end|>"]


@pytest.mark.parametrize(("answer", "expected"), [(" 4", "▁4"), ("  4", "▁▁4")])
def test_sentencepiece_adds_no_blank_of_its_own_where_the_border_is_split(answer: str, expected: str) -> None:
    tokenizer = llama_like(over_the_border=True)
    (row,) = encode_exchanges([Exchange("Q:", answer, special=False)], tokenizer)
    assert tokens(tokenizer, row["input_ids"]) == ["<s>", *"▁Q:", *expected, "</s>"]
    assert tokens(tokenizer, tokenizer("Q: 4")["input_ids"]) == ["<s>", "▁", "Q", ":▁", "4"]


def test_a_tokenizer_that_ends_every_text_ends_it_once() -> None:
    tokenizer = llama_like(ending=" </s>")
    (row,) = encode_exchanges([Exchange("Q:", " 4", special=False)], tokenizer)
    assert tokens(tokenizer, row["input_ids"]) == ["<s>", *"▁Q:▁4", "</s>"]
    assert tokens(tokenizer, row["prompt_ids"]) == ["<s>", *"▁Q:"]


def test_without_end_and_padding_tokens(tmp_path: Path) -> None:
    tokenizer = gpt2_like(unk_token="<|end|>")
    prepared = prepare_nlg(TASKS["gsm8k"], write(tmp_path, [gsm("a", "4")]), tokenizer, seed=0)
    assert tokens(tokenizer, prepared.train[0]["input_ids"])[-1] == "Ġ4"
    assert prepared.pad_id == 0
    assert prepared.notes[-1] == (
        "the tokenizer has no end token: answers are learnt without an end, and generation runs to its limit"
    )


def test_the_end_is_learnt_where_it_is_also_the_padding(tmp_path: Path) -> None:
    tokenizer = gpt2_like(eos_token="<|end|>", pad_token="<|end|>")
    prepared = prepare_nlg(TASKS["gsm8k"], write(tmp_path, [gsm("a", "4")]), tokenizer, seed=0)
    assert prepared.train[0]["labels"][-2:] == [257, 0]
    assert prepared.train[0]["attention_mask"][-1] == 1


PROMPTS = {
    "gsm8k": ({"question": "a", "answer": "#### 4"}, "Question: a\nAnswer:"),
    "alpaca": ({"question": "a", "input": "", "answer": "4"}, "Instruction: a\nResponse:"),
    "chat": (
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}], "answer": "4"},
        "System: s\nUser: a\nAssistant:",
    ),
}


@pytest.mark.parametrize("task", PROMPTS)
def test_the_tasks_own_prompts(task: str) -> None:
    row, prompt = PROMPTS[task]
    assert render(TASKS[task], DataConfig(), llama_like())(row) == Exchange(prompt, f" {row['answer']}", special=False)


def test_alpaca_with_input() -> None:
    row = {"question": "a", "input": "b", "answer": "4"}
    assert render(TASKS["alpaca"], DataConfig(), llama_like())(row).prompt == "Instruction: a\nInput: b\nResponse:"


TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}"
    "{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
MESSAGES = [{"role": "user", "content": "a"}]


def test_a_chat_template_brings_its_own_special_tokens_once() -> None:
    tokenizer = llama_like()
    tokenizer.chat_template = TEMPLATE
    exchange = render(TASKS["chat"], DataConfig(), tokenizer)({"messages": MESSAGES, "answer": "b"})
    assert exchange == Exchange("<s>[user]a\n[assistant]", "b", special=True)
    (row,) = encode_exchanges([exchange], tokenizer)
    assert row["input_ids"].count(1) == 1
    assert row["input_ids"][0] == 1
    assert row["input_ids"][-2:] == [tokenizer.convert_tokens_to_ids("b"), 2]
    assert [label for label in row["labels"] if label != -100] == row["input_ids"][-2:]


def test_the_text_that_closes_a_turn_is_learnt_before_the_end_and_what_follows_it_is_not() -> None:
    tokenizer = llama_like()
    tokenizer.chat_template = TEMPLATE.replace("{{ eos_token }}", "<end>")
    exchange = render(TASKS["chat"], DataConfig(), tokenizer)({"messages": MESSAGES, "answer": "b"})
    assert exchange == Exchange("<s>[user]a\n[assistant]", "b<end>", special=True)
    (row,) = encode_exchanges([exchange], tokenizer)
    assert tokens(tokenizer, row["input_ids"])[-2:] == ["<unk>", "</s>"]  # this vocabulary has no `>`


def test_a_template_that_asks_otherwise_than_it_records_is_learnt_as_it_asks() -> None:
    tokenizer = llama_like()
    tokenizer.chat_template = TEMPLATE.replace("[assistant]{% endif %}", "[assistant]<think></think>{% endif %}")
    exchange = render(TASKS["chat"], DataConfig(), tokenizer)({"messages": MESSAGES, "answer": "b"})
    assert exchange == Exchange("<s>[user]a\n[assistant]<think></think>", "b", special=True)


def test_a_template_that_refuses_a_conversation() -> None:
    tokenizer = llama_like()
    tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(DataError) as caught:
        render(TASKS["chat"], DataConfig(), tokenizer)({"messages": MESSAGES * 2, "answer": "b"})
    assert str(caught.value) == (
        "the tokenizer's chat template refuses a conversation of user, user, assistant: roles must alternate"
    )


def test_a_prompt_template_for_conversations_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^data\.prompt does not apply to task 'chat'"):
        render(TASKS["chat"], DataConfig(prompt="{question}"), llama_like())


LONG = [gsm("a" * length, "4") for length in (1, 2, 3, 30)]  # with "Q:{question}": 7 tokens and the question's


def test_training_rows_over_the_limit_are_left_out_and_counted(tmp_path: Path) -> None:
    data = write(tmp_path, LONG).replace(prompt="Q:{question}", max_length=9)
    prepared = prepare_nlg(TASKS["gsm8k"], data, llama_like(), seed=0)
    assert [len(row["input_ids"]) for row in prepared.train] == [8, 9]
    assert [row["index"] for row in prepared.train] == [0, 1]
    assert prepared.notes[0] == "2 of 4 training rows are longer than data.max_length = 9: left out, 2 are used"
    assert [len(row["input_ids"]) for row in prepared.eval] == [8, 9, 10, 37]  # never cut, never left out
    whole = prepare_nlg(TASKS["gsm8k"], data.replace(max_length=37), llama_like(), seed=0)
    assert len(whole.train) == 4
    assert not any("longer" in note for note in whole.notes)


def test_drawn_rows_are_drawn_among_those_that_fit(tmp_path: Path) -> None:
    data = write(tmp_path, LONG).replace(prompt="Q:{question}", max_length=10, train_rows=2)
    lengths = set()
    for seed in range(12):
        train = prepare_nlg(TASKS["gsm8k"], data, llama_like(), seed=seed).train
        assert train == prepare_nlg(TASKS["gsm8k"], data, llama_like(), seed=seed).train
        lengths.add(tuple(len(row["input_ids"]) for row in train))
    assert lengths == {(8, 9), (8, 10), (9, 10)}


def test_every_row_over_the_limit(tmp_path: Path) -> None:
    data = write(tmp_path, LONG).replace(prompt="Q:{question}", max_length=7)
    with pytest.raises(DataError) as caught:
        prepare_nlg(TASKS["gsm8k"], data, llama_like(), seed=0)
    assert str(caught.value) == (
        "every one of the 4 training rows is longer than data.max_length = 7 (the shortest has 8 tokens, prompt "
        "included): raise the limit, or use shorter rows"
    )


def test_evaluation_rows_that_the_model_cannot_hold_are_noted(tmp_path: Path) -> None:
    data = write(tmp_path, LONG).replace(prompt="Q:{question}", max_new_tokens=5)
    prepared = prepare_nlg(TASKS["gsm8k"], data, llama_like(), seed=0, max_positions=11)
    assert (
        prepared.notes[1:3]
        == [
            "2 of 4 evaluation prompts leave no room for 5 new tokens in 11 positions: counted as wrong",
            "1 of 4 evaluation rows are longer than the model's 11 positions: not in answer_loss",
        ]
        or prepared.notes
    )


def test_no_room_for_any_prompt(tmp_path: Path) -> None:
    data = write(tmp_path, LONG[:3]).replace(prompt="Q:{question}", max_new_tokens=20)
    with pytest.raises(ConfigError) as caught:
        prepare_nlg(TASKS["gsm8k"], data, llama_like(), seed=0, max_positions=20)
    assert str(caught.value) == (
        "data.max_new_tokens = 20 leaves no room for any prompt (the shortest has 5 tokens, the model 20 positions): "
        "set it to 15 or less"
    )
    long = write(tmp_path, LONG[:1], LONG[3:]).replace(prompt="Q:{question}")
    with pytest.raises(
        ConfigError, match=r"^every evaluation prompt fills the model's 20 positions \(the shortest: 34\)$"
    ):
        prepare_nlg(TASKS["gsm8k"], long, llama_like(), seed=0, max_positions=20)


def test_exact_match_counts_prompts_without_room_as_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [gsm("a", "#### 4"), gsm("b", "#### 5"), gsm("c", "#### 6"), gsm("d" * 20, "#### 7")]
    data = write(tmp_path, rows).replace(prompt="Q:{question}", max_new_tokens=15)
    prepared = prepare_nlg(TASKS["gsm8k"], data, llama_like(), seed=0, max_positions=20)
    given = iter([" so\n#### 4.00", "it is 6", "#### 6\nQ: next? #### 9"])
    monkeypatch.setattr(
        nlg, "generate_samples", lambda model, tokenizer, prompts, **_: [[next(given)] for _ in prompts]
    )
    monkeypatch.setattr(nlg, "answer_loss", lambda model, rows, pad_id, **_: float(len(rows)))
    result = evaluate_nlg(None, None, prepared, batch_size=2, max_new_tokens=15)
    # the three short prompts fill 5 + 15 = 20 positions to the last
    assert [item["correct"] for item in result.items] == [True, False, True, False]
    assert [item["prediction"] for item in result.items] == ["4.00", "6", "6", None]
    assert result.items[3] == {"index": 3, "prediction": None, "answer": "7", "correct": False, "text": None}
    assert result.metrics == {"exact_match": 0.5, "answer_loss": 3.0}
    assert result.score == 50.0


def test_math_is_scored_by_math_verify_beside_exact_match(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [gsm("a", "so \\boxed{(x-2)(x+2)}"), gsm("b", "so \\boxed{\\frac{1}{2}}"), gsm("c", "\\boxed{3}")]
    prepared = prepare_nlg(TASKS["math"], write(tmp_path, rows), llama_like(), seed=0)
    given = ["\\boxed{x^2-4}", "#### 0.5", "\\boxed{4}"]
    monkeypatch.setattr(nlg, "generate_samples", lambda *_, **__: [[text] for text in given])
    monkeypatch.setattr(nlg, "answer_loss", lambda *_, **__: 1.0)
    result = evaluate_nlg(None, None, prepared, batch_size=2, max_new_tokens=4)
    assert [item["correct"] for item in result.items] == [False, True, False]
    assert [item["verified"] for item in result.items] == [True, True, False]
    assert result.metrics == {"exact_match": 1 / 3, "math_verify": 2 / 3, "answer_loss": 1.0}
    assert result.score == 100 * (2 / 3)
    assert result.notes == ()


def test_free_text_is_matched_as_normalised_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write(tmp_path, [{"instruction": "a", "output": "The Cat"}, {"instruction": "b", "output": "4"}])
    prepared = prepare_nlg(TASKS["alpaca"], data, llama_like(), seed=0)
    monkeypatch.setattr(nlg, "generate_samples", lambda *_, **__: [[" the  cat\n"], ["it is 4"]])
    monkeypatch.setattr(nlg, "answer_loss", lambda *_, **__: 1.0)
    result = evaluate_nlg(None, None, prepared, batch_size=2, max_new_tokens=4)
    assert [item["correct"] for item in result.items] == [True, False]


def test_a_loss_over_no_row_is_missing_not_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write(tmp_path, [gsm("a", "4")], [gsm("a", "4 " * 20)]).replace(prompt="Q:{question}")
    prepared = prepare_nlg(TASKS["gsm8k"], data, llama_like(), seed=0, max_positions=12)
    monkeypatch.setattr(nlg, "generate_samples", lambda *_, **__: [["4"]])
    result = evaluate_nlg(None, None, prepared, batch_size=2, max_new_tokens=4)
    assert result.metrics == {"exact_match": 1.0}
    assert result.notes == ("answer_loss is missing: no evaluation row fits into the model's positions",)


def test_scoring_alone_needs_no_training_split_and_no_row_within_its_limit(tmp_path: Path) -> None:
    data = write(tmp_path, LONG).replace(prompt="Q:{question}", max_length=9)
    whole = prepare_nlg(TASKS["gsm8k"], data, llama_like(), seed=0)
    (tmp_path / "train.json").unlink()
    prepared = prepare_nlg(TASKS["gsm8k"], data.replace(max_length=2), llama_like(), seed=0, train=False)
    assert (prepared.train, prepared.eval, prepared.notes) == ([], whole.eval, [])


@pytest.mark.parametrize(
    ("text", "correct"),
    [
        ("add 5 ;", True),  # another program that computes the same
        (" add 2 ; add 3 ; ", True),
        ("add 4 ;", False),
        ("add 5", False),  # no program
        ("dbl ; add 5 ;", False),  # right on 0 alone
        (None, False),
    ],
)
def test_a_program_is_right_when_it_computes_the_same(text: str | None, correct: bool) -> None:
    row = {"index": 0, "answer": "add 2 ; add 3 ;", "tests": cases_of("add 2 ; add 3 ;")}
    assert grade(TASKS["code"], [row], [[text]]).items[0]["correct"] is correct
