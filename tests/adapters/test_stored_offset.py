"""A saved training form is told from every plain LoRA by PiSSA's start in its second half."""

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny_models import batch, build, train

from balora.adapters import AdapterConfig, attach, export_adapter
from balora.adapters.stored_adapter import put_on
from balora.adapters.stored_offset import holds_offset_form, is_start
from balora.maths import pissa_factors

pytestmark = [
    pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to:UserWarning"),  # of Conv1D in GPT-2
    pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning"),
]


@pytest.mark.parametrize("rank", [1, 2, 5])
@pytest.mark.parametrize("scaling", [0.5, 1.0, 4.0])
def test_the_start_is_recognised_beside_any_trained_half(rank: int, scaling: float) -> None:
    generator = torch.Generator().manual_seed(rank)
    W = torch.randn(12, 9, generator=generator)
    A0, B0 = pissa_factors(W, rank, scaling=scaling)
    trained = torch.randn(rank, 9, generator=generator), torch.randn(12, rank, generator=generator)
    for A, B in ((A0, B0), trained):
        assert is_start(W, torch.cat([A, A0]), torch.cat([B, -B0], dim=1), scaling)
        assert not is_start(W, torch.cat([A, A - A0]), torch.cat([B - B0, B0], dim=1), scaling), "the exported form"
        assert not is_start(W, torch.cat([A, A0]), torch.cat([B, B0], dim=1), scaling)
        assert not is_start(W, torch.cat([A, A0]), torch.cat([B, -B0], dim=1), 2 * scaling)
    assert not is_start(W, torch.cat([A0, trained[0]]), torch.cat([-B0, trained[1]], dim=1), scaling)


def test_half_precision_and_a_randomized_start_are_recognised_too() -> None:
    W = torch.randn(40, 30, generator=torch.Generator().manual_seed(0))
    A0, B0 = pissa_factors(W, 4, method="randomized", generator=torch.Generator().manual_seed(1))
    A, B = torch.cat([A0, A0]).bfloat16().float(), torch.cat([B0, -B0], dim=1).bfloat16().float()
    assert is_start(W, A, B, 1.0)


@pytest.mark.parametrize("shape", [(3, 9, 12, 3), (4, 8, 12, 4), (4, 9, 11, 4)])
def test_an_odd_rank_or_another_layer_is_no_start(shape: tuple[int, ...]) -> None:
    r, columns, rows, s = shape
    assert not is_start(torch.ones(12, 9), torch.ones(r, columns), torch.ones(rows, s), 1.0)


def test_a_start_of_zeros_is_none() -> None:
    assert not is_start(torch.ones(4, 3), torch.zeros(2, 3), torch.zeros(4, 2), 1.0)


@pytest.mark.parametrize(("family", "variant"), [("llama", "lora"), ("llama", "dora"), ("gpt2", "rslora")])
def test_a_folder_written_by_save_pretrained_is_recognised_and_an_export_is_not(
    family: str, variant: str, tmp_path: Path
) -> None:
    attached = attach(build(family), AdapterConfig(rank=2, init="pissa", variant=variant))
    train(attached, batch(family))
    attached.save_pretrained(tmp_path / "saved", save_embedding_layers=False)
    export_adapter(attached, tmp_path / "export")
    assert holds_offset_form(put_on(build(family), tmp_path / "saved"))
    assert not holds_offset_form(put_on(build(family), tmp_path / "export"))


@pytest.mark.parametrize("start", [True, "pissa", "gaussian"])
def test_ordinary_loras_of_peft_are_plain(start: bool | str, tmp_path: Path) -> None:
    config = LoraConfig(r=4, init_lora_weights=start, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    adapted = get_peft_model(build("llama"), config)
    train(adapted, batch("llama"))
    adapted.save_pretrained(tmp_path, save_embedding_layers=False)
    assert not holds_offset_form(put_on(build("llama"), tmp_path))
