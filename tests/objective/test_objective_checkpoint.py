"""On a real checkpoint: hidden states and its head give what its own logits give."""

import copy
from pathlib import Path

import pytest
import torch
from objective_cases import FORMULATIONS, TERMS, config_of, relative
from torch import Tensor, nn

from balora.objective import Objective

TEXTS = ["Once upon a time, there was a little girl named Lily.", "One day a dog saw a big red ball in the park."]


@pytest.fixture(scope="module")
def real_batch(checkpoint: Path) -> tuple[Tensor, Tensor, Tensor, Tensor, nn.Linear, Tensor]:
    """Hidden states and logits of a slightly changed copy and of the checkpoint itself, its head, and next tokens."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForCausalLM.from_pretrained(checkpoint).eval().requires_grad_(False)
    tuned = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(0)
    for layer in tuned.model.layers:
        weight = layer.mlp.down_proj.weight
        weight.add_(0.3 * weight.std() * torch.randn(weight.shape, generator=generator))
    states = []
    ids = [torch.tensor([tokenizer(text)["input_ids"]]) for text in TEXTS]
    for one in (tuned, model):
        outputs = [one(i, output_hidden_states=True) for i in ids]
        states.append(torch.cat([o.hidden_states[-1][0, :-1] for o in outputs]))
        states.append(torch.cat([o.logits[0, :-1] for o in outputs]))
    labels = torch.cat([i[0, 1:] for i in ids])
    return (*states, model.get_output_embeddings(), labels)


@pytest.mark.parametrize(("edition", "formulation"), FORMULATIONS)
def test_from_hidden_equals_from_logits(edition, formulation, real_batch) -> None:  # type: ignore[no-untyped-def]
    hidden, logits, reference, reference_logits, head, labels = real_batch
    hidden = hidden.clone().requires_grad_()
    objective = Objective(config_of(edition, formulation, outputs=512), chunk_bytes=100_000)
    by_hidden = objective.from_hidden(hidden, reference, head, labels)
    by_logits = objective.from_logits(logits, reference_logits, labels)
    assert set(by_hidden.values()) == set(by_logits.values()) == {"task", *TERMS}
    for name, value in by_hidden.values().items():
        assert relative(value, by_logits.values()[name]) < 1e-5, name  # float32, logits of size 10
    (gradient,) = torch.autograd.grad(by_hidden.loss, hidden)
    (expected,) = torch.autograd.grad(objective.from_logits(head(hidden), reference_logits, labels).loss, hidden)
    assert relative(gradient, expected) < 1e-5
    # the checkpoint has learnt something: its loss on stories is far below that of guessing, ln 512 = 6.2
    assert by_hidden.task.item() < 4
