"""Build the language's tokenizer, one token per word, in the standard `tokenizers` format."""

from typing import Any

from balora.settings import Family
from balora.tasks.testbed.config import TestbedConfig
from balora.tasks.testbed.lexicon import vocabulary

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
START, PAD, END, UNKNOWN, MASK = range(len(SPECIAL))
"""The same numbers as RoBERTa's first four."""


def word_ids(config: TestbedConfig) -> dict[str, int]:
    """Return the number of every word and special token."""
    return {word: number for number, word in enumerate([*SPECIAL, *vocabulary(config.people)])}


def build_tokenizer(config: TestbedConfig, family: Family) -> Any:
    """Return a `PreTrainedTokenizerFast`: words between white space, `<s> A </s></s> B </s>` for the encoder (`nlu`),
    `<s> A` for the decoder (`nlg`), whose end token marks the end of an answer.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel(word_ids(config), unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    numbers = [("<s>", START), ("</s>", END)]
    single, pair = ("<s> $A </s>", "<s> $A </s> </s> $B </s>") if family == "nlu" else ("<s> $A", "<s> $A $B")
    inner.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=numbers)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>", mask_token="<mask>",
        cls_token="<s>", sep_token="</s>",
        model_max_length=POSITIONS[family],
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


POSITIONS: dict[Family, int] = {"nlu": 64, "nlg": 256}
"""The most tokens a model of each family reads."""
