"""Run inside the sandbox: execute the parts of a program in one module, and report whether all ran to their end.

The supervisor passes this text to `python -c`, with three words: the descriptor of the job (JSON: the parts and the
limits), that of the channel to the supervisor, and `local` where nothing else ends this process with the supervisor.
The file imports the standard library only, and runs on Python 3.8 and later.

On the channel it writes `ready`, then either `error` and the name of the exception, or the token that the supervisor
sent. The token waits unread in the channel until the last part has ended, so no object of this process holds it before.
"""

from __future__ import annotations

import json
import linecache
import os
import resource
import sys
import traceback
import types
from contextlib import suppress
from typing import Any


def main() -> None:
    job_number, channel, kind = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    with open(job_number, encoding="utf-8") as file:
        job = json.load(file)
    del sys.argv[1:]
    sys.path[:] = [folder for folder in sys.path if folder]
    _limit(job["limits"])
    if kind == "local":
        _end_with_parent()
    # Whatever the program puts into the place of these functions, the report below calls the true ones.
    report, receive, leave, number = os.write, os.read, os._exit, os.getpid
    own = number()
    report(channel, b"ready\n")
    passed, error = _run(job["parts"])
    for stream in (sys.stdout, sys.stderr):
        with suppress(BaseException):
            stream.flush()
    if number() == own:  # a process that the program forked reports nothing
        report(channel, receive(channel, 64) if passed else b"error " + error.encode("ascii", "replace"))
    leave(0 if passed else 1)


def _run(parts: list[str]) -> tuple[bool, str]:
    """Execute the parts in one module that is not `__main__`.

    Returns:
        Whether all ran to their end, and the name of the exception that ended one.
    """
    module = types.ModuleType("program")
    sys.modules["program"] = module
    execute, names = exec, module.__dict__  # the program may replace the built-in function
    try:
        for code in [_compiled(number, part) for number, part in enumerate(parts, 1)]:
            execute(code, names)
    except BaseException as error:
        with suppress(BaseException):
            traceback.print_exc(limit=-4)
        return False, type(error).__name__
    return True, ""


def _compiled(number: int, part: str) -> types.CodeType:
    """Compile one part; asserts count whatever the interpreter's flags are (`optimize=0`)."""
    name = f"<part {number}>"
    linecache.cache[name] = (len(part), None, part.splitlines(True), name)
    code: types.CodeType = compile(part, name, "exec", flags=0, dont_inherit=True, optimize=0)
    return code


def _limit(limits: dict[str, Any]) -> None:
    """Limit this process and all that it will start; none of them can raise a limit again."""
    seconds = limits["cpu_seconds"]
    wanted = [
        (resource.RLIMIT_CPU, seconds, seconds + 1),
        (resource.RLIMIT_AS, limits["memory_bytes"], limits["memory_bytes"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"], limits["file_bytes"]),
        (resource.RLIMIT_NPROC, limits["processes"], limits["processes"]),
        (resource.RLIMIT_NOFILE, 64, 64),
        (resource.RLIMIT_CORE, 0, 0),
    ]
    for name, soft, hard in wanted:
        highest = resource.getrlimit(name)[1]
        if highest != resource.RLIM_INFINITY:
            soft, hard = min(soft, highest), min(hard, highest)
        resource.setrlimit(name, (soft, hard))


def _end_with_parent() -> None:
    """Ask the system to kill this process when the thread that started it ends (Linux)."""
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(1, 9)


if __name__ == "__main__":
    main()
