"""The reference is the pre-trained model bit for bit, whatever state the tuned model is in, and leaves no trace."""

import peft
import pytest
import torch
from tiny_models import batch, build, logits, train
from torch.nn.parallel import DataParallel

from balora.adapters import AdapterConfig, attach, frozen_copy, reference_of
from balora.errors import AdapterError

pytestmark = [
    pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*base_model_name_or_path:UserWarning"),
]
CONFIG = AdapterConfig(rank=4)


@pytest.fixture
def tuned():
    """A trained classifier with dropout, in training mode, with parts put into an unusual state."""
    model = attach(build("bert"), CONFIG).train()
    train(model, batch("bert"))
    model.base_model.model.bert.encoder.layer[0].eval()
    model.get_parameter(_first_factor(model)).requires_grad_(False)
    return model


def _first_factor(model):
    return next(name for name, _ in model.named_parameters() if "lora_A" in name)


def state(model):
    return {
        "modes": [module.training for module in model.modules()],
        "flags": {name: parameter.requires_grad for name, parameter in model.named_parameters()},
        "active": model.active_adapters,
        "off": [m.disable_adapters for m in model.modules() if isinstance(m, peft.tuners.tuners_utils.BaseTunerLayer)],
    }


def test_logits_of_the_base_with_its_initial_head(tuned):
    inputs = batch("bert")
    with reference_of(tuned) as reference:
        found = reference(**inputs)
        assert not found.logits.requires_grad
        assert torch.equal(found.logits, logits(build("bert"), inputs))


def test_no_gradient_even_where_the_inputs_ask_for_one(tuned):
    tuned.enable_input_require_grads()  # as for gradient checkpointing: the embeddings' output requires a gradient
    assert tuned(**batch("bert")).logits.requires_grad
    with reference_of(tuned) as reference:
        assert not reference(**batch("bert")).logits.requires_grad


def test_state_is_restored_also_after_an_error(tuned):
    before = state(tuned)
    with reference_of(tuned):
        assert state(tuned) != before
    assert state(tuned) == before
    with pytest.raises(KeyError), reference_of(tuned):
        raise KeyError
    assert state(tuned) == before


def test_the_reference_may_be_nested(tuned):
    inputs, before = batch("bert"), state(tuned)
    base = logits(build("bert"), inputs)
    with reference_of(tuned):
        with reference_of(tuned):
            assert torch.equal(logits(tuned, inputs), base)
        assert torch.equal(logits(tuned, inputs), base)
        with tuned.disable_adapter():
            assert torch.equal(logits(tuned, inputs), base)
        assert torch.equal(logits(tuned, inputs), base)
    assert state(tuned) == before
    with tuned.disable_adapter():
        with reference_of(tuned):
            assert torch.equal(logits(tuned, inputs), base)
        assert torch.equal(logits(tuned.eval(), inputs), base)


def test_between_forward_and_backward_it_changes_no_gradient():
    inputs = batch("llama")
    plain = attach(build("llama"), CONFIG)
    plain(**inputs).loss.backward()
    mixed = attach(build("llama"), CONFIG)
    loss = mixed(**inputs).loss
    with reference_of(mixed) as reference:
        reference(**inputs)
    loss.backward()
    for one, other in zip(plain.parameters(), mixed.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None)
        assert one.grad is None or torch.equal(one.grad, other.grad)


def test_a_model_in_data_parallel_has_its_reference(tuned):
    inputs = batch("bert")
    with reference_of(DataParallel(tuned)) as reference:
        assert isinstance(reference, DataParallel)
        assert torch.equal(tuned(**inputs).logits, logits(build("bert"), inputs))


def test_full_fine_tuning_needs_a_frozen_copy():
    model, inputs = build("llama").train(), batch("llama")
    with (
        pytest.raises(AdapterError, match=r"LlamaForCausalLM has no adapter .*frozen_copy\(model\)` before training"),
        reference_of(model),
    ):
        pass
    reference = frozen_copy(model)
    train(model, inputs)
    assert torch.equal(logits(reference, inputs), logits(build("llama"), inputs))
    assert not reference.training
    assert not any(parameter.requires_grad for parameter in reference.parameters())


@pytest.mark.parametrize("init", ["pissa", "pissa_niter_4", "olora", "orthogonal", "gaussian", True])
def test_an_overwritten_base_is_refused(init):
    """Those that PEFT leaves the base alone for are accepted, and give its logits."""
    inputs = batch("llama")
    targets = ["q_proj", "down_proj"]
    tuned = peft.get_peft_model(build("llama"), peft.LoraConfig(r=4, target_modules=targets, init_lora_weights=init))
    with tuned.disable_adapter():
        intact = torch.equal(logits(tuned, inputs), logits(build("llama"), inputs))
    if intact:
        with reference_of(tuned):
            assert torch.equal(logits(tuned, inputs), logits(build("llama"), inputs))
    else:
        with pytest.raises(AdapterError, match=f"init_lora_weights='{init}', for which PEFT .* use `attach`"):
            reference_of(tuned).__enter__()
    assert intact == (init in {"orthogonal", "gaussian", True})


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"init_lora_weights": "corda"}, "init_lora_weights='corda'"),
        ({"init_lora_weights": "loftq"}, "init_lora_weights='loftq'"),
        ({"init_lora_weights": "lora_ga"}, "init_lora_weights='lora_ga'"),
        ({"bias": "all"}, "bias='all', which trains biases"),
        ({"layer_replication": [(0, 1)]}, "layer_replication"),
        ({"kasa_config": object()}, "kasa_config"),
    ],
)
def test_other_settings_that_change_the_base_are_refused(tuned, settings, reason):
    for name, value in settings.items():
        setattr(tuned.peft_config["default"], name, value)
    with pytest.raises(AdapterError, match=reason):
        reference_of(tuned).__enter__()


def test_other_kinds_of_adapter_are_refused():
    tuned = peft.get_peft_model(build("llama"), peft.IA3Config(target_modules=["q_proj"], feedforward_modules=[]))
    with pytest.raises(AdapterError, match="adapter 'default' is of type IA3: only LoRA"):
        reference_of(tuned).__enter__()


def test_merged_adapters_are_refused(tuned):
    tuned.merge_adapter()
    with pytest.raises(AdapterError, match=r"adapter 'default' is merged into the base: call `unmerge_adapter\(\)`"):
        reference_of(tuned).__enter__()


def test_a_trainable_base_is_refused(tuned):
    parameter = tuned.base_model.model.bert.embeddings.word_embeddings.weight
    parameter.requires_grad_(True)
    with pytest.raises(AdapterError, match=r"word_embeddings\.weight of the base is trainable"):
        reference_of(tuned).__enter__()
    assert parameter.requires_grad
