"""How a command of the command line ended."""

from collections.abc import Callable
from typing import NamedTuple


class Ended(NamedTuple):
    """Exit code and what was printed."""

    code: int
    out: str
    err: str


Balora = Callable[..., Ended]
