"""An adapter is scored whole or not at all: missing, unused, misshapen and damaged tensors are named, exit 2."""

import json
from pathlib import Path

import pytest
import torch
from refusals import refused, run_verb
from stored_adapters import (
    CONFIG,
    STEP,
    WEIGHTS,
    both,
    causal_adapter,
    classifying_adapter,
    copied,
    cut,
    filled,
    mapped,
    plus,
    renamed,
    settings,
    tensors,
    without,
    written,
)

EMPTY = tensors(lambda old: {})
SPOILT = {
    "no tensors": (EMPTY, "holds no tensors"),
    "other names": (renamed("base_model.model", "transformer"), "lacks 20 tensors"),
    "names without a prefix": (renamed("base_model.model.", ""), "lacks 20 tensors"),
    "another adapter's name": (renamed(".weight", ".other.weight"), "lacks 20 tensors"),
    "only lora_A": (without("lora_B"), "lacks 10 tensors (model.layers.0.self_attn.q_proj.lora_B.weight"),
    "only lora_B": (without("lora_A"), "lacks 10 tensors (model.layers.0.self_attn.q_proj.lora_A.weight"),
    "one layer missing": (without("layers.3."), "lacks 4 tensors (model.layers.3.self_attn.q_proj.lora_A.weight"),
    "one tensor missing": (without(STEP.format(2, "v_proj", "B")), "lacks 1 tensor (model.layers.2.self_attn.v_proj"),
    "one kind of layer missing": (without("v_proj"), "lacks 10 tensors (model.layers.0.self_attn.v_proj.lora_A"),
    "a layer too many": (
        both(plus(STEP.format(5, "q_proj", "A"), 2, 64), plus(STEP.format(5, "q_proj", "B"), 64, 2)),
        "holds 2 tensors (model.layers.5.self_attn.q_proj.lora_A.weight",
    ),
    "a kind of layer too many": (
        both(plus(STEP.format(0, "k_proj", "A"), 2, 64), plus(STEP.format(0, "k_proj", "B"), 32, 2)),
        "holds 2 tensors (model.layers.0.self_attn.k_proj.lora_A.weight",
    ),
    "a foreign tensor": (plus("optimizer.state", 3), "holds 1 tensor (optimizer.state)"),
    "a weight of the base": (
        plus("base_model.model.model.layers.0.mlp.down_proj.weight", 64, 172),
        "holds 1 tensor (model.layers.0.mlp.down_proj.weight)",
    ),
    "a norm of the base": (plus("base_model.model.model.norm.weight", 64), "holds 1 tensor (model.norm.weight)"),
    "a longer vocabulary": (
        plus("base_model.model.model.embed_tokens.weight", 514, 64),
        "size mismatch for base_model.model.model.embed_tokens.weight",
    ),
    "layers_to_transform": (settings(layers_to_transform=[0, 1]), "holds 12 tensors (model.layers.2.self_attn.q_proj"),
    "layers_to_transform with a pattern": (
        settings(layers_to_transform=[4], layers_pattern="layers"),
        "holds 16 tensors (model.layers.0.self_attn.q_proj",
    ),
    "more targets than tensors": (
        settings(target_modules=["q_proj", "v_proj", "k_proj"]),
        "lacks 10 tensors (model.layers.0.self_attn.k_proj.lora_A.weight",
    ),
    "fewer targets than tensors": (settings(target_modules=["q_proj"]), "holds 10 tensors (model.layers.0.self_attn.v"),
    "excluded targets": (settings(exclude_modules=["v_proj"]), "holds 10 tensors (model.layers.0.self_attn.v_proj"),
    "no target in the model": (settings(target_modules=["query"]), "does not fit the model"),
    "DoRA without magnitudes": (
        settings(use_dora=True),
        "lacks 10 tensors (model.layers.0.self_attn.q_proj.lora_magnitude_vector",
    ),
    "magnitudes without DoRA": (
        plus("base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector", 64),
        "holds 1 tensor (model.layers.0.self_attn.q_proj.lora_magnitude_vector",
    ),
    "biases that are not there": (settings(lora_bias=True), "lacks 10 tensors (model.layers.0.self_attn.q_proj"),
    "biases of the base that are not there": (settings(bias="all", modules_to_save=["model.norm"]), "lacks 1 tensor"),
    "a setting of a later version": (settings(use_magic=True), "does not know the setting 'use_magic'"),
    "a module to save without tensors": (settings(modules_to_save=["model.norm"]), "lacks 1 tensor (model.norm"),
    "another rank in the settings": (settings(r=4), "size mismatch"),
    "another rank of one layer": (settings(rank_pattern={"layers.0.self_attn.q_proj": 3}), "size mismatch"),
    "a rank without end": (settings(r=10**9), "claims rank 1000000000"),
    "a rank of one layer without end": (settings(rank_pattern={"q_proj": 10**9}), "claims rank 1000000000"),
    "rank 0": (settings(r=0), "r"),
    "a rank that is no number": (settings(r="2"), "r is '2', not a whole number"),
    "a scaling that is no number": (settings(lora_alpha=float("nan")), "lora_alpha is nan, not a finite number"),
    "a scaling without end": (settings(alpha_pattern={"q_proj": float("inf")}), "alpha_pattern.q_proj is inf"),
    "a scaling of many digits": (settings(lora_alpha=10**400), "lora_alpha is"),
    "lora_B of another size": (mapped(lambda t: t[:63], "layers.1.self_attn.q_proj.lora_B"), "size mismatch"),
    "lora_B of another rank": (mapped(lambda t: t[:, :1], "layers.1.self_attn.q_proj.lora_B"), "size mismatch"),
    "lora_A transposed": (mapped(lambda t: t.T), "size mismatch"),
    "a flat tensor": (mapped(torch.flatten), "size mismatch"),
    "an empty tensor": (mapped(lambda t: t[:0]), "size mismatch"),
    "not a number": (filled(float("nan")), "q_proj.lora_A.weight holds values that are not finite"),
    "infinite": (filled(float("-inf")), "q_proj.lora_A.weight holds values that are not finite"),
    "whole numbers": (mapped(lambda t: t.to(torch.int32)), "holds torch.int32, not floating point"),
    "truth values": (mapped(lambda t: t > 0), "holds torch.bool, not floating point"),
    "half the file": (cut(WEIGHTS, 0.5), "is damaged"),
    "no byte of it": (written(WEIGHTS, b""), "is damaged"),
    "only its header": (cut(WEIGHTS, 0.05), "is damaged"),
    "a pickle in its place": (written(WEIGHTS, b"\x80\x04K\x01."), "is damaged"),
    "a header of 2⁶³ bytes": (written(WEIGHTS, b"\xff" * 7 + b"\x7f{}"), "is damaged"),
    "half the settings": (cut(CONFIG, 0.5), "adapter_config.json cannot be used"),
    "settings in another encoding": (written(CONFIG, "{}".encode("utf-16")), "adapter_config.json cannot be used"),
    "settings that are a list": (written(CONFIG, b"[]"), "holds list, not settings"),
    "deep settings": (written(CONFIG, b"[" * 100_000), "adapter_config.json cannot be used"),
    "settings without end": (written(CONFIG, b" " * 5_000_000), "is larger than 4 MiB"),
    "no kind of adapter": (settings(peft_type=None), "peft_type is None"),
    "another kind of adapter": (settings(peft_type="IA3"), "peft_type is 'IA3': only LoRA"),
    "an unknown kind of adapter": (settings(peft_type="x" * 10_000), "only LoRA"),
    "an unknown task": (settings(task_type="POETRY"), "Invalid task type"),
    "a module to import": (settings(megatron_config={"a": 1}, megatron_core="antigravity"), "would import a module"),
    "a start drawn at random": (settings(init_lora_weights="pissa_niter_4"), "init_lora_weights is 'pissa_niter_4'"),
    "a quantised start": (settings(init_lora_weights="loftq", loftq_config={"loftq_bits": 4}), "is 'loftq'"),
    "a start that is none": (settings(init_lora_weights="magic"), "does not fit the model"),
    "targets that are numbers": (settings(target_modules=[1]), "does not fit the model"),
    "an expression for ranks that runs for years": (
        settings(rank_pattern={"(x+x+)+y": 2}),
        "uses a repetition within a repetition",
    ),
    "an expression for ranks that matches others": (settings(rank_pattern={r".*\.0\..*q_proj": 3}), "size mismatch"),
    "an expression for scalings that is none": (settings(alpha_pattern={"(": 2}), "is no regular expression"),
    "patterns that are a list": (settings(rank_pattern=["q_proj"]), "rank_pattern holds list"),
}


