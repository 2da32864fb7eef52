"""Fit the classification head on the frozen features before anything else is trained (`reference_head: probe`).

A pre-trained encoder has no trained head, so the published method pulls the student towards the outputs of a random one
(method.md §7). With a probe, the reference holds what the pre-trained features know, and student and reference start
from this same head, so that they are equal at the first step, as with the initial one.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

STEPS, BATCH, LEARNING_RATE = 300, 32, 5e-3


def fit_head(model: nn.Module, rows: Sequence[dict[str, Any]], collate: Any, seed: int) -> float:
    """Train the head of a sequence classifier on frozen features, in place; return its last training loss.

    AdamW, 300 steps of 32 rows, learning rate 5e-3 falling linearly, dropout off. Every parameter outside the backbone
    counts as head; which parameters require gradients is put back afterwards.

    Args:
        model: a transformers sequence classifier without adapters.
        rows: encoded training rows with labels.
        collate: makes a batch of rows.
        seed: of the rows' order; the global random state is not touched.
    """
    inside = {id(parameter) for parameter in model.base_model.parameters()}  # type: ignore[union-attr]
    wanted = {parameter: parameter.requires_grad for parameter in model.parameters()}
    head = [parameter for parameter in wanted if id(parameter) not in inside]
    for parameter in wanted:
        parameter.requires_grad_(id(parameter) not in inside)
    was_training = model.training
    model.eval()
    try:
        return _fit(model, head, rows, collate, torch.Generator().manual_seed(seed))
    finally:
        model.train(was_training)
        for parameter, flag in wanted.items():
            parameter.requires_grad_(flag)
            parameter.grad = None


def _fit(
    model: nn.Module, head: list[nn.Parameter], rows: Sequence[dict[str, Any]], collate: Any, order: torch.Generator
) -> float:
    device = head[0].device
    optimizer = torch.optim.AdamW(head, lr=LEARNING_RATE, weight_decay=0.0)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, total_iters=STEPS)
    loss = torch.zeros(())
    for _ in range(STEPS):
        chosen = torch.randint(len(rows), (min(BATCH, len(rows)),), generator=order).tolist()
        batch = {name: value.to(device) for name, value in collate([rows[i] for i in chosen]).items()}
        batch.pop("index", None)
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay.step()
    return float(loss.detach())
