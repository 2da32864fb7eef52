"""A tokenizer that spells every token as its number."""


class Numbers:
    """Has no end token and no chat template."""

    chat_template = None
    eos_token_id, pad_token_id = None, 0

    def decode(self, tokens: list[int], skip_special_tokens: bool, clean_up_tokenization_spaces: bool) -> str:
        return " ".join(map(str, tokens))
