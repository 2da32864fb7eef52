"""What each of two processes runs for `test_deepspeed.py`: two steps by DeepSpeed's engine; started by torchrun."""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import deepspeed
import torch
import torch.distributed as dist
from training_cases import adapted, answers, build, collate, moved, objective

from balora.adapters import export_adapter, reference_of
from balora.errors import AdapterError
from balora.training.loss import ModelLoss

SETTINGS: dict[str, Any] = {
    "train_micro_batch_size_per_gpu": 4,
    "gradient_accumulation_steps": 1,
    "optimizer": {"type": "AdamW", "params": {"lr": 0.01, "torch_adam": True, "weight_decay": 0.0}},
    "zero_optimization": {"stage": 2},
    "wall_clock_breakdown": False,
}


EVERYTHING: dict[str, Any] = {"stage3_param_persistence_threshold": 0}
"""Has ZeRO-3 partition small parameters too: by default it leaves those of a tiny model whole."""


def batches(rank: int, world: int) -> list[dict[str, Any]]:
    """Return this process's part of two batches of eight rows."""
    rows = answers(8)
    return [collate(rows[rank::world]), collate(rows[::-1][rank::world])]


def steps(engine: Any, loss_of: ModelLoss, rank: int, world: int) -> list[float]:
    """Take two steps, each on the rows of all processes, and return the mean loss of each."""
    losses = []
    for batch in batches(rank, world):
        terms, rows, _ = loss_of(engine, batch)
        every = torch.tensor([float(rows)])
        dist.all_reduce(every)
        loss = terms.loss * (rows * world / float(every))
        mean = loss.detach().clone().reshape(1)
        dist.all_reduce(mean)
        losses.append(float(mean) / world)
        engine.backward(loss)
        engine.step()
    return losses


def main(folder: Path, stage: int) -> None:
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # it compiles for minutes, and gloo does the same
    deepspeed.init_distributed("gloo")
    model = moved(adapted("llama"))
    config = objective("nlg", consistency=0.5, diversity=0.3)
    settings = {**SETTINGS, "zero_optimization": {"stage": stage, **EVERYTHING}}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    engine, *_ = deepspeed.initialize(model=model, model_parameters=trained, config=settings)
    rank, world = dist.get_rank(), dist.get_world_size()
    inputs = {name: value for name, value in collate(answers(4)).items() if name not in ("labels", "index")}
    losses = steps(engine, ModelLoss(engine, config), rank, world)
    with reference_of(engine) as reference:
        is_base = torch.equal(reference(**inputs).logits, build("llama")(**inputs).logits)
    try:
        export_adapter(engine, folder / f"adapter-{rank}")
        exported = "done"
    except AdapterError as error:
        exported = str(error)
    found = {"losses": losses, "reference": is_base, "exported": exported}
    (folder / f"rank{rank}.json").write_text(json.dumps(found), encoding="utf-8")
    dist.destroy_process_group()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]), int(sys.argv[2]))
