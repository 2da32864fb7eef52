"""Draw several answers to each prompt: temperature and top-p, from random numbers that belong to the answer alone.

Each drawn answer has a stream of uniform numbers of its own, one a token, seeded by the seed, the number of the prompt
and the number of the sample. So an answer depends neither on its batch nor on how many others are drawn.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from balora.errors import ConfigError
from balora.tasks.evaluating import OnRows
from balora.tasks.generation import generate
from balora.tasks.kept_answers import KeptAnswers


def generate_samples(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[list[int]],
    *,
    batch_size: int,
    max_new_tokens: int,
    samples: int = 1,
    temperature: float = 0.8,
    top_p: float = 0.95,
    seed: int = 0,
    on_rows: OnRows | None = None,
    closing: str = "",
    kept: KeptAnswers | None = None,
) -> list[list[str]]:
    """Return ``samples`` answers to every prompt, in the order given; one answer is the greedy one.

    The global random state plays no part and stays as it is. The defaults of temperature and top-p are those of Chen et
    al. 2021 for pass@100. ``on_rows`` counts answers; ``kept`` as in :func:`balora.tasks.generation.generate`.

    Raises:
        ConfigError: no sample, a temperature that is not above 0, or a top-p outside 0 to 1.
        ModelError: as :func:`balora.tasks.generation.generate`.
    """
    if samples < 1 or not temperature > 0 or not 0 < top_p <= 1:
        raise ConfigError(
            f"sampling needs samples >= 1, temperature > 0 and 0 < top_p <= 1, got samples = {samples}, "
            f"temperature = {temperature:g}, top_p = {top_p:g}"
        )
    given: dict[str, Any] = {"batch_size": batch_size, "max_new_tokens": max_new_tokens, "closing": closing}
    given |= {"kept": kept, "on_rows": on_rows}
    if samples == 1:
        return [[text] for text in generate(model, tokenizer, prompts, **given)]

    def choose(positions: Sequence[int]) -> Draw:
        streams = [uniforms(seed, *divmod(position, samples), max_new_tokens) for position in positions]
        return Draw(torch.stack(streams), temperature, top_p)

    repeated = [prompt for prompt in prompts for _ in range(samples)]
    texts = generate(model, tokenizer, repeated, **given, choose=choose)
    return [texts[start : start + samples] for start in range(0, len(texts), samples)]


def uniforms(seed: int, prompt: int, sample: int, count: int) -> Tensor:
    """Return the uniform numbers, one a token, of one sample of one prompt."""
    digest = hashlib.sha256(f"{seed} {prompt} {sample}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    return torch.rand(count, generator=generator, dtype=torch.float64)


class Draw:
    """A logits processor after which the greedy choice is a draw: it leaves one token possible in each row."""

    def __init__(self, numbers: Tensor, temperature: float, top_p: float) -> None:
        self.numbers, self.temperature, self.top_p = numbers, temperature, top_p
        self.step = 0

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        tokens = drawn(scores, self.numbers[:, self.step].to(scores.device), self.temperature, self.top_p)
        self.step += 1
        return torch.full_like(scores, -torch.inf).scatter(1, tokens[:, None], 0.0)


def drawn(scores: Tensor, numbers: Tensor, temperature: float, top_p: float) -> Tensor:
    """Return the token of each row that a uniform number selects from softmax(scores / temperature), cut to top-p.

    Holtzman et al. 2020 (arXiv:1904.09751), equation 2: the fewest most probable tokens whose probabilities sum to at
    least ``top_p``, weighted anew. The number selects by the inverse of the distribution function over these tokens.
    """
    ordered, tokens = (scores.double() / temperature).softmax(dim=1).sort(dim=1, descending=True, stable=True)
    mass = ordered.cumsum(dim=1)
    kept = mass - ordered < top_p  # the mass of the tokens before
    total = (ordered * kept).sum(dim=1)
    rank = (mass < (numbers * total)[:, None]).sum(dim=1)
    rank = torch.minimum(rank, kept.sum(dim=1) - 1)
    return tokens.gather(1, rank[:, None])[:, 0]
