"""Adapters on real bases of bitsandbytes, in four and eight bits, on the CPU."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from balora import AdapterConfig, attach, export_adapter, export_merged, reference_of
from balora.adapters.four_bit_codes import FLAG, keep_codes
from balora.adapters.targets import is_quantised, weight_of
from balora.errors import AdapterError
from balora.maths.pissa import pissa_factors
from balora.training.reference.reference_identity import weights_digest

bitsandbytes = pytest.importorskip("bitsandbytes", reason="needs bitsandbytes: make test-quantized")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning")

INPUTS = {"input_ids": torch.tensor([[1, 300, 301, 302, 2, 17, 40], [1, 5, 6, 7, 8, 9, 10]])}
KINDS = ("nf4", "int8")
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "quantised.md").read_text(encoding="utf-8")
BITS = {
    "nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True,
            "bnb_4bit_compute_dtype": torch.float32},
    "int8": {"load_in_8bit": True},
}  # fmt: skip


def load(checkpoint: Path, kind: str | None) -> Any:
    chosen = {} if kind is None else {"quantization_config": transformers.BitsAndBytesConfig(**BITS[kind])}
    model = transformers.AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32, **chosen)
    keep_codes(model)  # the tests use the base before they attach to it
    return model


def logits(model: Any) -> Tensor:
    with torch.no_grad():
        found: Tensor = model(**INPUTS).logits
    return found


def trained(model: Any) -> Any:
    """Train an attached model for a few steps."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(5):
        model(**INPUTS, labels=INPUTS["input_ids"]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


@pytest.fixture(scope="module", params=KINDS)
def tuned(request: pytest.FixtureRequest, checkpoint: Path) -> Iterator[tuple[str, Any, dict[str, Tensor]]]:
    """A kind of base, a model that was trained on it, and the logits of the base and at the start."""
    base = load(checkpoint, request.param)
    seen = {"base": logits(base)}
    model = attach(base, AdapterConfig(rank=4)).eval()
    seen["start"] = logits(model)
    with reference_of(model):
        seen["reference before"] = logits(model)
    model = trained(model)
    seen["tuned"] = logits(model)
    return request.param, model, seen


def test_the_start_is_the_quantised_model_bit_for_bit(tuned) -> None:
    _, _, seen = tuned
    assert torch.equal(seen["start"], seen["base"])


def test_with_the_adapter_off_it_is_the_quantised_model_before_and_after_training(tuned) -> None:
    _, model, seen = tuned
    assert (seen["tuned"] - seen["base"]).abs().max() > 0.1
    assert torch.equal(seen["reference before"], seen["base"])
    with reference_of(model):
        assert torch.equal(logits(model), seen["base"])


@pytest.mark.parametrize("kind", KINDS)
def test_factors_are_those_of_the_full_precision_weights(checkpoint: Path, kind: str) -> None:
    full = dict(attach(load(checkpoint, None), AdapterConfig(rank=4)).named_parameters())
    model = attach(load(checkpoint, kind), AdapterConfig(rank=4))
    mine = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert len(mine) > 20
    assert all(torch.equal(parameter, full[name]) for name, parameter in mine.items())
    name, layer = next((n, m) for n, m in load(checkpoint, kind).named_modules() if is_quantised(m))
    A, _ = pissa_factors(weight_of(layer, name), 4, 1.0)
    assert not torch.equal(A, full[f"base_model.model.{name}.lora_A.default.trained"])


def test_the_adapter_is_exact_on_the_same_base(tuned, checkpoint: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    kind, model, seen = tuned
    folder = export_adapter(model, tmp_path / "adapter")
    again = PeftModel.from_pretrained(load(checkpoint, kind), folder).eval()
    assert torch.equal(logits(again), seen["tuned"])


def test_merging_takes_the_full_precision_weights_and_measures_the_difference(
    tuned, checkpoint, tmp_path, caplog
) -> None:
    from peft import PeftModel

    kind, model, seen = tuned
    export_merged(model, tmp_path / "merged", inputs=INPUTS)
    merged = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    onto = PeftModel.from_pretrained(load(checkpoint, None), export_adapter(model, tmp_path / "adapter")).eval()
    torch.testing.assert_close(logits(merged), logits(onto), rtol=1e-4, atol=1e-4)  # merging rounds in float32
    found = json.loads((tmp_path / "merged" / "quantization.json").read_text())["difference"]
    change = logits(onto) - seen["tuned"]
    assert found["rows"] == 2
    assert found["largest"] == pytest.approx(float(change.abs().max()), rel=1e-3)
    assert found["root_mean_square"] == pytest.approx(float(change.square().mean().sqrt()), rel=1e-3)
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{kind}` | "))
    printed = [float(cell) for cell in row.split("|")[2:5]]
    assert printed == [pytest.approx(found[key], rel=0.02) for key in ("largest", "root_mean_square", "spread")]
    assert "on 2 rows its logits differ from the trained model's by up to" in caplog.text
    assert torch.equal(logits(model), seen["tuned"])


def test_without_rows_the_difference_is_not_measured_and_this_is_said(tuned, tmp_path: Path, caplog) -> None:
    _, model, _ = tuned
    export_merged(model, tmp_path / "merged")
    assert json.loads((tmp_path / "merged" / "quantization.json").read_text())["difference"] is None
    assert "was not measured: no rows were given" in caplog.text


def test_without_the_full_precision_weights_merging_is_refused(tuned, tmp_path: Path, monkeypatch) -> None:
    _, model, _ = tuned
    monkeypatch.setattr(model.get_base_model(), "name_or_path", str(tmp_path / "gone"))
    with pytest.raises(AdapterError, match=r"does not hold its full-precision weights in safetensors: pass `weights`"):
        export_merged(model, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_attaching_keeps_the_codes(checkpoint: Path, kind: str) -> None:
    base = load(checkpoint, kind)
    for module in base.modules():
        if hasattr(module, FLAG):
            setattr(module, FLAG, True)
    model = attach(base, AdapterConfig(rank=4))
    assert not any(getattr(module, FLAG, False) for module in model.modules())


@pytest.mark.parametrize("kind", KINDS)
def test_the_identity_of_a_base_holds_its_scales_and_a_forward_pass_leaves_it(checkpoint: Path, kind: str) -> None:
    model = load(checkpoint, kind)
    before = weights_digest(model)
    logits(model)
    assert weights_digest(model) == before
    layer = next(module for module in model.modules() if is_quantised(module))
    scales = layer.weight.quant_state.absmax if kind == "nf4" else layer.state.SCB
    scales.add_(1)
    assert weights_digest(model) != before
