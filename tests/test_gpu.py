"""What can only be seen on a CUDA device; skipped by name elsewhere (`pytest -m gpu`)."""

import pytest
import torch
from torch import nn

from balora.adapters import AdapterConfig, attach, reference_of
from balora.objective import Objective, ObjectiveConfig
from balora.objective.terms import Terms
from balora.training.loss import ModelLoss
from balora.training.shared_base import base_of_run, sharing_base
from balora.training.telemetry import Telemetry

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def objective(edition: str, formulation: str) -> Objective:
    config = ObjectiveConfig.preset("ba-lora", family="nlg", edition=edition, formulation=formulation)
    weights = {name: getattr(config, name).replace(weight=1.0) for name in ("consistency", "diversity", "spectral")}
    return Objective(config.replace(**weights), chunk_bytes=2**20)


@pytest.mark.parametrize("edition", ["arxiv-v5", "iclr-2026"])
@pytest.mark.parametrize("formulation", ["nlu", "nlg"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_device_agrees_with_float64_on_the_cpu(edition, formulation, dtype, tolerance):
    torch.manual_seed(0)
    head = nn.Linear(64, 5003, bias=False).requires_grad_(False).to(dtype)
    hidden, reference = torch.randn(130, 64).to(dtype), torch.randn(130, 64).to(dtype)
    labels = torch.randint(5003, (130,))
    double = nn.Linear(64, 5003, bias=False).requires_grad_(False).double()
    double.weight.copy_(head.weight)
    exact_hidden = hidden.double().requires_grad_()
    exact = objective(edition, formulation).from_hidden(exact_hidden, reference.double(), double, labels, 0.5)
    exact.loss.backward()

    device_hidden = hidden.cuda().requires_grad_()
    device = objective(edition, formulation).from_hidden(
        device_hidden, reference.cuda(), head.cuda(), labels.cuda(), 0.5
    )
    device.loss.backward()
    for name, value in exact.values().items():
        assert torch.isclose(device.values()[name].double().cpu(), value, rtol=tolerance), name
    difference = device_hidden.grad.double().cpu() - exact_hidden.grad
    assert difference.norm() <= 3 * tolerance * exact_hidden.grad.norm()


def test_reference_is_the_base_bit_for_bit_in_bfloat16():
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=512, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4
    )
    base = LlamaForCausalLM(config).cuda().bfloat16().eval()
    tokens = torch.randint(512, (4, 32), device="cuda")
    with torch.no_grad():
        before = base(tokens).logits
    model = attach(base, AdapterConfig(rank=8))
    loss = ModelLoss(model, ObjectiveConfig.preset("ba-lora", family="nlg"))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    for _ in range(3):
        loss(model.train(), {"input_ids": tokens, "labels": tokens}, 0.5)[0].loss.backward()
        optimizer.step()
    with reference_of(model):
        assert torch.equal(model(tokens).logits, before)
    assert not torch.equal(model.eval()(tokens).logits, before)


def test_arms_together_have_one_base_on_the_device():
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=512, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4
    )
    with sharing_base():
        first = base_of_run(lambda: LlamaForCausalLM(config), is_classifier=False).cuda()
        before = torch.cuda.memory_allocated()
        second = base_of_run(lambda: LlamaForCausalLM(config), is_classifier=False).cuda()
        added = torch.cuda.memory_allocated() - before
    assert added < 2**16  # buffers
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert one.is_cuda
        assert one.data_ptr() == other.data_ptr()


def test_unrecorded_steps_do_not_wait_for_the_device():
    telemetry = Telemetry(every=10)
    value = torch.ones((), device="cuda")
    terms = Terms(loss=value, task=value, parts={"consistency": value}, weights={"consistency": 0.1})
    torch.cuda.set_sync_debug_mode("error")
    try:
        for step in range(1, 10):
            telemetry.add(step, terms, {})
    finally:
        torch.cuda.set_sync_debug_mode("default")
