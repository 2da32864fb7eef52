"""Plans in words become settings: which words are understood, and which leave a change open."""

from collections.abc import Iterator
from itertools import product
from typing import Any, get_type_hints

import pytest

from balora.adapters.config import AdapterConfig
from balora.importing.concepts import FILLER, PHRASES, read
from balora.importing.parts import COMMON, NEAR, PARTS, Part
from balora.importing.recognise import Bound, Open, recognise, settable
from balora.objective.config import ConsistencyTerm, DiversityTerm, SpectralTerm
from balora.study.design.arms import specifications
from balora.study.design.deltas import checked
from balora.study.design.study import Arm, Study
from balora.training.spec import TrainingConfig, setting_keys

BOTH = ("nlu", "nlg")
STANDARD = {"adapter.init": "standard"}
NONE = {"objective.preset": "none"}
SWAPPED = {"objective.formulation": "swapped"}
C, D, S = "objective.consistency", "objective.diversity", "objective.spectral"

BOUND: list[tuple[str, str, str | None, dict[str, Any]]] = [
    ("Initialization strategy for LoRA matrices A and B", "replace", "Standard LoRA Initialization", STANDARD),
    ("Initialisation of the adapters", "replace",
        "standard LoRA (A initialized with scaled normal, B initialized to zero)", STANDARD),
    ("SVD-based initialization", "replace", "Random Initialization", STANDARD),
    ("SVD–based initialization", "replace", "“random” initialization", STANDARD),
    ("PiSSA", "remove", None, STANDARD),
    ("the PiSSA initialization", "remove", None, STANDARD),
    ("Initialization", "replace", "PiSSA", {"adapter.init": "pissa"}),
    ("PiSSA initialization", "replace", "randomized SVD", {"adapter.svd": "randomized"}),
    ("PiSSA initialization", "replace", "MiLoRA", {"adapter.init": "minor"}),
    ("Initialization", "replace", "minor singular components (MiLoRA)", {"adapter.init": "minor"}),
    ("PiSSA", "replace", "the smallest singular values and the smallest singular vectors", {"adapter.init": "minor"}),
    ("PiSSA initialization", "replace", "random-matched", {"adapter.init": "random-matched"}),
    ("PiSSA initialization", "replace", "random orthonormal directions with the same singular values",
        {"adapter.init": "random-matched"}),
    ("initialization", "replace", "random orthonormal factors with PiSSA's singular values",
        {"adapter.init": "random-matched"}),
    ("PiSSA initialization and the regularizers", "replace", "standard LoRA", STANDARD | NONE),
    ("Consistency Regularization", "remove", None, {f"{C}.weight": 0.0}),
    ("L_CR", "remove", None, {f"{C}.weight": 0.0}),
    (r"$\mathcal{L}_{DR}$, the diversity regularizer", "remove", None, {f"{D}.weight": 0.0}),
    ("SVD regularizer", "remove", None, {f"{S}.weight": 0.0}),
    ("Singular value decomposition regularization term", "remove", None, {f"{S}.weight": 0.0}),
    ("consistency loss", "replace", "MSE", {f"{C}.form": "mse"}),
    ("diversity regularizer", "replace", "covariance loss", {f"{D}.form": "covariance"}),
    ("diversity regularizer", "replace", "entropy over the whole vocabulary", {f"{D}.form": "entropy",
        f"{D}.top_k": None}),
    ("spectral regularizer", "replace", "Frobenius norm", {f"{S}.norm": "frobenius"}),
    ("Consistency and Diversity regularizers", "remove", None, {f"{C}.weight": 0.0, f"{D}.weight": 0.0}),
    ("consistency and SVD regularizers", "remove", None, {f"{C}.weight": 0.0, f"{S}.weight": 0.0}),
    ("diversity and spectral regularization", "remove", None, {f"{D}.weight": 0.0, f"{S}.weight": 0.0}),
    ("consistency, diversity, and SVD regularization", "remove", None, NONE),
    ("all three regularizers", "remove", None, NONE),
    ("Regularization Terms", "remove", None, NONE),
    ("regularizers", "replace", "only the consistency regularizer", {f"{D}.weight": 0.0, f"{S}.weight": 0.0}),
    ("regularizers", "replace", "no regularization", NONE),
    ("regularizers", "replace", "weight decay of 0.1", NONE | {"training.weight_decay": 0.1}),
    ("task-specific formulations of the regularizers", "replace", "the NLU formulations for NLG tasks and vice versa",
        SWAPPED),
    ("Formulations of Consistency and Diversity regularizers for NLU vs. NLG", "replace", "swapped", SWAPPED),
    ("regularizer formulations", "replace", "NLG formulation for all tasks", {"objective.formulation": "nlg"}),
    ("formulations", "replace", "swapped, with matched gradients", SWAPPED | {"objective.matching": "gradient"}),
    ("Rank of low-rank matrices A and B", "replace", "4", {"adapter.rank": 4}),
    ("LoRA rank (r)", "add", "r = 64", {"adapter.rank": 64}),
    ("alpha", "replace", "32", {"adapter.alpha": 32}),
    ("scaling factor", "replace", "rank-stabilized", {"adapter.variant": "rslora"}),
    ("LoRA", "replace", "DoRA", {"adapter.variant": "dora"}),
    ("rsLoRA", "add", None, {"adapter.variant": "rslora"}),
    ("DoRA", "add", "weight-decomposed low-rank adaptation", {"adapter.variant": "dora"}),
    ("BA-LoRA", "replace", "PiSSA", {"method": "pissa"}),
    ("fine-tuning method", "replace", "full fine-tuning", {"method": "full"}),
    ("LoRA adapters", "replace", "full fine-tuning with regularization", {"method": "full+reg"}),
    ("learning rate", "replace", "2×10⁻⁴", {"training.learning_rate": 2e-4}),
    ("learning rate", "replace", "10^{-4}", {"training.learning_rate": 1e-4}),
    ("LR scheduler", "replace", "linear decay", {"training.lr_schedule": "linear"}),
    ("warm-up", "replace", "10%", {"training.warmup": 0.1}),
    ("warmup", "remove", None, {"training.warmup": 0.0}),
    ("weight decay", "add", "0.01", {"training.weight_decay": 0.01}),
    ("regularizers", "replace", "label smoothing 0.1", NONE | {"training.label_smoothing": 0.1}),
    ("L2-SP", "add", "0.001", {"training.l2_start": 0.001}),
    ("dropout", "add", "5%", {"adapter.dropout": 0.05}),
    ("batch size", "replace", "32", {"training.batch_size": 32}),
    ("temperature of the KL divergence", "replace", "T = 4", {f"{C}.temperature": 4}),
    ("number of leading singular values k", "replace", "k=5", {f"{S}.k": 5}),
    ("top-K entropy", "replace", "K = 50", {f"{D}.top_k": 50}),
    ("top-K of the entropy", "remove", None, {f"{D}.top_k": None}),
    ("λ₁", "replace", "0.5", {f"{C}.weight": 0.5}),
    (r"$\lambda_2$", "replace", "λ2 = 0.5", {f"{D}.weight": 0.5}),
    ("weight of the SVD regularizer", "replace", "1e-3", {f"{S}.weight": 1e-3}),
    ("regularization weights", "replace", "λ1 = 0.1, λ2 = 0.2", {f"{C}.weight": 0.1, f"{D}.weight": 0.2}),
    ("hyperparameters", "replace", "rank = 8", {"adapter.rank": 8}),
    ("λ schedules", "remove", None, {f"{term}.schedule": "constant" for term in (C, D, S)}),
    ("two-phase schedule", "remove", None, {f"{D}.schedule": "constant", f"{S}.schedule": "constant"}),
    ("cosine schedule of λ1", "replace", "constant", {f"{C}.schedule": "constant"}),
    ("edition", "replace", "arXiv v5", {"objective.edition": "arxiv-v5"}),
    ("reference model's classification head", "replace", "linear probe", {"objective.reference_head": "probe"}),
    ("target modules", "replace", "q_proj, v_proj", {"adapter.target_modules": ["q_proj", "v_proj"]}),
    ("number format", "replace", "bf16", {"training.precision": "bfloat16"}),
]  # fmt: skip

