"""What one may do to a PEFT model, done to an adapter in the offset form: exact afterwards, or refused."""

import copy
import pickle

import peft
import pytest
import torch
from tiny_models import batch, build, logits, train, weights

from balora.adapters import AdapterConfig, attach, reference_of
from balora.adapters.factors import OffsetA
from balora.adapters.offset import lora_layers, offset_adapters

pytestmark = [
    pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Already found a `peft_config`:UserWarning"),
]

CONFIG = AdapterConfig(rank=4, alpha=6)
INPUTS = batch("llama")


@pytest.fixture(params=["pissa"])
def tuned(request):
    """A trained adapter in the offset form on a Llama, in evaluation mode; started as `pissa`, or as a test wants."""
    model = attach(build("llama"), CONFIG.replace(init=request.param))
    train(model, INPUTS)
    return model


OFFSET = ("pissa", "random-matched", "minor")
with_every_start = pytest.mark.parametrize("tuned", OFFSET, indirect=True)


def same_training(one, other):
    """Whether two models train alike to the last bit from here on."""
    return train(one, INPUTS) == train(other, INPUTS)


def close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def plain_lora():
    return peft.LoraConfig(r=3, target_modules=["q_proj", "up_proj"], init_lora_weights=False)


def test_selecting_the_active_adapter_changes_nothing(tuned):
    twin = copy.deepcopy(tuned)
    tuned.set_adapter("default")
    assert torch.equal(logits(tuned, INPUTS), logits(twin, INPUTS))
    assert same_training(tuned, twin)


def test_set_adapter_does_not_train_the_start(tuned):
    tuned.set_adapter("default")
    layers = lora_layers(tuned).values()
    starts = [layer.lora_A["default"].origin.clone() for layer in layers]
    train(tuned, INPUTS)
    assert all(torch.equal(layer.lora_A["default"].origin, start) for layer, start in zip(layers, starts, strict=True))


def test_second_adapter_and_back(tuned):
    base_logits = logits(build("llama"), INPUTS)
    before = logits(tuned, INPUTS)
    tuned.add_adapter("second", plain_lora())
    assert torch.equal(logits(tuned, INPUTS), before)
    tuned.set_adapter("second")
    second = logits(tuned, INPUTS)
    assert offset_adapters(tuned) == ["default"]
    with reference_of(tuned):
        assert torch.equal(logits(tuned, INPUTS), base_logits)
    tuned.set_adapter("default")
    assert torch.equal(logits(tuned, INPUTS), before)
    tuned.base_model.set_adapter(["default", "second"])
    both = logits(tuned, INPUTS)
    assert not torch.allclose(both, before, atol=1e-3)
    assert not torch.allclose(both, second, atol=1e-3)
    with reference_of(tuned):
        assert torch.equal(logits(tuned, INPUTS), base_logits)
    assert tuned.base_model.active_adapters == ["default", "second"]
    assert torch.equal(logits(tuned, INPUTS), both)
    tuned.base_model.set_adapter("default")
    tuned.delete_adapter("second")
    assert torch.equal(logits(tuned, INPUTS), before)


def test_a_second_adapter_of_the_same_configuration_is_in_the_offset_form_too(tuned):
    """TRL's preference trainers add `ref` this way and copy every `.default.` parameter into it by name."""
    trained = logits(tuned, INPUTS)
    tuned.add_adapter("ref", tuned.peft_config["default"])
    assert offset_adapters(tuned) == ["default", "ref"]
    assert not any(parameter.requires_grad for name, parameter in tuned.named_parameters() if ".ref." in name)
    tuned.set_adapter("ref")
    assert torch.equal(logits(tuned, INPUTS), logits(build("llama"), INPUTS)), "starts as the base"
    for name, parameter in tuned.named_parameters():
        if ".default." in name:
            tuned.get_parameter(name.replace(".default.", ".ref.")).data.copy_(parameter.data)
    assert torch.equal(logits(tuned, INPUTS), trained)


def test_without_its_adapter_the_model_is_the_base(tuned):
    with tuned.disable_adapter():
        assert torch.equal(logits(tuned, INPUTS), logits(build("llama"), INPUTS))


@with_every_start
def test_deepcopy_is_independent(tuned):
    twin = copy.deepcopy(tuned)
    state = weights(twin)
    losses = train(tuned, INPUTS)
    assert all(torch.equal(tensor, state[name]) for name, tensor in twin.state_dict().items())
    assert train(twin, INPUTS) == losses


@with_every_start
def test_a_pickled_model_trains_alike(tuned):
    twin = pickle.loads(pickle.dumps(tuned))
    assert same_training(tuned, twin)


