"""Generate greedy answers in batches, and compute the loss of given answers; row by row as if alone."""

import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from balora.errors import ModelError, TrainingError, shown
from balora.tasks.behaviour import Behaviour
from balora.tasks.collate import Collator
from balora.tasks.encoding import IGNORED
from balora.tasks.evaluating import OnRows, batches_by_length, device_of, evaluating
from balora.tasks.kept_answers import KeptAnswers
from balora.tasks.prepared import Encoded, pad_id_of
from balora.tasks.turn_end import turn_end

LOGITS_AT_ONCE = 2**26
"""Most logits computed at once for the loss: 256 MiB in float32."""


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[list[int]],
    *,
    batch_size: int,
    max_new_tokens: int,
    on_rows: OnRows | None = None,
    closing: str = "",
    choose: Callable[[Sequence[int]], Any] | None = None,
    kept: KeptAnswers | None = None,
) -> list[str]:
    """Return the greedy continuation of every prompt, in the order given, up to the first end token, without it.

    End tokens are those of :func:`end_tokens`; ``closing``, a text that ends an answer too, is cut off in the same way.
    Prompts of like length share a batch, padded at the left. Sampling, penalties and other habits that the model's own
    `generation_config` may hold play no part. ``choose`` returns, for the positions of the prompts of a batch, a logits
    processor that comes before the greedy choice (:func:`balora.tasks.sampling.generate_samples` draws with one).
    Batches whose answers were ``kept`` are not generated again, and the answers of the others are added there.

    Raises:
        ModelError: as :func:`end_tokens`.
    """
    from peft import PeftModel

    base = model.get_base_model() if isinstance(model, PeftModel) else model
    pad = pad_id_of(tokenizer, getattr(base.config, "vocab_size", None))
    ends, device = end_tokens(base, tokenizer), device_of(model)
    stop = {"stop_strings": [closing], "tokenizer": tokenizer} if closing else {}
    texts: dict[int, str] = {}
    with evaluating(model), _greedy(base, max_new_tokens, pad, ends) as config:
        for positions in batches_by_length([len(prompt) for prompt in prompts], batch_size):
            batch = [prompts[position] for position in positions]
            key = kept.key(batch, [positions, max_new_tokens, closing, choose is not None]) if kept else ""
            answers = kept.take(key) if kept else None
            if answers is None:
                start = time.perf_counter()
                ids, mask = left_padded(batch, pad)
                inputs = {"input_ids": ids.to(device), "attention_mask": mask.to(device)}
                chosen = {"logits_processor": [choose(positions)]} if choose else {}
                output = base.generate(**inputs, generation_config=config, **stop, **chosen)
                answers = [_text(tokens, tokenizer, ends, closing) for tokens in output[:, ids.shape[1] :].tolist()]
                if kept:
                    kept.keep(key, answers, time.perf_counter() - start)
            texts.update(zip(positions, answers, strict=True))
            if on_rows is not None:
                on_rows(len(texts), len(prompts))
    return [texts[position] for position in range(len(prompts))]


def end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Return every token that ends an answer, in ascending order.

    They are the end tokens of the model's generation configuration and of its configuration (one or several each), that
    of the tokenizer, and the token with which the tokenizer's chat template closes a turn.

    Raises:
        ModelError: a configuration names something that is no token.
    """
    own = getattr(model, "generation_config", None)
    inner = getattr(model.config, "text_config", None)
    found: set[int] = set()
    for name, config in (("generation_config", own), ("config", model.config), ("text_config", inner)):
        given = config.get("eos_token_id") if isinstance(config, dict) else getattr(config, "eos_token_id", None)
        found.update(_tokens(name, given))
    found.update(token for token in (tokenizer.eos_token_id, turn_end(tokenizer).token) if token is not None)
    return sorted(found)


def _tokens(name: str, given: Any) -> list[int]:
    """Return the tokens that an `eos_token_id` names; a negative one stands for none."""
    values = given if isinstance(given, list | tuple) else [] if given is None else [given]
    if not all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        raise ModelError(
            f"the model's {name} has eos_token_id {shown(given)}, but a token's number or a list of them is needed"
        )
    return [value for value in values if value >= 0]


def left_padded(prompts: Sequence[list[int]], pad_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return tokens and mask of prompts that all end in the last column: (rows, longest) each."""
    longest = max(map(len, prompts))
    ids = [[pad_id] * (longest - len(prompt)) + prompt for prompt in prompts]
    mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids), torch.tensor(mask)