OPEN: list[tuple[str, str | None, str | None, str]] = [
    ("SVD", "remove", None, "ambiguous: svd"),
    ("SVD initialization and SVD regularizer", "remove", None, "ambiguous"),
    ("PiSSA initialization and SVD regularizer", "remove", None, "ambiguous"),
    ("top-k", "replace", "5", "ambiguous: topk"),
    ("k", "replace", "5", "ambiguous: k"),
    ("temperature", "replace", "0.7", "ambiguous: temperature"),
    ("schedule", "replace", "constant", "ambiguous: schedule"),
    ("weight initialization", "replace", "random", "ambiguous"),
    ("initialization", "remove", None, "without naming what replaces it"),
    ("initialization", "replace", "Xavier/Glorot", "not understood: 'xavier'"),
    ("initialization", "replace", "orthogonal", "'orthogonal'"),
    ("initialization", "replace", "random orthonormal", "does not name exactly one setting"),
    ("initialization", "replace", "PiSSA and minor singular components", "does not name exactly one setting"),
    ("BA-LoRA", "replace", "MiLoRA", "without it this would be another method"),
    ("minor components", "remove", None, "ambiguous"),
    ("initialization", "replace", "original initialization", "does not name exactly one setting"),
    ("initialization", "replace", "A zero, B random", "does not name exactly one setting"),
    ("initialization", "replace", "A zero B random", "does not name exactly one setting"),
    ("initialization", "replace", "random Gaussian for both A and B", "does not name exactly one setting"),
    ("initialization", "replace", "no PiSSA", "does not name exactly one setting"),
    ("LoRA", "remove", None, "without it this would be another method"),
    ("BA-LoRA", "remove", None, "without it this would be another method"),
    ("LoRA", "replace", "full fine-tuning", "without it this would be another method"),
    ("BA-LoRA adapter", "replace", "full fine-tuning without regularization", "may mean: low-rank adapter, the method"),
    ("rank", "remove", None, "no setting for removing rank"),
    ("rank", "replace", None, "names no replacement"),
    ("rank", "replace", "> 8", "'>'"),
    ("rank", "replace", "8x", "'8x'"),
    ("rank", "replace", "r/2", "'/'"),
    ("rank", "replace", "2⁴", r"'\^'"),
    ("rank", "replace", "10%", "does not name exactly one setting"),
    ("rank", "replace", "from 4 to 8", "does not name exactly one setting"),
    ("rank", "replace", "4-8", "does not name exactly one setting"),
    ("rank", "replace", "higher", "'higher'"),
    ("training steps", "replace", "1,000", "does not name exactly one setting"),
    ("not the rank", "replace", "8", "'not'"),
    ("consistency or diversity regularizer", "remove", None, "'or'"),
    ("each regularization term", "remove", None, "'each'"),
    ("consistency regularizer", "replace", "cosine similarity", "'similarity'"),
    ("consistency regularizer", "add", None, "names no replacement"),
    ("consistency regularizer for NLU tasks", "replace", "MSE", "NLU tasks only"),
    ("consistency regularizer", "replace", "MSE on NLG", "NLG tasks only"),
    ("consistency formulation", "replace", "swapped", "does not name exactly one setting"),
    ("consistency weight", "remove", None, "without naming what replaces it"),
    ("regularization weights", "replace", "0.1", "name each weight"),
    ("regularization weights", "replace", "λ1 = 0.1, λ1 = 0.2", "name each weight"),
    ("hyperparameters", "replace", "learning rate", "name the setting and its value"),
    ("scaling factor", "replace", "0.5", "set `adapter.alpha` to s·rank"),
    ("regularizers", "replace", "weight decay", "does not name exactly one setting"),
    ("L2 regularization", "add", "0.1", "'l2'"),
    ("attention heads", "remove", None, "'attention', 'heads'"),
    ("the model's component", "remove", None, "'model'"),
    ("the", "remove", None, "no setting for its part"),
    ("rank", None, "8", "none of REMOVE"),
]  # fmt: skip


