"""Refuse to do the work of one process in several that a launcher has started; torch-free."""

import os
import sys
from collections.abc import Mapping

from balora.errors import ConfigError, shown

COUNTS = ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")
"""What torchrun, accelerate and MPI's launchers set in each process, the first one that is set counts: as accelerate
reads them. Slurm's SLURM_NTASKS is not among them: a batch script has it too, and is one process."""


def launched_processes(environment: Mapping[str, str] = os.environ) -> int:
    """Return how many processes a launcher has started with this one; 1 without a launcher.

    Raises:
        ConfigError: a launcher's variable holds no number.
    """
    for name in COUNTS:
        text = environment.get(name, "").strip()
        if text:
            if not (text.isascii() and text.isdigit() and 0 < len(text) < 10):
                raise ConfigError(
                    f"environment variable {name} = {shown(text)}: expected a number of processes: unset it"
                )
            if int(text) > 1:
                return int(text)
    return 1


def process_group_size() -> int:
    """Return the number of processes of torch's process group, if this process has joined one; does not load torch."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return 1
    return int(distributed.get_world_size())


def refuse_several_processes(what: str) -> None:
    """Raise ConfigError if this process is one of several that share one piece of work.

    Each of them would do ``what`` as a whole, and write into the same folder.
    """
    count = max(launched_processes(), process_group_size())
    if count > 1:
        raise ConfigError(
            f"{what} works in one process, but {count} were started together (torchrun, accelerate launch, mpirun): "
            "start balora without a launcher; to train one model in several processes, use BALoraTrainer in a script "
            "of your own"
        )
