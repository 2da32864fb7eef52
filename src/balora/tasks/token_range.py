"""Check that a model has an embedding for every token of the rows, and pad with one that it has; torch-free."""

from typing import Any

from balora.errors import ModelError, shown
from balora.tasks.prepared import Encoded, Prepared, pad_id_of


def within_embeddings(prepared: Prepared, model: Any, tokenizer: Any) -> Prepared:
    """Return ``prepared``, padded with a token that ``model`` can look up: padding is masked, so any will do.

    Raises:
        ModelError: a row holds a token for which the model has no embedding; names the token.
    """
    tokens = model.get_input_embeddings().weight.shape[0]
    for name, rows in (("training", prepared.train), ("evaluation", prepared.eval)):
        for row in rows:
            if max(row["input_ids"]) >= tokens:
                raise _beyond(row, name, tokens, tokenizer)
    return prepared._replace(pad_id=pad_id_of(tokenizer, tokens))


def _beyond(row: Encoded, name: str, tokens: int, tokenizer: Any) -> ModelError:
    id = max(row["input_ids"])
    return ModelError(
        f"{name} row {row['index'] + 1}: token {shown(tokenizer.convert_ids_to_tokens(id))} has the id {id:,}, but the "
        f"model has embeddings for {tokens:,} tokens only: use the tokenizer that the model was trained with, or "
        "resize the model's embeddings and save it"
    )
