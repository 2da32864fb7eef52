"""Test how benchmarks store their rows and fit exponents, and that the table in the docs holds the results."""

import json
from pathlib import Path

import pytest
from benchmarks.growth import exponent
from benchmarks.results import FILE, PAGE, Row, card_tables, page_with, read, table, update


def test_the_tables_in_the_docs_hold_the_measured_results_and_nothing_else() -> None:
    assert page_with(PAGE.read_text(), table(read(FILE)), card_tables()) == PAGE.read_text()


def test_a_benchmark_measured_anew_replaces_its_own_rows_alone(tmp_path: Path) -> None:
    file = tmp_path / "some.json"
    update(file, "first", [Row("a", 1.0, 2.0, "x"), Row("b", 3.0, 2.0, "y")], threads=2)
    update(file, "second", [Row("c", 0.5, 0.25, "z")], threads=1)
    update(file, "first", [Row("d", 1.234, 2.0, "w")], threads=2)
    assert [list(json.loads(file.read_text())), read(file)["first"]["rows"]] == [
        ["first", "second"],
        [{"what": "d", "ratio": 1.234, "goal": 2.0, "detail": "w"}],
    ]
    lines = table(read(file)).splitlines()
    assert lines[2:4] == ["| d | 1.23 | ≤ 2 | w |", "| c | 0.50 | ≤ 0.25 (missed) | z |"]
    assert lines[5].startswith("first: ")
    assert "2 threads" in lines[5]
    assert "1 threads" in lines[6]


@pytest.mark.parametrize("power", [0.0, 1.0, 2.5])
def test_the_exponent_of_a_power_is_found(power: float) -> None:
    sizes = (3, 10, 500)
    assert exponent(sizes, [7 * size**power for size in sizes]) == pytest.approx(power, abs=1e-12)
