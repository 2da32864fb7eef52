"""What of a base differs from its checkpoint is exported with the adapter, or the export is refused by name."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers as tf
from safetensors.torch import load_file
from stored_adapters import WEIGHTS, shaken

from balora import AdapterConfig, attach, export_adapter, export_merged
from balora.adapters.checkpoint import changed_tensors
from balora.adapters.model_names import shared_name
from balora.errors import AdapterError

pytestmark = [
    pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning"),
    pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*resized during finetuning:UserWarning"),
]
SIZE = {"vocab_size": 61, "num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 24}
LLAMA = SIZE | {"num_key_value_heads": 1, "max_position_embeddings": 32, "tie_word_embeddings": False}
MODELS: dict[str, Callable[[], tf.PreTrainedModel]] = {
    "llama": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**LLAMA)),
    "tied": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**LLAMA | {"tie_word_embeddings": True})),
    "qwen2": lambda: tf.Qwen2ForCausalLM(tf.Qwen2Config(**LLAMA)),
    "gpt2": lambda: tf.GPT2LMHeadModel(tf.GPT2Config(vocab_size=61, n_embd=16, n_layer=2, n_head=2, n_positions=32)),
    "t5": lambda: tf.T5ForConditionalGeneration(
        tf.T5Config(vocab_size=61, d_model=16, d_kv=8, d_ff=24, num_layers=1, num_heads=2, decoder_start_token_id=0)
    ),
    "bert": lambda: tf.BertForMaskedLM(tf.BertConfig(**SIZE, max_position_embeddings=32)),
}
AUTO = {"t5": tf.AutoModelForSeq2SeqLM, "bert": tf.AutoModelForSequenceClassification}
PLAIN = AdapterConfig(rank=2, init="standard")
Change = Callable[[Any], Any]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    for name, build in MODELS.items():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = build()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:
                    parameter.mul_(5)  # the default start makes nearly constant logits
        model.save_pretrained(folder / name)
    return folder


def load(folder: Path, seed: int = 0, **options: Any) -> Any:
    """Return the model of a checkpoint; what the checkpoint lacks is drawn with ``seed``."""
    torch.manual_seed(seed)
    return AUTO.get(folder.name, tf.AutoModelForCausalLM).from_pretrained(folder, **options).eval()


def logits(model: Any, ids: tuple[int, ...] = (3, 60, 5, 7)) -> torch.Tensor:
    inputs = {"input_ids": torch.tensor([ids])}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = torch.tensor([[0, 4, 60]])
    with torch.no_grad():
        return model(**inputs).logits.float()


def resized(rows: int) -> Change:
    return lambda model: model.resize_token_embeddings(rows, mean_resizing=False) and model


def edited(name: str, by: float = 0.5) -> Change:
    """Move a parameter in place."""

    def change(model: Any) -> Any:
        found = dict(getattr(model, "get_base_model", lambda: model)().named_parameters())
        with torch.no_grad():
            found[name].add_(by)
        return model

    return change


def thawed(name: str) -> Change:
    """Make a parameter of an attached model trainable; :func:`shaken` then moves it."""

    def change(model: Any) -> Any:
        next(p for n, p in model.named_parameters() if n.endswith(name)).requires_grad_(True)
        return model

    return change


def same(model: Any) -> Any:
    return model


# model, change before attach, settings of the adapter, change after it
KEPT: dict[str, tuple[str, Change, AdapterConfig, Change]] = {
    "tied, longer": ("tied", resized(64), PLAIN, same),
    "tied, shorter": ("tied", resized(61 - 1), PLAIN, same),
    "untied, longer": ("llama", resized(64), PLAIN, same),
    "untied, PiSSA": ("llama", resized(64), AdapterConfig(rank=2), same),
    "untied, DoRA": ("llama", resized(64), AdapterConfig(rank=2, variant="dora"), same),
    "resized after attach": ("llama", same, PLAIN, resized(64)),
    "gpt2": ("gpt2", resized(64), PLAIN, same),
    "t5": ("t5", resized(64), PLAIN, same),
    "a classifier": ("bert", resized(64), PLAIN, same),
    "input trained in full": ("llama", resized(64), PLAIN.replace(modules_to_save=("embed_tokens",)), same),
    "output trained in full": ("llama", resized(64), PLAIN.replace(modules_to_save=("lm_head",)), same),
    "both trained in full": ("llama", resized(64), PLAIN.replace(modules_to_save=("embed_tokens", "lm_head")), same),
    "an adapted head": ("llama", resized(64), PLAIN.replace(target_modules=("q_proj", "lm_head")), same),
    "rows set, no more of them": ("llama", edited("model.embed_tokens.weight"), PLAIN, same),
    "output rows set": ("llama", edited("lm_head.weight"), PLAIN, same),
    "rows set after attach": ("tied", same, PLAIN, edited("model.embed_tokens.weight")),
    "rows trained": ("llama", same, PLAIN, thawed("embed_tokens.weight")),
}


@pytest.mark.parametrize("case", KEPT)
def test_changed_embeddings_travel_with_the_adapter(checkpoints: Path, tmp_path: Path, case: str) -> None:
    name, before, config, after = KEPT[case]
    tuned = shaken(after(attach(before(load(checkpoints / name)), config)))
    expected = logits(tuned.eval(), (3, tuned.config.vocab_size - 1, 5, 7))
    folder = export_adapter(tuned, tmp_path / "out")
    fresh = load(checkpoints / name, seed=1)
    if tuned.config.vocab_size != 61:
        fresh = resized(tuned.config.vocab_size)(fresh)
    loaded = peft.PeftModel.from_pretrained(fresh, folder).eval()
    torch.testing.assert_close(logits(loaded, (3, tuned.config.vocab_size - 1, 5, 7)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["tied", "llama", "gpt2", "t5", "bert"])
def test_a_longer_vocabulary_does_not_load_onto_the_shorter_one(checkpoints: Path, tmp_path: Path, name: str) -> None:
    folder = export_adapter(attach(resized(64)(load(checkpoints / name)), PLAIN), tmp_path / "out")
    with pytest.raises(RuntimeError, match="size mismatch"):
        peft.PeftModel.from_pretrained(load(checkpoints / name), folder)


LOST: dict[str, tuple[str, Change, Change, str]] = {
    "a layer that is adapted": ("llama", edited("model.layers.1.mlp.down_proj.weight"), same, "down_proj"),
    "a norm": ("llama", edited("model.norm.weight"), same, "model.norm.weight"),
    "a norm, by little": ("llama", edited("model.norm.weight", 1e-6), same, "model.norm.weight"),
    "a bias": ("qwen2", edited("model.layers.0.self_attn.q_proj.bias"), same, "q_proj"),
    "after attach": ("llama", same, edited("model.layers.0.input_layernorm.weight"), "input_layernorm.weight"),
    "a trained bias": ("qwen2", same, thawed("k_proj.base_layer.bias"), "k_proj"),
    "a trained norm": ("llama", same, thawed("model.norm.weight"), "model.norm.weight"),
    "positions": ("gpt2", edited("transformer.wpe.weight"), same, "wpe.weight"),
    "several": (
        "llama",
        lambda m: edited("model.norm.weight")(edited("model.layers.0.input_layernorm.weight")(m)),
        same,
        "(and 1 more)",
    ),
    "with embeddings": (
        "llama",
        lambda m: edited("model.norm.weight")(resized(64)(m)),
        same,
        "model.norm.weight of the base differs",
    ),
    "a backbone under a head": ("bert", edited("bert.encoder.layer.0.output.dense.bias"), same, "output.dense"),
}


@pytest.mark.parametrize("case", LOST)
def test_any_other_changed_weight_is_refused(checkpoints: Path, tmp_path: Path, case: str) -> None:
    name, before, after, says = LOST[case]
    tuned = shaken(after(attach(before(load(checkpoints / name)), PLAIN)))
    with pytest.raises(AdapterError) as caught:
        export_adapter(tuned, tmp_path / "out")
    assert says in str(caught.value)
    assert f"differs from its checkpoint {name!r}" in str(caught.value)
    assert "`export_merged`, or name the module in `modules_to_save`" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    export_merged(tuned, tmp_path / "merged")


def test_a_trainable_base_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    tuned = thawed("model.norm.weight")(attach(MODELS["llama"](), PLAIN))
    with pytest.raises(AdapterError, match=r"model.norm.weight of the base differs from its checkpoint"):
        export_adapter(tuned, tmp_path / "out")


def sharded(folder: Path) -> Any:
    load(folder).save_pretrained(folder.parent / "shards", max_shard_size="4KB")
    assert len(list((folder.parent / "shards").glob("*.safetensors"))) > 2
    return load(folder.parent / "shards")


def elsewhere(folder: Path) -> Any:
    """A model whose folder is gone by now."""
    shutil.copytree(folder, folder.parent / "moved")
    model = load(folder.parent / "moved")
    shutil.rmtree(folder.parent / "moved")
    return model


UNCHANGED = {
    "as stored": load,
    "in bfloat16": lambda folder: load(folder, dtype=torch.bfloat16),
    "in float16": lambda folder: load(folder, dtype=torch.float16),
    "in float64": lambda folder: load(folder, dtype=torch.float64),
    "in bfloat16 and back": lambda folder: load(folder, dtype=torch.bfloat16).float(),
    "from shards": sharded,
    "from a folder that is gone": elsewhere,
    "from no checkpoint": lambda folder: MODELS["llama"](),
    "resized and back": lambda folder: resized(61)(resized(61)(load(folder))),
    "with another head": lambda folder: tf.AutoModelForSequenceClassification.from_pretrained(folder, pad_token_id=0),
}


@pytest.mark.filterwarnings("ignore:.*cannot be tied:UserWarning")
@pytest.mark.parametrize("case", UNCHANGED)
def test_an_unchanged_base_exports_an_adapter_alone(checkpoints: Path, tmp_path: Path, case: str) -> None:
    shutil.copytree(checkpoints / "llama", tmp_path / "llama")
    tuned = shaken(attach(UNCHANGED[case](tmp_path / "llama"), PLAIN))
    assert changed_tensors(tuned) == []
    names = load_file(export_adapter(tuned, tmp_path / "out") / WEIGHTS)
    assert {name for name in names if "lora_" not in name} <= {"base_model.model.score.weight"}


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_family_is_found_unchanged(checkpoints: Path, name: str) -> None:
    assert changed_tensors(attach(load(checkpoints / name), PLAIN)) == []


def test_a_checkpoint_that_was_replaced_is_noticed(checkpoints: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoints / "llama", tmp_path / "base")
    tuned = attach(load(tmp_path / "base"), PLAIN)
    resized(70)(load(tmp_path / "base")).save_pretrained(tmp_path / "other")
    shutil.rmtree(tmp_path / "base")
    (tmp_path / "other").rename(tmp_path / "base")
    names = load_file(export_adapter(tuned, tmp_path / "out") / WEIGHTS)
    assert names["base_model.model.model.embed_tokens.weight"].shape == (61, 16)


@pytest.mark.parametrize("name", ["tied", "llama", "t5", "gpt2"])
def test_a_merged_export_holds_the_longer_vocabulary(checkpoints: Path, tmp_path: Path, name: str) -> None:
    tuned = shaken(attach(resized(64)(load(checkpoints / name)), PLAIN)).eval()
    folder = export_merged(tuned, tmp_path / name)
    assert json.loads((folder / "config.json").read_text())["vocab_size"] == 64
    torch.testing.assert_close(logits(load(folder)), logits(tuned), rtol=1e-4, atol=1e-4)


def test_a_pooler_that_the_checkpoint_lacks_is_trained_and_saved(checkpoints: Path, tmp_path: Path) -> None:
    """A masked language model is saved without its pooler, which the classifier reads: it is drawn at every load."""
    tuned = shaken(attach(load(checkpoints / "bert"), PLAIN)).eval()
    folder = export_adapter(tuned, tmp_path / "out")
    assert "base_model.model.bert.pooler.dense.weight" in load_file(folder / WEIGHTS)
    loaded = peft.PeftModel.from_pretrained(load(checkpoints / "bert", seed=1), folder).eval()
    assert torch.equal(logits(loaded), logits(tuned))


def test_the_pooler_of_a_checkpoint_is_left_alone(checkpoints: Path, tmp_path: Path) -> None:
    load(checkpoints / "bert").save_pretrained(tmp_path / "bert")
    folder = export_adapter(attach(load(tmp_path / "bert"), PLAIN), tmp_path / "out")
    assert not [name for name in load_file(folder / WEIGHTS) if "pooler" in name and "lora_" not in name]


NAMES = {
    "meta-llama/Llama-3.1-8B": "meta-llama/Llama-3.1-8B",
    "gpt2": "gpt2",
    "/home/ann/secret/llama": "llama",
    "./models/llama": "llama",
    "~/models/llama": "llama",
    "models/secret/llama/": "llama",
    "/root/.cache/huggingface/hub/models--org--name/snapshots/0a1b": "org/name",
    "": "",
    None: None,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_not_passed_on(name: str | None) -> None:
    assert shared_name(name) == NAMES[name]


@pytest.mark.parametrize("place", ["base", "models/base", "./base", "../base"])
def test_an_export_names_its_base_and_holds_no_path(checkpoints, tmp_path, monkeypatch, place: str) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    shutil.copytree(checkpoints / "llama", place)
    model = tf.AutoModelForCausalLM.from_pretrained(place)
    folder = export_adapter(attach(model, PLAIN), tmp_path / "out")
    text = (folder / "adapter_config.json").read_text()
    assert json.loads(text)["base_model_name_or_path"] == "base"
    assert os.sep not in text
