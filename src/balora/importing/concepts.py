"""Read a plan's words as concepts: each is part of a known phrase, filler, a number, or not understood."""

import re
from typing import NamedTuple

from balora.importing.clean_text import plain, word_set

PHRASES: dict[str, str] = {
    # concept: its phrases, separated by commas; a star matches any ending
    "init": "init, initializ*, initialization value*, starting point, start",
    "initial": "initial, as initialized",
    "pissa": "pissa, pissa s, principal singular values and singular vectors adaptation",
    "principal": "principal component*, principal singular vector*, principal singular value*, "
    "principal singular component*",
    "svd": "svd, singular value decomposition",
    "minor": "minor component*, minor singular component*, minor singular value*, minor singular vector*, milora, "
    "smallest singular component*, smallest singular value*, smallest singular vector*",
    "orthonormal": "orthonormal, orthonormal direction*, orthonormal vector*, orthonormal factor*",
    "random_matched": "random matched",
    "singular": "singular value*, same singular value*, leading singular value*, top singular value*, "
    "largest singular value*",
    "spectral": "spectral, svdr, lsvdr, lsvd, l svdr",
    "consistency": "consistency, lcr, l cr",
    "diversity": "diversity, ldr, l dr",
    "regularizer": "regulariz*, regularization term*, penalty, penalties",
    "loss": "loss, losses, loss function*, loss term*",
    "task_loss": "task loss, cross entropy, cross entropy loss, task loss alone, task loss only",
    "all": "all, all three, three, every, entire, complete, whole, both, all tasks, both tasks",
    "only": "only, alone, solely",
    "without": "no, without, none, nothing, removed, disabled, off",
    "formulation": "formulation*, formula, formulas, formulae, functional form*",
    "task_specific": "task specific, task dependent, task tailored, family specific",
    "nlu": "nlu, nlu task*, natural language understanding, natural language understanding task*",
    "nlg": "nlg, nlg task*, natural language generation, natural language generation task*",
    "versus": "vs, versus",
    "joined": "and, plus, together with, as well as",
    "swap": "swap*, exchang*, vice versa, interchang*, other family s, the other family",
    "matched": "matched gradient*, gradient matched, matched initial gradient*, same initial gradient*",
    "lora": "lora, low rank adaptation, lora matrix, lora matrices, low rank matrix, low rank matrices",
    "adapter": "adapter*, lora adapter*, low rank adapter*, low rank decomposition",
    "balora": "ba lora, balora",
    "peft": "peft, parameter efficient fine tuning, parameter efficient finetuning",
    "finetuning": "fine tuning, finetuning",
    "full": "full fine tuning, full finetuning, full parameter fine tuning, fft",
    "rank": "rank, ranks, rank r",
    "alpha": "alpha, lora alpha",
    "scaling": "scaling, scaling factor, scale factor",
    "learning_rate": "learning rate*, lr, peak learning rate",
    "schedule": "schedul*, annealing, learning rate decay",
    "two_phase": "two phase, two phase schedule",
    "cosine": "cosine, cosine decay, cosine annealing",
    "linear": "linear, linear decay",
    "constant": "constant, fixed, static",
    "warmup": "warmup, warm up",
    "dropout": "dropout, dropout rate, lora dropout",
    "weight_decay": "weight decay",
    "smoothing": "label smoothing",
    "l2_start": "l2 sp, l2 to the start, l2 to start, l2 to the starting point, l2 starting point",
    "clipping": "gradient clipping, max grad norm, gradient norm clipping",
    "batch": "batch size, batch sizes",
    "epochs": "epochs, training epochs, epoch count",
    "steps": "training steps, optimizer steps",
    "precision": "precision, number format, numerical precision",
    "bfloat16": "bf16, bfloat16",
    "float32": "fp32, float32",
    "temperature": "temperature, temperatures",
    "temperature_t": "temperature t, t temperature, t",
    "k": "k",
    "topk": "top k, top",
    "number": "number of, the number of",
    "entropy": "entropy, entropies, entropy loss",
    "vocabulary": "vocabulary, probabilit*",
    "full_vocabulary": "over the whole vocabulary, over the full vocabulary, full vocabulary, whole vocabulary, "
    " entire vocabulary, all probabilit*",
    "covariance": "covariance, covariance loss, covariance penalty, off diagonal covariance",
    "kl": "kl, kl divergence, kl divergence loss, kullback leibler, kullback leibler divergence",
    "mse": "mse, mse loss, mean squared error, mean square error, mean squared error loss",
    "nuclear": "nuclear, nuclear norm, nuclear norm ratio",
    "frobenius": "frobenius, frobenius norm",
    "norm": "normalization, normalizer, denominator",
    "weight": "weight, weights, coefficient*, strength, strengths, weighting",
    "lambda": "lambda, lambdas, lambda weight*, lambda value*",
    "lambda1": "lambda1",
    "lambda2": "lambda2",
    "lambda3": "lambda3",
    "hyperparameter": "hyperparameter*, hyper parameter*",
    "edition": "edition, editions, paper version, published version",
    "arxiv": "arxiv, arxiv v5",
    "iclr": "iclr, iclr 2026",
    "reference_head": "reference head, reference classification head, reference s head, reference model s head, "
    "reference model head, "
    "reference model classification head, reference model s classification head, "
    "classification head of the reference, classification head of the reference model, head of the reference, "
    "head of the reference model",
    "probe": "probe, probed, linear probe, linear probing, probing, fitted on frozen features, fitted probe",
    "modules": "target module*, target layer*, adapted module*, adapted layer*, lora target*",
    "all_linear": "all linear, all linear layer*, every linear layer, all linear module*",
    "rslora": "rslora, rank stabilized lora, rank stabilized, rank stabilized scaling",
    "dora": "dora, weight decomposed lora, weight decomposed low rank adaptation",
    "standard": "standard, vanilla, conventional",
    "default": "default, original, ordinary, plain",
    "random": "random, randomly, gaussian, random normal, normal, scaled normal, a scaled normal, random gaussian",
    "a_zero": "a zero, a 0, a initialized to zero, a initialized with zero*, a set to zero",
    "b_zero": "b zero, b 0, zero b, b initialized to zero, b initialized with zero*, b set to zero, b to zero, "
    "zeros for b, zero for b, b initialized to 0",
    "randomized": "randomized, fast, approximate",
    "exact": "exact, full precision",
}  # fmt: skip
FILLER = word_set(
    "a an the of for in on within to used use using by with from that is are its it this these their our as based "
    "method methods approach scheme strategy strategies technique mechanism component components framework "
    "value values setting settings choice choices type types variant variants design specific mathematical "
    "proposed parameter parameters term terms inherited adopted between across various different factor "
    "matrices matrix b level levels instead e g i r size"
)
"""Words that do not change which part is meant."""
_GREEK = {"λ": "lambda", "α": "alpha", "β": "beta", "γ": "gamma", "η": "eta", "τ": "tau", "σ": "sigma"}
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_NUMBER = re.compile(r"-?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?%?", re.I)
_TOKEN = re.compile(r"(?<![\w.])-?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?%?(?![\w%])|[^\W_]+|[^\w\s]", re.I)
_BENIGN = set(".:()[]{}'-=&?!#*_…·•+/|")
_BARRIERS = set(",;")
"""Punctuation that ends a phrase: `A zero, B random` does not contain `zero, B`."""


