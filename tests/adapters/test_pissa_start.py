"""The offset form is PiSSA: its start is the principal part of each weight, and it trains as PEFT's own does."""

import peft
import pytest
import torch
from tiny_models import batch, build, logits

from balora.adapters import AdapterConfig, attach
from balora.adapters.offset import lora_layers
from balora.adapters.targets import is_linear, weight_of

# PEFT asks a transformers model for a property that transformers is about to rename
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

RANK = 4


def linear_weights(model):
    """W of every linear layer as out×in, in float64."""
    return {name: weight_of(layer, name).double() for name, layer in model.named_modules() if is_linear(layer)}


def projector(columns):
    """Onto the space that the columns span."""
    return columns @ torch.linalg.pinv(columns)


@pytest.mark.parametrize("alpha", [None, 1.5 * RANK], ids=["scaling=1", "scaling=1.5"])
@pytest.mark.parametrize("svd", ["exact", "randomized"])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_the_start_is_the_best_approximation_of_its_rank(family, svd, alpha):
    model = build(family)
    truth = linear_weights(model)
    tuned = attach(model, AdapterConfig(rank=RANK, svd=svd, alpha=alpha))
    # subspace iteration on these flat random spectra is near, not at, the optimum
    near = {"exact": 1e-5, "randomized": 1e-2}[svd]
    for name, layer in lora_layers(tuned.get_base_model()).items():
        W, s = truth[name], layer.scaling["default"]
        A, B = layer.lora_A["default"].trained.double(), layer.lora_B["default"].trained.double()
        U, S, Vt = torch.linalg.svd(W, full_matrices=False)
        assert A.shape == (RANK, W.shape[1])
        assert B.shape == (W.shape[0], RANK)
        torch.testing.assert_close(projector(B), U[:, :RANK] @ U[:, :RANK].T, atol=near, rtol=0)
        torch.testing.assert_close(projector(A.T), Vt[:RANK].T @ Vt[:RANK], atol=near, rtol=0)
        torch.testing.assert_close((W - s * B @ A).norm(), S[RANK:].norm(), rtol=near, atol=0)  # Eckart-Young


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize(("family", "alpha"), [("llama", RANK), ("llama", 2 * RANK), ("gpt2", RANK), ("bert", RANK)])
def test_trains_step_for_step_as_pefts_pissa(family, alpha, optimizer):
    """The key equivalence: 25 steps in float64 give the losses of PEFT's PiSSA, which rewrites the base."""
    inputs = batch(family)
    ours = attach(build(family).double(), AdapterConfig(rank=RANK, alpha=alpha))
    theirs = peft.get_peft_model(
        build(family),
        peft.LoraConfig(
            r=RANK,
            lora_alpha=alpha,
            init_lora_weights="pissa",
            target_modules=ours.peft_config["default"].target_modules,
            modules_to_save=ours.peft_config["default"].modules_to_save,
            fan_in_fan_out=family == "gpt2",
        ),
    ).double()  # PEFT starts in float32 at most: so the two agree to the rounding of that start, about 1e-7
    expected, found = (_descend(model, inputs, optimizer) for model in (theirs, ours))
    assert expected[-1] < 0.9 * expected[0], "too little training to tell anything"
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=1e-5, atol=0)
    torch.testing.assert_close(logits(ours, inputs), logits(theirs, inputs), rtol=1e-4, atol=1e-4)


def _descend(model, inputs, name):
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if name == "adamw":  # with weight decay: it must act on A and B, not on their difference from the start
        optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.1)
    else:
        optimizer = torch.optim.SGD(parameters, lr=1e-2, momentum=0.9)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = model(**inputs).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
