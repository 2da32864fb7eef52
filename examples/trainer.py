"""BA-LoRA with transformers' Trainer, on a classification task.

Run `python examples/trainer.py [MODEL]`; without a model folder a tiny random BERT is made on the spot.
"""

import sys
import tempfile

import torch
from transformers import AutoModelForSequenceClassification, BertConfig, TrainingArguments

from balora import AdapterConfig, BALoraTrainer, ObjectiveConfig, attach


def main(argv: list[str]) -> None:
    torch.manual_seed(0)
    if argv:
        model = AutoModelForSequenceClassification.from_pretrained(argv[0], num_labels=3, pad_token_id=0)
    else:
        model = AutoModelForSequenceClassification.from_config(
            BertConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                       num_attention_heads=4, num_labels=3)
        )  # fmt: skip
    model = attach(model, AdapterConfig(rank=4))  # the classification head is trained and saved too

    with tempfile.TemporaryDirectory() as folder:
        trainer = BALoraTrainer(
            model,
            TrainingArguments(
                folder,
                max_steps=40,
                per_device_train_batch_size=16,
                learning_rate=5e-3,
                logging_steps=10,
                report_to="none",
                disable_tqdm=True,
            ),
            objective=ObjectiveConfig.preset("ba-lora", family="nlu", edition="arxiv-v5"),
            train_dataset=made_up_rows(96),
        )
        trainer.train()  # logs the loss, and each term with its λ and its share of the gradient

    for term, reason in trainer.telemetry.inactive().items():
        print(f"{term} cannot act: {reason}")


def made_up_rows(count: int) -> list[dict[str, object]]:
    """Return rows whose first token determines their class."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(4, 64, (count, 12), generator=generator)
    labels = torch.randint(0, 3, (count,), generator=generator)
    tokens[:, 0] = labels + 1
    return [{"input_ids": row, "labels": label} for row, label in zip(tokens, labels, strict=True)]


if __name__ == "__main__":
    main(sys.argv[1:])
