"""Run the command that the user typed, and turn every error into one line and an exit code.

Exit codes: 0 done, 1 failed, 2 wrong input, 130 interrupted.
"""

import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import typer

from balora.cli.streams import flush, safe_streams
from balora.errors import BaloraError, FirstProcessError, printable, shortened, shown

DEBUG = "--debug"
LONGEST_LINE = 4_000
"""Most characters of an error line: all faults of a long study file fit, a file pasted into a value does not."""
NO_SPACE = os.strerror(errno.ENOSPC)
NOT_PERMITTED = {errno.EACCES, errno.EPERM, errno.EROFS}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (without the program's name) and return its exit code.

    ``--debug`` is removed here, so that it may stand anywhere on any command line.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    args = [_at_home(arg) for arg in given if arg != DEBUG]
    with safe_streams():
        return guarded(lambda: _run(args or ["--help"]), debug=len(args) < len(given))


def guarded(act: Callable[[], int], *, debug: bool = False) -> int:
    """Return the exit code of ``act``; every error is printed as one line."""
    try:
        code = act()
        flush()
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        if debug:
            print("\n".join(map(printable, traceback.format_exc().splitlines())), file=sys.stderr)
        line, code = explain(error)
        if line:
            print(f"balora: {line}", file=sys.stderr)
        return code
    if code == 130:
        print("balora: interrupted", file=sys.stderr)
    return code


def _run(args: list[str]) -> int:
    result = _command().main(args, prog_name="balora", standalone_mode=False)
    return result if isinstance(result, int) else 0


@cache
def _command() -> Any:
    """Return the whole tree of verbs with their options, which takes longer to make than many a verb takes."""
    from balora.cli.app import app

    return typer.main.get_command(app)


def _at_home(word: str) -> str:
    """Replace `~` at the start of a path, also in `--output=~/run`, where no shell does it."""
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return option + equals + (os.path.expanduser(value) if value.startswith("~") else value)


def explain(error: Exception) -> tuple[str, int]:
    """Return the line that describes ``error`` (empty if something was printed already) and the exit code."""
    if isinstance(error, FirstProcessError):
        return "", error.exit_code
    if isinstance(error, BaloraError):
        return f"error: {_one_line(str(error))}", error.exit_code
    if isinstance(error, typer.TyperException):
        if not error.format_message():  # a group without a command, whose help was printed
            return "", 2
        return f"error: {_one_line(error.format_message())} (see --help)", 2
    if NO_SPACE in str(error):  # also where a library wraps the system's error
        return f"error: {_one_line(str(error))}: free some disk space or choose another output folder", 2
    if isinstance(error, OSError) and error.errno in NOT_PERMITTED:
        place = _one_line(f"{error.strerror}: {error.filename}")
        return f"error: {place}: change its permissions or choose another folder", 2
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return f"error: {_one_line(f'{error.strerror}: {shown(error.filename)}')}: choose a shorter name", 2
    kind, message = type(error).__name__, _one_line(str(error))
    return f"error: {kind}: {message} (this is a bug in balora: report it with the traceback that {DEBUG} shows)", 1


def _one_line(text: str) -> str:
    return printable(shortened(" ".join(text.split()), LONGEST_LINE))
