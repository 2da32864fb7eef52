"""Batched greedy answers and losses against doing one row, and one token, at a time without a cache."""

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, OPTConfig, OPTForCausalLM

from balora.errors import TrainingError
from balora.tasks import generation
from balora.tasks.generation import answer_loss, generate, left_padded
from balora.tasks.prepared import Encoded

VOCABULARY = 41
PROMPTS = [[5], [7, 8, 9, 10, 11, 12, 13], [3, 4], [20, 21, 22, 23], [0, 6, 0]]
NEW = 9
LAYERS = {"num_hidden_layers": 2, "num_attention_heads": 2}


class Numbers:
    """A tokenizer that spells every token as its number."""

    chat_template = None

    def __init__(self, eos: int | None = None, pad: int | None = None) -> None:
        self.eos_token_id, self.pad_token_id = eos, pad

    def decode(self, tokens: list[int], skip_special_tokens: bool, clean_up_tokenization_spaces: bool) -> str:
        return " ".join(map(str, tokens))


def gpt2() -> nn.Module:
    """Learned positions: wrong position numbers under left padding change everything."""
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCABULARY, n_positions=32, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
        )
    )


def llama() -> nn.Module:
    sizes: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    return LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, max_position_embeddings=32, **sizes))


def opt() -> nn.Module:
    sizes: dict[str, Any] = {"hidden_size": 16, "ffn_dim": 24, **LAYERS}
    return OPTForCausalLM(OPTConfig(vocab_size=VOCABULARY, max_position_embeddings=32, word_embed_proj_dim=16, **sizes))


def loud(build: Any) -> Any:
    """Return a seeded random model in training mode, with weights large enough that tokens differ clearly."""
    torch.manual_seed(11)
    model = build()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4.0)
    return model.train()


def one_at_a_time(model: Any, prompt: list[int], eos: int | None) -> str:
    tokens = list(prompt)
    model.eval()
    with torch.no_grad():
        while len(tokens) < len(prompt) + NEW:
            token = int(model(torch.tensor([tokens]), use_cache=False).logits[0, -1].argmax())
            if token == eos:
                break
            tokens.append(token)
    return " ".join(map(str, tokens[len(prompt) :]))


@pytest.mark.parametrize("build", [gpt2, llama, opt])
@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_batches_answer_as_one_row_at_a_time(build: Any, batch_size: int) -> None:
    model = loud(build)
    expected = [one_at_a_time(model, prompt, None) for prompt in PROMPTS]
    assert len(set(expected)) >= 3  # the prompts matter
    seen: list[tuple[int, int]] = []
    answers = generate(
        model, Numbers(), PROMPTS, batch_size=batch_size, max_new_tokens=NEW, on_rows=lambda *done: seen.append(done)
    )
    assert answers == expected
    assert seen[-1] == (5, 5)


@pytest.mark.parametrize("pad", [None, 0, 2])
def test_answers_end_before_the_end_token(pad: int | None) -> None:
    model = loud(gpt2)
    free = [one_at_a_time(model, prompt, None).split() for prompt in PROMPTS]
    eos = int(free[1][3])
    expected = [one_at_a_time(model, prompt, eos) for prompt in PROMPTS]
    assert expected[1].split() == free[1][: free[1].index(str(eos))]
    assert generate(model, Numbers(eos, pad), PROMPTS, batch_size=3, max_new_tokens=NEW) == expected
    assert generate(model, Numbers(eos, eos), PROMPTS, batch_size=3, max_new_tokens=NEW) == expected


