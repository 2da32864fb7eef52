"""The toy instruction language."""

import pytest

from balora.tasks.testbed.program import ProgramError, cases_of, passes, run_program


@pytest.mark.parametrize(
    ("text", "start", "result"),
    [
        ("add 3 ; dbl ;", 2, 10),
        ("dbl ; add 3 ;", 2, 7),
        ("sub 9 ; neg ;", 4, 5),
        ("mul 4 ; dec ; hlf ;", 3, 5),
        ("hlf ;", -5, -3),
        ("sqr ; inc ;", -3, 10),
        ("clr ; inc ;", 99, 1),
    ],
)
def test_programs_compute(text: str, start: int, result: int) -> None:
    assert run_program(text, start) == result


@pytest.mark.parametrize("text", ["", ";", "add 3", "add ;", "add 10 ;", "dbl 2 ;", "run ;", "dbl ; ;", "dbl ; " * 11])
def test_what_is_no_program_is_refused_and_passes_nothing(text: str) -> None:
    with pytest.raises(ProgramError):
        run_program(text, 1)
    assert not passes(text, [(1, 1)])


def test_other_programs_with_the_same_results_pass() -> None:
    wanted = cases_of("dbl ; dbl ;")
    assert passes("mul 4 ;", wanted)
    assert not passes("mul 3 ;", wanted)
    assert not passes("dbl ;", wanted)
