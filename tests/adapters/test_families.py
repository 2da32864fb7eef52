"""Every family: the base is untouched, the start is the base's function, and only A, B and heads are trained."""

import pytest
import torch
from tiny_models import FAMILIES, HEADS, batch, build, logits, train, weights

from balora.adapters import AdapterConfig, attach, reference_of

STARTS = {
    "pissa": AdapterConfig(rank=4, init="pissa"),
    "standard": AdapterConfig(rank=4, init="standard"),
    "random-matched": AdapterConfig(rank=4, init="random-matched"),
    "minor": AdapterConfig(rank=4, init="minor"),
}


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_base_untouched_and_adapter_off_is_the_base(family, start):
    model, inputs = build(family), batch(family)
    before, base_logits = weights(model), logits(model, inputs)

    tuned = attach(model, STARTS[start])
    assert torch.equal(logits(tuned, inputs), base_logits), "the start changes the output"

    train(tuned.train(), inputs)
    assert not torch.allclose(logits(tuned.eval(), inputs), base_logits, atol=1e-3), "training changed nothing"
    with reference_of(tuned.train()) as reference:
        assert torch.equal(logits(reference, inputs), base_logits)

    unloaded = tuned.unload()
    after = weights(unloaded)
    frozen = {name for name in before if name.split(".")[0] not in HEADS.get(family, ())}
    assert frozen <= after.keys()
    assert [name for name in sorted(frozen) if not torch.equal(before[name], after[name])] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_reaches_the_factors_and_the_heads_only(family):
    tuned = attach(build(family), STARTS["pissa"])
    tuned(**batch(family)).loss.backward()
    trained = {name for name, parameter in tuned.named_parameters() if parameter.grad is not None}
    assert trained == {name for name, parameter in tuned.named_parameters() if parameter.requires_grad}
    heads = {name.removeprefix("base_model.model.").split(".")[0] for name in trained if "modules_to_save" in name}
    assert heads == HEADS.get(family, set())
    others = {name for name in trained if "modules_to_save" not in name}
    assert others == {
        n for n, _ in tuned.named_parameters() if n.endswith((".lora_A.default.trained", ".lora_B.default.trained"))
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_all_linear_is_every_linear_layer_but_the_heads(family):
    from transformers.pytorch_utils import Conv1D

    model = build(family)
    head = model.get_output_embeddings()
    expected = {
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D)
        and module is not head
        and name.split(".")[0] not in HEADS.get(family, ())
    }
    tuned = attach(model, STARTS["pissa"])
    assert set(tuned.base_model.targeted_module_names) == expected
    assert len(expected) >= 8
