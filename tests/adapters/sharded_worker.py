"""One of two processes that share a model by FSDP2 on CPU: print what works on it, and what is refused, as JSON."""

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from tiny_models import batch, build, logits
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from balora.adapters import AdapterConfig, attach, export_adapter, export_merged, reference_of
from balora.errors import BaloraError
from balora.objective import ObjectiveConfig
from balora.training.loss import ModelLoss

INPUTS = batch("llama")
CONFIG = AdapterConfig(rank=4)
OBJECTIVE = ObjectiveConfig.preset("ba-lora", family="nlg")


def sharded(model: nn.Module, layers: nn.ModuleList) -> nn.Module:
    mesh = init_device_mesh("cpu", (2,))
    for layer in layers:
        fully_shard(layer, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def outcome(act: Callable[[], object]) -> str:
    """Return how it ended: the kind and text of the error, or `done`."""
    try:
        act()
    except BaloraError as error:
        return f"{type(error).__name__}: {error}"
    except Exception as error:
        return f"unexpected {type(error).__name__}: {error}"
    return "done"


def moved(model: nn.Module) -> nn.Module:
    """Move every trained factor by the same amount, sharded or not."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.mul_(1.1)
    return model


def terms(model: nn.Module) -> dict[str, float]:
    found, _, _ = ModelLoss(model, OBJECTIVE)(model, dict(INPUTS), 1.0)
    return {name: float(value.detach()) for name, value in found.values().items()}


def main(rank: int, folder: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    whole = moved(attach(build("llama"), CONFIG))
    model = attach(build("llama"), CONFIG)
    model = moved(sharded(model, model.get_base_model().model.layers))
    bare = build("llama")
    bare = sharded(bare, bare.model.layers)
    with reference_of(model) as reference:
        is_base = torch.equal(logits(reference, INPUTS), logits(build("llama"), INPUTS))
    export_adapter(whole, folder / f"whole-{rank}")
    measured: dict[str, float] = {}
    found = {
        "forward": float((logits(model, INPUTS) - logits(whole, INPUTS)).abs().max()),
        "reference": is_base,
        "terms": outcome(lambda: measured.update(terms(model))),
        "expected": terms(whole),
        "export_adapter": outcome(lambda: export_adapter(model, folder / "adapter")),
        "export_merged": outcome(lambda: export_merged(model, folder / f"merged-{rank}")),
        "save_pretrained": outcome(lambda: model.save_pretrained(folder / f"saved-{rank}")),
        "attach": outcome(lambda: attach(bare, CONFIG)),
        "attach standard": outcome(lambda: attach(bare, CONFIG.replace(init="standard"))),
    }
    found["measured"] = measured
    dist.barrier()
    if rank == 0:
        print(json.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(int(sys.argv[1]), Path(sys.argv[2]))
