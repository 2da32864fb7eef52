"""Let the processes that a launcher has started carry out one run; loads torch only where there are several."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

from balora.errors import BaloraError, ConfigError, FirstProcessError
from balora.training.launch_config import LaunchConfig
from balora.training.launchers import process_group_size, processes_together

Found = TypeVar("Found")

PATIENCE = timedelta(days=7)
"""How long processes wait for each other: the first one may score for hours. If one dies, a launcher ends the rest."""
FAREWELL = timedelta(seconds=60)
"""How long a process waits at its end until the first one has written its record: its launcher would end that one."""
REASON, FINISHED = "balora/reason", "balora/finished"
"""Under which a process leaves why it failed, and the first one that it has ended."""
GOES_ON = "the run has no record; the same command goes on from its last checkpoint, if there is one"
"""The end of an error text where a process was killed."""
LOST = ("onnection closed by", "onnection reset by", "remote process exited")
"""What gloo and NCCL write where another process has ended, without a reason or before it."""


class Team:
    """The processes of one run.

    Args (of the constructor):
        rank: number of this process, from 0.
        size: how many there are.
        store: what they share.
    """

    def __init__(self, rank: int = 0, size: int = 1, store: Any = None) -> None:
        self.rank, self.size, self._store = rank, size, store

    @property
    def is_first(self) -> bool:
        """Whether this is the process that reads and writes for all."""
        return self.rank == 0

    def first(self, act: Callable[[], Found]) -> Found:
        """Return what ``act`` returns in the first process, which alone calls it, in each of them.

        Raises:
            FirstProcessError: in all others, if it raised something in the first one.
        """
        if self.size == 1:
            return act()
        import torch.distributed as dist

        sent: list[Any] = [None]
        if self.is_first:
            try:
                sent = [(True, act())]
            except BaseException as error:
                code = error.exit_code if isinstance(error, BaloraError) else 1
                dist.broadcast_object_list([(False, code)])
                raise
        dist.broadcast_object_list(sent)
        is_done, found = sent[0]
        if not is_done:
            raise FirstProcessError(found)
        done: Found = found
        return done

    def in_turn(self, act: Callable[[], None]) -> None:
        """Call ``act`` in the first process, which downloads and fills caches, and afterwards in all others.

        Raises:
            FirstProcessError: in all others, if it raised something in the first one.
        """
        self.first(act)
        if not self.is_first:
            act()

    def gather(self, value: Found) -> list[Found]:
        """Return the ``value`` of every process, by its number, in each of them."""
        if self.size == 1:
            return [value]
        import torch.distributed as dist

        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, value)
        return found

    def why(self, error: Exception) -> tuple[str, str]:
        """Return the kind and the message of an ``error``: of the one that ended another process, if that is its cause.

        Where a process fails, the others see nothing but a lost connection.
        """
        if not isinstance(error, BaloraError) and self._store is not None and self._store.check([REASON]):
            kind, _, message = self._store.get(REASON).decode().partition("\n")
            return kind, message
        return type(error).__name__, " ".join(str(error).split()) or repr(error)

    def has_lost_another(self, error: Exception) -> bool:
        """Whether ``error`` means that another process has ended and left no reason: it was killed."""
        if self.size == 1 or isinstance(error, BaloraError) or not any(words in str(error) for words in LOST):
            return False
        with suppress(RuntimeError):  # the process that was killed may have held the store
            return not self._store.check([REASON])
        return True

    def leave(self, error: BaseException | None) -> None:
        """Leave the process group; all but the first one say why, and wait for its end."""
        import torch.distributed as dist

        if self.is_first:
            self._store.set(FINISHED, "")  # before the others miss it
            dist.destroy_process_group()
            return
        if error is not None and not isinstance(error, FirstProcessError):
            text = " ".join(str(error).split()) or repr(error)
            self._store.set(REASON, f"{type(error).__name__}\nprocess {self.rank}: {text}")
        dist.destroy_process_group()  # ends what the others wait for
        with suppress(RuntimeError):
            self._store.wait([FINISHED], FAREWELL)

    def has_lost_the_first(self) -> bool:
        """Whether the first process has ended, so that whatever this one shares with it fails."""
        return not self.is_first and bool(self._store.check([FINISHED]))


@contextmanager
def joined(launch: LaunchConfig) -> Iterator[Team]:
    """Inside, this process and those that were started with it are a team; a process alone is a team of its own.

    Raises:
        ConfigError: as :func:`processes_together`, or more processes were started than there are GPUs.
    """
    size = processes_together(launch)
    if size == 1:
        yield Team()
        return
    import torch.distributed as dist
    from torch.distributed.distributed_c10d import _get_default_store

    if process_group_size() > 1:  # a caller has joined
        yield Team(dist.get_rank(), size, _get_default_store())
        return
    dist.init_process_group(_backend(int(os.environ["LOCAL_RANK"])), timeout=PATIENCE)
    team = Team(dist.get_rank(), size, _get_default_store())
    error: BaseException | None = None
    try:
        yield team
    except BaseException as raised:
        error = raised
        if not isinstance(raised, BaloraError) and team.has_lost_the_first():
            error = FirstProcessError()
            raise error from raised
        raise
    finally:
        team.leave(error)


def _backend(place: int) -> str:
    """Return by what the processes talk to each other, after taking the GPU with this number if there are GPUs."""
    import torch

    if not torch.cuda.is_available():
        return "gloo"
    if place >= torch.cuda.device_count():
        raise ConfigError(
            f"at least {place + 1} processes were started on this machine, which has {torch.cuda.device_count()} "
            "GPU(s): start one process a GPU"
        )
    torch.cuda.set_device(place)
    return "cpu:gloo,cuda:nccl"
