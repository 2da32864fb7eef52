"""A saved training form is told from every plain LoRA by the start in its second half."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny_models import batch, build, train
from torch import Tensor

from balora.adapters import AdapterConfig, attach, export_adapter
from balora.adapters.stored_adapter import put_on
from balora.adapters.stored_offset import are_singular_pairs, have_leading_values, holds_offset_form, is_start
from balora.maths import pissa_factors
from balora.maths.pissa import Factors
from balora.maths.starts import minor_factors, random_matched_factors, random_orthonormal

pytestmark = [
    pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to:UserWarning"),  # of Conv1D in GPT-2
    pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning"),
]


STARTS: dict[str, Callable[[Tensor, int, float], Factors]] = {
    "pissa": pissa_factors,
    "minor": minor_factors,
    "random-matched": lambda W, rank, scaling: random_matched_factors(
        pissa_factors(W, rank, scaling), torch.Generator().manual_seed(1)
    ),
}


@pytest.mark.parametrize("rank", [1, 2, 5])
@pytest.mark.parametrize("scaling", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("init", STARTS)
def test_the_start_is_recognised_beside_any_trained_half(init: str, rank: int, scaling: float) -> None:
    generator = torch.Generator().manual_seed(rank)
    W = torch.randn(12, 9, generator=generator)
    A0, B0 = STARTS[init](W, rank, scaling)
    trained = torch.randn(rank, 9, generator=generator), torch.randn(12, rank, generator=generator)
    for A, B in ((A0, B0), trained):
        assert is_start(W, torch.cat([A, A0]), torch.cat([B, -B0], dim=1), scaling)
        assert not is_start(W, torch.cat([A, A - A0]), torch.cat([B - B0, B0], dim=1), scaling), "the exported form"
        assert not is_start(W, torch.cat([A, A0]), torch.cat([B, -B0], dim=1), 2 * scaling)
    assert not are_singular_pairs(W, A0, -B0, scaling)
    assert not is_start(W, torch.cat([A0, trained[0]]), torch.cat([-B0, trained[1]], dim=1), scaling)
    assert not is_start(W, torch.cat([A0, A0]), torch.cat([B0, trained[1]], dim=1), scaling)


@pytest.mark.parametrize("init", STARTS)
def test_half_precision_is_recognised_too(init: str) -> None:
    generator = torch.Generator().manual_seed(0)
    U, V = (random_orthonormal(40, 40, generator).float() for _ in range(2))
    W = (U * 0.8 ** torch.arange(40)) @ V.T  # its smallest values are far below the rounding of half precision
    A0, B0 = STARTS[init](W.bfloat16(), 4, 1.0)
    A, B = torch.cat([A0, A0]).bfloat16().float(), torch.cat([B0, -B0], dim=1).bfloat16().float()
    assert is_start(W, A, B, 1.0), "the base was loaded in a higher precision than it was trained in"


def test_a_randomized_start_is_recognised_too() -> None:
    W = torch.randn(40, 30, generator=torch.Generator().manual_seed(0))
    A0, B0 = pissa_factors(W, 4, method="randomized", generator=torch.Generator().manual_seed(1))
    A, B = torch.cat([A0, A0]).bfloat16().float(), torch.cat([B0, -B0], dim=1).bfloat16().float()
    assert is_start(W, A, B, 1.0)


def test_values_from_elsewhere_in_the_spectrum_and_directions_that_are_not_orthogonal_are_none() -> None:
    generator = torch.Generator().manual_seed(0)
    W = torch.diag(torch.tensor([8.0, 4.0, 2.0, 1.0, 0.5, 0.25]))
    A0, B0 = STARTS["random-matched"](W, 2, 1.0)
    assert have_leading_values(W, A0, B0, 1.0)
    assert not have_leading_values(2 * W, A0, B0, 1.0)
    assert not have_leading_values(W, A0, B0.flip(1), 1.0), "wrongly paired"
    A = torch.randn(2, 6, generator=generator)
    assert not have_leading_values(W, A / A.norm(dim=1, keepdim=True) * A0.norm(dim=1, keepdim=True), B0, 1.0)
    B = torch.randn(6, 2, generator=generator)
    assert not have_leading_values(W, A0, B / B.norm(dim=0) * B0.norm(dim=0), 1.0)


@pytest.mark.parametrize("shape", [(3, 9, 12, 3), (4, 8, 12, 4), (4, 9, 11, 4)])
def test_an_odd_rank_or_another_layer_is_no_start(shape: tuple[int, ...]) -> None:
    r, columns, rows, s = shape
    assert not is_start(torch.ones(12, 9), torch.ones(r, columns), torch.ones(rows, s), 1.0)


def test_a_start_of_zeros_is_none() -> None:
    assert not is_start(torch.ones(4, 3), torch.zeros(2, 3), torch.zeros(4, 2), 1.0)


@pytest.mark.parametrize("init", STARTS)
@pytest.mark.parametrize(("family", "variant"), [("llama", "lora"), ("llama", "dora"), ("gpt2", "rslora")])
def test_a_folder_written_by_save_pretrained_is_recognised_and_an_export_is_not(
    family: str, variant: str, init: Any, tmp_path: Path
) -> None:
    attached = attach(build(family), AdapterConfig(rank=2, init=init, variant=variant))
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
