"""Let several runs of one process take turns, step by step: each in a thread of its own, one of them at work at a time.

A Trainer has its loop inside, so that only a thread can leave a run in the middle of it. The random states are put away
and back at every turn, as if each run had the process to itself; the time it waits for the others is not counted as its
own.
"""

import contextvars
import os
import random
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

_TURN: ContextVar["_Turn | None"] = ContextVar("turn", default=None)


class _Turn:
    """The place of one run among those that take turns."""

    def __init__(self, order: "deque[_Turn]", changed: threading.Condition) -> None:
        self._order, self._changed, self.waited = order, changed, 0.0
        order.append(self)

    def wait(self) -> None:
        start = time.perf_counter()
        with self._changed:
            self._changed.wait_for(lambda: self._order[0] is self)
        self.waited += time.perf_counter() - start

    def give(self) -> None:
        with self._changed:
            self._order.rotate(-1)
            self._changed.notify_all()

    def leave(self) -> None:
        with self._changed:
            self._order.remove(self)
            self._changed.notify_all()


def take_turns(works: Sequence[Callable[[], None]]) -> None:
    """Carry out all ``works``, each until it ends or calls :func:`pass_turn`, then the next one, and around again.

    Raises the first error that a work has raised, after all have ended: one that fails takes none with it.
    """
    order: deque[_Turn] = deque()
    changed = threading.Condition()
    errors: list[BaseException] = []

    def carry_out(work: Callable[[], None], turn: _Turn) -> None:
        _TURN.set(turn)
        turn.wait()
        try:
            work()
        except BaseException as error:
            errors.append(error)
        finally:
            turn.leave()

    before = dict(os.environ)
    turns = [_Turn(order, changed) for _ in works]
    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(carry_out, work, turn), daemon=True)
        for work, turn in zip(works, turns, strict=True)
    ]
    with warnings.catch_warnings():  # what each undoes on leaving, they undo in another order
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)
    if errors:
        raise errors[0]


def pass_turn() -> None:
    """Let every other run that takes turns with this one do its next part; nothing where there are none."""
    turn = _TURN.get()
    if turn is None:
        return
    state = _random_states()
    turn.give()
    turn.wait()
    _put_back(state)


def own_seconds() -> float:
    """Return a clock that stands still while others have their turn."""
    turn = _TURN.get()
    return time.perf_counter() - (0.0 if turn is None else turn.waited)


def _random_states() -> list[Any]:
    import numpy as np
    import torch

    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
    return [random.getstate(), np.random.get_state(), torch.get_rng_state(), cuda]


def _put_back(states: list[Any]) -> None:
    import numpy as np
    import torch

    python, numpy, cpu, cuda = states
    random.setstate(python)
    np.random.set_state(numpy)
    torch.set_rng_state(cpu)
    if cuda is not None:
        torch.cuda.set_rng_state_all(cuda)
