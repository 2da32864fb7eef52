"""Carry out one fine-tuning, from its specification to its record."""

import tempfile
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from balora.adapters import attach, export_adapter, frozen_copy
from balora.errors import FirstProcessError, InputError, TrainingError
from balora.folders import claim_output
from balora.measures.all_measures import read_all
from balora.measures.measured import Measured, before_and_after
from balora.objective.config import ObjectiveConfig
from balora.objective.inactive import inactive_settings
from balora.progress import OnProgress, Progress
from balora.tasks.collate import Collator
from balora.tasks.grading import PLAIN
from balora.tasks.kept_answers import KeptAnswers
from balora.tasks.prepared import Encoded, Prepared
from balora.tasks.scores import Evaluation
from balora.tasks.token_range import within_embeddings
from balora.training.callback import PassTurn, ReportProgress
from balora.training.checkpoints import checkpoint_folder, claimed, discard_checkpoints
from balora.training.clock import Clock
from balora.training.controls import control_notes
from balora.training.counted_rows import label_notes
from balora.training.engines import compute_in_bfloat16, computes_itself, ready_for_deepspeed, unchanged_variables
from balora.training.evaluation import evaluate, measure_inheritance, prepare_run, refuse_untrained
from balora.training.fingerprint import fingerprints
from balora.training.identity import run_id
from balora.training.launch_config import SHARDING
from balora.training.loading import load_model, load_tokenizer, place, usable_positions, with_model_folder
from balora.training.machine import less_memory, using_threads, versions
from balora.training.matching import first_batches, matched_config
from balora.training.probe import fit_head
from balora.training.quantised_loading import (
    loading_notes,
    refuse_shared_codes,
    refuse_spread,
    refuse_untrainable_model,
)
from balora.training.record import Cost, RunError, RunRecord, write_record
from balora.training.recorded_scores import score_notes, task_score, write_scored_rows
from balora.training.reference.location import reference_folder
from balora.training.saved_files import ADAPTER, TRAINED
from balora.training.shared_base import base_of_run, shares_base
from balora.training.shares import set_shares
from balora.training.side_measures import take_measures, write_items
from balora.training.spec import RunSpec
from balora.training.step_matching import matched_rate, weight_sharing_copy
from balora.training.strategy_limits import refuse_unshared
from balora.training.team import GOES_ON, Team, joined
from balora.training.tools import open_tools
from balora.training.train_or_take import Trained, train_or_take
from balora.training.trained_weights import answers_of, discard, trained_file
from balora.training.trainer import BALoraTrainer
from balora.training.trainer_arguments import trainer_arguments
from balora.training.whole_model import WholeModel


