"""Score a model every so many steps while it trains, and remember the weights that scored best."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from transformers import TrainerCallback

from balora.training.record import StepScores
from balora.training.trained_weights import put_back, weights_of

Score = Callable[[], Mapping[str, float]]
"""Returns the score of the model as it is, by task."""


class ScoreWhileTraining(TrainerCallback):  # type: ignore[misc]
    """Scores after every so many optimizer steps; scoring draws no random numbers, so that training stays the same.

    Args (of the constructor):
        every: optimizer steps between two scorings.
        best: whether to remember the weights of the highest mean score; of equal ones those that came first.
        score: scores the model.
        model: holds the weights that are scored, once ``score`` has returned.
    """

    def __init__(self, every: int, best: bool, score: Score, model: nn.Module) -> None:
        self.every, self.best, self.score, self.model = every, best, score, model
        self.scores: list[StepScores] = []
        self.seconds = 0.0
        """Time that scoring took."""
        self._highest: tuple[float, int, dict[str, Tensor]] | None = None

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        is_last = state.global_step == state.max_steps  # the run scores these weights anyway, unless others are kept
        if self.best if is_last else state.global_step % self.every == 0:
            self.add(state.global_step)

    def add(self, step: int) -> None:
        """Score the model after ``step`` steps."""
        start = time.perf_counter()
        found = dict(self.score())
        self.scores.append(StepScores(step=step, scores=found))
        mean = sum(found.values()) / len(found)
        if self.best and (self._highest is None or mean > self._highest[0]):
            weights = {name: tensor.cpu().clone() for name, tensor in weights_of(self.model).items()}
            self._highest = mean, step, weights
        self.seconds += time.perf_counter() - start

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs of the scores so far, for JSON; the best weights are :meth:`best_weights`."""
        highest = None if self._highest is None else self._highest[:2]
        return {"scores": [one.model_dump() for one in self.scores], "seconds": self.seconds, "highest": highest}

    def best_weights(self) -> dict[str, Tensor]:
        """Return the weights that scored best so far; nothing where none are remembered."""
        return {} if self._highest is None else self._highest[2]

    def restore(self, state: Mapping[str, Any], weights: dict[str, Tensor]) -> None:
        """Continue from the :meth:`state` and the best ``weights`` of another."""
        self.scores, self.seconds = [StepScores(**one) for one in state["scores"]], state["seconds"]
        self._highest = (*state["highest"], weights) if state["highest"] else None

    def restore_best(self) -> int | None:
        """Give the model the remembered weights, and return the step they are of; None where none are remembered."""
        if self._highest is None:
            return None
        put_back(self.model, self._highest[2])
        return self._highest[1]
