"""Prepare and score understanding tasks: classification and regression of one text or a pair of texts."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from balora.errors import DataError, ModelError, TrainingError, shown
from balora.tasks.behaviour import Behaviour
from balora.tasks.catalogue import Task
from balora.tasks.collate import NOT_FOR_THE_MODEL, Collator
from balora.tasks.config import DataConfig
from balora.tasks.evaluating import OnRows, batches_by_length, device_of, evaluating
from balora.tasks.own_scores import own_label_scores
from balora.tasks.prepared import Encoded, Prepared, draw, length_limit, pad_id_of, read_both, repeated
from balora.tasks.row_checks import Row
from balora.tasks.scores import Evaluation, nlu_metrics, task_score
from balora.tasks.testbed.config import TestbedConfig


def prepare_nlu(
    task: Task,
    data: DataConfig,
    tokenizer: Any,
    *,
    seed: int,
    max_positions: int | None = None,
    train: bool = True,
    score: bool = True,
    testbed: TestbedConfig | None = None,
) -> Prepared:
    """Return the task's rows as tokens; rows over the length limit are truncated (the longer text first) and counted.

    Args:
        task: one of the NLU tasks of the catalogue.
        data: where the rows are, how many are used and how long they may be.
        tokenizer: a transformers tokenizer.
        seed: decides which training rows are drawn, where ``data.train_rows`` is fewer than there are.
        max_positions: the longest sequence that the model can read.
        train: False reads no training split, for a model that is only to be scored.
        score: False reads no evaluation split, for a model that is scored on other tasks.
        testbed: the world that the rows of a testbed's task are about.

    Raises:
        DataError, ConfigError: as :func:`balora.tasks.splits.read_rows`; no room for the special tokens.
    """
    rows, scored, notes = read_both(task, data, seed=seed, train=train, score=score, testbed=testbed)
    used = [rows[position] for position in sorted(draw(len(rows), data.train_rows, seed)[: data.train_rows])]
    special = tokenizer.num_special_tokens_to_add(pair=len(task.text) == 2)
    limit, limit_name = length_limit(data, max_positions, special + 1)
    encoded = []
    for split, chosen in (("training", used), ("evaluation", scored)):
        tokens, cut = encode_rows(task, chosen, tokenizer, limit)
        encoded.append(tokens)
        if cut:
            notes.append(f"{cut:,} of {len(chosen):,} {split} rows are longer than {limit_name} and were truncated")
    notes += repeated(task, used, scored)
    truth = [row["tags"] for row in scored if "tags" in row]
    return Prepared(task, encoded[0], encoded[1], pad_id_of(tokenizer), max_positions, notes, truth)


def encode_rows(task: Task, rows: Sequence[Row], tokenizer: Any, limit: int) -> tuple[list[Encoded], int]:
    """Return the rows as tokens, none longer than ``limit``, and how many had to be cut."""
    if not rows:
        return [], 0
    texts = [[row[name] for row in rows] for name in task.text]
    if len(texts) == 2 and _runs_pairs_together(tokenizer):
        texts[1] = ["\n" + text for text in texts[1]]
    whole = tokenizer(*texts, verbose=False)
    cut = tokenizer(*texts, truncation=True, max_length=limit)
    names = [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in cut]
    tokens = [{name: cut[name][i] for name in names} for i in range(len(rows))]
    for index, (encoded, row) in enumerate(zip(tokens, rows, strict=True)):
        if not encoded["input_ids"]:
            raise DataError(
                f"row {index + 1} of task {task.name!r} has no tokens: {shown([row[name] for name in task.text])}"
            )
        encoded.update(labels=row["label"], index=index)
    return tokens, sum(len(ids) > limit for ids in whole["input_ids"])


def _runs_pairs_together(tokenizer: Any) -> bool:
    """Return whether the tokenizer puts no special token between two texts (Llama, GPT-2): a line end parts them."""
    return bool(tokenizer.num_special_tokens_to_add(pair=True) <= tokenizer.num_special_tokens_to_add(pair=False))


def evaluate_nlu(model: Any, prepared: Prepared, *, batch_size: int, on_rows: OnRows | None = None) -> Evaluation:
    """Score ``model`` (a sequence classifier with the task's number of outputs) on the evaluation rows.

    The model is used without dropout and gradient and left in the modes in which it was; no random number is drawn.

    Raises:
        ModelError: the head has another number of outputs than the task has classes.
        TrainingError: an output is not finite.
    """
    rows, task = prepared.eval, prepared.task
    outputs: dict[int, list[float]] = {}
    collate, device = Collator(prepared.pad_id), device_of(model)
    with evaluating(model):
        for positions in batches_by_length([len(row["input_ids"]) for row in rows], batch_size):
            batch = collate([rows[position] for position in positions])
            inputs = {name: value.to(device) for name, value in batch.items() if name not in NOT_FOR_THE_MODEL}
            logits = _checked(model(**inputs).logits, task, positions)
            outputs.update(zip(positions, logits.tolist(), strict=True))
            if on_rows is not None:
                on_rows(len(outputs), len(rows))
    return _evaluation(prepared, [outputs[position] for position in range(len(rows))])


def _checked(logits: torch.Tensor, task: Task, positions: Sequence[int]) -> torch.Tensor:
    wanted = len(task.labels) or 1
    if logits.shape[-1] != wanted:
        raise ModelError(
            f"task {task.name!r} needs {wanted} outputs, the model's head has {logits.shape[-1]}: "
            f"load it with num_labels={wanted}"
        )
    bad = ~torch.isfinite(logits).all(dim=-1)
    if bad.any():
        row = positions[int(bad.nonzero()[0])]
        raise TrainingError(
            f"the model's output for evaluation row {row + 1} of task {task.name!r} is not finite: "
            f"{logits[bad][0].tolist()}"
        )
    return logits.float()


def _evaluation(prepared: Prepared, outputs: list[list[float]]) -> Evaluation:
    task = prepared.task
    labels = [row["labels"] for row in prepared.eval]
    read: Callable[[list[float]], float] = (
        (lambda out: out[0]) if task.regression else (lambda out: out.index(max(out)))
    )
    predictions = [read(output) for output in outputs]
    metrics, notes = (own_label_scores if task.own is not None else nlu_metrics)(task, predictions, labels)
    items = [
        {"index": index, "prediction": prediction, "label": label, **_verdict(task, prediction, label)}
        for index, (prediction, label) in enumerate(zip(predictions, labels, strict=True))
    ]
    return Evaluation(metrics, task_score(task, metrics), items, notes, _behaviour(task, outputs, labels))


def _behaviour(task: Task, outputs: list[list[float]], labels: Sequence[int]) -> dict[str, float]:
    """Return how the model answers; a regression gives no probabilities."""
    if task.regression:
        return {}
    behaviour, logits = Behaviour(), torch.tensor(outputs)
    behaviour.add(logits, torch.tensor(labels))
    behaviour.add_to_rank(logits, range(len(outputs)))
    return behaviour.measures()


def _verdict(task: Task, prediction: float, label: float) -> dict[str, Any]:
    """Return how good one prediction is, higher being better: right or wrong, or minus the squared error."""
    return {"score": -((prediction - label) ** 2)} if task.regression else {"correct": prediction == label}
