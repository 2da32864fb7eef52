"""Dropout takes from the learnt change alone: the base, the start and the reference are exact in training mode too."""

import pytest
import torch
import torch.nn.functional as F
from tiny_models import batch, build, logits, train
from torch import nn

from balora.adapters import AdapterConfig, attach, export_adapter, reference_of
from balora.adapters.offset import lora_layers

pytestmark = pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning")
P = 0.4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("variant", ["lora", "rslora", "dora"])
@pytest.mark.parametrize("init", ["pissa", "standard", "random-matched", "minor"])
def test_the_start_and_the_reference_are_the_base_in_training_mode(init, variant, dtype):
    model, inputs = build("llama").to(dtype), batch("llama")
    base = logits(model, inputs)
    tuned = attach(model, AdapterConfig(rank=4, alpha=6, init=init, variant=variant, dropout=P)).train()
    assert torch.equal(tuned(**inputs).logits, base)
    train(tuned, inputs)
    tuned.train()
    assert not torch.equal(tuned(**inputs).logits, tuned(**inputs).logits), "a trained adapter feels its dropout"
    with reference_of(tuned):
        assert torch.equal(tuned(**inputs).logits, base)
    assert torch.equal(logits(tuned.eval(), inputs), logits(tuned, inputs))


@pytest.mark.parametrize("init", ["pissa", "standard", "random-matched", "minor"])
def test_one_mask_falls_on_both_products(init):
    """Output W·x + s·(B·A − B0·A0)·x̃ and the gradients of A and B, with x̃ written out from the mask."""
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 9, bias=False)).double()
    model[0].weight.data = torch.randn(9, 12, generator=generator, dtype=torch.float64)
    W = model[0].weight.detach().clone()
    tuned = attach(model, AdapterConfig(rank=3, alpha=6, init=init, dropout=P)).train()
    (layer,) = lora_layers(tuned).values()
    factors = [factor for factor in tuned.parameters() if factor.requires_grad]
    A0, B0 = (factor.detach().clone() for factor in factors)
    for factor in factors:
        factor.data += 0.3 * torch.randn(factor.shape, generator=generator, dtype=torch.float64)
    x = torch.randn(5, 12, generator=generator, dtype=torch.float64)
    torch.manual_seed(7)
    out = tuned(x)
    torch.manual_seed(7)
    mask = F.dropout(torch.ones_like(x), P)
    A, B = (factor.detach().clone().requires_grad_() for factor in factors)
    change = B @ A - (B0 @ A0 if init != "standard" else 0)
    expected = x @ W.T + 2.0 * (x * mask) @ change.T  # s = alpha / r = 2
    assert 0 < (mask == 0).sum() < mask.numel()
    torch.testing.assert_close(out, expected)
    upstream = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    found = torch.autograd.grad(out, factors, upstream)
    torch.testing.assert_close(found, torch.autograd.grad(expected, [A, B], upstream))
    assert layer.lora_dropout["default"].p == P


@pytest.mark.parametrize("variant", ["lora", "dora"])
def test_scoring_and_export_know_no_dropout(variant, tmp_path):
    import peft

    tuned, inputs = attach(build("llama"), AdapterConfig(rank=4, variant=variant, dropout=P)), batch("llama")
    train(tuned, inputs)
    expected = logits(tuned.eval(), inputs)
    loaded = peft.PeftModel.from_pretrained(build("llama"), export_adapter(tuned, tmp_path / "out")).eval()
    torch.testing.assert_close(logits(loaded, inputs), expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
