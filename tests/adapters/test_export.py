"""Exported folders are plain: PEFT and transformers read them into a fresh base and give the tuned model's logits."""

import json
from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import load_file
from tiny_models import HEADS, batch, build, logits, train, weights

from balora.adapters import AdapterConfig, attach, export_adapter, export_merged
from balora.errors import AdapterError, OutputError

pytestmark = [
    pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning"),
    # GPT-2's Conv1D: PEFT corrects the flag layer by layer and says so
    pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to:UserWarning"),
]
PISSA = AdapterConfig(rank=4, alpha=6)


def tune(family, config):
    model = attach(build(family), config)
    train(model, batch(family), steps=6)
    return model


def close(found, expected):
    """Within 1e-5, in units of the largest logit: what is left of float32 after two layers."""
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max().clamp(min=1)))


@pytest.mark.parametrize("init", ["pissa", "standard", "random-matched", "minor"])
@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "t5", *HEADS])
def test_plain_peft_reads_it_into_a_fresh_base(family, init, tmp_path):
    tuned, inputs = tune(family, AdapterConfig(rank=4, init=init)), batch(family)
    expected = logits(tuned.eval(), inputs)
    folder = export_adapter(tuned, tmp_path / "out")
    assert {path.name for path in folder.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    loaded = peft.PeftModel.from_pretrained(build(family), folder)
    assert torch.equal(logits(loaded, inputs), expected), "the same factors in the same order"
    assert not torch.allclose(expected, logits(build(family), inputs), atol=1e-2)
    assert [type(module) for module in loaded.modules() if type(module).__module__.startswith("balora")] == []


@pytest.mark.parametrize("init", ["pissa", "standard", "random-matched", "minor"])
@pytest.mark.parametrize("variant", ["rslora", "dora"])
@pytest.mark.parametrize("family", ["llama", "bert"])
def test_plain_peft_reads_every_variant(family, variant, init, tmp_path):
    config = AdapterConfig(rank=4, alpha=6, init=init, variant=variant)
    tuned, inputs = tune(family, config), batch(family)
    expected = logits(tuned.eval(), inputs)
    loaded = peft.PeftModel.from_pretrained(build(family), export_adapter(tuned, tmp_path / "out"))
    close(logits(loaded, inputs), expected)
    assert not torch.allclose(expected, logits(build(family), inputs), atol=1e-2)


def test_the_folder_is_a_lora_of_twice_the_rank(tmp_path):
    folder = export_adapter(tune("bert", PISSA), tmp_path / "out")
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["peft_type"]) == (8, 12, "LORA")
    assert (config["inference_mode"], config["init_lora_weights"], config["use_rslora"]) == (True, True, False)
    tensors = load_file(folder / "adapter_model.safetensors")
    assert {t.shape[0] for name, t in tensors.items() if name.endswith("lora_A.weight")} == {8}
    assert {t.shape[1] for name, t in tensors.items() if name.endswith("lora_B.weight")} == {8}
    assert {name for name in tensors if "lora_" not in name} == {
        "base_model.model.classifier.weight",
        "base_model.model.classifier.bias",
    }


def test_exporting_changes_nothing_and_repeats_itself(tmp_path):
    tuned, inputs = tune("bert", PISSA), batch("bert")
    before, state = logits(tuned, inputs), weights(tuned)
    one, two = (export_adapter(tuned, tmp_path / name) for name in ("one", "two"))
    assert [path.read_bytes() for path in sorted(one.iterdir())] == [
        path.read_bytes() for path in sorted(two.iterdir())
    ]
    assert all(torch.equal(tensor, state[name]) for name, tensor in tuned.state_dict().items())
    assert torch.equal(logits(tuned, inputs), before)
    assert tuned.peft_config["default"].inference_mode is False


