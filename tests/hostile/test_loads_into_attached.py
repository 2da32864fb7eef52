"""Every way to load an adapter into an attached model loads all of it, exactly, or refuses and changes nothing."""

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from peft.utils import hotswap
from safetensors.torch import load_file
from stored_adapters import STEP, WEIGHTS, both, plus, shaken, without
from transformers import LlamaConfig, LlamaForCausalLM

from balora import AdapterConfig, attach, export_adapter
from balora.errors import AdapterError

pytestmark = pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning")
CONFIGS = {
    "pissa": AdapterConfig(rank=2, target_modules=("q_proj", "v_proj")),
    "standard": AdapterConfig(rank=2, init="standard", target_modules=("q_proj", "v_proj")),
    "random-matched": AdapterConfig(rank=2, init="random-matched", target_modules=("q_proj", "v_proj")),
    "minor": AdapterConfig(rank=2, init="minor", target_modules=("q_proj", "v_proj")),
    "dora": AdapterConfig(rank=2, variant="dora", target_modules=("q_proj", "v_proj")),
    "norm": AdapterConfig(rank=2, target_modules=("q_proj", "v_proj"), modules_to_save=("model.norm",)),
}


def base() -> LlamaForCausalLM:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        size = {"vocab_size": 31, "hidden_size": 64, "intermediate_size": 24, "num_hidden_layers": 3}
        return LlamaForCausalLM(LlamaConfig(**size, num_attention_heads=2)).eval()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[PeftModel, Path]]:
    """A moved model of every kind, and the folder that PEFT saved of it."""
    folder = tmp_path_factory.mktemp("trained")
    models = {kind: shaken(attach(base(), config)).eval() for kind, config in CONFIGS.items()}
    for kind, model in models.items():
        model.save_pretrained(folder / kind)
    return {kind: (model, folder / kind) for kind, model in models.items()}


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([[3, 30, 5, 7]])).logits


def by_load_adapter(model: PeftModel, folder: Path) -> None:
    model.load_adapter(folder, "default", is_trainable=True)


def by_frugal_load_adapter(model: PeftModel, folder: Path) -> None:
    model.load_adapter(folder, "default", is_trainable=True, low_cpu_mem_usage=True)


def by_set_state(model: PeftModel, folder: Path) -> None:
    set_peft_model_state_dict(model, load_file(folder / WEIGHTS))


def by_state_dict(model: PeftModel, folder: Path) -> None:
    names = {key.replace(".default", ""): key for key in model.state_dict() if ".default" in key}
    names |= {key.replace("vector.weight", "vector"): value for key, value in names.items()}
    names |= {key.replace(".modules_to_save", ""): value for key, value in names.items()}
    model.load_state_dict({names.get(n, n): t for n, t in load_file(folder / WEIGHTS).items()}, strict=False)


LOADS = {
    "load_adapter": by_load_adapter,
    "load_adapter with little memory": by_frugal_load_adapter,
    "set_peft_model_state_dict": by_set_state,
    "load_state_dict": by_state_dict,
}
HALVES = {
    "only lora_A": (without("lora_B"), "lacks"),
    "only lora_B": (without("lora_A"), "lacks"),
    "a layer missing": (without("layers.1."), "lacks"),
    "a tensor missing": (without(STEP.format(2, "v_proj", "B")), "lacks"),
    "a layer too many": (
        both(plus(STEP.format(3, "q_proj", "A"), 4, 64), plus(STEP.format(3, "q_proj", "B"), 64, 4)),
        "no place",
    ),
    "a kind of layer too many": (plus(STEP.format(0, "k_proj", "A"), 4, 64), "no place"),
}


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("kind", CONFIGS)
def test_a_whole_adapter_is_loaded_exactly(trained, kind: str, load: str) -> None:
    model, folder = trained[kind]
    fresh = attach(base(), CONFIGS[kind])
    LOADS[load](fresh, folder)
    assert torch.equal(logits(fresh.eval()), logits(model))


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("case", HALVES)
@pytest.mark.parametrize("kind", ["pissa", "standard"])
def test_half_an_adapter_is_refused_and_nothing_loaded(
    trained, tmp_path: Path, kind: str, case: str, load: str
) -> None:
    spoil, says = HALVES[case]
    shutil.copytree(trained[kind][1], tmp_path / "half")
    spoil(tmp_path / "half")
    fresh = attach(base(), CONFIGS[kind])
    before = logits(fresh)
    with pytest.raises(AdapterError, match=rf"the state to load .*{says}.* nothing was loaded"):
        LOADS[load](fresh, tmp_path / "half")
    assert torch.equal(logits(fresh), before)


