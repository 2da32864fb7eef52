"""Measure the objective's KL beside TRL's and Liger's: time and peak memory of the same value and gradient.

TRL's `ChunkedDivergenceFunction` at beta = 0 is the rows' KL(reference‖student). Liger's fused JSD loss at beta = 0 is
cross-entropy and KL; it also trains the head, which costs it a fourth product and a V×d gradient. On a CPU both run as
they do without Triton. `make test` and `make bench` install Liger without its GPU dependencies.
"""

from collections.abc import Callable

from torch import Tensor, nn

from balora.objective import ObjectiveConfig
from balora.objective.head import FrozenHead
from balora.objective.vocabulary import parts_from_hidden
from benchmarks.measure import interleaved, peak_memory
from benchmarks.objective import Rows, Size, problem

N, V, WIDTH, T = 512, 128_256, 1024, 2.0
KL = ObjectiveConfig.preset("none", family="nlg").replace(consistency={"form": "kl", "temperature": T})
SIZE = Size(N, V, WIDTH)

Call = Callable[[], tuple[Tensor, Tensor]]
"""Returns a value and its gradient with respect to the student's hidden states."""


def ours(weights: dict[str, float], hidden: Tensor, reference: Tensor, head: nn.Linear, labels: Tensor) -> Call:
    """Return a call of Σ weight·term over task and consistency."""
    frozen = FrozenHead(head.weight, head.bias)
    return _with_gradient(hidden, lambda leaf: parts_from_hidden(KL, frozen, leaf, reference, labels, weights)[0])


def trl(hidden: Tensor, reference: Tensor, head: nn.Linear, labels: Tensor) -> Call:
    """Return a call of TRL's mean KL."""
    from trl.kernels.chunked_divergence import ChunkedDivergenceFunction

    def value(leaf: Tensor) -> Tensor:
        rows, _ = ChunkedDivergenceFunction.apply(
            leaf, head.weight, head.bias, reference, head.weight, head.bias, 0.0, T
        )
        mean: Tensor = rows.mean()
        return mean

    return _with_gradient(hidden, value)


def liger(
    hidden: Tensor, reference: Tensor, head: nn.Linear, labels: Tensor, rows: int = 128, compiled: bool = False
) -> Call:
    """Return a call of Liger's ½ mean cross-entropy + ½ mean KL, in chunks of ``rows`` (128 as in ours)."""
    from liger_kernel.chunked_loss.jsd_loss import LigerFusedLinearJSDFunction

    def value(leaf: Tensor) -> Tensor:
        student, teacher = (leaf, head.weight), (reference, head.weight)
        weights, beta, ignored = (0.5, 0.5), 0.0, -100
        settings = (*weights, beta, ignored, T, compiled, rows)
        loss: Tensor = LigerFusedLinearJSDFunction.apply(*student, *teacher, labels, None, None, *settings)
        return loss

    return _with_gradient(hidden, value)


def _with_gradient(hidden: Tensor, value_of: Callable[[Tensor], Tensor]) -> Call:
    def call() -> tuple[Tensor, Tensor]:
        leaf = hidden.detach().requires_grad_()
        value = value_of(leaf)
        value.backward()
        assert leaf.grad is not None
        return value.detach(), leaf.grad

    return call


def others_rows(size: Size = SIZE) -> Rows:
    """Return (what, ratio, goal, detail) against TRL and Liger; a ratio above 1 means that theirs is better."""
    return [*trl_rows(size), *liger_rows(size)]


def trl_rows(size: Size) -> Rows:
    """Return the rows of the KL, against TRL's."""
    given = problem(*size)
    return _against("TRL", "KL", trl(*given), ours({"consistency": 1 / T**2}, *given), size)


def liger_rows(size: Size) -> Rows:
    """Return the rows of cross-entropy with KL, against Liger's; on a GPU with its defaults, compiled if possible."""
    given = problem(*size)
    mine = ours({"task": 0.5, "consistency": 0.5 / T**2}, *given)
    if size.device != "cuda":
        return _against("Liger", "cross-entropy and KL", liger(*given), mine, size)
    theirs, words = liger(*given, rows=1024, compiled=True), "compiled"
    try:
        theirs()
    except Exception as error:  # whatever stops torch.compile here, such as a missing C compiler
        words = f"not compiled, since that failed: {type(error).__name__}"
        theirs = liger(*given, rows=1024)
    return _against("Liger", "cross-entropy and KL", theirs, mine, size, f"; Liger's {words}")


def _against(name: str, what: str, theirs: Call, mine: Call, size: Size, note: str = "") -> Rows:
    calls = {name: theirs, "ours": mine}
    taken = interleaved(calls, rounds=3, warmup=1)
    held = {each: peak_memory(call, size.device) for each, call in calls.items()}
    times = f"{taken['ours']:.3g} s and {taken[name]:.3g} s{note}"
    peaks = f"{held['ours']:.0f} MiB and {held[name]:.0f} MiB"
    return [
        (f"ours ÷ {name}'s, time ({what}, {size.words()})", taken["ours"] / taken[name], 1.0, times),
        (f"ours ÷ {name}'s, peak memory (same)", held["ours"] / held[name], 1.0, peaks),
    ]
