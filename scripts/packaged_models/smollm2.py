"""Convert a Llama of the GGUF format with SmolLM's tokenizer into the files that transformers reads."""

import json
from collections.abc import Mapping
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
from safetensors.numpy import save

from balora.errors import InputError

NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""llama.cpp's names of tensors and those of transformers."""
CONTROL = 3
"""GGUF's type of a special token."""


def convert(members: Path, into: Path) -> None:
    """Write `model.safetensors` (float16), `config.json` and the tokenizer's files from `members/model.gguf`.

    Quantised weights are computed in float32 and rounded to float16 once. The embedding is the head too (tied), so the
    file holds it once.

    Raises:
        InputError: the `gguf` package is missing, or the file holds no Llama.
    """
    try:
        from gguf import GGUFReader
    except ImportError:
        raise InputError(
            "the package gguf, which reads SmolLM2, is missing: call `make real-models`, or "
            '`pip install "balora[real-models]"`'
        ) from None
    reader = GGUFReader(members / "model.gguf")
    facts = {name: field.contents() for name, field in reader.fields.items()}
    config = config_of(facts)
    tensors = tensors_of(reader.tensors, config["num_attention_heads"], config["num_key_value_heads"])
    (into / "model.safetensors").write_bytes(save(tensors, metadata={"format": "pt"}))
    write_json(into / "config.json", config)
    write_json(into / "tokenizer.json", tokenizer_of(facts))
    write_json(into / "tokenizer_config.json", tokenizer_config_of(facts))
    copyfile(members / "LICENSE", into / "LICENSE")


def config_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return transformers' configuration of a Llama from GGUF's facts.

    Raises:
        InputError: the file holds another kind of model.
    """
    kind = facts["general.architecture"]
    if kind != "llama":
        raise InputError(f"the GGUF file holds a model of the kind {kind!r}, but expected 'llama': use another wheel")
    heads = facts["llama.attention.head_count"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float16",
        "vocab_size": len(facts["tokenizer.ggml.tokens"]),
        "hidden_size": facts["llama.embedding_length"],
        "intermediate_size": facts["llama.feed_forward_length"],
        "num_hidden_layers": facts["llama.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": facts["llama.attention.head_count_kv"],
        "head_dim": facts["llama.embedding_length"] // heads,
        "max_position_embeddings": facts["llama.context_length"],
        "rope_theta": facts["llama.rope.freq_base"],
        "rms_norm_eps": float(f"{facts['llama.attention.layer_norm_rms_epsilon']:.6g}"),  # stored as a float32
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": facts["tokenizer.ggml.bos_token_id"],
        "eos_token_id": facts["tokenizer.ggml.eos_token_id"],
        "pad_token_id": facts["tokenizer.ggml.padding_token_id"],
    }


def tensors_of(stored: list[Any], heads: int, key_heads: int) -> dict[str, np.ndarray]:
    """Return the weights of a GGUF file in float16 under transformers' names and in its order of rows."""
    from gguf import dequantize

    made = {}
    for tensor in stored:
        *_, block, part, _ = (".", *tensor.name.split("."))  # blk.3.attn_q.weight, or token_embd.weight
        weight = dequantize(tensor.data, tensor.tensor_type)
        if part in ("attn_q", "attn_k"):
            weight = halves_together(weight, heads if part == "attn_q" else key_heads)
        name = f"model.layers.{block}.{NAMES[part]}" if block.isdigit() else NAMES[part]
        made[f"{name}.weight"] = np.ascontiguousarray(weight, dtype=np.float16)
    return made


def halves_together(weight: np.ndarray, heads: int) -> np.ndarray:
    """Undo llama.cpp's order of the rows of a query or key projection, head by head.

    Rotary embeddings turn pairs of rows. llama.cpp stores the two rows of pair i of a head at 2i and 2i + 1;
    transformers expects them at i and i + half, where half is half the size of a head.
    """
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def tokenizer_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return `tokenizer.json`: byte-level BPE after SmolLM's split, in which each digit is a token of its own.

    GGUF only names that split (`smollm`), and transformers' GGUF reader drops it. SmolLM's merges hold no digits, so
    its numbers are digits either way; what changes without the split is the white space before them (two line ends
    before a number are one token in the pre-training).

    Raises:
        InputError: the file names another split.
    """
    split = facts["tokenizer.ggml.pre"]
    if split != "smollm":
        raise InputError(f"the GGUF file names the token split {split!r}, but expected 'smollm': use another wheel")
    tokens, kinds = facts["tokenizer.ggml.tokens"], facts["tokenizer.ggml.token_type"]
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": i, "content": token, **plain}
            for i, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
            if kind == CONTROL
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, byte_level]},
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": facts["tokenizer.ggml.merges"],
        },
    }


def tokenizer_config_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return `tokenizer_config.json` with the special tokens and the chat template."""
    tokens = facts["tokenizer.ggml.tokens"]
    special = {"bos": "bos", "eos": "eos", "pad": "padding", "unk": "unknown"}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{f"{name}_token": tokens[facts[f"tokenizer.ggml.{key}_token_id"]] for name, key in special.items()},
        "model_max_length": facts["llama.context_length"],
        "clean_up_tokenization_spaces": False,
        "chat_template": facts["tokenizer.chat_template"],
    }


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` as JSON that is the same on every machine: in its own order, in ASCII."""
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="ascii", newline="\n")
