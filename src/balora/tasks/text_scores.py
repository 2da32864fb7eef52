"""Compare a generated text with its reference: equal, contained, same final answer, ROUGE-L, chrF; torch-free.

Each function of one text returns 0 to 1. ROUGE-L and chrF are computed by rouge-score and sacrebleu with their default
settings, imported at first use.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from balora.tasks.answers import final_answer, gold_answer, normalise_text, same_result, same_text

ROUGE_TOKEN = re.compile("[a-z0-9]", re.IGNORECASE)


def text_equals(prediction: str, reference: str) -> float:
    """Return 1 where both texts agree in Unicode NFKC, without case, with any white space as one blank."""
    return float(same_text(prediction, reference))


def text_contains(prediction: str, reference: str) -> float:
    """Return 1 where the reference, normalised as in :func:`text_equals`, stands anywhere in the prediction."""
    return float(normalise_text(reference) in normalise_text(prediction))


def same_final_answer(prediction: str, reference: str) -> float:
    """Return 1 where both texts have the same final answer, as for GSM8K (:mod:`balora.tasks.answers`)."""
    gold = gold_answer(reference)
    return float(gold is not None and same_result(final_answer(prediction), gold))


def has_final_answer(reference: str) -> bool:
    """Return whether a reference's final answer can be read with certainty."""
    return gold_answer(reference) is not None


def rouge_l(prediction: str, reference: str) -> float:
    """Return ROUGE-L: F1 of the longest common subsequence of words (Lin 2004), without stemming."""
    return float(_rouge_scorer().score(reference, prediction)["rougeL"].fmeasure)


def has_rouge_tokens(reference: str) -> bool:
    """Return whether a reference has letters a to z or digits, the only ones that rouge-score reads."""
    return ROUGE_TOKEN.search(reference) is not None


def sentence_chrf(prediction: str, reference: str) -> float:
    """Return chrF2 of one text: F2 of its character n-grams up to six (Popović 2015)."""
    return float(_chrf().sentence_score(prediction, [reference]).score) / 100


def corpus_chrf(predictions: Sequence[str], references: Sequence[str]) -> float:
    """Return chrF2 with the n-grams of all texts counted together, which is not the mean over the texts."""
    return float(_chrf().corpus_score(list(predictions), [list(references)]).score) / 100


@cache
def _rouge_scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer  # type: ignore[import-untyped]

    return RougeScorer(["rougeL"], use_stemmer=False)


@cache
def _chrf() -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()