@contextmanager
def _greedy(base: Any, max_new_tokens: int, pad: int, ends: list[int]) -> Iterator[Any]:
    """Put a plain greedy configuration in the place of the model's: `generate` takes unset values from there."""
    from transformers import GenerationConfig

    plain: dict[str, Any] = {"do_sample": False, "num_beams": 1, "use_cache": True}
    config = GenerationConfig(max_new_tokens=max_new_tokens, pad_token_id=pad, eos_token_id=ends or None, **plain)
    own = base.generation_config
    base.generation_config = config
    try:
        yield config
    finally:
        base.generation_config = own


def _text(tokens: list[int], tokenizer: Any, ends: Collection[int], closing: str) -> str:
    count = next((position for position, token in enumerate(tokens) if token in ends), len(tokens))
    text: str = tokenizer.decode(tokens[:count], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text.partition(closing)[0] if closing else text


def answer_loss(
    model: Any,
    rows: Sequence[Encoded],
    pad_id: int,
    *,
    batch_size: int,
    on_rows: OnRows | None = None,
    behaviour: Behaviour | None = None,
) -> float:
    """Return the mean negative log-likelihood of the answers in nats per token: Σ −log p / number of answer tokens.

    The sum runs over every position whose *next* label counts, of all rows together (no mean of means). Batches are cut
    so that no more than ``LOGITS_AT_ONCE`` logits exist at a time (one row's at the least).
    ``behaviour`` sees every answer token's logits, and for its effective rank those of every row's first one.

    Raises:
        TrainingError: a loss is not finite.
        ValueError: no rows, whose mean would be 0 / 0.
    """
    if not rows:
        raise ValueError("answer_loss needs at least one row, got none")
    collate, device = Collator(pad_id), device_of(model)
    total, count, done = 0.0, 0, 0
    lengths = [len(row["input_ids"]) for row in rows]
    with evaluating(model):
        for batch_positions in batches_by_length(lengths, batch_size):
            for positions in _portions(batch_positions, lengths[batch_positions[0]] * model.config.vocab_size):
                batch = collate([rows[position] for position in positions])
                logits, targets, counts = _answers(model, {name: value.to(device) for name, value in batch.items()})
                loss = float(cross_entropy(logits, targets, reduction="sum"))
                if not math.isfinite(loss):
                    raise TrainingError(
                        f"the answer loss of evaluation rows {sorted(positions)[:4]}… is not finite: {loss}"
                    )
                if behaviour is not None:
                    behaviour.add_texts(logits, targets, counts.tolist(), positions)
                total, count, done = total + loss, count + len(targets), done + len(positions)
                del logits  # the next ones come before it is bound again
                if on_rows is not None:
                    on_rows(done, len(rows))
    return total / count


def _portions(positions: list[int], logits_per_row: int) -> list[list[int]]:
    size = max(1, LOGITS_AT_ONCE // logits_per_row)
    return [positions[start : start + size] for start in range(0, len(positions), size)]


def _answers(model: Any, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the logits of every answer token of a batch, the tokens, and how many of them each row has.

    Logits at position t foretell token t+1.
    """
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False).logits
    targets = batch["labels"][:, 1:]
    counted = targets != IGNORED
    return logits[:, :-1][counted].float(), targets[counted], counted.sum(dim=1)
