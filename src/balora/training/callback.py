"""A Trainer's steps as signs of life."""

from typing import Any

from transformers import TrainerCallback

from balora.progress import OnProgress, Progress


class Tell(TrainerCallback):  # type: ignore[misc]
    """Passes the Trainer's steps on."""

    def __init__(self, tell: OnProgress) -> None:
        self.tell, self.loss = tell, None

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.tell(Progress("train", state.global_step, state.max_steps, self.loss))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        self.loss = (logs or {}).get("loss", self.loss)
