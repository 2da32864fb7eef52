"""Report a Trainer's steps as progress of the run, and let other runs take their turn after each."""

from typing import Any

from transformers import TrainerCallback

from balora.progress import OnProgress, Progress
from balora.training.turns import pass_turn


class ReportProgress(TrainerCallback):  # type: ignore[misc]
    """Reports each optimizer step, with the last logged loss."""

    def __init__(self, on_progress: OnProgress) -> None:
        self.on_progress, self.loss = on_progress, None

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.on_progress(Progress("train", state.global_step, state.max_steps, self.loss))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        self.loss = (logs or {}).get("loss", self.loss)


class PassTurn(TrainerCallback):  # type: ignore[misc]
    """Lets the runs that take turns with this one get as far: to the start of the training, or to the same step."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        pass_turn()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        pass_turn()
