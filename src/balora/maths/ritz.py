"""What a space holds of a matrix's leading singular triplets, and whether these are the matrix's own."""

import torch
from jaxtyping import Float
from torch import Tensor

Triplets = tuple[Float[Tensor, "out rank"], Float[Tensor, " rank"], Float[Tensor, "in rank"]]
"""(U, S, V): singular vectors as columns, singular values descending."""

TOLERANCE = 1e-10
"""‖Wᵀuᵢ − σᵢvᵢ‖ / σ₁ that is accepted; a singular vector is off by this over the relative gap to its neighbours."""


def ritz_triplets(
    V: Float[Tensor, "in size"] | None, Y: Float[Tensor, "out size"], H: Float[Tensor, "size size"], rank: int
) -> Triplets:
    """Return the leading singular triplets of W·V·Vᵀ from Y = W·V and H = YᵀY; no V stands for the whole space.

    H's eigenvectors tell which directions Z of the space lead; the decomposition of Y·Z then gives values and vectors
    without the digits that were lost by squaring. The small eigenproblem is solved on the CPU.
    """
    Z = torch.linalg.eigh(H.cpu()).eigenvectors[:, -rank:].to(Y.device)
    Q, R = torch.linalg.qr(Y @ Z)
    U, S, Pt = torch.linalg.svd(R)
    Z = Z @ Pt.mT
    return Q @ U, S, Z if V is None else V @ Z


def accepted(W: Float[Tensor, "out in"], found: Triplets) -> bool:
    """Tell whether the triplets are singular triplets of W: ‖Wᵀuᵢ − σᵢvᵢ‖ ≤ 1e-10·σ₁ for every i."""
    U, S, V = found  # W·vᵢ = σᵢuᵢ holds by construction
    return bool(torch.linalg.vector_norm(W.mT @ U - V * S, dim=0).max() <= TOLERANCE * S[0])
