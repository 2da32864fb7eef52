"""Run programs in a sandbox, one or many at a time, and say how each one ended."""

import io
import itertools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager, suppress
from threading import Event
from typing import Literal, NamedTuple

from balora.errors import SandboxError, shown
from balora.sandbox.commands import ENVIRONMENT, bubblewrap_command, local_command
from balora.sandbox.interpreter import Interpreter
from balora.sandbox.limits import Limits
from balora.sandbox.supervision import Channel, Ended, Supervisor
from balora.sandbox.system_calls import refusing_filter

Program = tuple[str, ...]
"""Source texts that run one after the other in one module."""
Status = Literal["ok", "failed", "timeout", "memory", "output"]
OnRows = Callable[[int, int], None]
"""Called with (programs done, programs in all)."""
LIMITS = Limits()

FIRST_USER, USERS = 60578, 606
"""Numbers of users that systemd leaves unused. Root runs every program as another one of them."""
_users = itertools.count(os.getpid())


class Sandbox(NamedTuple):
    """Where programs run; :func:`balora.sandbox.availability.find_sandbox` finds one and tries it."""

    kind: Literal["bubblewrap", "local"]
    interpreter: Interpreter
    bubblewrap: str = ""
    """Path of `bwrap`."""

    @property
    def description(self) -> str:
        """Which sandbox and which Python, for a record."""
        where = "a plain process without isolation"
        if self.kind == "bubblewrap":
            where = "bubblewrap" if refusing_filter() else "bubblewrap without a filter of system calls"
        return f"{where}, Python {self.interpreter.version}"


class Outcome(NamedTuple):
    """How one program ended."""

    status: Status
    """`ok` if every part ran to its end; else which limit ended the program, or `failed`."""
    returncode: int
    reason: str
    """The name of the exception, or the status; empty if ok. Exceptions are named by the program: do not trust it."""
    stdout: str
    stderr: str


def run_program(program: str | Program, *, sandbox: Sandbox, limits: Limits = LIMITS) -> Outcome:
    """Run one program and return how it ended; nothing of it is left, neither processes nor files.

    The parts run in one module, whose name is not `__main__`. `sys.exit(0)` is no end of the last part: only a program
    that comes to the end of its last part is `ok`.

    Raises:
        SandboxError: the sandbox did not come to the program.
    """
    return _run(program, sandbox, limits, Event())


def run_programs(
    programs: Sequence[str | Program],
    *,
    sandbox: Sandbox,
    limits: Limits = LIMITS,
    workers: int | None = None,
    on_rows: OnRows | None = None,
) -> list[Outcome]:
    """Run programs, ``workers`` at a time (none: one a processor), and return their outcomes in the order given.

    Raises:
        SandboxError: as :func:`run_program`; the programs that run are ended first.
    """
    stop = Event()
    with ThreadPoolExecutor(workers or os.cpu_count() or 1, thread_name_prefix="balora-sandbox") as pool:
        futures = [pool.submit(_run, program, sandbox, limits, stop) for program in programs]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                if on_rows is not None:
                    on_rows(done, len(programs))
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [future.result() for future in futures]


def _run(program: str | Program, sandbox: Sandbox, limits: Limits, stop: Event) -> Outcome:
    parts = [program] if isinstance(program, str) else list(program)
    ended = _execute(parts, sandbox, limits, stop)
    if not ended.ready and ended.killed != "stopped":
        raise SandboxError(
            f"{sandbox.description}: did not start the program (exit code {ended.returncode}): "
            f"{shown(ended.stderr.decode('utf-8', 'replace').strip() or ended.killed)}"
        )
    return _outcome(ended)


def _execute(parts: list[str], sandbox: Sandbox, limits: Limits, stop: Event) -> Ended:
    """Start the interpreter of the sandbox with a job, and supervise it to its end."""
    with ExitStack() as stack:
        text = json.dumps({"parts": parts, "limits": limits.model_dump()}).encode("ascii")
        job = stack.enter_context(_nameless_file(text))
        channel = Channel()
        stack.callback(channel.close)
        user = FIRST_USER + next(_users) % USERS if os.geteuid() == 0 else None
        passed, info, folder = [job.fileno(), channel.inside.fileno()], None, "/"
        if sandbox.kind == "bubblewrap":
            reader, writer = os.pipe()
            info = stack.enter_context(open(reader, "rb", buffering=0)).fileno()
            closing = stack.enter_context(open(writer, "wb", buffering=0))
            filtered = refusing_filter()
            calls = stack.enter_context(_nameless_file(filtered)).fileno() if filtered else None
            command = bubblewrap_command(
                sandbox.bubblewrap, sandbox.interpreter, limits, passed[0], passed[1], writer, calls
            )
            passed += [writer] if calls is None else [writer, calls]
        else:
            folder = stack.enter_context(_private_folder(user))
            command = local_command(sandbox.interpreter, *passed)
        process = stack.enter_context(_start(command, passed, folder, user))
        channel.inside.close()
        if info is not None:
            closing.close()
        return Supervisor(process, channel, info, limits).supervise(stop.is_set)


@contextmanager
def _nameless_file(content: bytes) -> Iterator[io.FileIO]:
    """Open a file that holds ``content`` and has no name; nothing of it stays, whoever is killed."""
    with tempfile.TemporaryFile("w+b", buffering=0) as file:
        file.write(content)
        file.seek(0)
        yield file


@contextmanager
def _private_folder(user: int | None) -> Iterator[str]:
    """Make an empty folder for a plain process, and remove it with all that the process wrote there."""
    folder = tempfile.mkdtemp(prefix="balora-program-")
    try:
        if user is not None:
            os.chown(folder, user, user)
        yield folder
    finally:
        _delete(folder)


def _delete(folder: str) -> None:
    """Delete a folder, also one that holds folders which its own user may not read; links are never followed."""
    for above, names, _ in os.walk(folder):
        for path in (os.path.join(above, name) for name in names):
            if not os.path.islink(path):
                with suppress(OSError):
                    os.chmod(path, 0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _start(command: list[str], passed: list[int], folder: str, user: int | None) -> subprocess.Popen[bytes]:
    other = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=passed,
        env=ENVIRONMENT, cwd=folder, start_new_session=True, **other,
    )  # fmt: skip


def _outcome(ended: Ended) -> Outcome:
    """Say how a program ended. A forged reason gains nothing: only the token makes a program `ok`."""
    cpu_limit = ended.returncode in (-24, 128 + 24)  # SIGXCPU
    if ended.killed in ("timeout", "memory", "output"):
        status, reason = ended.killed, ended.killed
    elif ended.passed and ended.returncode == 0:
        status, reason = "ok", ""
    elif cpu_limit:
        status = reason = "timeout"
    elif ended.error == "MemoryError":
        status, reason = "memory", ended.error
    else:
        status, reason = "failed", ended.error or f"ended early (exit code {ended.returncode})"
    out, err = (data.decode("utf-8", "replace") for data in (ended.stdout, ended.stderr))
    return Outcome(status, ended.returncode, reason, out, err)  # type: ignore[arg-type]
