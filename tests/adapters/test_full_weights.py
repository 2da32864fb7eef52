"""Full-precision weights of a quantised base: read from its checkpoint one at a time, or what happens otherwise."""

import logging
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from balora.adapters import full_weights as module
from balora.adapters.full_weights import full_checkpoint, full_weights
from balora.adapters.merge_full import Difference, difference_of
from balora.adapters.targets import weight_of
from balora.errors import AdapterError
from balora.training.reference.reference_identity import _scales

NAMES = ("down", "up")


class Int8Params(nn.Parameter):
    """A stand-in for bitsandbytes' parameter, which is known by its name."""


def eight_bits(weight: Tensor) -> nn.Linear:
    """Return a layer that holds ``weight`` as bitsandbytes does in eight bits."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    scales = weight.abs().amax(dim=1)
    layer.weight = Int8Params((weight * 127 / scales[:, None]).round().to(torch.int8), requires_grad=False)
    layer.weight.SCB, layer.state = scales, SimpleNamespace(SCB=None)
    return layer


def quantised(folder: Path | str, weights: dict[str, Tensor]) -> nn.Module:
    model = nn.ModuleDict({name: eight_bits(weight) for name, weight in weights.items()})
    model.name_or_path = str(folder)
    return model


@pytest.fixture
def weights(tmp_path: Path) -> dict[str, Tensor]:
    """Two weights, which lie in a checkpoint in ``tmp_path``."""
    generator = torch.Generator().manual_seed(3)
    made = {name: torch.randn(6, 6, generator=generator) for name in NAMES}
    save_file({f"{name}.weight": weight for name, weight in made.items()}, tmp_path / "model.safetensors")
    return made


def test_the_weight_is_that_of_the_checkpoint_and_not_the_dequantised_one(tmp_path, weights) -> None:
    model = quantised(tmp_path, weights)
    with full_weights(model) as full:
        for name in NAMES:
            assert torch.equal(full.of(model[name], name), weights[name])
            assert not torch.equal(weight_of(model[name], name), weights[name])


def test_half_precision_in_the_checkpoint_is_widened(tmp_path, weights) -> None:
    half = {f"{name}.weight": weight.bfloat16() for name, weight in weights.items()}
    save_file(half, tmp_path / "model.safetensors")
    model = quantised(tmp_path, weights)
    with full_weights(model) as full:
        found = full.of(model["up"], "up")
    assert found.dtype == torch.float32
    assert torch.equal(found, half["up.weight"].float())


def test_a_weight_that_conv1d_stores_turned_is_turned_back(tmp_path, weights) -> None:
    save_file(
        {f"{name}.weight": weight.T.contiguous() for name, weight in weights.items()}, tmp_path / "model.safetensors"
    )
    model = quantised(tmp_path, weights)
    model["up"].source_cls = Conv1D
    with full_weights(model) as full:
        assert torch.equal(full.of(model["up"], "up"), weights["up"])


def test_no_two_weights_are_in_memory_together(tmp_path, weights, monkeypatch) -> None:
    """The first full-precision weight is gone before the second is read."""
    read: list[Any] = []
    original = module.stored_tensors

    class Watched:
        def __init__(self, file: Any) -> None:
            self.file = file

        def get_tensor(self, name: str) -> Tensor:
            assert all(reference() is None for reference in read)
            tensor = self.file.get_tensor(name)
            read.append(weakref.ref(tensor))
            return tensor

    class Opened:
        def __init__(self, *given: Any) -> None:
            self.inner = original(*given)

        def __enter__(self) -> dict[str, Any]:
            return {name: Watched(file) for name, file in self.inner.__enter__().items()}

        def __exit__(self, *given: Any) -> None:
            self.inner.__exit__(*given)

    monkeypatch.setattr(module, "stored_tensors", Opened)
    model = quantised(tmp_path, weights)
    with full_weights(model) as full:
        sizes = [float(full.of(model[name], name).norm()) for name in NAMES]
    assert len(read) == 2
    assert sizes == [float(weights[name].norm()) for name in NAMES]


def test_without_its_checkpoint_the_dequantised_weight_stands_in_with_one_warning(tmp_path, weights, caplog) -> None:
    model = quantised(tmp_path / "gone", weights)
    with caplog.at_level(logging.WARNING), full_weights(model) as full:
        for name in NAMES:
            assert torch.equal(full.of(model[name], name), weight_of(model[name], name))
    assert [record.getMessage() for record in caplog.records] == [
        "balora: layer down is not in the checkpoint in full precision: starting factors are computed from dequantised "
        "weights, and hold the quantisation error; pass `weights`, the folder of the model that the base was quantised "
        "from"
    ]


def test_a_named_source_takes_the_place_of_the_models_own(tmp_path, weights) -> None:
    model = quantised(tmp_path / "gone", weights)
    with full_weights(model, tmp_path) as full:
        assert torch.equal(full.of(model["up"], "up"), weights["up"])


def test_a_named_source_without_the_weight_is_refused(tmp_path, weights) -> None:
    model = quantised(tmp_path, weights)
    save_file({"down.weight": weights["down"]}, tmp_path / "model.safetensors")
    with (
        full_weights(model, tmp_path) as full,
        pytest.raises(AdapterError, match="layer up is not in the checkpoint: give"),
    ):
        full.of(model["up"], "up")


def test_codes_in_a_named_source_are_no_weights(tmp_path, weights) -> None:
    model = quantised(tmp_path, weights)
    save_file({f"{name}.weight": model[name].weight.data for name in NAMES}, tmp_path / "model.safetensors")
    refusal = r"layer up is not in the checkpoint as \(6, 6\) numbers: give the folder"
    with full_weights(model, tmp_path) as full, pytest.raises(AdapterError, match=refusal):
        full.of(model["up"], "up")


def test_the_weights_of_another_model_are_refused(tmp_path, weights) -> None:
    model = quantised(tmp_path, {name: weight.flip(0) for name, weight in weights.items()})
    refusal = r"the weight of layer up differs from the quantised one by 1\d\d %, so it is not: give the folder"
    with full_weights(model, tmp_path) as full, pytest.raises(AdapterError, match=refusal):
        full.of(model["up"], "up")


def test_a_source_that_is_not_there_is_refused(tmp_path, weights) -> None:
    missing = pytest.raises(AdapterError, match="no such folder, and no such model in the Hub's cache")
    with missing, full_weights(quantised(tmp_path, weights), tmp_path / "none"):
        pass


def test_a_checkpoint_is_full_if_it_holds_floating_point(tmp_path, weights) -> None:
    model = quantised(tmp_path, weights)
    assert full_checkpoint(model) == tmp_path
    assert full_checkpoint(quantised(tmp_path / "gone", weights)) is None
    save_file({f"{name}.weight": torch.zeros(6, 6, dtype=torch.int8) for name in NAMES}, tmp_path / "model.safetensors")
    assert full_checkpoint(model) is None


class Fixed(nn.Module):
    """A model whose logits are what it was given."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, **inputs: Tensor) -> SimpleNamespace:
        assert not self.training
        return SimpleNamespace(logits=self.logits)


