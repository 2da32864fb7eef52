"""Log-likelihoods: against a loop over one row and one token at a time, whatever the batch; and what is refused."""

from typing import Any

import pytest
import torch
from measures_cases import POSITIONS, build, reader, tokenizer

from balora.errors import DataError, ModelError, TrainingError
from balora.measures.likelihood import LanguageModel, Tokens, answer_tokens, log_likelihoods, text_tokens

TEXTS = (
    "the cat runs",
    "a dog",
    "who is the old doctor the young nurse was late",
    "they",
    "she was early yes no he is",
)


def one_token_at_a_time(model: Any, row: Tokens, mask: int | None) -> float:
    """The oracle: a forward pass for every token, on what it may see only."""
    total = 0.0
    for place in row.scored:
        ids = list(row.ids)
        if mask is None:
            logits = model(torch.tensor([ids[:place]])).logits[0, -1]
        else:
            ids[place] = mask
            logits = model(torch.tensor([ids])).logits[0, place]
        p = torch.exp(logits.double()) / torch.exp(logits.double()).sum()
        total += float(torch.log(p[row.ids[place]]))
    return total


@pytest.mark.parametrize("kind", ["causal", "masked"])
@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_sums_equal_a_loop_over_tokens_whatever_the_batch(kind: str, batch_size: int) -> None:
    lm = reader(kind, batch_size)
    rows = [text_tokens(lm, text, "a file:1") for text in TEXTS]
    mask = lm.tokenizer.mask_token_id if kind == "masked" else None
    with torch.no_grad():
        slow = [one_token_at_a_time(lm.model, row, mask) for row in rows]
    assert log_likelihoods(lm, rows) == pytest.approx(slow, rel=1e-4)
    assert [len(row.scored) for row in rows] == [len(text.split()) for text in TEXTS]
    assert -60 < min(slow) < max(slow) < -0.5


def test_few_logits_at_once_change_no_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    lm = reader("causal", 64)
    rows = [text_tokens(lm, text, "") for text in TEXTS]
    together, calls = log_likelihoods(lm, rows), []
    monkeypatch.setattr("balora.measures.likelihood.LOGITS_AT_ONCE", 500)
    assert log_likelihoods(lm, rows, lambda done, of: calls.append((done, of))) == pytest.approx(together, rel=1e-4)
    assert calls == [(done, 5) for done in range(1, 6)]


def test_a_causal_text_begins_with_the_start_token_and_is_scored_whole() -> None:
    lm = reader("causal")
    assert text_tokens(lm, "the cat", "") == ("", [1, 5, 7], [1, 2])
    lm.tokenizer.bos_token = None
    assert text_tokens(lm, "the cat", "") == ("", [2, 5, 7], [1, 2]), "the end token, as GPT-2 has"
    lm.tokenizer.eos_token = None
    assert text_tokens(lm, "the cat", "") == ("", [5, 7], [1]), "the first token has nothing before it"


def test_a_masked_text_is_scored_between_its_marks() -> None:
    assert text_tokens(reader("masked"), "the cat", "") == ("", [1, 5, 7, 2], [1, 2])


def test_of_a_prompt_and_an_answer_the_answer_is_scored() -> None:
    lm = reader("causal")
    assert answer_tokens(lm, "the cat", " runs late", "w") == ("w", [1, 5, 7, 17, 20], [3, 4])
    glued = answer_tokens(lm, "the cat run", "s late", "w")
    assert glued.ids == [1, 5, 7, 17, 20], "one token spans the border"
    assert glued.scored == [3, 4], "it belongs to the answer"
    assert answer_tokens(lm, "the cat", "", "w").scored == [2], "nothing was added: the last token"


def test_an_answer_depends_on_its_prompt() -> None:
    lm = reader("causal")
    one, two = (answer_tokens(lm, prompt, " is late", "") for prompt in ("the doctor", "the nurse was early who"))
    alone, whole, prompt = log_likelihoods(
        lm, [one, one._replace(scored=[1, 2, 3, 4]), one._replace(ids=one.ids[:3], scored=[1, 2])]
    )
    assert whole == pytest.approx(prompt + alone, rel=1e-5), (
        "log p(prompt, answer) = log p(prompt) + log p(answer | prompt)"
    )
    assert log_likelihoods(lm, [two])[0] != pytest.approx(alone, rel=1e-3)


def test_the_model_is_left_as_it_was_and_draws_no_number() -> None:
    lm = reader("causal")
    lm.model.train()
    lm.model.model.norm.eval()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    rows = [text_tokens(lm, text, "") for text in TEXTS]
    assert log_likelihoods(lm, rows) == log_likelihoods(reader("causal"), rows)
    assert torch.equal(torch.get_rng_state(), state)
    assert lm.model.training
    assert not lm.model.model.norm.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in lm.model.parameters())


def test_half_precision_is_summed_in_full_precision() -> None:
    lm = reader("causal")
    rows = [text_tokens(lm, text, "") for text in TEXTS]
    half = lm._replace(model=build("causal").to(torch.bfloat16))
    assert log_likelihoods(half, rows) == pytest.approx(log_likelihoods(lm, rows), rel=0.2), "8 bits a number"


@pytest.mark.parametrize(
    ("lm", "text", "kind", "said"),
    [
        (
            reader("causal"),
            "the " * POSITIONS,
            DataError,
            "blimp.jsonl:3: the text has 49 tokens, but the model reads at most 48: leave the row out of the file",
        ),
        (
            reader("masked")._replace(tokenizer=tokenizer("plain")),
            "the cat",
            ModelError,
            "the tokenizer of this masked language model has no mask token: add it to the tokenizer's files",
        ),
    ],
)
def test_rows_that_cannot_be_scored_are_refused(lm: LanguageModel, text: str, kind: Any, said: str) -> None:
    with pytest.raises(kind) as caught:
        log_likelihoods(lm, [text_tokens(lm, text, "blimp.jsonl:3")])
    assert str(caught.value) == said


def test_a_token_beyond_the_embeddings_is_refused() -> None:
    lm = reader("causal")
    lm.tokenizer.add_tokens(["zebra"])
    with pytest.raises(ModelError) as caught:
        log_likelihoods(lm, [text_tokens(lm, "the zebra", "f:1")])
    assert str(caught.value) == (
        "f:1: token 'zebra' has the id 27, but the model has embeddings for 27 tokens only: use the tokenizer that the "
        "model was trained with"
    )


def test_a_probability_that_is_no_number_is_a_failure() -> None:
    lm = reader("causal")
    with torch.no_grad():
        lm.model.lm_head.weight[3] = torch.nan
    with pytest.raises(TrainingError, match="f:7: the model gives a token no finite log-probability"):
        log_likelihoods(lm, [text_tokens(lm, "the cat", "f:7")])


def test_a_text_without_tokens_is_refused() -> None:
    with pytest.raises(DataError, match="f:1: the text has no tokens"):
        log_likelihoods(reader("causal"), [Tokens("f:1", [], [])])
