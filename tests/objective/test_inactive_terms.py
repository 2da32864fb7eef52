"""Terms that cannot act: the reasons of method.md §7 as said, and that each is true and none is missing."""

import itertools

import pytest
import torch
from objective_cases import FORMULATIONS, config_of, weighted

from balora.errors import InputError
from balora.objective import Objective, ObjectiveConfig
from balora.objective.inactive import inactive_terms
from balora.objective.regularizers import REGULARIZERS

NLU = ObjectiveConfig.preset("ba-lora", family="nlu")
NLG_FORMS = ObjectiveConfig.preset("ba-lora", family="nlu", formulation="nlg")


@pytest.mark.parametrize(
    ("config", "shape", "reasons"),
    [
        (NLU, (8, 2), {"spectral": "k = 5 ≥ min(N, D) = 2: the nuclear ratio is -1 whatever the logits are"}),
        (NLU, (5, 9), {"spectral": "k = 5 ≥ min(N, D) = 5: the nuclear ratio is -1 whatever the logits are"}),
        (NLU, (6, 9), {}),
        (
            NLU,
            (8, 1),
            {
                "diversity": "one output: its covariance with others and its entropy are constants",
                "spectral": "logits of 8 row(s) × 1 output(s) have one singular value: the ratio is -1",
            },
        ),
        (
            NLU,
            (1, 3),
            {
                "diversity": "a covariance needs two rows, the batch has 1",
                "spectral": "logits of 1 row(s) × 3 output(s) have one singular value: the ratio is -1",
            },
        ),
        (NLU, (0, 3), dict.fromkeys(("consistency", "diversity", "spectral"), "no rows")),
        (NLG_FORMS, (0, 3), dict.fromkeys(("consistency", "diversity", "spectral"), "no rows")),
        (NLG_FORMS, (8, 3), {}),  # the Frobenius ratio can act with k ≥ min(N, D), and the K of 20 is cut to 3
        (
            ObjectiveConfig.preset("lora", family="nlu"),
            (8, 3),
            dict.fromkeys(("consistency", "diversity", "spectral"), "λ = 0"),
        ),
        (
            NLG_FORMS.replace(diversity={"weight": 1.0, "top_k": 1}),
            (8, 3),
            {"diversity": "top_k = 1: the entropy of a single probability is 0"},
        ),
    ],
)
def test_a_term_without_gradient_is_named_with_its_reason(
    config: ObjectiveConfig, shape: tuple[int, int], reasons: dict[str, str]
) -> None:
    assert inactive_terms(config, *shape) == reasons


@pytest.mark.parametrize(("edition", "formulation"), FORMULATIONS)
@pytest.mark.parametrize("top_k", [None, 1, 2, 20])
def test_a_term_is_named_if_and_only_if_its_gradient_is_zero(edition, formulation, top_k) -> None:  # type: ignore[no-untyped-def]
    config = config_of(edition, formulation, family="nlu")
    config = config.replace(diversity=config.diversity.replace(top_k=top_k))
    for rows, outputs, k in itertools.product((1, 2, 3, 6), (1, 2, 3, 7), (1, 2, 3, 6)):
        case = config.replace(spectral=config.spectral.replace(k=k))
        generator = torch.Generator().manual_seed(rows * outputs)
        z, reference = torch.randn(2, rows, outputs, generator=generator, dtype=torch.float64).unbind()
        z = z.clone().requires_grad_()
        for term, regularizer in REGULARIZERS.items():
            try:
                (gradient,) = torch.autograd.grad(regularizer.from_logits(case, z, reference), z)
                acts = gradient.abs().max().item() > 1e-12  # roundings of float64 around zero
            except InputError:
                acts = False
            assert acts == (term not in inactive_terms(case, rows, outputs)), (term, rows, outputs, k, top_k)


@pytest.mark.parametrize("term", ["consistency", "diversity", "spectral"])
def test_a_term_named_inactive_is_not_computed(term: str) -> None:
    config = weighted(NLU, **{term: 1.0})
    rows = {"consistency": (0, 3), "diversity": (1, 3), "spectral": (4, 3)}[term]
    terms = Objective(config).from_logits(torch.randn(rows), torch.randn(rows), torch.zeros(rows[0], dtype=torch.long))
    assert term in terms.inactive
    assert getattr(terms, term) is None
    assert terms.weights == {}
    assert set(terms.values()) == {"task"}


def test_a_term_that_only_waits_for_its_schedule_is_not_inactive() -> None:
    config = ObjectiveConfig.preset("ba-lora", family="nlg")
    z, reference, labels = torch.randn(30, 40), torch.randn(30, 40), torch.zeros(30, dtype=torch.long)
    waiting = Objective(config).from_logits(z, reference, labels, progress=0.1)
    assert waiting.inactive == {}
    assert waiting.diversity is None
    assert waiting.spectral is None
    assert set(waiting.weights) == {"consistency"}
    assert set(Objective(config).from_logits(z, reference, labels, progress=0.3).weights) == {
        "consistency",
        "diversity",
        "spectral",
    }


def test_top_k_is_cut_to_the_classes_of_an_understanding_task_only() -> None:
    assert NLG_FORMS.diversity.used_k(3, "nlu") == 3
    assert NLG_FORMS.diversity.used_k(20, "nlu") == 20
    assert NLG_FORMS.diversity.used_k(21, "nlu") == 20
    assert NLU.diversity.used_k(3, "nlu") is None
    generation = ObjectiveConfig.preset("ba-lora", family="nlg")
    assert generation.diversity.used_k(20, "nlg") == 20
    message = r"`objective.diversity.top_k` must be at most the vocabulary V = 19, got 20"
    with pytest.raises(InputError, match=message):
        generation.diversity.used_k(19, "nlg")
    with pytest.raises(InputError, match=message):
        inactive_terms(generation, 8, 19)


def test_an_unused_top_k_above_the_vocabulary_is_no_error() -> None:
    config = ObjectiveConfig.preset("pissa", family="nlg")
    assert config.diversity.top_k == 20
    head = torch.nn.Linear(4, 7).requires_grad_(False)
    hidden, labels = torch.randn(5, 4), torch.zeros(5, dtype=torch.long)
    by_hidden = Objective(config).from_hidden(hidden, None, head, labels)
    by_logits = Objective(config).from_logits(head(hidden), None, labels)
    torch.testing.assert_close(by_hidden.loss, by_logits.loss)
