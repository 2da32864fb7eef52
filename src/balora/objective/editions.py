"""Define the two published editions of BA-LoRA as data: formulas, parameters and weights (method.md §2).

The *formulas* of a term are chosen by the formulation ("nlu" or "nlg"), its *weight* and *schedule* by the
family of the task. They are the same unless formulations are swapped (ablation B), which changes the
formulas and not the task's weights.
"""

from typing import Literal, NamedTuple

from balora.settings import Family

Edition = Literal["arxiv-v5", "iclr-2026"]
ConsistencyForm = Literal["kl", "mse"]
DiversityForm = Literal["covariance", "entropy"]
SpectralNorm = Literal["nuclear", "frobenius"]
Schedule = Literal["constant", "cosine", "two-phase"]


class Formulas(NamedTuple):
    """How one edition writes the three terms for one formulation."""

    consistency: ConsistencyForm
    temperature: float
    diversity: DiversityForm
    top_k: int | None
    spectral: SpectralNorm
    k: int


class Weights(NamedTuple):
    """λ1, λ2, λ3 and their schedules for one family."""

    consistency: float
    diversity: float
    spectral: float
    consistency_schedule: Schedule = "constant"
    other_schedule: Schedule = "constant"


# fmt: off
FORMULAS: dict[tuple[Edition, Family], Formulas] = {
    #                          consistency   T  diversity      K     spectral     k
    ("arxiv-v5",  "nlu"): Formulas("mse", 1.0, "covariance", None, "nuclear",    3),
    ("arxiv-v5",  "nlg"): Formulas("kl",  1.0, "entropy",    None, "nuclear",    3),
    ("iclr-2026", "nlu"): Formulas("kl",  2.0, "covariance", None, "nuclear",    5),  # T is not published for NLU
    ("iclr-2026", "nlg"): Formulas("kl",  2.0, "entropy",    20,   "frobenius", 10),
}

WEIGHTS: dict[tuple[Edition, Family], Weights] = {
    #                             λ1     λ2     λ3
    ("arxiv-v5",  "nlu"): Weights(1e-4,  3e-4,  1e-4),
    ("arxiv-v5",  "nlg"): Weights(1e-4,  3e-4,  1e-4),
    ("iclr-2026", "nlu"): Weights(0.15,  0.03,  0.03),
    ("iclr-2026", "nlg"): Weights(0.025, 0.005, 0.005, "cosine", "two-phase"),
}
# fmt: on
