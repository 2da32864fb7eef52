"""Start the processes of one run with torch's launcher, and wait for them."""

import json
import logging
import os
import sys
import tempfile
from pathlib import Path

from balora.errors import ConfigError, FirstProcessError, TrainingError
from balora.training.launchers import launched_processes, refuse_strategy
from balora.training.spec import RunSpec
from balora.training.strategy_limits import refuse_unshared
from balora.training.team import GOES_ON

ENTRY = "balora.cli.one_process"
"""What each process runs."""


def is_to_start(spec: RunSpec) -> bool:
    """Whether this process is to start those that carry out ``spec``, and is none of them itself."""
    return (spec.launch.processes or 1) > 1 and launched_processes() == 1


def start_processes(spec: RunSpec, output: Path) -> None:
    """Carry out ``spec`` in the processes that it wants, on this machine, with its results in ``output``.

    Raises:
        ConfigError: there are fewer GPUs (or, without GPUs, cores) than processes, or a strategy that runs do not have.
        FirstProcessError: a process failed, and has printed why.
        TrainingError: a process was killed.
    """
    count = spec.launch.processes or 1
    refuse_strategy(spec.launch, count)
    refuse_unshared(spec)
    refuse_missing_devices(count)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, _cores() // count)))
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # DDP warns that it looks for unused parameters
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # its tables of processes and signals
    with tempfile.TemporaryDirectory(prefix="balora-") as scratch:
        settings = Path(scratch) / "spec.json"
        settings.write_text(spec.model_dump_json(), encoding="utf-8")
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            run_id="balora",
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=0,
        )
        try:
            elastic_launch(config, sys.executable)("-m", ENTRY, str(settings), str(output))
        except SignalException:
            raise KeyboardInterrupt from None
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            if failure.exitcode < 0:
                raise TrainingError(
                    f"process {rank} of {count} was ended by signal {-failure.exitcode} (by the system, where memory "
                    f"ran out): {GOES_ON}"
                ) from None
            raise FirstProcessError(failure.exitcode) from None


def refuse_missing_devices(count: int) -> None:
    """Raise ConfigError if this machine has fewer GPUs than ``count``, or fewer cores where it has no GPU."""
    import torch

    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count > (there or _cores()):
        has = f"{there} GPU(s)" if there else f"no GPU that torch sees, and {_cores()} core(s)"
        raise ConfigError(
            f"launch.processes = {count}, but this machine has {has}: lower it; for several machines, start "
            "`torchrun` on each"
        )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_spec(path: Path) -> RunSpec:
    """Return the run that :func:`start_processes` has written."""
    return RunSpec(**json.loads(path.read_text(encoding="utf-8")))