@pytest.mark.parametrize(("part", "action", "replacement", "delta"), BOUND)
def test_words_with_one_meaning_are_bound(
    part: str, action: str, replacement: str | None, delta: dict[str, Any]
) -> None:
    found = recognise(part, action, replacement, BOTH)  # type: ignore[arg-type]
    assert isinstance(found, Bound), found
    assert found.delta == delta


@pytest.mark.parametrize(("part", "action", "replacement", "why"), OPEN)
def test_words_with_none_or_several_meanings_stay_open(
    part: str, action: str, replacement: str | None, why: str
) -> None:
    found = recognise(part, action, replacement, BOTH)  # type: ignore[arg-type]
    assert isinstance(found, Open), found
    assert any(piece in found.reason for piece in why.replace("\\", "").split("|")), found.reason
    assert found.may_stand
    assert set(found.may_stand) <= set(settable())


def test_the_suggested_settings_follow_the_words() -> None:
    near = recognise("initialization", "replace", "orthogonal", BOTH)
    assert isinstance(near, Open)
    assert near.may_stand == ("adapter.init", "adapter.svd")
    lost = recognise("attention heads", "remove", None, BOTH)
    assert isinstance(lost, Open)
    assert lost.may_stand == tuple(settable())


def test_a_study_of_one_family_takes_what_is_meant_for_it() -> None:
    found = recognise("consistency regularizer for NLU tasks", "replace", "MSE", ("nlu",))
    assert isinstance(found, Bound)
    assert isinstance(recognise("consistency regularizer for NLU tasks", "replace", "MSE", ("nlg",)), Open)