def test_the_difference_is_that_of_the_logits_without_padding() -> None:
    """By hand: rows [1, 3] and [0, 4] against [1, 4] and [2, 4]; the changes are 0, 1, 2, 0."""
    first, second = (
        torch.tensor([[[1.0, 3.0], [0.0, 4.0], [9.0, 9.0]]]),
        torch.tensor([[[1.0, 4.0], [2.0, 4.0], [0.0, 0.0]]]),
    )
    inputs = {"input_ids": torch.zeros(1, 3), "attention_mask": torch.tensor([[1, 1, 0]])}
    found = difference_of(Fixed(first).train(), Fixed(second), inputs)
    assert found == Difference(1, 2.0, pytest.approx((5 / 4) ** 0.5), pytest.approx((10 / 4) ** 0.5))
    assert str(found) == (
        "on 1 row its logits differ from the trained model's by up to 2, by 1.12 in the root mean square, where they "
        "spread by 1.58"
    )


def test_the_difference_of_a_classifier_has_a_row_for_each_example() -> None:
    logits = torch.tensor([[1.0, 3.0], [0.0, 4.0]])
    inputs = {"input_ids": torch.zeros(2, 3), "attention_mask": torch.ones(2, 3)}
    found = difference_of(Fixed(logits), Fixed(logits + 1), inputs)
    assert found == Difference(2, 1.0, 1.0, pytest.approx((10 / 4) ** 0.5))


def test_scales_are_part_of_a_quantised_weights_identity(tmp_path, weights, monkeypatch) -> None:
    """W and 2·W have the same codes."""
    model = quantised(tmp_path, weights)
    layer = model["up"]
    monkeypatch.setattr(
        layer, "state_dict", lambda prefix: {f"{prefix}weight": layer.weight, f"{prefix}SCB": layer.weight.SCB}
    )
    monkeypatch.setattr(model["down"], "state_dict", lambda prefix: {})
    assert [name for name, _ in _scales(model)] == ["up.SCB"]