@pytest.fixture(scope="module")
def causal(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return causal_adapter(checkpoint, tmp_path_factory.mktemp("adapters") / "causal")


@pytest.fixture(scope="module")
def classifier(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return classifying_adapter(checkpoint, tmp_path_factory.mktemp("adapters") / "classifier")


def words(checkpoint: Path, data: Path, adapter: Path, *tasks: str) -> list[object]:
    short = ("--set", "data.eval_rows=2", "--set", "data.max_length=64", "--set", "data.max_new_tokens=2")
    named = [word for task in tasks for word in ("--task", task)]
    return ["evaluate", "--model", checkpoint, "--data", data, *short, "--adapter", adapter, *named]


@pytest.mark.parametrize("case", SPOILT)
def test_a_spoilt_adapter_is_refused(causal: Path, checkpoint: Path, data: Path, tmp_path: Path, case: str) -> None:
    spoil, says = SPOILT[case]
    adapter = copied(causal, tmp_path / "adapter", spoil)
    refused(words(checkpoint, data, adapter, "gsm8k"), str(adapter), says, watched=tmp_path)


CLASSIFIERS = {
    "no head": (without("score"), "lacks 1 tensor (score.weight)"),
    "no head, and the settings do not name it": (
        both(without("score"), settings(modules_to_save=None)),
        "lacks 1 tensor (score.weight)",
    ),
    "a head for three labels": (mapped(lambda t: torch.cat([t, t[:1]]), "score"), "size mismatch for"),
    "a head for one": (mapped(lambda t: t[:1], "score"), "size mismatch for"),
    "a head that is not finite": (mapped(lambda t: t / 0, "score"), "score.weight holds values that are not finite"),
    "a bias that the head has not": (plus("base_model.model.score.bias", 2), "holds 1 tensor (score.bias)"),
}


@pytest.mark.parametrize("case", CLASSIFIERS)
def test_half_a_classifier_is_refused(classifier: Path, checkpoint: Path, data: Path, tmp_path: Path, case) -> None:
    spoil, says = CLASSIFIERS[case]
    adapter = copied(classifier, tmp_path / "adapter", spoil)
    refused(words(checkpoint, data, adapter, "rte"), str(adapter), says, watched=tmp_path)


KINDS = {
    "a classifier on a text": ("classifier", "gsm8k", "trained for classification, but task 'gsm8k' is nlg"),
    "a language model on classes": ("causal", "rte", "trained for language modelling, but task 'rte' is nlu"),
    "two labels on a number": ("classifier", "stsb", "size mismatch"),
}


@pytest.mark.parametrize("case", KINDS)
def test_an_adapter_for_another_task_is_refused(request, checkpoint, data, tmp_path, case) -> None:
    kind, task, says = KINDS[case]
    refused(words(checkpoint, data, request.getfixturevalue(kind), task), says, watched=tmp_path)


ALPHA = 2
"""Of the adapters made here, as their rank."""
UNHARMED = {
    "as exported": lambda folder: None,
    "trained on a base elsewhere": settings(base_model_name_or_path="/nowhere/at/all"),
    "in half precision": tensors(lambda old: {name: tensor.bfloat16() for name, tensor in old.items()}),
    "an expression": settings(target_modules=r".*\.(q|v)_proj"),
    "a long expression": settings(target_modules=r"(?:.*?(?:model).*?(?:self_attn|mlp).*?(?:q_proj|v_proj).*?)$"),
    "an expression that excludes": settings(exclude_modules=r".*\.mlp\..*"),
    "expressions for ranks": settings(
        r=3,
        lora_alpha=1,
        rank_pattern={r"layers\.[0-9]+\.self_attn\.q_proj": 2, r"^model.layers.\d.self_attn.v_proj": 2, "q_proj": 5},
        alpha_pattern={r".*\.self_attn\..*": ALPHA, "v_proj": 7},
    ),
    "a start that only new layers have": settings(init_lora_weights="gaussian"),
    "settings of a later version that are off": settings(use_magic=False, magic_config=None),
}


@pytest.mark.parametrize("case", UNHARMED)
def test_a_whole_adapter_is_scored(causal: Path, checkpoint: Path, data: Path, tmp_path: Path, case: str) -> None:
    def loss(adapter: Path) -> float:
        ended = run_verb(*words(checkpoint, data, adapter, "gsm8k"), "--json")
        assert ended.code == 0, ended.err
        return json.loads(ended.out)["tasks"]["gsm8k"]["metrics"]["answer_loss"]

    expected = loss(causal)
    assert loss(copied(causal, tmp_path / "adapter", UNHARMED[case])) == pytest.approx(expected, rel=1e-2)
