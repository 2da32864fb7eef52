"""Engines, sharded and quantised models: what balora does with them is exact, or refused by name."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from balora import AdapterConfig, ObjectiveConfig, attach, export_adapter, export_merged, frozen_copy, reference_of
from balora.adapters.targets import is_int8, weight_of
from balora.errors import AdapterError
from balora.training.loss import ModelLoss

pytestmark = pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning")
PLAIN = AdapterConfig(rank=2, init="standard")


def base() -> LlamaForCausalLM:
    size = {"vocab_size": 31, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1}
    return LlamaForCausalLM(LlamaConfig(**size, num_attention_heads=2)).eval()


def engine(module: str, name: str, monkeypatch: pytest.MonkeyPatch, model: nn.Module) -> nn.Module:
    """Wrap a model in a class of that name: the packages themselves are too large for these tests."""

    class Engine(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.module = inner

        def forward(self, *words: Any, **names: Any) -> Any:
            return self.module(*words, **names)

    Engine.__name__ = Engine.__qualname__ = name
    Engine.__module__ = module
    monkeypatch.setitem(sys.modules, module, ModuleType(module))
    return Engine(model)


ENGINES = {
    "PipelineEngine": ("deepspeed.runtime.pipe.engine", "wrapped in a PipelineEngine"),
    "FullyShardedDataParallel": ("torch.distributed.fsdp.fully_sharded_data_parallel", r"use FSDP2 \(`fully_shard`\)"),
}


def refer(model: nn.Module, folder: Any) -> None:
    with reference_of(model):
        pass


ACTS = {
    "attach": lambda model, folder: attach(model, PLAIN),
    "reference_of": refer,
    "frozen_copy": lambda model, folder: frozen_copy(model),
    "export_adapter": lambda model, folder: export_adapter(model, folder / "out"),
    "export_merged": lambda model, folder: export_merged(model, folder / "out"),
    "ModelLoss": lambda model, folder: ModelLoss(model, ObjectiveConfig.preset("ba-lora", family="nlg")),
    "ModelLoss, no reference": lambda model, folder: ModelLoss(model, ObjectiveConfig.preset("none", family="nlg")),
}


DEEPSPEED = ("deepspeed.runtime.engine", "DeepSpeedEngine")


@pytest.mark.parametrize("act", [act for act in ACTS if act != "attach"])
def test_deepspeeds_engine_is_taken_off(monkeypatch, tmp_path, act: str) -> None:
    ACTS[act](engine(*DEEPSPEED, monkeypatch, attach(base(), PLAIN)), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == (["out"] if act.startswith("export") else [])


def test_an_adapter_is_attached_before_deepspeed(monkeypatch) -> None:
    with pytest.raises(AdapterError, match="wrapped in a DeepSpeedEngine: attach the adapter first"):
        attach(engine(*DEEPSPEED, monkeypatch, base()), PLAIN)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_is_refused_by_name(monkeypatch, tmp_path, name: str, act: str) -> None:
    module, says = ENGINES[name]
    model = base() if act == "attach" else attach(base(), PLAIN)
    with pytest.raises(AdapterError, match=says):
        ACTS[act](engine(module, name, monkeypatch, model), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_wrapper_of_ones_own_is_no_engine(monkeypatch) -> None:
    wrapped = engine("my.code", "DeepSpeedEngine", monkeypatch, attach(base(), PLAIN))
    with pytest.raises(AdapterError, match="has no adapter to switch off"), reference_of(wrapped):
        pass


@pytest.mark.parametrize("act", ["attach", "export_merged"])
def test_a_partitioned_model_is_refused_by_name(tmp_path, act: str) -> None:
    """DeepSpeed ZeRO-3 leaves empty parameters with an attribute `ds_id` on every process."""
    model = base() if act == "attach" else attach(base(), PLAIN)
    next(model.parameters()).ds_id = 0
    with pytest.raises(AdapterError, match="partitioned by DeepSpeed ZeRO-3 cannot be"):
        ACTS[act](model, tmp_path)
    assert list(tmp_path.iterdir()) == []


class Int8Params(nn.Parameter):
    """A stand-in for bitsandbytes' parameter of eight bits, which has the scales until the first forward pass."""

    SCB: torch.Tensor | None = None


def int8_layer(has_run: bool) -> tuple[nn.Linear, torch.Tensor]:
    """Return a layer as bitsandbytes makes it, and the weight that it stands for."""
    layer = nn.Linear(5, 3, bias=False)
    codes = torch.tensor([[127, -127, 0, 64, 1], [1, 2, 3, 4, 5], [-5, 0, 5, 10, 127]], dtype=torch.int8)
    scales = torch.tensor([0.5, 2.0, 1.27])
    layer.weight = Int8Params(codes, requires_grad=False)
    layer.weight.SCB = None if has_run else scales
    layer.state = SimpleNamespace(SCB=scales if has_run else None, CB=codes if has_run else None)
    return layer, torch.stack([row.float() * scale / 127 for row, scale in zip(codes, scales, strict=True)])


@pytest.mark.parametrize("has_run", [False, True])
def test_eight_bits_are_read_and_the_layer_is_left_alone(has_run: bool) -> None:
    layer, expected = int8_layer(has_run)
    weight, state = layer.weight, dict(vars(layer.state))
    torch.testing.assert_close(weight_of(layer, "layer"), expected)
    assert layer.weight is weight
    assert (layer.weight.SCB is None) == has_run
    assert vars(layer.state) == state


def test_eight_bits_without_their_scales_are_refused() -> None:
    layer, _ = int8_layer(True)
    layer.state.SCB = None
    with pytest.raises(AdapterError, match=r"holds torch.int8 .*load the base in floating point"):
        weight_of(layer, "layer")


def test_dora_on_eight_bits_is_refused() -> None:
    model = nn.ModuleDict({"down": int8_layer(False)[0]})
    with pytest.raises(AdapterError, match=r"layer down holds eight-bit weights on a CPU, which PEFT's DoRA spoils"):
        attach(model, AdapterConfig(rank=2, variant="dora"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("has_run", [False, True])
@pytest.mark.parametrize("init", ["pissa", "standard", "random-matched", "minor"])
def test_bitsandbytes_eight_bits_start_exactly_and_export(checkpoint, tmp_path, init: str, has_run: bool) -> None:
    pytest.importorskip("bitsandbytes")
    from peft import PeftModel
    from stored_adapters import shaken
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    def load() -> Any:
        eight = BitsAndBytesConfig(load_in_8bit=True)
        return AutoModelForCausalLM.from_pretrained(checkpoint, quantization_config=eight, device_map={"": "cpu"})

    def logits(model: Any) -> torch.Tensor:
        with torch.no_grad():
            return model(torch.tensor([[1, 300, 301, 302, 2]])).logits

    before, model = logits(load()), load()
    if has_run:
        logits(model)
    assert is_int8(model.model.layers[0].self_attn.q_proj)
    tuned = attach(model, AdapterConfig(rank=4, init=init)).eval()
    assert torch.equal(logits(tuned), before)
    shaken(tuned)
    with reference_of(tuned):
        assert torch.equal(logits(tuned), before)
    loaded = PeftModel.from_pretrained(load(), export_adapter(tuned, tmp_path / "out")).eval()
    assert torch.equal(logits(loaded), logits(tuned))
