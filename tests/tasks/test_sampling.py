"""Drawn answers: distribution, reproducibility, and independence of batch, number and global random state."""

from typing import Any

import pytest
import torch
from spelt_numbers import Numbers
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.generation.logits_process import TemperatureLogitsWarper, TopPLogitsWarper

from balora.errors import ConfigError
from balora.tasks.generation import generate
from balora.tasks.sampling import Draw, drawn, generate_samples, uniforms

PROMPTS = [[5], [7, 8, 9, 10, 11, 12, 13], [3, 4]]
GIVEN: dict[str, Any] = {"batch_size": 4, "max_new_tokens": 6}


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(11)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=41, max_position_embeddings=32, **sizes))


def test_one_sample_is_the_greedy_answer(model: Any) -> None:
    greedy = generate(model, Numbers(), PROMPTS, **GIVEN)
    assert generate_samples(model, Numbers(), PROMPTS, **GIVEN, temperature=9.0) == [[text] for text in greedy]


def test_the_same_seed_gives_the_same_samples_whatever_the_global_state_is(model: Any) -> None:
    torch.manual_seed(1)
    first = generate_samples(model, Numbers(), PROMPTS, **GIVEN, samples=4, seed=3)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert generate_samples(model, Numbers(), PROMPTS, **GIVEN, samples=4, seed=3) == first
    assert torch.equal(torch.get_rng_state(), state)
    assert generate_samples(model, Numbers(), PROMPTS, **GIVEN, samples=4, seed=4) != first
    assert all(len(set(texts)) == 4 for texts in first)


@pytest.mark.parametrize("batch_size", [1, 3, 12])
def test_samples_depend_neither_on_the_batch_nor_on_how_many_are_drawn(model: Any, batch_size: int) -> None:
    given = {**GIVEN, "batch_size": batch_size}
    four = generate_samples(model, Numbers(), PROMPTS, **GIVEN, samples=4, seed=3)
    assert generate_samples(model, Numbers(), PROMPTS, **given, samples=4, seed=3) == four
    two = generate_samples(model, Numbers(), PROMPTS[:2], **given, samples=2, seed=3)
    assert two == [texts[:2] for texts in four[:2]]


def test_a_low_temperature_is_greedy(model: Any) -> None:
    greedy = generate(model, Numbers(), PROMPTS, **GIVEN)
    cold = generate_samples(model, Numbers(), PROMPTS, **GIVEN, samples=2, temperature=1e-6)
    assert cold == [[text, text] for text in greedy]


def test_a_small_top_p_is_greedy(model: Any) -> None:
    greedy = generate(model, Numbers(), PROMPTS, **GIVEN)
    assert generate_samples(model, Numbers(), PROMPTS, **GIVEN, samples=2, top_p=1e-6) == [[t, t] for t in greedy]


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 0.9), (1.5, 0.5)])
def test_tokens_are_drawn_as_often_as_transformers_warpers_say(temperature: float, top_p: float) -> None:
    scores = torch.tensor([[2.0, 1.0, 0.5, 0.0, -1.0, -3.0]])
    warped = TopPLogitsWarper(top_p)(None, TemperatureLogitsWarper(temperature)(None, scores))
    expected = warped.softmax(dim=1)[0]
    count = 20_000
    numbers = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    tokens = drawn(scores.expand(count, -1), numbers, temperature, top_p)
    shares = torch.bincount(tokens, minlength=6) / count
    assert torch.allclose(shares, expected, atol=1e-4)


def test_draws_at_the_edges_are_tokens_that_are_kept() -> None:
    scores = torch.tensor([[0.0, -torch.inf, 1.0]])
    assert drawn(scores, torch.tensor([0.0], dtype=torch.float64), 1.0, 1.0).item() == 2
    assert drawn(scores, torch.tensor([1.0], dtype=torch.float64), 1.0, 1.0).item() == 0


def test_every_token_takes_the_next_number() -> None:
    draw = Draw(torch.tensor([[0.01, 0.99], [0.99, 0.01]], dtype=torch.float64), 1.0, 1.0)
    scores = torch.tensor([[2.0, 1.0, 0.0]]).expand(2, -1)
    assert [draw(scores, scores).argmax(dim=1).tolist() for _ in range(2)] == [[0, 2], [2, 0]]


def test_uniform_numbers_differ_between_seeds_prompts_and_samples() -> None:
    streams = [uniforms(*key, 5) for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 11, 1), (0, 1, 11)]]
    assert len({tuple(stream.tolist()) for stream in streams}) == len(streams)
    assert torch.equal(uniforms(0, 0, 0, 3), streams[0][:3])


def test_progress_counts_answers(model: Any) -> None:
    seen: list[tuple[int, int]] = []
    generate_samples(model, Numbers(), PROMPTS, **GIVEN, samples=4, on_rows=lambda *done: seen.append(done))
    assert seen[-1] == (12, 12)


@pytest.mark.parametrize(
    "wrong",
    [
        {"samples": 0},
        {"samples": 2, "temperature": 0.0},
        {"samples": 2, "temperature": float("nan")},
        {"samples": 2, "top_p": 0.0},
        {"samples": 2, "top_p": 1.5},
    ],
)
def test_impossible_settings_are_refused(model: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="sampling needs samples >= 1, temperature > 0 and 0 < top_p <= 1"):
        generate_samples(model, Numbers(), PROMPTS, **GIVEN, **wrong)
