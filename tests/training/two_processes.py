"""What each of two processes runs for `test_two_processes.py`; started by torchrun."""

import os
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from training_cases import adapted, answers, examples, moved, objective, trained_weights, trainer

from balora import resolve
from balora.objective import Objective, ObjectiveConfig
from balora.training.run_in_folder import run_in_folder

KINDS = {
    "causal": ("nlg", {"consistency": 0.5, "diversity": 0.3}),
    "classification": ("nlu", {"consistency": 0.5}),
    "global causal": ("nlg", {"consistency": 0.5, "diversity": 0.3, "spectral": 0.4}),
    "global classification": ("nlu", {"consistency": 0.5, "diversity": 0.3}),
}
"""Families and weights; the others' covariance and spectrum would be each process's own."""
SPLITS = {"even": (6, 6), "uneven": (9, 3), "one without rows": (12, 0), "too few alone": (11, 1)}
"""How many of twelve rows each process has."""
ROWS, OUTPUTS, WIDTH = 12, 9, 5


def train(folder: Path, kind: str, size: int, averaged: bool, steps: int) -> Any:
    """Return the trained weights, the numbers of the rows that this process saw in the first epoch, and the log."""
    family, weights = KINDS[kind]
    causal = family == "nlg"
    config = objective(family, **weights).replace(scope="global" if kind.startswith("global") else "process")
    model = moved(adapted("llama" if causal else "classifier", dtype=torch.float64))
    made = trainer(
        model,
        config,
        answers() if causal else examples(8),
        folder,
        per_device_train_batch_size=size,
        max_steps=steps,
        optim="sgd",
        learning_rate=0.05,
        max_grad_norm=1e9,
        average_tokens_across_devices=averaged,
        ddp_find_unused_parameters=False,
    )
    made.train()
    seen = [number for batch in made.get_train_dataloader() for number in batch["index"]]
    return trained_weights(model), seen, [entry for entry in made.state.log_history if "loss" in entry]


def whole_batch(form: str) -> tuple[ObjectiveConfig, Tensor, Tensor, Tensor, torch.nn.Linear | None]:
    """Return an objective, and the student's rows, the reference's, labels and head of a batch of twelve rows."""
    config = objective("nlu", consistency=0.5, diversity=0.3, spectral=0.4)
    generator = torch.Generator().manual_seed(7)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    head = None
    if form == "hidden":
        head = torch.nn.Linear(WIDTH, OUTPUTS, dtype=torch.float64).requires_grad_(False)
        head.weight.copy_(drawn(OUTPUTS, WIDTH))
        head.bias.copy_(drawn(OUTPUTS))
        form = "causal"
        config = objective("nlg", consistency=0.5, diversity=0.3, spectral=0.4)
        config = config.replace(diversity=config.diversity.replace(form="covariance"))
    width = WIDTH if head is not None else OUTPUTS
    labels = torch.randint(OUTPUTS, (ROWS,), generator=generator)
    return config.replace(scope="global"), drawn(ROWS, width), drawn(ROWS, width), labels, head


def part(form: str, rows: slice, share: float) -> dict[str, Any]:
    """Return loss, terms, gradient and what telemetry compares, of some rows whose loss has this share of a step."""
    config, student, reference, labels, head = whole_batch(form)
    student = student[rows].clone().requires_grad_()
    made, compared = Objective(config), {}
    if head is None:
        terms = made.from_logits(student, reference[rows], labels[rows])
    else:
        given = student, reference[rows], head, labels[rows]
        terms = made.from_hidden(*given)
        compared = made.gradients_from_hidden(*given)
    (terms.loss * share).backward()
    values = {name: float(value.detach()) for name, value in terms.values().items()}
    return {"values": values, "inactive": terms.inactive, "gradient": student.grad, "compared": compared}


def settings(size: int) -> dict[str, Any]:
    """Return those of a run of seconds, in which `size` rows are in one process."""
    return {
        "model": "testbed",
        "task": "sentiment",
        "training.steps": 3,
        "training.batch_size": size,
        "training.learning_rate": 1e-3,
        "training.max_grad_norm": 1e9,
        "training.telemetry_every": 1,
        "training.evaluate_every": 2,
        "training.threads": 1,
        "data.eval_rows": 24,
        "adapter.rank": 2,
        "objective.scope": "global",
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    trained = {}
    for kind in KINDS:
        for averaged in (True, False) if kind == "causal" else (True,):
            trained[kind, averaged] = train(folder / "trainer", kind, 4, averaged, steps=2 if averaged else 1)
    rank, world = dist.get_rank(), dist.get_world_size()
    parts = {}
    for form in ("logits", "hidden"):
        for name, (first, second) in SPLITS.items():
            mine = slice(0, first) if rank == 0 else slice(first, ROWS)
            parts[form, name] = part(form, mine, share=(first, second)[rank] * world / ROWS)
    runs = [run_in_folder(resolve(settings(4)), folder / "run") for _ in range(2)]
    written = sorted(os.listdir(folder / "run"))
    results = {"world": world, "trained": trained, "parts": parts, "runs": runs, "written": written}
    torch.save(results, folder / f"rank{rank}.pt")
    dist.destroy_process_group()
