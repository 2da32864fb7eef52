"""No forward pass rearranges the codes of a four-bit layer, and codes that were rearranged are refused."""

import pytest
import torch

from balora.adapters.four_bit_codes import FLAG, keep_codes
from balora.errors import AdapterError

bitsandbytes = pytest.importorskip("bitsandbytes", reason="needs bitsandbytes: make test-quantized")


class TwoLayers(torch.nn.Module):
    """One layer in four bits, as a processor with bfloat16 instructions would compute it, and one in full precision."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        full = torch.nn.Linear(64, 96)
        self.coded = bitsandbytes.nn.Linear4bit(64, 96, compute_dtype=torch.float32, quant_type="nf4")
        self.coded.load_state_dict(full.state_dict())
        self.coded.to("cpu")
        setattr(self.coded, FLAG, True)
        self.plain = torch.nn.Linear(96, 2)


def test_no_forward_pass_rearranges_four_bit_codes() -> None:
    model = TwoLayers().eval()
    keep_codes(model)
    before = model.coded.weight.data.clone()
    with torch.no_grad():
        model.coded(torch.ones(3, 64))
    assert torch.equal(model.coded.weight.data, before)
    assert not getattr(model.coded, FLAG)


def test_codes_that_were_rearranged_are_refused() -> None:
    model = TwoLayers().eval()
    weight = model.coded.weight
    weight.data, _ = bitsandbytes.functional._convert_weight_packed_for_cpu(weight.data, weight.quant_state)
    with pytest.raises(
        AdapterError, match=r"^coded: a forward pass in evaluation mode has rearranged its four-bit weights"
    ):
        keep_codes(model)
