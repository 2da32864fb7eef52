"""Switching to the pre-trained model and back, a step at a time: what `reference_of` gives, without its walks."""

import pytest
import torch
from peft import LoraConfig
from training_cases import adapted, collate, examples, moved

from balora.adapters import reference_of
from balora.adapters.reference import ReferenceSwitch
from balora.errors import AdapterError

INPUTS = {name: value for name, value in collate(examples()).items() if name in ("input_ids", "attention_mask")}


def state(model):
    modules = [(m.training, getattr(m, "disable_adapters", None)) for m in model.modules()]
    return modules, [parameter.requires_grad for parameter in model.parameters()]


@pytest.mark.parametrize("init", ["pissa", "standard"])
def test_inside_it_is_what_reference_of_gives(init):
    model = moved(adapted("bert", init=init)).train()
    model.get_submodule("base_model.model.bert.encoder.layer.1").eval()  # as someone may have left it
    switch, before = ReferenceSwitch(model), state(model)
    with reference_of(model):
        expected = model(**INPUTS).logits
    for _ in range(2):
        with switch.off() as frozen:
            inside = frozen(**INPUTS).logits
            with switch.off():
                assert torch.equal(frozen(**INPUTS).logits, expected)
            assert torch.equal(frozen(**INPUTS).logits, expected), "still off after an inner one"
        assert torch.equal(inside, expected)
        assert not inside.requires_grad
        assert state(model) == before
    assert model(**INPUTS).logits.requires_grad


def test_an_exception_leaves_everything_as_it_was():
    model = moved(adapted("bert")).train()
    switch, before = ReferenceSwitch(model), state(model)

    def fail():
        with switch.off():
            raise KeyError("inside")

    with pytest.raises(KeyError):
        fail()
    assert state(model) == before


def test_modules_are_gathered_once(monkeypatch):
    model = adapted("bert")
    switch = ReferenceSwitch(model)
    with switch.off():
        pass
    monkeypatch.setattr(torch.nn.Module, "named_modules", None)
    with switch.off():
        pass


def test_what_takes_the_reference_away_later_is_refused():
    model = adapted("classifier")
    switch = ReferenceSwitch(model)
    with switch.off():
        pass
    weight = model.get_base_model().model.embed_tokens.weight.requires_grad_()
    with pytest.raises(AdapterError, match="weight of the base is trainable"), switch.off():
        pass
    weight.requires_grad_(False)
    with switch.off():
        pass
    model.merge_adapter()
    with pytest.raises(AdapterError, match="merged into the base"), switch.off():
        pass


def test_an_adapter_that_is_added_later_is_switched_off_too():
    model = adapted("classifier", target_modules=["q_proj"])
    switch = ReferenceSwitch(model)
    with switch.off():
        expected = model(**INPUTS).logits
    model.add_adapter("more", LoraConfig(r=2, target_modules=["v_proj"], init_lora_weights=False))
    model.set_adapter("more")
    assert not torch.allclose(model(**INPUTS).logits, expected)
    with switch.off():
        assert torch.equal(model(**INPUTS).logits, expected)