class Reading(NamedTuple):
    """The concepts and numbers in a text."""

    concepts: frozenset[str]
    numbers: tuple[float, ...]
    percent: bool
    unknown: tuple[str, ...]
    """Words that are not understood; a text with any of them is left open."""


def read(text: str) -> Reading:
    """Return the concepts and numbers in ``text``; where several phrases match, the longest wins."""
    tokens = _tokens(text)
    concepts, numbers, unknown, at, percent = set(), [], [], 0, False
    while at < len(tokens):
        concept, length = _phrase(tokens, at)
        token = tokens[at]
        if concept:
            concepts.add(concept)
        elif _NUMBER.fullmatch(token):
            numbers.append(float(token.rstrip("%")))
            percent |= token.endswith("%")
        elif token not in FILLER and token not in _BARRIERS:
            unknown.append(token)
        at += length
    return Reading(frozenset(concepts), tuple(numbers), percent, tuple(unknown))


def _tokens(text: str) -> list[str]:
    text = re.sub(r"(?<![\d.])10([⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)", lambda m: f"10^{m[1].translate(_SUPERSCRIPT)}", text)
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: f"^{m[0].translate(_SUPERSCRIPT)}", text)  # 2⁴ is not 24
    text = plain(text)
    for letter, name in _GREEK.items():
        text = text.replace(letter, name)
    text = re.sub(r"\\(?:mathcal|mathrm|mathbf|mathit|text|operatorname)\b|[\\${}]", "", text)
    text = re.sub(r"\b(lambda|l)_(?=[a-z0-9])", r"\1", text)
    text = re.sub(r"(\d+(?:\.\d+)?)\s*[x×*]\s*10\^([+-]?\d+)", r"\1e\2", text)
    text = re.sub(r"(?<![\d.])10\^([+-]?\d+)", r"1e\1", text)
    text = re.sub(r"is(ation|ed|er|ers|ing|es?)\b", r"iz\1", text)
    tokens = _TOKEN.findall(text)
    return [token for at, token in enumerate(tokens) if token not in _BENIGN or _changes_a_number(tokens, at)]


def _changes_a_number(tokens: list[str], at: int) -> bool:
    """Whether a sign stands before a number and changes it: `1/255` and `+5` are not read as 1, 255 or 5."""
    following = tokens[at + 1] if at + 1 < len(tokens) else ""
    return tokens[at] in "/+*" and bool(following) and following[0].isdigit()


def _phrase(tokens: list[str], at: int) -> tuple[str | None, int]:
    for length in range(min(_LONGEST, len(tokens) - at), 0, -1):
        for words, concept in _BY_LENGTH.get(length, {}).get(tokens[at][:1], ()):
            if all(_fits(token, word) for token, word in zip(tokens[at : at + length], words, strict=True)):
                return concept, length
    return None, 1


def _fits(token: str, word: str) -> bool:
    return token.startswith(word[:-1]) if word.endswith("*") else token == word


def _index() -> dict[int, dict[str, list[tuple[list[str], str]]]]:
    index: dict[int, dict[str, list[tuple[list[str], str]]]] = {}
    for concept, phrases in PHRASES.items():
        for phrase in phrases.split(", "):
            words = phrase.split()
            index.setdefault(len(words), {}).setdefault(words[0][0], []).append((words, concept))
    return index


_BY_LENGTH = _index()
_LONGEST = max(_BY_LENGTH)