def test_a_swap_of_two_named_terms_says_that_it_swaps_all() -> None:
    found = recognise("formulations of the consistency and diversity regularizers", "replace", "swapped", BOTH)
    assert isinstance(found, Bound)
    assert "all three" in found.note


def deltas(part: Part) -> Iterator[dict[str, Any]]:
    """Yield everything that a part may be bound to."""
    yield from filter(None, (part.remove, part.add))
    yield from (means.delta for means in part.replace)


GROUPS = {
    "adapter": AdapterConfig, "training": TrainingConfig, C: ConsistencyTerm, D: DiversityTerm, S: SpectralTerm,
}  # fmt: skip
STUDY = Study(study="s", question="q", base="ba-lora", arms={"a": Arm(set="???")})


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_every_setting_in_the_table_makes_a_valid_run(part: Part) -> None:
    for delta in deltas(part):
        assert len(specifications(STUDY, checked(delta))) == 2
    assert part.settings <= {*setting_keys(), "method"}
    if part.number:
        whole = get_type_hints(GROUPS[part.number.rsplit(".", 1)[0]])[part.number.rsplit(".", 1)[1]] in (
            int,
            int | None,
        )
        specifications(STUDY, checked({part.number: 2 if whole else 0.01}))


def test_the_tables_name_concepts_and_settings_that_exist() -> None:
    known = set(PHRASES)
    assert known >= COMMON
    for part in PARTS:
        for text in (part.named, part.besides, part.remove_named, *(f"{m.named} {m.besides}" for m in part.replace)):
            assert set(text.replace("|", " ").split()) <= known, part.name
    assert set(NEAR) <= known
    for key in {key for keys in NEAR.values() for key in keys.split()}:
        assert any(name == key or name.startswith(f"{key}.") for name in settable()), key


def test_no_text_names_two_parts_of_the_table() -> None:
    """An alternative's own words name its part; where another part fits too, nothing would ever be bound."""
    shadowed = {
        f"{part.name}: {alternative}"
        for part, alternative in ((part, text.strip()) for part in PARTS for text in part.named.split("|"))
        if len({other.name for other in PARTS if fits(other, frozenset(alternative.split()))}) > 1
    }
    assert shadowed == set()


def fits(part: Part, concepts: frozenset[str]) -> bool:
    """Decide by the documented rule, written anew, whether ``concepts`` name ``part``."""
    options = [frozenset(option.split()) for option in part.named.split("|")]
    return any(option <= concepts <= option | set(part.besides.split()) | COMMON for option in options)


@pytest.mark.parametrize(("unknown", "row"), list(product(["banana", "except", ">", "not"], BOUND[::4])))
def test_one_word_that_is_not_understood_leaves_the_change_open(
    unknown: str, row: tuple[str, str, str | None, dict[str, Any]]
) -> None:
    part, action, replacement, _ = row
    assert isinstance(recognise(f"{part} {unknown}", action, replacement, BOTH), Open)  # type: ignore[arg-type]
    if replacement:
        assert isinstance(recognise(part, action, f"{replacement} {unknown}", BOTH), Open)  # type: ignore[arg-type]


def test_numbers_are_read_as_they_are_written() -> None:
    assert read("0.5, 1e-4, .25, 10^-3, 3×10⁻⁵, 10%, -2").numbers == (0.5, 1e-4, 0.25, 1e-3, 3e-5, 10, -2)
    assert read("10%").percent
    assert not read("10").percent
    assert read("2x 4bit 1/8 2⁴ +5").unknown == ("2x", "4bit", "/", "^", "+")
    assert not FILLER & {"not", "no", "or", "each", "model", "zero"}
