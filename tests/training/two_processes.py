"""What each of two processes runs for `test_two_processes.py`; started by torchrun."""

import sys
from pathlib import Path
from typing import Any

import torch
from training_cases import adapted, answers, examples, moved, objective, trained_weights, trainer


def train(folder: Path, kind: str, size: int, averaged: bool, steps: int) -> Any:
    """Return the trained weights, the numbers of the rows that this process saw in the first epoch, and the log."""
    causal = kind == "causal"
    config = objective("nlg" if causal else "nlu", consistency=0.5, **({"diversity": 0.3} if causal else {}))
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


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    results = {}
    for kind in ("causal", "classification"):
        for averaged in (True, False):
            results[kind, averaged] = train(folder / "trainer", kind, 4, averaged, steps=2 if averaged else 1)
    rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    torch.save({"world": world, "results": results}, folder / f"rank{rank}.pt")
    torch.distributed.destroy_process_group()