@pytest.mark.parametrize("init", OFFSET)
@pytest.mark.parametrize("family", ["llama", "gpt2", "t5"])
def test_unloading_a_merged_model_leaves_the_tuned_output(family, init):
    inputs = batch(family)
    tuned = attach(build(family).double(), CONFIG.replace(init=init))
    train(tuned.eval(), inputs)
    expected = logits(tuned, inputs)
    merged = tuned.merge_and_unload()
    assert not isinstance(merged, peft.PeftModel)
    torch.testing.assert_close(logits(merged, inputs), expected, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(logits(build(family).double(), inputs), expected, atol=1e-2)


@with_every_start
def test_unmerging_gives_the_base_back(tuned):
    before = logits(tuned, INPUTS)
    tuned.merge_adapter()
    close(logits(tuned, INPUTS), before)
    tuned.unmerge_adapter()
    close(logits(tuned, INPUTS), before)
    with reference_of(tuned):  # unmerging subtracts what merging added: equal to rounding, no longer bit for bit
        close(logits(tuned, INPUTS), logits(build("llama"), INPUTS))


def test_adapters_can_be_combined_with_weights(tuned):
    before = logits(tuned, INPUTS)
    tuned.add_weighted_adapter(["default"], [1.0], "copy", combination_type="cat")
    tuned.set_adapter("copy")
    close(logits(tuned, INPUTS), before)


@with_every_start
def test_a_saved_adapter_loads_into_a_fresh_base(tuned, tmp_path):
    tuned.save_pretrained(tmp_path)
    loaded = peft.PeftModel.from_pretrained(build("llama"), tmp_path).eval()
    close(logits(loaded, INPUTS), logits(tuned, INPUTS))
    frugal = peft.PeftModel.from_pretrained(build("llama"), tmp_path, low_cpu_mem_usage=True).eval()
    assert torch.equal(logits(frugal, INPUTS), logits(loaded, INPUTS))


@pytest.mark.parametrize("low_cpu_mem_usage", [False, True])
@pytest.mark.parametrize("start", [{}, {"svd": "randomized"}, {"init": "random-matched"}, {"init": "minor"}])
def test_load_into_an_attached_model_and_go_on(tmp_path, start, low_cpu_mem_usage):
    config = CONFIG.replace(**start)
    tuned = attach(build("llama"), config)
    train(tuned, INPUTS)
    tuned.save_pretrained(tmp_path)
    resumed = attach(build("llama"), config, seed=1)  # where random numbers are drawn, from another start
    result = resumed.load_adapter(tmp_path, "default", is_trainable=True, low_cpu_mem_usage=low_cpu_mem_usage)
    assert not result.missing_keys
    assert not result.unexpected_keys
    assert torch.equal(logits(resumed, INPUTS), logits(tuned, INPUTS))
    assert same_training(tuned, resumed)


def test_a_saved_adapter_loads_under_another_name(tuned, tmp_path):
    tuned.save_pretrained(tmp_path)
    other = attach(build("llama"), CONFIG)
    other.load_adapter(tmp_path, "loaded")
    other.set_adapter("loaded")
    close(logits(other, INPUTS), logits(tuned, INPUTS))
    other.set_adapter("default")
    assert torch.equal(logits(other, INPUTS), logits(build("llama"), INPUTS))


def test_a_state_dict_restores_every_bit(tuned):
    fresh = attach(build("llama"), CONFIG)
    assert set(fresh.state_dict()) == set(tuned.state_dict())
    fresh.load_state_dict(tuned.state_dict())
    assert same_training(tuned, fresh)


def test_loading_another_shape_or_nothing_is_an_error(tuned):
    other = attach(build("llama"), CONFIG.replace(rank=3))
    with pytest.raises(RuntimeError, match=r"size mismatch for .*lora_A.default.weight: got \[8, 24\], need \[6, 24\]"):
        other.load_state_dict(tuned.state_dict())
    with pytest.raises(RuntimeError, match="Missing key"):
        OffsetA(torch.ones(2, 3)).load_state_dict({})
    with pytest.raises(RuntimeError, match="Unexpected key"):
        OffsetA(torch.ones(2, 3)).load_state_dict({"weight": torch.ones(4, 3), "origin": torch.ones(2, 3)})


@pytest.mark.parametrize("tuned", ["pissa", "random-matched"], indirect=True)
def test_loading_a_start_of_another_size_is_refused(tuned):
    message = r"the frozen half of .*default.weight is not this adapter's start on this base"
    for change in ({"alpha": 24}, {"init": "minor"}):
        with pytest.raises(RuntimeError, match=message):
            attach(build("llama"), CONFIG.replace(**change)).load_state_dict(tuned.state_dict())


@pytest.mark.parametrize("init", OFFSET)
def test_gradient_checkpointing_gives_the_same_gradients(init):
    def gradients(**checkpointing):
        model = attach(build("llama"), CONFIG.replace(init=init)).train()
        if checkpointing:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=checkpointing)
            model.enable_input_require_grads()
        train(model, INPUTS, steps=2)
        model.zero_grad()
        model(**INPUTS).loss.backward()
        return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]

    plain = gradients()
    assert len(plain) == 2 * 14
    for reentrant in (True, False):
        again = gradients(use_reentrant=reentrant)
        assert all(torch.equal(one, other) for one, other in zip(plain, again, strict=True))


def test_a_compiled_model_computes_the_same():
    base = torch.nn.Sequential(torch.nn.Linear(6, 5)).requires_grad_(False)
    x = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    expected = base(x)
    tuned = attach(base, AdapterConfig(rank=2))
    compiled = torch.compile(tuned, backend="eager")
    optimizer = torch.optim.SGD(compiled.parameters(), lr=0.1)
    compiled(x).square().sum().backward()
    optimizer.step()
    changed = tuned(x)
    assert not torch.allclose(changed, expected, atol=1e-2)
    with reference_of(compiled) as reference:
        assert torch.equal(reference(x), expected)
    torch.testing.assert_close(compiled(x), changed)


def test_attached_in_training_mode_or_evaluation_mode():
    assert attach(build("llama").train(), CONFIG).training
    dropping = attach(build("llama"), AdapterConfig(rank=4, init="standard", dropout=0.5))
    assert not any(module.training for module in dropping.modules())