def test_half_precision_keeps_the_tuned_model(tmp_path):
    """Cast to bfloat16 as by a server, an export loses little of ΔW; a checkpoint's [A; A0], [B, −B0] loses much."""
    tuned = attach(build("llama"), PISSA)
    train(tuned, batch("llama"), steps=20, lr=1e-4)
    export_adapter(tuned, tmp_path / "export")
    tuned.save_pretrained(tmp_path / "checkpoint")

    def error(folder):
        tensors = load_file(folder / "adapter_model.safetensors")
        wrong = right = 0.0
        for name in (n for n in tensors if n.endswith("lora_A.weight")):
            A, B = tensors[name], tensors[name.replace("lora_A", "lora_B")]
            wrong += (B.bfloat16().float() @ A.bfloat16().float() - B @ A).norm().item() ** 2
            right += (B @ A).norm().item() ** 2
        return (wrong / right) ** 0.5

    assert error(tmp_path / "export") < 5e-3  # a unit in the last place of bfloat16 is 2⁻⁸
    assert error(tmp_path / "checkpoint") > 0.05


def test_an_export_is_not_taken_for_a_checkpoint(tmp_path):
    folder = export_adapter(tune("llama", PISSA), tmp_path / "out")
    fresh = attach(build("llama"), PISSA)
    with pytest.raises(
        RuntimeError, match=r"is not this adapter's start on this base: the file is an exported adapter"
    ):
        fresh.load_adapter(folder, "default", is_trainable=True)


def test_further_modules_are_saved_along(tmp_path):
    tuned = tune("llama", PISSA.replace(modules_to_save=("lm_head", "model.norm")))
    inputs = batch("llama")
    folder = export_adapter(tuned, tmp_path / "out")
    names = {n for n in load_file(folder / "adapter_model.safetensors") if "lora_" not in n}
    assert names == {"base_model.model.lm_head.weight", "base_model.model.model.norm.weight"}
    loaded = peft.PeftModel.from_pretrained(build("llama"), folder)
    close(logits(loaded, inputs), logits(tuned, inputs))


@pytest.mark.parametrize("family", ["llama", "bert"])
def test_a_merged_export_computes_what_the_tuned_model_does(family, tmp_path):
    tuned, inputs = tune(family, PISSA), batch(family)
    before, expected = weights(tuned), logits(tuned.eval(), inputs)
    folder = export_merged(tuned, tmp_path / "merged", tokenizer=FakeTokenizer())
    assert (folder / "tokenizer.json").exists()
    loaded = type(build(family)).from_pretrained(folder)
    close(logits(loaded, inputs), expected)
    assert all(torch.equal(tensor, before[name]) for name, tensor in tuned.state_dict().items())


class FakeTokenizer:
    def save_pretrained(self, save_directory):
        (Path(save_directory) / "tokenizer.json").write_text("{}")


@pytest.mark.parametrize("export", [export_adapter, export_merged])
def test_a_folder_with_something_else_is_refused(export, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds something.*notes\.txt"):
        export(tune("llama", PISSA), tmp_path)
    with pytest.raises(OutputError, match="is a file"):
        export(tune("llama", PISSA), tmp_path / "notes.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_no_space_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("balora.adapters.exporting.save_file", full)
    with pytest.raises(OutputError, match="No space left on device"):
        export_adapter(tune("llama", PISSA), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_an_adapter_cannot_describe_is_refused(tmp_path):
    tuned = tune("llama", PISSA)
    with pytest.raises(AdapterError, match="has no adapter"):
        export_adapter(build("llama"), tmp_path / "out")
    tuned.add_adapter("second", peft.LoraConfig(r=2, target_modules=["q_proj"]))
    tuned.base_model.set_adapter(["default", "second"])
    with pytest.raises(AdapterError, match=r"2 are active \(default, second\): choose one with `set_adapter`"):
        export_adapter(tuned, tmp_path / "out")
    tuned.set_adapter("default")
    tuned.merge_adapter()
    with pytest.raises(AdapterError, match="is merged into the base"):
        export_adapter(tuned, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
