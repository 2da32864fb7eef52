"""One tiny random model of every supported family, and the means to train it a little."""

from collections.abc import Callable

import torch
import transformers as tf
from torch import Tensor, nn

VOCAB = 61

_DECODER = {
    "vocab_size": VOCAB,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,  # k and v are smaller than q: layers of unequal shapes
    "max_position_embeddings": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_ENCODER = {
    "vocab_size": VOCAB,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
    "num_labels": 3,
}
_DEBERTA = _ENCODER | {
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_buckets": 8,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pooler_hidden_size": 24,
    "type_vocab_size": 0,
}
_T5 = {"vocab_size": VOCAB, "d_model": 24, "d_kv": 6, "d_ff": 40, "num_layers": 2, "num_heads": 4, "num_labels": 3}

FAMILIES: dict[str, Callable[[], nn.Module]] = {
    "llama": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**_DECODER)),
    "mistral": lambda: tf.MistralForCausalLM(tf.MistralConfig(**_DECODER)),
    "gemma2": lambda: tf.Gemma2ForCausalLM(tf.Gemma2Config(**_DECODER, head_dim=8, query_pre_attn_scalar=8)),
    "qwen2": lambda: tf.Qwen2ForCausalLM(tf.Qwen2Config(**_DECODER)),
    "qwen3": lambda: tf.Qwen3ForCausalLM(tf.Qwen3Config(**_DECODER, head_dim=8)),
    "opt": lambda: tf.OPTForCausalLM(
        tf.OPTConfig(
            vocab_size=VOCAB,
            hidden_size=24,
            ffn_dim=40,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=32,
            word_embed_proj_dim=16,
        )
    ),
    "gpt2": lambda: tf.GPT2LMHeadModel(
        tf.GPT2Config(
            vocab_size=VOCAB, n_embd=24, n_layer=2, n_head=4, n_positions=32, n_inner=40, bos_token_id=1, eos_token_id=2
        )
    ),
    "t5": lambda: tf.T5ForConditionalGeneration(tf.T5Config(**_T5, decoder_start_token_id=0)),
    "bert": lambda: tf.BertForSequenceClassification(tf.BertConfig(**_ENCODER)),
    "roberta": lambda: tf.RobertaForSequenceClassification(tf.RobertaConfig(**_ENCODER | {"pad_token_id": 1})),
    "deberta-v3": lambda: tf.DebertaV2ForSequenceClassification(tf.DebertaV2Config(**_DEBERTA)),
    "llama-classifier": lambda: tf.LlamaForSequenceClassification(tf.LlamaConfig(**_DECODER, num_labels=3)),
    "distilbert": lambda: tf.DistilBertForSequenceClassification(
        tf.DistilBertConfig(
            vocab_size=VOCAB, dim=24, hidden_dim=40, n_layers=2, n_heads=4, max_position_embeddings=32, num_labels=3
        )
    ),
    "t5-classifier": lambda: tf.T5ForSequenceClassification(tf.T5Config(**_T5, decoder_start_token_id=0)),
}

HEADS = {
    "bert": {"classifier"},
    "roberta": {"classifier"},
    "deberta-v3": {"pooler", "classifier"},
    "llama-classifier": {"score"},
    "distilbert": {"pre_classifier", "classifier"},
    "t5-classifier": {"classification_head"},
}
"""The parts of the classification families that pre-training does not give."""


def build(family: str, seed: int = 0) -> nn.Module:
    """Return the tiny model of a family in evaluation mode; its weights are as large as trained ones."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = FAMILIES[family]().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:
                    parameter.mul_(5)  # the default of 0.02 makes nearly constant logits
    return model


def batch(family: str, rows: int = 4, length: int = 9, seed: int = 0) -> dict[str, Tensor]:
    """Return a batch with labels for the family's task."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, VOCAB - 1, (rows, length), generator=generator)
    if family == "t5-classifier":
        ids[:, -1] = 1  # its head reads the state at the end-of-sequence token
    labels = torch.arange(rows) % 3 if family in HEADS else ids.clone()
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


def logits(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    with torch.no_grad():
        return model(**inputs).logits.clone()


def train(
    model: nn.Module, inputs: dict[str, Tensor], steps: int = 4, lr: float = 3e-3, decay: float = 0.0
) -> list[float]:
    """Train the trainable parameters with AdamW on one batch; return the losses."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr, weight_decay=decay)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(**inputs).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def weights(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of every tensor of a model."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
