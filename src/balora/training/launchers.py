"""Find out how many processes a launcher has started, and refuse what they cannot do together; torch-free."""

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec

from balora.errors import ConfigError, shown
from balora.training.launch_config import LaunchConfig

COUNTS = ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")
"""What torchrun, accelerate and MPI's launchers set in each process, the first one that is set counts: as accelerate
reads them. Slurm's SLURM_NTASKS is not among them: a batch script has it too, and is one process."""
PLACES = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun and accelerate set beside the count, and torch needs to let the processes meet."""
PLUGINS = {"ACCELERATE_USE_FSDP": "FSDP", "ACCELERATE_USE_DEEPSPEED": "DeepSpeed"}
"""What `accelerate launch` sets for the trainers of a script."""
INSTALL_DEEPSPEED = '`pip install setuptools wheel`, then `pip install --no-build-isolation "balora[deepspeed]"`'


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


def is_first_process(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process speaks for all that a launcher has started with it."""
    return launched_processes(environment) == 1 or environment.get("RANK", "0") == "0"


def refuse_several_processes(what: str) -> None:
    """Raise ConfigError if this process is one of several that share one piece of work.

    Each of them would do ``what`` as a whole, and write into the same folder.
    """
    count = max(launched_processes(), process_group_size())
    if count > 1:
        raise ConfigError(
            f"{what} works in one process, but {count} were started together (torchrun, accelerate launch, mpirun): "
            "start it without a launcher; `balora train` and the trainers train one model in several processes"
        )


def processes_together(launch: LaunchConfig, environment: Mapping[str, str] = os.environ) -> int:
    """Return how many processes carry out the run that this process carries out, which fits what ``launch`` says.

    Raises:
        ConfigError: another number was started than is set, by a launcher that balora does not know, or they are to
            share the model in a way that a run cannot.
    """
    count = max(launched_processes(environment), process_group_size())
    if count == 1:
        if (launch.processes or 1) > 1:
            raise ConfigError(
                f"launch.processes = {launch.processes}, but this is one process: `balora train` starts them itself; "
                f"start a script of your own with `torchrun --nproc-per-node {launch.processes}`"
            )
        refuse_strategy(launch, 1)
        return 1
    if missing := [name for name in PLACES if not environment.get(name)]:
        raise ConfigError(
            f"{count} processes were started together, but not by torchrun or accelerate launch: {missing[0]} is not "
            f"set: start them with `torchrun --nproc-per-node {count}`, or set launch.processes and no launcher"
        )
    for name, plugin in PLUGINS.items():
        if environment.get(name, "").lower() in ("1", "true"):
            raise ConfigError(
                f"accelerate launch was told to use {plugin}, but a run takes this from its settings: choose DDP "
                f"in accelerate's configuration (it has set {name}), and set launch.strategy"
            )
    if launch.processes not in (None, count):
        raise ConfigError(
            f"launch.processes = {launch.processes}, but {count} processes were started together: leave "
            "launch.processes out, or start without a launcher"
        )
    refuse_strategy(launch, count)
    return count


def refuse_strategy(launch: LaunchConfig, processes: int) -> None:
    """Raise ConfigError where so many ``processes`` cannot share a model as ``launch`` says."""
    strategy = launch.strategy
    if strategy == "ddp":
        return
    if processes == 1:
        raise ConfigError(
            f"launch.strategy = {strategy!r}: several processes share a model, but this run has one: set "
            "launch.processes to 2 or more, or leave the strategy out"
        )
    if strategy.startswith("zero") and find_spec("deepspeed") is None:
        raise ConfigError(f"launch.strategy = {strategy!r}: DeepSpeed is not installed: {INSTALL_DEEPSPEED}")
