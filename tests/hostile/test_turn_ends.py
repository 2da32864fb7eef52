"""Where an answer ends: which tokens end it in generation, and which end is learnt, whatever the chat template."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from chat_cases import CASES, CHATML, CHATML_TOKENS, LLAMA_3, NEEDS_SYSTEM, Case, byte_tokenizer, public_template
from refusals import run_verb
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from balora.errors import ModelError
from balora.tasks.catalogue import TASKS
from balora.tasks.collate import Collator
from balora.tasks.config import DataConfig
from balora.tasks.encoding import encode_exchanges
from balora.tasks.generation import end_tokens, generate
from balora.tasks.nlg import evaluate_nlg, prepare_nlg
from balora.tasks.prompts import render
from balora.tasks.turn_end import turn_end

PUBLIC = {
    "llama3": "<|eot_id|>", "llama3_1": "<|eot_id|>", "llama3_2": "<|eot_id|>", "gemma": "<end_of_turn>",
    "gemma3": "<end_of_turn>", "qwen2_5": "<|im_end|>", "qwen3": "<|im_end|>", "qwen3_5_nothink": "<|im_end|>",
    "qwen3_5_think": "<|im_end|>", "qwen3_instruct_2507": "<|im_end|>", "phi3": "<|end|>", "phi3_5": "<|end|>",
    "cohere": "<|END_OF_TURN_TOKEN|>", "deepseekv3": "<｜end▁of▁sentence｜>", "gptoss": "<|return|>",
    "smolvlm": "<end_of_utterance>", "lfm2": "<|im_end|>", "nemotron_3_nano": "<|im_end|>",
}  # fmt: skip


def answers(case: Case, answer: str, **fields: Any) -> tuple[str, str, Any]:
    """Return prompt and learnt text of one row, from its tokens, and the tokenizer."""
    tokenizer = byte_tokenizer(case)
    row = {"messages": [{"role": "user", "content": "ask"}], "answer": answer, **fields}
    (encoded,) = encode_exchanges([render(TASKS["chat"], DataConfig(), tokenizer)(row)], tokenizer)
    learnt = [label for label in encoded["labels"] if label != -100]
    assert encoded["input_ids"] == encoded["prompt_ids"] + learnt
    return tokenizer.decode(encoded["prompt_ids"]), tokenizer.decode(learnt), tokenizer


@pytest.mark.parametrize("name", CASES)
def test_the_answer_is_learnt_up_to_what_closes_its_turn_and_no_further(name: str) -> None:
    case = CASES[name]
    prompt, learnt, tokenizer = answers(case, "    yes\n")
    assert learnt == case.learnt
    messages = [{"role": "user", "content": [{"type": "text", "text": "ask"}] if name == "wants parts" else "ask"}]
    assert prompt == tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


@pytest.mark.parametrize("name", CASES)
def test_the_closing_of_a_turn_is_found(name: str) -> None:
    case = CASES[name]
    tokenizer = byte_tokenizer(case)
    end = turn_end(tokenizer)
    assert end.closing == case.closing
    assert (end.token is None) == (case.closing in ("", "[/turn]"))
    if end.token is not None:
        assert case.closing.endswith(tokenizer.convert_ids_to_tokens(end.token))


@pytest.mark.parametrize("name", PUBLIC)
def test_the_closing_of_public_templates(name: str) -> None:
    case = Case(public_template(name), PUBLIC[name], "", (PUBLIC[name],))
    tokenizer = byte_tokenizer(case)
    assert turn_end(tokenizer).token == tokenizer.convert_tokens_to_ids(PUBLIC[name])
    _, learnt, _ = answers(case, "yes")
    assert learnt.endswith(f"yes{PUBLIC[name]}")


@pytest.mark.parametrize("answer", ["yes<|im_end|>", "a<|im_end|>\n<|im_start|>user\nb", "yes\n\n", "<|endoftext|>"])
def test_an_answer_that_holds_the_closing_is_learnt_whole(answer: str) -> None:
    _, learnt, _ = answers(CASES["chatml"], answer)
    assert learnt == f"{answer}<|im_end|>"


def test_a_template_that_refuses_the_questions_asked_of_it_is_closed_by_its_last_token() -> None:
    case = Case(NEEDS_SYSTEM, "<|im_end|>", "", CHATML_TOKENS)
    tokenizer = byte_tokenizer(case)
    assert turn_end(tokenizer).closing == "<|im_end|>"
    stubborn = case._replace(template="{% if messages | length < 4 %}{{ raise_exception('no') }}{% endif %}" + CHATML)
    turns = [{"role": role, "content": "a"} for role in ("system", "user", "assistant", "user")]
    tokenizer = byte_tokenizer(stubborn)
    exchange = render(TASKS["chat"], DataConfig(), tokenizer)({"messages": turns, "answer": "yes"})
    assert (exchange.answer, exchange.closed) == ("yes<|im_end|>", True)


def test_a_tokenizer_without_template_has_no_closing() -> None:
    tokenizer = byte_tokenizer(Case("", "", "", CHATML_TOKENS))
    assert turn_end(tokenizer) == ("", "", None)


def test_a_call_that_ends_in_another_token_than_a_text() -> None:
    """Llama 3.1 ends the call of a built-in tool with <|eom_id|>."""
    template = LLAMA_3.replace("<|eot_id|>", "{{ '<|eom_id|>' if m.tool_calls else '<|eot_id|>' }}")
    calls = "{% if m.tool_calls %}{{ m.tool_calls[0].function.name }}{% else %}{{ m.content }}{% endif %}"
    template = template.replace("{{ m.content | trim }}", calls)
    case = Case(template, "<|eot_id|>", "", ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>"))
    turn = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}
    assert answers(case, "", turn=turn)[1] == "f<|eom_id|>"
    assert answers(case, "yes")[1] == "yes<|eot_id|>"


# --- generation ---


def tiny(vocabulary: int) -> LlamaForCausalLM:
    torch.manual_seed(3)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
            max_position_embeddings=256, bos_token_id=None, eos_token_id=None, tie_word_embeddings=True,
        )
    )  # fmt: skip


class Numbers:
    """A tokenizer that spells every token as its number."""

    chat_template = None

    def __init__(self, eos: int | None = None) -> None:
        self.eos_token_id, self.pad_token_id = eos, None

    def decode(self, tokens: list[int], **_: Any) -> str:
        return " ".join(map(str, tokens))


PROMPTS = [[5], [7, 8, 9, 10, 11], [3, 4]]


@pytest.fixture(scope="module")
def wild() -> LlamaForCausalLM:
    """A random model whose tokens differ clearly."""
    model = tiny(41)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8.0)
    return model


@pytest.fixture(scope="module")
def free(wild: LlamaForCausalLM) -> list[list[str]]:
    return [text.split() for text in generate(wild, Numbers(), PROMPTS, batch_size=3, max_new_tokens=8)]


def cut(words: list[str], ends: set[int]) -> str:
    count = next((i for i, word in enumerate(words) if int(word) in ends), len(words))
    return " ".join(words[:count])


PLACES = {
    "one in generation_config": (lambda m, a, b: setattr(m.generation_config, "eos_token_id", a), 1),
    "two in generation_config": (lambda m, a, b: setattr(m.generation_config, "eos_token_id", [a, b]), 2),
    "one in config": (lambda m, a, b: setattr(m.config, "eos_token_id", a), 1),
    "two in config": (lambda m, a, b: setattr(m.config, "eos_token_id", [a, b]), 2),
    "none beside one": (lambda m, a, b: (setattr(m.config, "eos_token_id", -1),
                                         setattr(m.generation_config, "eos_token_id", a)), 1),
    "one in each": (lambda m, a, b: (setattr(m.config, "eos_token_id", b),
                                     setattr(m.generation_config, "eos_token_id", a)), 2),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("eos", [None, 40])
def test_generation_stops_at_every_end_token_of_the_model(
    place: str, eos: int | None, wild: LlamaForCausalLM, free: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wild, "generation_config", GenerationConfig())
    monkeypatch.setattr(wild.config, "eos_token_id", None)
    put, count = PLACES[place]
    first, second = int(free[1][3]), int(free[0][2])
    put(wild, first, second)
    ends = {first, second} if count == 2 else {first}
    ends |= {eos} if eos is not None else set()
    assert end_tokens(wild, Numbers(eos)) == sorted(ends)
    expected = [cut(words, ends) for words in free]
    assert expected != [" ".join(words) for words in free]
    for size in (1, 3):
        assert generate(wild, Numbers(eos), PROMPTS, batch_size=size, max_new_tokens=8) == expected


@pytest.mark.parametrize("given", [5, [5], [5, 6], (6, 5)])
@pytest.mark.parametrize("as_settings", [False, True])
def test_the_end_tokens_of_a_nested_text_config_count(given: Any, as_settings: bool) -> None:
    inner = {"eos_token_id": given} if as_settings else SimpleNamespace(eos_token_id=given)
    model = SimpleNamespace(config=SimpleNamespace(eos_token_id=9, text_config=inner), generation_config=None)
    assert end_tokens(model, Numbers(7)) == sorted({7, 9, *([given] if isinstance(given, int) else given)})


def test_the_token_that_the_template_closes_with_ends_generation(
    wild: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wild, "generation_config", GenerationConfig(eos_token_id=3))
    tokenizer = byte_tokenizer(CASES["chatml"])
    ids = {tokenizer.convert_tokens_to_ids(name) for name in ("<|im_end|>", "<|endoftext|>")}
    assert end_tokens(wild, tokenizer) == sorted({3, *ids})


@pytest.mark.parametrize("given", ["2", [2, "3"], 2.0, True, [[2]], {"a": 1}])
def test_an_end_token_that_is_no_token_is_refused(
    given: Any, wild: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = GenerationConfig()
    config.eos_token_id = given
    monkeypatch.setattr(wild, "generation_config", config)
    with pytest.raises(ModelError, match=r"^the model's generation_config has eos_token_id .* is needed$"):
        end_tokens(wild, Numbers())


# --- learning and scoring together ---

QA = [("tim", "a boy"), ("max", "    his\n  dog")]


def taught(model: Any, rows: list[tuple[list[int], list[int]]]) -> Any:
    """Train ``model`` on (prompt, answer) pairs of tokens until it knows them by heart."""
    collate = Collator(0)
    batch = collate(
        [
            {"input_ids": p + a, "attention_mask": [1] * len(p + a), "labels": [-100] * len(p) + a, "index": i}
            for i, (p, a) in enumerate(rows)
        ]
    )
    batch.pop("index")
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 1e-2 * min(1, (step + 1) / 10)
        optimizer.zero_grad()
        loss = model.train()(**batch).loss
        if loss.item() < 0.03:
            break
        loss.backward()
        optimizer.step()
    return model


def prepared_rows(folder: Path, case: Case) -> tuple[Any, Any, list[tuple[list[int], list[int]]]]:
    """Return the tokenizer of ``case``, two conversations as balora prepares them, and their prompts and answers."""
    for split in ("train", "validation"):
        rows = [{"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]} for q, a in QA]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tokenizer = byte_tokenizer(case)
    data = DataConfig(folder=str(folder), max_new_tokens=60)
    prepared = prepare_nlg(TASKS["chat"], data, tokenizer, seed=0, max_positions=256)
    pairs = [(row["prompt_ids"], row["input_ids"][len(row["prompt_ids"]) :]) for row in prepared.eval]
    assert [prompt + answer for prompt, answer in pairs] == [row["input_ids"] for row in prepared.train]
    return tokenizer, prepared, pairs


LEARNT = [
    "chatml", "chatml, no eos", "llama 3", "gemma", "phi", "mistral", "two tokens", "nothing closes",
    "words close", "words close, no eos", "an empty thought is asked", "a thought is asked and written",
]  # fmt: skip


@pytest.mark.parametrize("name", LEARNT)
def test_a_model_that_learnt_the_rows_answers_them_and_stops(name: str, tmp_path: Path) -> None:
    tokenizer, prepared, pairs = prepared_rows(tmp_path, CASES[name])
    model = taught(tiny(len(tokenizer)), pairs)
    result = evaluate_nlg(model, tokenizer, prepared, batch_size=2, max_new_tokens=60)
    assert result.score == 100.0, result.items


def test_what_a_model_says_after_its_turn_does_not_count(tmp_path: Path) -> None:
    """The model learnt to go on with the user's next turn, as one trained on whole conversations does."""
    tokenizer, prepared, pairs = prepared_rows(tmp_path, CASES["chatml"])
    further = tokenizer("\n<|im_start|>user\nwho")["input_ids"]
    model = taught(tiny(len(tokenizer)), [(prompt, answer + further) for prompt, answer in pairs])
    result = evaluate_nlg(model, tokenizer, prepared, batch_size=2, max_new_tokens=60)
    assert result.score == 100.0, result.items


def test_a_saved_model_is_scored_as_transformers_generates(tmp_path: Path) -> None:
    """generation_config.json names an end that neither tokenizer nor template knows of."""
    case = Case(CHATML.replace("<|im_end|>\n{% endfor", "{% endfor"), "", "", CHATML_TOKENS)
    tokenizer, _, pairs = prepared_rows(tmp_path, case)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    further = tokenizer("\nand so on")["input_ids"]
    model = taught(tiny(len(tokenizer)), [(prompt, [*answer[:-1], end, *further]) for prompt, answer in pairs])
    model.generation_config = GenerationConfig(eos_token_id=[tokenizer.eos_token_id, end], pad_token_id=0)
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    scored = run_verb("evaluate", "--model", tmp_path / "model", "--task", "chat", "--data", tmp_path,
                      "--set", "data.max_new_tokens=60", "--json")  # fmt: skip
    assert scored.code == 0, scored.err
    assert '"score": 100.0' in scored.out