def run(spec: RunSpec, folder: Path, *, on_progress: OnProgress | None = None, has_siblings: bool = False) -> RunRecord:
    """Fine-tune, score and save one model; leave `run.json`, written last, in ``folder``.

    Beside it: `series.jsonl` (terms over the steps), `items.jsonl` (every scored row), and `adapter/` (a plain LoRA
    with its classification head) or `model/` (full fine-tuning). A run that fails in training or scoring leaves a
    record with status ``failed`` and the reason.

    Where rows come again, in later epochs or in runs on the same rows (``has_siblings``), the outputs of the frozen
    model are cached on disk (:mod:`balora.training.reference`).

    Under `torchrun` all processes train the model together (docs/several-gpus.md); the first one alone scores it and
    writes, and each returns the record.

    Raises:
        InputError: the model, the data or a setting cannot be used, no training row has a counted label, several
            processes cannot work together as they were started, or the folder is not empty; nothing was written.
        FirstProcessError: in all but the first of several processes, where the first one failed.
        OSError: the folder cannot be written; no record was left.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    refuse_untrained(spec)
    refuse_untrainable_model(spec)
    refuse_unshared(spec)
    with joined(spec.launch) as team, unchanged_variables():
        work = _Run(spec, team, on_progress, has_siblings)
        team.first(lambda: work.open(folder))
        inputs = team.first(lambda: fingerprints(spec))
        fields: dict[str, Any] = {"id": run_id(spec, inputs, team.size), "spec": spec, "fingerprints": inputs}
        fields |= {"started": started, "processes": team.size, "versions": versions(spec)}
        clock = Clock()
        work.on_progress(Progress("load", 0, 1))
        with (
            using_threads(spec.training.threads) as threads,
            tempfile.TemporaryDirectory(prefix="balora-") as scratch,  # the Trainer insists on a folder
        ):
            fields |= {"threads": threads.inside, "interop_threads": threads.between}
            work.scratch = Path(scratch)
            record = _carry_out(work, folder, clock, fields)
        if record.error is not None:  # the other processes have failed too, or will where this one leaves them
            return _written(work, record, folder)
        return team.first(lambda: _written(work, record, folder))


def _written(work: "_Run", record: RunRecord, folder: Path) -> RunRecord:
    """Write the record, and discard what a killed run would have gone on from."""
    written = write_record(record, folder)
    if work.owns_checkpoints:
        discard_checkpoints(record.id)
    if record.status == "ok" and work.spec.testbed is None:
        discard(trained_file(record.id))
    return written


def _carry_out(work: "_Run", folder: Path, clock: Clock, fields: dict[str, Any]) -> RunRecord:
    team = work.team
    try:
        work.set_up()
        if team.first(lambda: fingerprints(work.spec)) != fields["fingerprints"]:  # unchanged files are not read again
            raise InputError("the files of the model or the data changed while the run was reading them: run it again")
        clock.lap("setup_seconds")
        before = team.first(lambda: work.measures(is_trained=False))
        clock.lap("eval_seconds")
        saved = trained_file(fields["id"]) if work.spec.testbed is None else None
        trained = work.train(clock, saved, checkpoint_folder(fields["id"]), fields["threads"])
        return team.first(lambda: _scored(work, before, trained, folder, clock, fields))
    except (OSError, InputError, FirstProcessError):
        raise
    except Exception as error:
        if team.has_lost_another(error):  # no failure of the run, which may go on from its last checkpoint
            raise TrainingError(
                f"process {team.rank} of {team.size} has lost another one, which was killed (by the system, where "
                f"memory ran out): {GOES_ON}"
            ) from error
        if not team.is_first:
            raise
        kind, message = team.why(error)
        if isinstance(error, torch.OutOfMemoryError):
            message += f"; peak {clock.peak_memory_mb():,.0f} MiB: {less_memory(work.spec)}"
            message += ", or lower --together" if shares_base() else ""
        reason = RunError(kind=kind, message=message)
        fields["learning_rate"] = work.learning_rate
        return RunRecord(status="failed", error=reason, cost=work.cost(clock), notes=work.notes, **fields)


def _scored(
    work: "_Run", before: Measured, trained: Trained, folder: Path, clock: Clock, fields: dict[str, Any]
) -> RunRecord:
    """Score and save the trained model, and return its record."""
    found = work.score(kept := answers_of(trained_file(fields["id"])))
    first, *others = found
    inheritance = measure_inheritance(work.whole_model.model, work.spec, work.source, work.scored[0], found[first])
    after = work.measures(is_trained=True)
    clock.lap("eval_seconds")
    earlier = trained.scoring_seconds + (kept.seconds if kept else 0.0)
    clock.laps["eval_seconds"] = round(clock.laps["eval_seconds"] + earlier, 3)
    work.save(folder, found)
    write_items(before, after, folder)
    telemetry = work.trainer.telemetry
    scores = {prepared.task.name: task_score(prepared, found[prepared.task.name]) for prepared in work.scored}
    return RunRecord(
        status="ok",
        **dict(scores[first]),
        others={name: scores[name] for name in others},
        inheritance=inheritance,
        measures=before_and_after(before, after),
        terms=telemetry.summary(work.weights()),
        inactive=telemetry.inactive() | inactive_settings(work.spec.objective, work.classes(), work.team.size),
        step_scores=trained.all_step_scores(work.spec.training, {name: one.score for name, one in found.items()}),
        kept_step=trained.kept_step,
        learning_rate=work.learning_rate,
        notes=[*work.notes, *trained.model_notes, *telemetry.notes(), *score_notes(found), *after.notes],
        cost=work.cost(clock),
        **fields,
    )


class _Run:
    """The model, data and trainer of one run."""

    tokenizer: Any
    train_rows: list[Encoded]
    scored: tuple[Prepared, ...]  # one a task, in the order of the specification
    trainer: BALoraTrainer
    whole_model: WholeModel
    source: str  # folder or name of the pre-trained model

    scratch: Path

    def __init__(self, spec: RunSpec, team: Team, on_progress: OnProgress | None, has_siblings: bool) -> None:
        self.spec, self.team, self.task, self.tools = spec, team, spec.find(spec.task), PLAIN
        silent = on_progress is None or not team.is_first
        self.on_progress: OnProgress = (lambda progress: None) if silent else on_progress  # type: ignore[assignment]
        self.has_siblings = has_siblings
        self.objective: ObjectiveConfig = spec.objective
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.notes: list[str] = []
        self.steps: int | None = None
        self.resumed, self.owns_checkpoints = 0, False
        self.learning_rate: float | None = None  # where it is not the specification's
        self.is_set_up = False

    def open(self, folder: Path) -> None:
        """Claim the run's folder and open what is beside model and data, so that a fault is found before they load."""
        claim_output(folder, kind="run")
        self.tools = open_tools(self.spec)
        read_all(self.spec.measures)

    def set_up(self) -> None:
        """Load model and rows, attach the adapter, make the trainer, and set what depends on its first batches."""
        self.team.in_turn(self._load)
        bare = self._bare
        strategy = self.spec.launch.strategy
        self.whole_model = WholeModel(self._model, is_sharded=strategy in SHARDING, is_first=self.team.is_first)
        ready_for_deepspeed(strategy)
        self.trainer = self._trainer(self._model, self._reference)
        self.notes += control_notes(self.spec, self.trainer)
        self.is_set_up = True
        if self.spec.objective.matching == "gradient":
            self._match()
        self.notes += set_shares(self.trainer)
        self.objective = self.trainer.model_loss.config
        if bare is not None:
            self._match_steps(bare)

    def _load(self) -> None:
        spec, on_progress = self.spec, self.on_progress
        seed = spec.training.seed
        transformers.set_seed(seed)  # a new classification head is drawn from the global state
        spec = with_model_folder(spec, on_progress)
        self.source = spec.model
        self.tokenizer = load_tokenizer(spec)
        model = base_of_run(
            lambda: load_model(spec, self.task, self.tokenizer), is_classifier=self.task.family == "nlu"
        )
        learnt, scored = prepare_run(spec, self.tokenizer, usable_positions(model))
        prepared = within_embeddings(learnt, model, self.tokenizer)
        self.train_rows = prepared.train
        self.scored = tuple(
            prepared if one is learnt else within_embeddings(one, model, self.tokenizer) for one in scored
        )
        self.notes += prepared.notes + label_notes(prepared.train)
        self.notes += [f"{one.task.name}: {note}" for one in scored if one is not learnt for note in one.notes]
        refuse_spread(model)
        refuse_shared_codes(model, spec.launch.strategy)
        place(spec, model, self.device)
        self.notes += loading_notes(spec, model)
        self.collate = Collator(prepared.pad_id)
        if self.task.family == "nlu" and spec.objective.reference_head == "probe":
            on_progress(Progress("reference", 0, 1))
            with self._precision():
                loss = fit_head(model, self.train_rows, self.collate, seed)
            self.notes.append(f"reference head: fitted on frozen features, last training loss {loss:.3f}")
        reference = bare = None
        if spec.adapter is None:
            if spec.objective.needs_reference:
                reference = frozen_copy(model)
                self.notes.append("full fine-tuning with consistency holds a frozen copy of the model")
        else:
            bare = weight_sharing_copy(model) if spec.training.step_matching == "pissa" else None
            model = attach(
                model, spec.adapter, seed=seed, on_weight=lambda i, n: on_progress(Progress("factors", i, n))
            )
        self._model, self._reference, self._bare = model, reference, bare

    def _precision(self) -> Any:
        """Compute inside as the Trainer does; without autocast's cache, which would hide a head's own updates."""
        half = self.spec.training.precision == "bfloat16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=half, cache_enabled=False)

    def _trainer(self, model: Any, reference: Any) -> BALoraTrainer:
        training = self.spec.training
        if training.gradient_checkpointing:
            model.activation_checkpointing_enable()
        arguments = trainer_arguments(training, self.scratch, model, self.spec.launch.strategy)
        trainer = BALoraTrainer(
            model,
            arguments,
            objective=self.objective,
            reference=reference,
            l2_start=training.l2_start,
            telemetry_every=training.telemetry_every,
            reference_cache=reference_folder(self.spec, len(self.train_rows), self.has_siblings, self.team),
            train_dataset=self.train_rows,
            data_collator=self.collate,
            callbacks=[ReportProgress(self.on_progress), PassTurn()],
        )
        trainer.remove_callback(transformers.PrinterCallback)
        unset_hf_deepspeed_config()  # it would share out each model that the first process loads or scores
        return trainer

    def _match(self) -> None:
        with self._precision():
            loss, seed = self.trainer.model_loss, self.spec.training.seed
            self.objective, notes = matched_config(loss, first_batches(self.trainer), seed)
        self.trainer.model_loss.objective.config = self.objective
        self.notes += notes

    def _match_steps(self, bare: Any) -> None:
        steps = self.spec.training.steps_on(len(self.train_rows), self.team.size)
        with self._precision():
            given = self.spec, self.objective, first_batches(self.trainer), steps
            self.learning_rate, note = matched_rate(
                bare, *given, on_weight=lambda i, n: self.on_progress(Progress("factors", i, n))
            )
        if self.learning_rate is not None:
            self.trainer.args.learning_rate = self.learning_rate
        self.notes.append(note)

    def classes(self) -> int | None:
        """Return the outputs of an understanding task, 1 for regression; None for generation."""
        return None if self.task.family == "nlg" else len(self.task.labels) or 1

    def weights(self) -> dict[str, float]:
        """Return λ of every term, and α of L2 to the start where it has one."""
        weights = {name: term.weight for name, term in self.objective.terms().items()}
        alpha = self.spec.training.l2_start
        return weights | ({"l2_start": alpha} if alpha else {})

    def measures(self, *, is_trained: bool) -> Measured:
        """Return the measures beside the score on the model as it is now."""
        most, model = self.scored[0].max_positions, self.whole_model.model
        return take_measures(
            model, self.tokenizer, self.spec, self.source, self.on_progress, max_positions=most, is_trained=is_trained
        )

    def train(self, clock: Clock, saved: Path | None, checkpoints: Path, threads: int) -> Trained:
        """Train the model, or give it the weights that an interrupted run of the same id has ``saved``."""
        training, same = self.spec.training, {"threads": threads, "device": self.device.type}
        if computes_itself(self.spec.launch.strategy, training.precision):
            for model in {id(one): one for one in (self._model, self.whole_model.model)}.values():
                compute_in_bfloat16(model, self.device)
        mine = claimed(checkpoints) if self.team.is_first else nullcontext(False)
        with mine as has_lock, warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "Paged optimizers are not supported on CPU", UserWarning
            )  # a note says it
            warnings.filterwarnings("ignore", "`torch.distributed", FutureWarning)  # what DeepSpeed calls
            self.owns_checkpoints = is_mine = self.team.first(lambda: has_lock)
            saves = training.saves_checkpoints and self.spec.launch.strategy == "ddp"
            place = checkpoints if is_mine and saves else None
            given = self.trainer, self.whole_model, training, saved, place, same
            trained = train_or_take(*given, self.scores, self.team)
        clock.lap("train_seconds")
        clock.laps["train_seconds"] = trained.train_seconds
        self.steps, self.resumed = trained.steps, trained.resumed
        self.notes += trained.notes
        return trained

    def score(self, kept: KeptAnswers | None = None) -> dict[str, Evaluation]:
        """Return how the model, as it is, does on every scored task, by task; answers that were ``kept`` are taken."""
        given = self.spec, self.on_progress, self.tools._replace(kept=kept)
        return {one.task.name: evaluate(self.whole_model.model, self.tokenizer, one, *given) for one in self.scored}

    def scores(self) -> dict[str, float]:
        """Return the model's score on every scored task, which the first process alone computes."""
        self.whole_model.refresh()
        return self.team.first(lambda: {name: evaluation.score for name, evaluation in self.score().items()})

    def save(self, folder: Path, found: Mapping[str, Evaluation]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.trainer.telemetry.write(folder / "series.jsonl")
        write_scored_rows(found, folder)
        if self.spec.adapter is None:
            self.whole_model.model.save_pretrained(folder / TRAINED)  # type: ignore[operator]
            self.tokenizer.save_pretrained(folder / TRAINED)
        else:
            export_adapter(self.whole_model.model, folder / ADAPTER)

    def cost(self, clock: Clock) -> Cost:
        spent = Cost(peak_memory_mb=clock.peak_memory_mb(), **clock.laps)
        if not self.is_set_up:
            return spent
        trained = sum(p.numel() for p in self.whole_model.model.parameters() if p.requires_grad)
        steps = self.trainer.state.global_step if self.steps is None else self.steps
        return spent.replace(steps=steps, trained_parameters=trained, resumed=self.resumed)
