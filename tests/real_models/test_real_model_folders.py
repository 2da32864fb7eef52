"""The folders of `make real-models`, in `$BALORA_MODELS` or `models`, hold the genuine models; else skipped by name."""

import json
import os
from pathlib import Path

import pytest
import torch
from scripts.packaged_models.main import main
from scripts.packaged_models.registry import MINILM, MODELS, SMOLLM2
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("BALORA_MODELS") or ROOT / "models")
ABSENT = [model.name for model in MODELS if not (FOLDER / model.name / "SOURCE.json").is_file()]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(ABSENT), reason=f"no {' and no '.join(ABSENT)} in {FOLDER}: call make real-models"),
]


def test_the_script_recognises_both(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(FOLDER)]) == 0
    assert capsys.readouterr().out.count("already there, its tensors and files verified") == 2


def test_smollm2_splits_numbers_into_digits_and_keeps_white_space_before_them_whole() -> None:
    tokenizer = AutoTokenizer.from_pretrained(FOLDER / SMOLLM2.name)
    assert tokenizer.tokenize("In 2026: 31,415") == ["In", "Ġ", *"2026", ":", "Ġ", *"31", ",", *"415"]
    assert tokenizer("0123456789").input_ids == [tokenizer.convert_tokens_to_ids(digit) for digit in "0123456789"]
    assert tokenizer.tokenize("a\n\n12") == ["a", "ĊĊ", "1", "2"]  # without the splitter: a Ċ Ċ 1 2
    text = "<|im_start|>user\nHow  many?\n\n12 × ½<|im_end|>"
    assert tokenizer.decode(tokenizer(text).input_ids) == text
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, 2)
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert chat.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")


def test_smollm2_finds_gsm8k_as_likely_as_measured(data: Path) -> None:
    """On these six rows the model has 2.00 nats a token, and 4.30 if the rows of query and key stay in GGUF's order."""
    tokenizer = AutoTokenizer.from_pretrained(FOLDER / SMOLLM2.name)
    model = AutoModelForCausalLM.from_pretrained(FOLDER / SMOLLM2.name, dtype=torch.float32).eval()
    assert model.num_parameters() == SMOLLM2.parameters == 134_515_008
    assert model.lm_head.weight is model.model.embed_tokens.weight
    with (data / "gsm8k" / "test.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(next(lines)) for _ in range(6)]
    nats, tokens = 0.0, 0
    for row in rows:
        ids = torch.tensor([tokenizer(f"{row['question']}\n{row['answer']}").input_ids])
        with torch.no_grad():
            nats += float(model(ids, labels=ids).loss) * (ids.shape[1] - 1)
        tokens += ids.shape[1] - 1
    assert tokens == 1009
    assert nats / tokens == pytest.approx(2.002, abs=0.01)


def test_minilm_loads_as_encoder_and_as_classifier_and_places_like_meanings_near() -> None:
    tokenizer = AutoTokenizer.from_pretrained(FOLDER / MINILM.name)
    assert tokenizer("a man", padding=False).input_ids == [101, 1037, 2158, 102]  # not padded to 128
    assert len(tokenizer("a " * 300).input_ids) == 302  # not cut to 128
    encoder, loading = AutoModel.from_pretrained(FOLDER / MINILM.name, output_loading_info=True)
    assert encoder.num_parameters() == MINILM.parameters == 22_713_216
    assert not any(loading.values())
    batch = tokenizer(
        ["A man plays a guitar.", "Someone is making music.", "The court closed."], padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        hidden, mask = encoder.eval()(**batch).last_hidden_state, batch.attention_mask[..., None]
    near, far = torch.cosine_similarity(*((hidden * mask).sum(1) / mask.sum(1)).split([1, 2]))
    assert near > far + 0.3
    _, loading = AutoModelForSequenceClassification.from_pretrained(FOLDER / MINILM.name, output_loading_info=True)
    assert set(loading["missing_keys"]) == {"classifier.weight", "classifier.bias"}
    assert not loading["unexpected_keys"]