def test_magnitudes_are_not_dropped_or_missed(trained) -> None:
    with pytest.raises(AdapterError, match=r"holds .*lora_magnitude_vector.* no place"):
        by_load_adapter(attach(base(), CONFIGS["pissa"]), trained["dora"][1])
    with pytest.raises(AdapterError, match=r"lacks .*lora_magnitude_vector"):
        by_load_adapter(attach(base(), CONFIGS["dora"]), trained["pissa"][1])


def test_a_part_trained_in_full_is_not_missed(trained) -> None:
    fresh = attach(base(), CONFIGS["norm"])
    state = get_peft_model_state_dict(trained["pissa"][0])
    with pytest.raises((AdapterError, KeyError), match="norm"):
        set_peft_model_state_dict(fresh, state)
    state = {name: t for name, t in trained["norm"][0].state_dict().items() if "modules_to_save" not in name}
    with pytest.raises(AdapterError, match=r"lacks .*norm.modules_to_save.default.weight of adapter 'default'"):
        fresh.load_state_dict(state, strict=False)


def test_a_second_adapter_is_loaded_whole_or_refused(trained, tmp_path: Path) -> None:
    shutil.copytree(trained["pissa"][1], tmp_path / "half")
    without("lora_B")(tmp_path / "half")
    model = attach(base(), CONFIGS["pissa"])
    with pytest.raises(AdapterError, match=r"lacks .*other.* of adapter 'other'"):
        model.load_adapter(tmp_path / "half", "other")


def test_a_copy_guards_itself(trained) -> None:
    fresh = copy.deepcopy(attach(base(), CONFIGS["pissa"]))
    with pytest.raises(AdapterError, match="lacks"):
        fresh.load_state_dict({n: t for n, t in fresh.state_dict().items() if "lora_B" not in n}, strict=False)


def test_the_state_of_the_base_alone_is_loaded(trained) -> None:
    fresh = attach(base(), CONFIGS["pissa"])
    fresh.load_state_dict({n: t for n, t in fresh.state_dict().items() if "lora" not in n}, strict=False)


@pytest.mark.parametrize("kind", ["pissa", "dora", "norm"])
def test_hot_swapping_into_the_offset_form_is_refused(trained, kind: str) -> None:
    model, folder = attach(base(), CONFIGS[kind]), trained[kind][1]
    before = logits(model)
    with pytest.raises(
        AdapterError, match=r"cannot hot-swap adapters, .*load with `model.load_adapter\(folder, name\)`"
    ):
        hotswap.hotswap_adapter(model, str(folder), "default", torch_device="cpu")
    with pytest.raises(AdapterError, match="cannot hot-swap adapters"):
        hotswap.hotswap_adapter_from_state_dict(model, {}, "default", model.peft_config["default"])
    with pytest.raises(AdapterError, match="cannot hot-swap adapters"):
        hotswap.prepare_model_for_compiled_hotswap(model, target_rank=8)
    assert torch.equal(logits(model), before)


def test_hot_swapping_into_a_plain_adapter_works(trained, tmp_path: Path) -> None:
    """Also with exports of PiSSA adapters, as the refusal says."""
    model, folder = trained["standard"]
    fresh = attach(base(), CONFIGS["standard"])
    hotswap.hotswap_adapter(fresh, str(folder), "default", torch_device="cpu")
    assert torch.equal(logits(fresh), logits(model))
    tuned = trained["pissa"][0]
    one = export_adapter(tuned, tmp_path / "one")
    two = export_adapter(shaken(copy.deepcopy(tuned)), tmp_path / "two")
    server = PeftModel.from_pretrained(base(), two).eval()
    hotswap.hotswap_adapter(server, str(one), "default", torch_device="cpu")
    torch.testing.assert_close(logits(server), logits(tuned))
