"""Whole runs on a quantised base: trained, exported, reloaded and scored on the CPU, with real bitsandbytes."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.training.training_cases import real_spec

from balora.cli import main
from balora.errors import ModelError
from balora.training import run as run_module
from balora.training.loading import load_model, load_tokenizer
from balora.training.run import run
from balora.training.score_model import score_model

bitsandbytes = pytest.importorskip("bitsandbytes", reason="needs bitsandbytes: make test-quantized")
pytestmark = pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning")

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "quantised.md").read_text(encoding="utf-8")
NF4 = {"model.quantization": "nf4", "task": "gsm8k"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, checkpoint, data) -> Any:
    """A run on nf4 with QLoRA's optimizer, and what its trainer held."""
    spec, folder, seen = real_spec(checkpoint, data, **NF4, **{"training.optimizer": "paged_adamw_8bit"}), None, []
    folder = tmp_path_factory.mktemp("runs") / "nf4"
    original = run_module._Run.save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module._Run, "save", lambda self, *given: (seen.append(self.trainer), original(self, *given)))
        record = run(spec, folder)
    return spec, record, folder, seen[0]


def test_the_record_says_what_the_base_was(finished) -> None:
    spec, record, _, _ = finished
    assert (record.status, record.error, record.spec) == ("ok", None, spec)
    assert record.versions["bitsandbytes"] == bitsandbytes.__version__
    assert "the base holds 35 layers in nf4 with double quantisation: load it so" in " ".join(record.notes)
    assert "optimizer paged_adamw_8bit: nothing is paged on a CPU" in record.notes


def test_the_optimizer_holds_large_moments_in_eight_bits(finished) -> None:
    optimizer = finished[3].optimizer.optimizer
    assert type(optimizer).__name__ == "AdamW"
    assert type(optimizer).__module__.startswith("bitsandbytes")
    assert optimizer.is_paged
    assert optimizer.args.optim_bits == 8


def test_the_exported_adapter_scores_the_same_on_the_same_base(finished) -> None:
    spec, record, folder, _ = finished
    found = score_model(spec, folder / "adapter")
    items = [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]
    assert found.score == record.score
    assert found.metrics == record.metrics
    assert found.items == items


def test_export_merges_onto_full_precision_and_prints_the_difference(finished, tmp_path, capsys, caplog) -> None:
    folder = finished[2]
    assert main(["export", str(folder), "--merged", "--output", str(tmp_path / "merged")]) == 0
    content = json.loads((tmp_path / "merged" / "quantization.json").read_text())
    assert content["difference"]["rows"] == 3
    assert "quantization_config" not in json.loads((tmp_path / "merged" / "config.json").read_text())
    assert main(["export", str(folder), "--output", str(tmp_path / "adapter")]) == 0
    assert "the adapter was trained on its base in nf4, and is exact on that" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_a_new_head_is_not_quantised_and_double_quantisation_can_be_off(checkpoint, data, kind: str) -> None:
    spec = real_spec(checkpoint, data, **{"model.quantization": kind, "model.dtype": "bfloat16"})
    model = load_model(spec, spec.find(spec.task), load_tokenizer(spec))
    assert type(model.score) is torch.nn.Linear
    assert model.score.weight.dtype == torch.float32
    layer = model.model.layers[0].self_attn.q_proj
    assert type(layer).__name__ == {"nf4": "Linear4bit", "int8": "Linear8bitLt"}[kind]
    if kind == "nf4":
        assert layer.weight.quant_state.nested
        assert layer.compute_dtype == torch.bfloat16
        single = real_spec(checkpoint, data, **{"model.quantization": kind, "model.double_quantization": False})
        model = load_model(single, single.find(single.task), load_tokenizer(single))
        assert not model.model.layers[0].self_attn.q_proj.weight.quant_state.nested


def test_a_weight_that_is_not_finite_is_refused_before_its_codes_hide_it(checkpoint, data, tmp_path) -> None:
    shutil.copytree(checkpoint, tmp_path / "model")
    weights = load_file(checkpoint / "model.safetensors")
    name = "model.layers.1.mlp.down_proj.weight"
    weights[name][3, 4] = float("nan")
    save_file(weights, tmp_path / "model" / "model.safetensors", {"format": "pt"})
    spec = real_spec(tmp_path / "model", data, **NF4)
    with pytest.raises(
        ModelError, match=f"weight {name} holds numbers that are NaN or infinite, which quantising would"
    ):
        load_model(spec, spec.find(spec.task), load_tokenizer(spec))


def test_files_that_are_quantised_already_are_not_quantised_again(checkpoint, data, tmp_path) -> None:
    spec = real_spec(checkpoint, data, **NF4)
    tokenizer = load_tokenizer(spec)
    load_model(spec, spec.find(spec.task), tokenizer).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    again = real_spec(tmp_path / "model", data, **NF4)
    with pytest.raises(ModelError, match=r"its files hold quantised weights already: leave model\.quantization out"):
        load_model(again, again.find(again.task), tokenizer)


def test_the_commands_of_the_document_run_as_printed(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    commands = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
    assert len(commands) >= 3
    for command in commands:
        program, *words = command.split()
        assert program == "balora"
        assert main(words) == 0, capsys.readouterr().err
