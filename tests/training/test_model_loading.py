"""Model folders that cannot be loaded safely, each with its one line."""

import json
import shutil
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from training_cases import build
from transformers import AutoConfig, AutoModelForSequenceClassification

from balora.errors import ModelError
from balora.tasks.catalogue import find_task
from balora.training.loading import load_model, load_tokenizer, usable_positions
from balora.training.spec import resolve

TOKENIZER = SimpleNamespace(pad_token_id=0, eos_token_id=2)


@pytest.fixture
def folder(tmp_path, checkpoint):
    copy = tmp_path / "model"
    shutil.copytree(checkpoint, copy)
    return copy


def load(folder, task="gsm8k", **changes):
    spec = resolve({"task": task, "model": str(folder), **changes})
    load_tokenizer(spec)
    return load_model(spec, find_task(task), TOKENIZER)


def saved(tmp_path, name):
    """A tiny model's folder, to be loaded without a tokenizer."""
    build(name).save_pretrained(tmp_path / name)
    return tmp_path / name


def load_saved(folder, task, **changes):
    return load_model(resolve({"task": task, "model": str(folder), **changes}), find_task(task), TOKENIZER)


def edit(path, **changes):
    content = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in {**content, **changes}.items() if value is not None}))


def no_config(folder):
    (folder / "config.json").unlink()


def no_weights(folder):
    (folder / "model.safetensors").unlink()


def pickled(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def no_tokenizer(folder):
    (folder / "tokenizer.json").unlink()


def torn_tokenizer(folder):
    path = folder / "tokenizer.json"
    path.write_text(path.read_text()[:500])


def own_code(folder):
    edit(folder / "config.json", auto_map={"AutoModelForCausalLM": "modeling_x.X"})


def torn_config(folder):
    (folder / "config.json").write_text('{"model_type": "lla')


def list_config(folder):
    (folder / "config.json").write_text("[1]")


def binary_config(folder):
    (folder / "config.json").write_bytes(b"\xff\xfe\x00")


def unknown_type(folder):
    edit(folder / "config.json", model_type="llamma")


def no_type(folder):
    edit(folder / "config.json", model_type=None, architectures=None)


def torn_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100_000])


def empty_weights(folder):
    (folder / "model.safetensors").write_bytes(b"")


def other_shapes(folder):
    edit(folder / "config.json", hidden_size=32)


def missing_layer(folder):
    path = folder / "model.safetensors"
    tensors = {name: tensor for name, tensor in load_file(path).items() if ".layers.4." not in name}
    save_file(tensors, path, metadata={"format": "pt"})


def gone(folder):
    shutil.rmtree(folder)


BROKEN = {
    no_config: r"no config\.json: give a folder saved by transformers",
    no_weights: r"no weights \(\*\.safetensors\)",
    pickled: r"only pickled weights \(pytorch_model\.bin\), which can run code when loaded: convert",
    no_tokenizer: r"no tokenizer \(looked for tokenizer\.json, .*\): add its files",
    torn_tokenizer: r"its tokenizer cannot be loaded: ",
    own_code: r"needs Python code of its own: pass --trust-remote-code if you trust it",
    torn_config: r"config\.json is not JSON \(Unterminated string",
    list_config: r"config\.json holds list, not settings",
    binary_config: r"config\.json is not JSON",
    unknown_type: r"llamma",
    no_type: r"model_type",
    torn_weights: r"cannot be loaded: .*[Ii]ncomplete",
    empty_weights: r"cannot be loaded: ",
    other_shapes: r"is \(512, 64\) in its files, but task 'gsm8k' needs \(512, 32\)",
    missing_layer: r"9 of its weights are not in its files \(model\.layers\.4\.input_layernorm\.weight\): save",
    gone: r"no such folder: give a model's folder, or its name on a hub",
}


@pytest.mark.parametrize(("damage", "text"), BROKEN.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_broken_folder_is_one_line(folder, damage, text):
    damage(folder)
    with pytest.raises(ModelError, match=text) as caught:
        load(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert "model" in message
    assert str(folder) in message


def test_a_folder_in_the_place_of_a_file(tmp_path):
    (tmp_path / "model.bin").write_text("")
    with pytest.raises(ModelError, match="no such folder"):
        load(tmp_path / "model.bin")


def test_a_name_that_no_hub_is_asked_for_offline():
    with pytest.raises(ModelError, match=r"balora-nobody/nothing.*cannot be loaded"):
        load("balora-nobody/nothing")


def test_own_code_is_not_run_unless_asked_for(folder):
    own_code(folder)
    (folder / "modeling_x.py").write_text("raise SystemExit('ran')")
    with pytest.raises(ModelError, match="--trust-remote-code"):
        load(folder)


def test_a_sound_folder_loads_in_evaluation_mode(folder):
    model = load(folder)
    assert not model.training
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_the_missing_head_is_drawn_from_the_global_seed(folder):
    heads = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        heads.append(load(folder, "cola").score.weight)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert heads[0].shape == (2, 64)


def test_half_precision_leaves_the_head_in_float32(folder):
    model = load(folder, "cola", **{"training.precision": "bfloat16"})
    assert model.score.weight.dtype == torch.float32
    assert model.model.norm.weight.dtype == torch.bfloat16
    whole = load(folder, "cola", method="full", **{"training.precision": "bfloat16"})
    assert whole.model.norm.weight.dtype == torch.float32  # all of it is trained


def test_regression_has_one_output(folder):
    model = load(folder, "stsb")
    assert (model.config.num_labels, model.config.problem_type) == (1, "regression")


def test_an_encoder_is_no_language_model(tmp_path):
    with pytest.raises(ModelError, match=r"\(bert\) reads in both directions, so it cannot generate"):
        load_saved(saved(tmp_path, "bert"), "gsm8k")


def test_a_head_for_other_classes_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"classifier\.bias is \(3,\) in its files, but task 'cola' needs \(2,\)"):
        load_saved(saved(tmp_path, "bert"), "cola")


def test_a_classifier_without_language_head_cannot_generate(tmp_path):
    with pytest.raises(ModelError, match=r"1 of its weights are not in its files \(lm_head\.weight\)"):
        load_saved(saved(tmp_path, "classifier"), "gsm8k")


def test_a_backbone_alone_gets_a_head(tmp_path):
    build("bert").bert.save_pretrained(tmp_path / "backbone")
    assert load_saved(tmp_path / "backbone", "cola").classifier.weight.shape == (2, 16)
    build("gpt2").save_pretrained(tmp_path / "gpt2")
    assert load_saved(tmp_path / "gpt2", "mnli").score.weight.shape == (3, 16)


@pytest.mark.parametrize(("kind", "usable"), [("roberta", 30), ("bert", 32), ("gpt2", 32)])
def test_positions_that_a_model_can_really_read(kind, usable):
    sizes = {
        "vocab_size": 50,
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 8,
    }
    config = AutoConfig.for_model(kind, max_position_embeddings=32, pad_token_id=1, **sizes)
    model = AutoModelForSequenceClassification.from_config(config)
    assert usable_positions(model) == usable
    tokens = torch.full((1, usable), 5)
    assert model(tokens).logits.isfinite().all()
    with pytest.raises((IndexError, RuntimeError)):
        model(torch.full((1, usable + 1), 5))
