"""Run programs of the toy instruction language, which compute on one number.

`add 3 ; dbl ;` run on 2 gives 10. Every instruction ends in `;`; add, sub and mul take a number from 1 to 9.
"""

from collections.abc import Callable, Sequence

UNARY: dict[str, Callable[[int], int]] = {
    "dbl": lambda x: 2 * x,
    "inc": lambda x: x + 1,
    "dec": lambda x: x - 1,
    "hlf": lambda x: x // 2,
    "sqr": lambda x: x * x,
    "neg": lambda x: -x,
    "clr": lambda x: 0,
}
BINARY: dict[str, Callable[[int, int], int]] = {
    "add": lambda x, k: x + k,
    "sub": lambda x, k: x - k,
    "mul": lambda x, k: x * k,
}
ARGUMENTS = tuple(map(str, range(1, 10)))
INPUTS = (-5, 0, 1, 2, 3, 7, 10)
"""The numbers that a program is tried on."""
MOST_INSTRUCTIONS = 10


class ProgramError(ValueError):
    """A text is no program."""


def run_program(text: str, start: int) -> int:
    """Return the result of the program ``text`` on the number ``start``; raise :class:`ProgramError` if it is none."""
    words = text.split()
    if not words or words[-1] != ";":
        raise ProgramError("a program ends in ';'")
    instructions = " ".join(words[:-1]).split(" ; ")
    if len(instructions) > MOST_INSTRUCTIONS:
        raise ProgramError(f"more than {MOST_INSTRUCTIONS} instructions")
    number = start
    for instruction in instructions:
        number = _step(instruction.split(), number)
    return number


def _step(words: list[str], number: int) -> int:
    match words:
        case [name] if name in UNARY:
            return UNARY[name](number)
        case [name, argument] if name in BINARY and argument in ARGUMENTS:
            return BINARY[name](number, int(argument))
    raise ProgramError(f"no instruction: {' '.join(words)!r}")


def passes(text: str, tests: Sequence[tuple[int, int]]) -> bool:
    """Return whether ``text`` is a program that gives every (input, output) of ``tests``."""
    try:
        return all(run_program(text, start) == result for start, result in tests)
    except ProgramError:
        return False


def cases_of(text: str) -> list[tuple[int, int]]:
    """Return the (input, output) pairs that define what the program ``text`` computes."""
    return [(start, run_program(text, start)) for start in INPUTS]
