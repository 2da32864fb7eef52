"""Train the model of a run, scored meanwhile if its settings say so, or take what an interrupted run has trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from balora.training.checkpoints import SaveCheckpoints, last_of_all
from balora.training.record import StepScores
from balora.training.spec import TrainingConfig
from balora.training.step_scores import Score, ScoreWhileTraining
from balora.training.team import Team
from balora.training.trained_weights import load_trained, save_trained
from balora.training.trainer import BALoraTrainer
from balora.training.turns import own_seconds
from balora.training.whole_model import WholeModel


class Trained(NamedTuple):
    """What a record needs of a finished training beside the weights."""

    train_seconds: float
    scoring_seconds: float
    """Time that scoring took meanwhile."""
    steps: int
    kept_step: int | None
    """The step whose weights count, where that is not the last one."""
    step_scores: list[StepScores]
    model_notes: list[str]
    notes: list[str]
    resumed: int
    """How often the training went on from a checkpoint."""

    def all_step_scores(self, training: TrainingConfig, found: Mapping[str, float]) -> list[StepScores]:
        """Return the scores meanwhile and ``found``, those in the end; the best weights' score is one of the former."""
        if training.evaluate_every is None or training.keep == "best":
            return self.step_scores
        return [*self.step_scores, StepScores(step=self.steps, scores=dict(found))]


def train_or_take(
    trainer: BALoraTrainer,
    whole_model: WholeModel,
    training: TrainingConfig,
    saved: Path | None,
    checkpoints: Path | None,
    same: Mapping[str, Any],
    score: Score,
    team: Team,
) -> Trained:
    """Train, and save the weights for a run of the same id that finds this one killed; or take what such a run saved.

    Args:
        trainer: trains the model.
        whole_model: has the trained weights afterwards, in the first process.
        training: says when the model is scored meanwhile, and which weights count.
        saved: where weights lie between training and record; None: nowhere.
        checkpoints: where checkpoints are saved while it trains; None: nowhere.
        same: what must be as it was for saved weights and checkpoints to count: threads, device.
        score: scores the model as it is.
        team: the processes that train it together; the weights are taken, and saved, in the first one alone.
    """
    left = None if saved is None else team.first(lambda: load_trained(saved, whole_model.model, same))
    notes = []
    if left is None:
        left = {**same, **_train(trainer, whole_model, training, checkpoints, same, score, team)}
        if saved is not None and team.is_first:
            save_trained(saved, whole_model.model, left)
    else:
        trainer.telemetry.restore(left["telemetry"])
        notes.append("the run was interrupted after its training, and its saved weights were scored")
    if training.keep == "best":
        kept = left["steps"] if left["kept_step"] is None else left["kept_step"]
        notes.append(
            f"the weights of step {kept} of {left['steps']} were kept, which scored best on the rows that are scored: "
            "the score is optimistic"
        )
    return Trained(
        train_seconds=left["train_seconds"],
        scoring_seconds=left["scoring_seconds"],
        steps=left["steps"],
        kept_step=left["kept_step"],
        step_scores=[StepScores(**one) for one in left["step_scores"]],
        model_notes=left["model_notes"],
        notes=notes,
        resumed=left["resumed"],
    )


def _train(
    trainer: BALoraTrainer,
    whole_model: WholeModel,
    training: TrainingConfig,
    checkpoints: Path | None,
    same: Mapping[str, Any],
    score: Score,
    team: Team,
) -> dict[str, Any]:
    """Train, from the last checkpoint if there is one, and return what the record needs, for JSON."""
    start, scoring = own_seconds(), None
    if training.evaluate_every is not None:
        scoring = ScoreWhileTraining(training.evaluate_every, training.keep == "best", score, whole_model.model)
        trainer.add_callback(scoring)
    found = None if checkpoints is None else last_of_all(checkpoints, same, team)
    before, resumed = 0.0, 0
    if found is not None:
        own = found.left[team.rank]
        before, resumed = own["seconds"], own["resumed"] + 1
        trainer.telemetry.restore(own["telemetry"])
        if scoring is not None:
            scoring.restore(own["scoring"], found.weights())
    if checkpoints is not None:

        def left() -> dict[str, Any]:
            seconds = before + own_seconds() - start
            scored = scoring.state() if scoring else None
            state = {"telemetry": trainer.telemetry.state(), "scoring": scored}
            return {**same, **state, "seconds": seconds, "resumed": resumed}

        best = scoring.best_weights if scoring else dict
        trainer.add_callback(SaveCheckpoints(trainer, checkpoints, training, left, best, team))
    trainer.train(resume_from_checkpoint=None if found is None else str(found.place))
    whole_model.refresh()
    kept = scoring.restore_best() if scoring else None
    steps, seconds = trainer.state.global_step, scoring.seconds if scoring else 0.0
    return {
        "train_seconds": round(before + own_seconds() - start - seconds, 3),
        "resumed": resumed,
        "scoring_seconds": seconds,
        "steps": steps,
        "kept_step": None if kept == steps else kept,
        "step_scores": [one.model_dump() for one in scoring.scores] if scoring else [],
        "model_notes": trainer.model_loss.notes(),
        "telemetry": trainer.telemetry.state(),
    }
