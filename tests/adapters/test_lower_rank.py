"""A saved adapter at a lower rank: the best approximation of each layer's change, which PEFT loads as it is."""

import json
import math

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import batch, build, logits, train

from balora.adapters import AdapterConfig, attach, export_adapter
from balora.adapters.lower_rank import best_of_rank, lower_rank
from balora.errors import AdapterError

FILES = {"adapter_config.json", "adapter_model.safetensors"}
pytestmark = [
    pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning"),
    pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to:UserWarning"),  # GPT-2's Conv1D
]


def trained(family, config, folder):
    model = attach(build(family), config)
    train(model, batch(family), steps=6)
    return export_adapter(model, folder)


def changes(folder, family):
    """Return ΔW of every layer, as PEFT computes it."""
    model = peft.PeftModel.from_pretrained(build(family), folder)
    return {
        name: module.get_delta_weight("default").detach().double()
        for name, module in model.named_modules()
        if hasattr(module, "get_delta_weight")
    }


def test_the_best_of_a_known_matrix_keeps_its_largest_values():
    down, up = torch.diag(torch.tensor([3.0, 0.5, 2.0])).double(), torch.eye(3).double()
    low, high, lost = best_of_rank(down, up, 2)
    torch.testing.assert_close(high @ low, torch.diag(torch.tensor([3.0, 0.0, 2.0])).double())
    torch.testing.assert_close(lost, torch.tensor([0.5]).double())


@pytest.mark.parametrize(
    "config",
    [
        AdapterConfig(rank=4, alpha=6, init="pissa"),
        AdapterConfig(rank=6, alpha=3, init="standard"),
        AdapterConfig(rank=4, alpha=6, init="pissa", variant="rslora"),
    ],
)
@pytest.mark.parametrize("family", ["llama", "gpt2", "bert"])
def test_each_change_is_the_truncated_decomposition_of_the_dense_one(config, family, tmp_path):
    (tmp_path / "low").mkdir()
    before = changes(trained(family, config, tmp_path / "full"), family)
    made = lower_rank(tmp_path / "full", tmp_path / "low", 3)
    after = changes(tmp_path / "low", family)
    assert before.keys() == after.keys()
    left_out = whole = worst = 0.0
    for name, change in before.items():
        u, values, vh = torch.linalg.svd(change, full_matrices=False)
        best = u[:, :3] * values[:3] @ vh[:3]
        torch.testing.assert_close(after[name], best, rtol=0, atol=2e-6 * float(values[0]))
        left_out, whole = left_out + values[3:].square().sum().item(), whole + values.square().sum().item()
        worst = max(worst, math.sqrt(values[3:].square().sum() / values.square().sum()))
    assert made.lost == pytest.approx(math.sqrt(left_out / whole), rel=1e-4)
    assert made.worst == pytest.approx(worst, rel=1e-4)
    assert made.lost > 0.01, "otherwise there was nothing to see"
    assert made.rank == 3
    assert {path.name for path in (tmp_path / "low").iterdir()} == FILES


def test_a_change_of_low_rank_loses_nothing_and_stays_the_model(tmp_path):
    """After one step of plain LoRA, Q and P of the exported pair still span few dimensions."""
    folder = trained("llama", AdapterConfig(rank=2, init="standard"), tmp_path / "full")
    tensors = load_file(folder / "adapter_model.safetensors")
    doubled = {
        name: torch.cat([one, torch.zeros_like(one)], dim=0 if "lora_A" in name else 1) for name, one in tensors.items()
    }
    save_file(doubled, folder / "adapter_model.safetensors")
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"r": 4, "lora_alpha": 2 * config["lora_alpha"]}))
    expected = logits(peft.PeftModel.from_pretrained(build("llama"), folder), batch("llama"))
    (tmp_path / "low").mkdir()
    made = lower_rank(folder, tmp_path / "low", 2)
    assert made.lost < 1e-6
    found = logits(peft.PeftModel.from_pretrained(build("llama"), tmp_path / "low"), batch("llama"))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_ranks_and_alphas_of_their_own_keep_their_scaling(tmp_path):
    base = build("llama")
    config = peft.LoraConfig(
        r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False,
        rank_pattern={"v_proj": 2, "down_proj": 6}, alpha_pattern={"down_proj": 3}, task_type="CAUSAL_LM",
    )  # fmt: skip
    torch.manual_seed(0)
    peft.get_peft_model(base, config).save_pretrained(tmp_path / "full", save_embedding_layers=False)
    before = changes(tmp_path / "full", "llama")
    (tmp_path / "low").mkdir()
    assert lower_rank(tmp_path / "full", tmp_path / "low", 3).before == 6
    for name, change in changes(tmp_path / "low", "llama").items():
        u, values, vh = torch.linalg.svd(before[name])
        best = u[:, :3] * values[:3] @ vh[:3]
        torch.testing.assert_close(change, best, rtol=0, atol=2e-6 * float(values[0]))
    written = load_file(tmp_path / "low" / "adapter_model.safetensors")
    assert {len(one) for name, one in written.items() if "lora_A" in name} == {3}, "servers want one rank"


def test_heads_and_magnitudes_stay_as_they_are(tmp_path):
    folder = trained("bert", AdapterConfig(rank=4, variant="dora"), tmp_path / "full")
    (tmp_path / "low").mkdir()
    lower_rank(folder, tmp_path / "low", 3)
    before, after = (load_file(place / "adapter_model.safetensors") for place in (folder, tmp_path / "low"))
    same = [name for name in before if not name.endswith(("lora_A.weight", "lora_B.weight"))]
    assert any("magnitude" in name for name in same)
    assert any("classifier" in name for name in same)
    assert all(torch.equal(before[name], after[name]) for name in same)


@pytest.mark.parametrize("rank", [0, 8, 9])
def test_a_rank_that_is_no_lower_one_is_refused(rank, tmp_path):
    folder = trained("llama", AdapterConfig(rank=4), tmp_path / "full")
    (tmp_path / "low").mkdir()
    with pytest.raises(AdapterError, match=rf"^--rank {rank}: the adapter has rank 8: give a number from 1 to 7$"):
        lower_rank(folder, tmp_path / "low", rank)
    assert not list((tmp_path / "low").iterdir())


def test_embeddings_are_refused(tmp_path):
    config = peft.LoraConfig(r=4, target_modules=["embed_tokens"], task_type="CAUSAL_LM")
    peft.get_peft_model(build("llama"), config).save_pretrained(tmp_path / "full", save_embedding_layers=False)
    (tmp_path / "low").mkdir()
    with pytest.raises(AdapterError, match=r"lora_embedding_A is no part of a linear layer"):
        lower_rank(tmp_path / "full", tmp_path / "low", 2)
