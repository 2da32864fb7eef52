"""Compute the formulas of BA-LoRA from tensors alone, without configuration, files or global random state.

Each regularizer returns a scalar to be *minimised*; rows are valid token positions (NLG) or examples (NLU).
"""

from balora.maths.consistency import consistency_kl, consistency_mse
from balora.maths.diversity import diversity_covariance, diversity_entropy
from balora.maths.pissa import pissa_factors
from balora.maths.spectrum import spectral_ratio

__all__ = [
    "consistency_kl",
    "consistency_mse",
    "diversity_covariance",
    "diversity_entropy",
    "pissa_factors",
    "spectral_ratio",
]
