"""Supervise one running program: read what it writes up to a limit, watch time and memory, end its whole tree."""

import json
import os
import secrets
import select
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from balora.sandbox.limits import Limits
from balora.sandbox.process_tree import temporary_files, tree_memory

START_SECONDS = 120.0
"""Most seconds until the interpreter inside is ready; on a loaded machine they are not the program's fault."""
LOOK_SECONDS = 0.1
"""How often memory and time are compared with the limits while the program writes nothing."""


class Ended(NamedTuple):
    """How a supervised process ended."""

    killed: str
    """Why the supervisor ended it: `timeout`, `memory`, `output`, `start` (never ready), `stopped`; empty if not. A
    program that has written too much counts as ended for it, even if it came to its end first."""
    returncode: int
    ready: bool
    """Whether the interpreter inside came to the program."""
    passed: bool
    """Whether the program sent the token back: every part ran to its end."""
    error: str
    """The name of the exception that ended the program; empty if there was none, or it was not reported."""
    stdout: bytes
    stderr: bytes


class Channel:
    """The supervisor's end of the channel to the interpreter inside, with the token that is sent through it."""

    def __init__(self) -> None:
        self.own, self.inside = socket.socketpair()
        self._token = secrets.token_hex(16).encode()
        self.own.sendall(self._token)

    def close(self) -> None:
        self.own.close()
        self.inside.close()

    def passed(self, received: bytes) -> bool:
        """Return whether what was received says that every part ran to its end."""
        return received == b"ready\n" + self._token

    @staticmethod
    def error(received: bytes) -> str:
        """Return the name of the exception in what was received; it is the program's own word, so only a plain name."""
        name = received.partition(b"\nerror ")[2][:80].decode("ascii", "replace")
        return name if name.isidentifier() else ""


class Supervisor:
    """Reads the pipes of one process until it has ended or must be ended."""

    def __init__(self, process: subprocess.Popen[bytes], channel: Channel, info: int | None, limits: Limits) -> None:
        self.process, self.channel, self.info, self.limits = process, channel, info, limits
        assert process.stdout is not None
        assert process.stderr is not None
        self.out, self.err = process.stdout.fileno(), process.stderr.fileno()
        caps = {self.out: limits.output_bytes, self.err: limits.output_bytes, channel.own.fileno(): 256}
        self.caps = caps if info is None else {**caps, info: 4096}
        self.received = {descriptor: bytearray() for descriptor in self.caps}
        self.selector = selectors.DefaultSelector()
        for descriptor in self.caps:
            os.set_blocking(descriptor, False)
            self.selector.register(descriptor, selectors.EVENT_READ)

    def supervise(self, stopped: Callable[[], bool]) -> Ended:
        """Return how the process ended; none of its tree is alive afterwards (in a plain process: of its group)."""
        killed = ""
        try:
            killed = self._watch(stopped)
        finally:
            self._end_tree()
        while self._read(0):  # what was written before the end
            pass
        self.selector.close()
        killed = killed or ("output" if self._too_much() else "")
        words = bytes(self.received[self.channel.own.fileno()])
        return Ended(
            killed, self.process.returncode, words.startswith(b"ready\n"), self.channel.passed(words),
            self.channel.error(words), bytes(self.received[self.out]), bytes(self.received[self.err]),
        )  # fmt: skip

    def _watch(self, stopped: Callable[[], bool]) -> str:
        """Return why the process must be ended, or nothing once it has ended by itself."""
        start, ready, looked = time.monotonic(), False, 0.0
        while self.process.poll() is None:
            self._read(LOOK_SECONDS)
            now = time.monotonic()
            if not ready and self.received[self.channel.own.fileno()]:
                start, ready = now, True
            if self._too_much():
                return "output"
            if now - start > (self.limits.wall_seconds if ready else START_SECONDS):
                return "timeout" if ready else "start"
            if stopped():
                return "stopped"
            if now - looked > LOOK_SECONDS:
                looked = now
                if self._holds_too_much(ready):
                    return "memory"
        return ""

    def _holds_too_much(self, ready: bool) -> bool:
        first, limits = self._first_process(), self.limits
        # A plain process has no file systems of its own, and the sandbox only from when the program runs in it.
        in_sandbox = ready and first != self.process.pid
        return tree_memory(first) > limits.memory_bytes or (in_sandbox and temporary_files(first) > limits.files)

    def _too_much(self) -> bool:
        return any(len(self.received[pipe]) > self.limits.output_bytes for pipe in (self.out, self.err))

    def _read(self, seconds: float) -> bool:
        """Read what has arrived, at most one byte over each limit; return whether something had."""
        found = False
        if not self.selector.get_map():  # every pipe is closed, the process is about to end
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
            return False
        for key, _ in self.selector.select(seconds):
            try:
                data = os.read(key.fd, 65536)
            except BlockingIOError:
                continue
            except OSError:  # a connection that the other side has cut
                data = b""
            if not data:
                self.selector.unregister(key.fd)
                continue
            found = True
            room = self.caps[key.fd] + 1 - len(self.received[key.fd])
            self.received[key.fd] += data[: max(room, 0)]
        return found

    def _first_process(self) -> int:
        """Return the process whose end is the end of all others: the first one in the sandbox, else our own child."""
        if self.info is not None:
            with suppress(ValueError, KeyError, TypeError):
                return int(json.loads(self.received[self.info])["child-pid"])
        return self.process.pid

    def _end_tree(self) -> None:
        """End every process of the tree, and wait until that is done.

        With the first process of a sandbox the system ends all others. Our own child may end a moment before it.
        """
        first = self._first_process()
        if first != self.process.pid:
            _end_first(first, kill=self.process.poll() is None)
        with suppress(OSError):  # the group: in a plain process, what the program has left behind
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def _end_first(number: int, *, kill: bool) -> None:
    """Wait for the end of the first process of a sandbox, at most ten seconds; ``kill`` it before."""
    with suppress(OSError):  # it has ended
        descriptor = os.pidfd_open(number)
        try:
            if kill:
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            select.select([descriptor], [], [], 10)
        finally:
            os.close(descriptor)