def test_the_models_own_generation_habits_play_no_part() -> None:
    model = loud(gpt2)
    expected = generate(model, Numbers(), PROMPTS, batch_size=5, max_new_tokens=NEW)
    habits = model.generation_config
    habits.do_sample, habits.temperature, habits.repetition_penalty = True, 5.0, 9.0
    habits.num_beams, habits.max_length = 3, 2
    habits.min_new_tokens, habits.suppress_tokens, habits.no_repeat_ngram_size = 3, [int(expected[0].split()[0])], 1
    before, state = habits.to_dict(), torch.get_rng_state()
    assert generate(model, Numbers(), PROMPTS, batch_size=5, max_new_tokens=NEW) == expected
    assert model.generation_config is habits
    assert habits.to_dict() == before
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft asks for it
def test_an_adapter_takes_part_and_modes_come_back() -> None:
    model = loud(llama)
    base = [one_at_a_time(model, prompt, None) for prompt in PROMPTS]
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj", "v_proj", "down_proj"], lora_dropout=0.5))
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    expected = [one_at_a_time(adapted, prompt, None) for prompt in PROMPTS]
    assert expected != base
    adapted.train()
    adapted.base_model.model.model.layers[0].eval()
    modes = [module.training for module in adapted.modules()]
    assert generate(adapted, Numbers(), PROMPTS, batch_size=2, max_new_tokens=NEW) == expected
    assert [module.training for module in adapted.modules()] == modes
    assert set(modes) == {True, False}


def test_left_padding() -> None:
    ids, mask = left_padded([[5, 6], [7]], pad_id=9)
    assert ids.tolist() == [[5, 6], [9, 7]]
    assert mask.tolist() == [[1, 1], [0, 1]]


def test_no_prompt_no_answer() -> None:
    assert generate(loud(gpt2), Numbers(), [], batch_size=2, max_new_tokens=3) == []


def rows() -> list[Encoded]:
    exchanges = [([5, 6], [7, 8, 0]), ([9], [10, 0]), ([11, 12, 13], [14, 15, 16, 17, 18, 0])]
    return [
        {
            "input_ids": prompt + answer,
            "attention_mask": [1] * len(prompt + answer),
            "labels": [-100] * len(prompt) + answer,
            "index": index,
        }
        for index, (prompt, answer) in enumerate(exchanges)
    ]


def token_losses(model: Any, row: Encoded) -> list[float]:
    """−log p of every answer token, each from a forward pass over what stands before it."""
    losses: list[float] = []
    for position, label in enumerate(row["labels"]):
        if label != -100:
            logits = model(torch.tensor([row["input_ids"][:position]])).logits[0, -1].double()
            losses.append((torch.logsumexp(logits, 0) - logits[label]).item())
    return losses


@pytest.mark.parametrize("batch_size", [1, 2, 8])
@pytest.mark.parametrize("at_once", [1, 9 * VOCABULARY, 2**26])
def test_the_loss_is_the_mean_over_all_answer_tokens(
    monkeypatch: pytest.MonkeyPatch, batch_size: int, at_once: int
) -> None:
    monkeypatch.setattr(generation, "LOGITS_AT_ONCE", at_once)
    model = loud(gpt2)
    seen: list[tuple[int, int]] = []
    loss = answer_loss(model, rows(), 0, batch_size=batch_size, on_rows=lambda *done: seen.append(done))
    assert model.training
    assert seen[-1] == (3, 3)
    model.eval().requires_grad_(False)
    losses = [token_losses(model, row) for row in rows()]
    assert [len(row) for row in losses] == [3, 2, 6]  # the end token, which also pads here, is one of them
    assert loss == pytest.approx(sum(map(sum, losses)) / 11, rel=1e-5)  # float32 against float64
    mean_of_means = sum(sum(row) / len(row) for row in losses) / 3
    assert abs(loss - mean_of_means) > 0.01 * loss


def test_no_more_logits_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "LOGITS_AT_ONCE", 2 * 9 * VOCABULARY)
    model = loud(gpt2)
    shapes: list[tuple[int, ...]] = []
    model.lm_head.register_forward_hook(lambda module, args, output: shapes.append(tuple(output.shape)))
    answer_loss(model, rows(), 0, batch_size=8)
    assert shapes == [(2, 9, VOCABULARY), (1, 3, VOCABULARY)]


def test_a_loss_that_is_not_finite_stops_the_evaluation() -> None:
    model = loud(gpt2)
    with torch.no_grad():
        model.transformer.wte.weight[14] = float("nan")
    with pytest.raises(TrainingError, match=r"^the answer loss of evaluation rows \[\d.*\]… is not finite: nan$"):
        answer_loss(model, rows(), 0, batch_size=8)
    assert model.training


def test_a_loss_over_no_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one row, got none"):
        answer_loss(loud(gpt2), [], 0, batch_size=8)
