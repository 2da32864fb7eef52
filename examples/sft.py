"""BA-LoRA with TRL's SFTTrainer, on prompts and completions.

Run `python examples/sft.py [MODEL]`; without a model folder a tiny random Llama with a word tokenizer is made.
"""

import sys
import tempfile

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, PreTrainedTokenizerFast
from trl import SFTConfig

from balora import AdapterConfig, BALoraSFTTrainer, ObjectiveConfig, attach

ROWS = [
    {"prompt": f"What is {a} plus {b} ?", "completion": f" The answer is {a + b} ."}
    for a in range(10)
    for b in range(10)
]


def main(argv: list[str]) -> None:
    torch.manual_seed(0)
    if argv:
        model, tokenizer = AutoModelForCausalLM.from_pretrained(argv[0]), AutoTokenizer.from_pretrained(argv[0])
    else:
        tokenizer = word_tokenizer()
        model = AutoModelForCausalLM.from_config(
            LlamaConfig(vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                        num_attention_heads=4, num_key_value_heads=4, pad_token_id=tokenizer.pad_token_id,
                        bos_token_id=None, eos_token_id=tokenizer.eos_token_id)
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        trainer = BALoraSFTTrainer(
            attach(model, AdapterConfig(rank=4)),
            SFTConfig(
                folder,
                max_steps=30,
                per_device_train_batch_size=8,
                learning_rate=5e-3,
                logging_steps=10,
                gradient_checkpointing=False,
                bf16=False,
                use_cpu=not torch.cuda.is_available(),
                report_to="none",
                disable_tqdm=True,
            ),
            objective=ObjectiveConfig.preset("ba-lora", family="nlg"),
            train_dataset=Dataset.from_list(ROWS),
            processing_class=tokenizer,
        )
        trainer.train()  # logs the loss, and each term with its λ and its share of the gradient


def word_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer whose tokens are the words of ROWS."""
    words = sorted({word for row in ROWS for text in row.values() for word in text.split()})
    vocabulary = {word: number for number, word in enumerate(["<unk>", "<pad>", "<eos>", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>", eos_token="<eos>")


if __name__ == "__main__":
    main(sys.argv[1:])
