"""Run the command line in this process, and return how it ended."""

import io
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

from balora.cli import main


class Ended(NamedTuple):
    """Exit code and what was printed."""

    code: int
    out: str
    err: str


Balora = Callable[..., Ended]


def run_balora(*words: object) -> Ended:
    """Run `balora` with the given words."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = main([str(word) for word in words])
    return Ended(code, out.getvalue(), err.getvalue())
