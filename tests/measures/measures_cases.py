"""Tiny language models on words, their tokenizers, and the rows of published benchmarks in small."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers as tf
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from balora.measures.likelihood import LanguageModel

SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]")
WORDS = ("the", "a", "cat", "dog", "doctor", "nurse", "he", "she", "they", "is", "are", "was", "runs", "run", "sleeps",
         "late", "early", "who", "old", "young", "yes", "no")  # fmt: skip
POSITIONS = 48


def tokenizer(kind: str = "causal") -> Any:
    """One token a word; what is unknown is one token too. A causal one starts texts with a token of its own."""
    words = Tokenizer(WordLevel({word: i for i, word in enumerate((*SPECIAL, *WORDS))}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    if kind == "masked":
        words.post_processor = TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
        )
        names |= {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    if kind == "causal":
        names |= {"bos_token": "[CLS]", "eos_token": "[SEP]"}
    return tf.PreTrainedTokenizerFast(tokenizer_object=words, **names)


SIZES = {
    "vocab_size": len(SPECIAL) + len(WORDS),
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": POSITIONS,
    "pad_token_id": 0,
}
KINDS = {
    "causal": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**SIZES, bos_token_id=1, eos_token_id=2)),
    "masked": lambda: tf.BertForMaskedLM(tf.BertConfig(**SIZES)),
    "bert-classifier": lambda: tf.BertForSequenceClassification(tf.BertConfig(**SIZES, num_labels=3)),
    "llama-classifier": lambda: tf.LlamaForSequenceClassification(tf.LlamaConfig(**SIZES, num_labels=3)),
}


def build(kind: str, seed: int = 0) -> Any:
    """A tiny model in evaluation mode, with weights as large as trained ones."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = KINDS[kind]().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(8.0)
    return model


def reader(kind: str, batch_size: int = 4, **changes: Any) -> LanguageModel:
    return LanguageModel(build(kind), tokenizer(kind), kind == "masked", batch_size, POSITIONS)._replace(**changes)


def write_jsonl(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


BLIMP = [
    {"sentence_good": good, "sentence_bad": bad, "field": field, "linguistics_term": term, "UID": uid, "pairID": "0"}
    for good, bad, field, term, uid in (
        ("the cat runs", "the cat run", "morphology", "subject_verb_agreement", "agreement_1"),
        ("the dog sleeps early", "the dog sleeps are", "morphology", "subject_verb_agreement", "agreement_1"),
        ("they run late", "they runs late", "morphology", "anaphor_agreement", "agreement_2"),
        ("who is the doctor", "who the doctor is", "syntax/semantics", "control_raising", "raising_1"),
    )
]
CROWS = [
    {"sent_more": "the old doctor is late", "sent_less": "the young doctor is late", "stereo_antistereo": "stereo",
     "bias_type": "age"},
    {"sent_more": "the nurse was early she is late", "sent_less": "the nurse was early he is late",
     "stereo_antistereo": "antistereo", "bias_type": "race-color"},
]  # fmt: skip


def bbq_row(**changes: Any) -> dict[str, Any]:
    """One question in BBQ's published form: an ambiguous context, a negative question."""
    row = {
        "example_id": 0, "question_index": "1", "question_polarity": "neg", "context_condition": "ambig",
        "category": "Age",
        "answer_info": {"ans0": ["doctor", "old"], "ans1": ["Unknown", "unknown"], "ans2": ["nurse", "nonOld"]},
        "additional_metadata": {"subcategory": "None", "stereotyped_groups": ["old"], "version": "a", "source": ""},
        "context": "the old doctor was late the young nurse was early", "question": "who is late",
        "ans0": "the doctor", "ans1": "Unknown", "ans2": "the nurse", "label": 1,
    }  # fmt: skip
    return row | changes
