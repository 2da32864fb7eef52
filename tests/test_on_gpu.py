"""Test how `scripts/on_gpu` runs its parts, records them and ends, without a GPU."""

import json
import os
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from benchmarks import card
from benchmarks.objective import rows_that_fit
from benchmarks.results import Row, card_tables, page_with, read, table
from scripts.gpu_check import interpreter as interpreters
from scripts.gpu_check import main as on_gpu
from scripts.gpu_check.interpreter import CheckError, Interpreter, find_interpreter, with_wheels
from scripts.gpu_check.outcome_file import file_name
from scripts.gpu_check.parts import LIMITS, NOT_INSTALLED, run_part

HERE = Interpreter(sys.executable, "2.13.0", "Some Card")
ENTRY = '{"PART": {"date": "2026-01-02", "rows": [{"what": "w", "ratio": 1.5, "goal": 1.0, "detail": ""}]}}'
WRITES = f"import sys; open(sys.argv[2], 'w').write('''{ENTRY}'''.replace('PART', sys.argv[1])); "


def commands(**programs: str) -> Callable[[str, Path], Sequence[str]]:
    """Return what makes the command of a part: the given program, or else one that writes a row."""
    return lambda part, fresh: [sys.executable, "-c", programs.get(part, WRITES), part, str(fresh)]


def run(output: Path, parts: Sequence[str], minutes: float = 8, **programs: str) -> tuple[int, dict[str, Any]]:
    outcomes = on_gpu.run_parts(parts, HERE, output, False, minutes, commands(**programs))
    return on_gpu.summary(outcomes, output), read(output)


def test_every_part_has_a_limit_and_a_measurement() -> None:
    assert list(LIMITS) == list(card.PARTS)
    assert card.NOT_INSTALLED == NOT_INSTALLED


def test_a_failing_part_costs_only_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, results = run(tmp_path / "x.json", ["tests", "trl", "liger"], tests="raise ValueError('no luck')")
    assert code == 1
    assert results["tests"]["not measured"] == "ValueError: no luck"
    assert [len(results[part]["rows"]) for part in ("tests", "trl", "liger")] == [0, 1, 1]
    printed = capsys.readouterr().out
    assert "    | ValueError: no luck" in printed
    assert "not measured: tests: ValueError: no luck" in printed
    assert "no luck" in (tmp_path / "x.log").read_text()


def test_a_part_that_hangs_is_stopped_with_its_children_and_its_rows_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LIMITS, "trl", 3)
    child = tmp_path / "child"
    hangs = WRITES + (
        "import subprocess, time; "
        f"p = subprocess.Popen(['sleep', '600']); open({str(child)!r}, 'w').write(str(p.pid)); time.sleep(600)"
    )
    code, results = run(tmp_path / "x.json", ["trl", "liger"], trl=hangs)
    assert code == 1
    assert results["trl"]["rows"][0]["ratio"] == 1.5
    assert results["trl"]["not measured"] == "the rest: stopped after 3 s, its limit"
    assert "not measured" not in results["liger"]
    assert not running(int(child.read_text()))


def running(process: int) -> bool:
    """Whether the process, whose parent is dead, is not gone within seconds."""
    for _ in range(50):
        state = Path(f"/proc/{process}/stat")
        if not state.exists() or state.read_text().split()[2] == "Z":
            return False
        time.sleep(0.1)
    return True


def test_a_missing_package_is_skipped_by_name_and_is_no_failure(tmp_path: Path) -> None:
    lacks = f"import sys; print('liger_kernel', file=sys.stderr); raise SystemExit({NOT_INSTALLED})"
    code, results = run(tmp_path / "x.json", ["trl", "liger"], liger=lacks)
    assert code == 0
    assert results["liger"]["not measured"] == "the package liger_kernel is not installed"


def test_parts_that_lack_time_are_skipped_and_nothing_measured_is_wrong_use(tmp_path: Path) -> None:
    code, results = run(tmp_path / "x.json", ["trl"], minutes=0)
    assert code == 2
    assert results["trl"]["not measured"] == "the 0 minutes were used up"


def test_a_failure_leaves_what_an_earlier_call_measured(tmp_path: Path) -> None:
    run(tmp_path / "x.json", ["trl"])
    _, results = run(tmp_path / "x.json", ["trl"], trl="raise SystemExit(1)")
    assert results["trl"] == json.loads(ENTRY)["PART"]


def test_goals_are_listed_as_met_or_missed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [Row("a", 1.25, 1.3, ""), Row("b", 2.0, None, ""), Row("c", 1.7, 1.6, "")]
    write = json.dumps({"step": {"date": "d", "rows": [row._asdict() for row in rows]}}).replace("null", "None")
    run(tmp_path / "x.json", ["step"], step=f"import json, sys; json.dump({write}, open(sys.argv[2], 'w'))")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == ["  met        1.25  goal ≤ 1.3    a", "  missed     1.70  goal ≤ 1.6    c"]
    assert lines[-1].endswith(f"results in {tmp_path / 'x.json'}")


def fake_python(folder: Path, **found: Any) -> str:
    """Return a program that answers the probe as a Python would that has this."""
    file = folder / "python"
    answer = {"version": [3, 12], "torch": "2.9.1+cu130", "card": None, "paths": [], **found}
    file.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    file.chmod(0o755)
    return str(file)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({}, "has torch 2.9.1+cu130, which sees no GPU"),
        ({"torch": None, "error": "ModuleNotFoundError: No module named 'torch'"}, "has no torch (ModuleNotFound"),
        ({"version": [3, 9]}, "is Python 3.9, below 3.11"),
    ],
)
def test_a_machine_without_a_gpu_ends_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], found: dict[str, Any], says: str
) -> None:
    assert on_gpu.main(["--python", fake_python(tmp_path, **found)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("on_gpu: error: no Python whose torch sees a GPU (")
    assert says in printed.err
    assert printed.err.endswith("name one with --python, or rehearse on the CPU with --dry\n")


def test_a_python_that_does_not_start_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match="nowhere does not run"):
        find_interpreter(str(tmp_path / "nowhere"), dry=True)


def test_the_python_that_sees_the_gpu_is_found(tmp_path: Path) -> None:
    python = fake_python(tmp_path, card="NVIDIA H100 80GB HBM3")
    assert find_interpreter(python, dry=False).card == "NVIDIA H100 80GB HBM3"
    assert file_name("NVIDIA H100 80GB HBM3") == "nvidia-h100-80gb-hbm3.json"


def test_wheels_come_before_the_packages_of_the_python_that_the_environment_borrows(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    with zipfile.ZipFile(tmp_path / "wheels" / "jinja2-99.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("jinja2.py", "import yaml\nprint('carried, beside', yaml.__name__)\n")
        info = "jinja2-99.0.dist-info"
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: jinja2\nVersion: 99.0\nRequires-Dist: absent\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    paths = tuple(path for path in sys.path if path.endswith("site-packages"))
    made = with_wheels(HERE._replace(paths=paths), tmp_path / "wheels")
    assert Path(made.python).is_relative_to(tmp_path / "wheels-venv")
    show = "import jinja2, importlib.metadata as m; print(m.version('jinja2'))"
    outcome = run_part("trl", [made.python, "-c", show], 60, tmp_path / "log", dry=True)
    assert outcome.status == "measured"
    assert (tmp_path / "log").read_text().splitlines()[-2:] == ["carried, beside yaml", "99.0"]


def test_a_folder_without_wheels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match="holds no wheels"):
        with_wheels(HERE, tmp_path)


def test_the_rehearsal_measures_a_part_and_calls_it_dry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "dry.json"
    assert on_gpu.main(["--dry", "--parts", "factors", "--output", str(output), "--python", sys.executable]) == 0
    assert read(output)["factors"]["dry"] is True
    assert len(read(output)["factors"]["rows"]) == 6
    assert "as a dry run: the figures mean nothing" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"dry\.json holds results of a dry run: remove it"):
        card_tables(tmp_path)


@pytest.mark.slow
def test_the_whole_rehearsal_measures_every_part(tmp_path: Path) -> None:
    output = tmp_path / "dry.json"
    assert on_gpu.main(["--dry", "--output", str(output), "--python", sys.executable, "--minutes", "24"]) == 0
    assert all(result["rows"] and "not measured" not in result for result in read(output).values())
    assert list(read(output)) == list(LIMITS)


def test_the_rehearsal_writes_nothing_among_the_results(capsys: pytest.CaptureFixture[str]) -> None:
    output = on_gpu.RESULTS / "some.json"
    assert on_gpu.main(["--dry", "--output", str(output)]) == 2
    assert "a dry run measures nothing" in capsys.readouterr().err
    assert not output.exists()


def test_the_page_gets_a_section_for_each_card(tmp_path: Path) -> None:
    assert card_tables(tmp_path) == "No GPU has been measured yet.\n"
    row = Row("a", 1.234, None, "1 s")._asdict()
    (tmp_path / "cpu.json").write_text("{}")
    (tmp_path / "a-card.json").write_text(
        json.dumps(
            {
                "step": {"date": "2026-01-02", "machine": "A Card", "rows": [row]},
                "trl": {"date": "2026-01-02", "not measured": "the package trl is not installed", "rows": []},
            }
        )
    )
    page = (
        "x\n<!-- table: python -m benchmarks -->\n<!-- end of table -->\ny\n"
        "<!-- cards: scripts/on_gpu -->\nold\n<!-- end of cards -->\nz\n"
    )
    lines = page_with(page, table({}), card_tables(tmp_path)).splitlines()
    assert lines[lines.index("### a-card") :] == [
        "### a-card",
        "",
        "| what | measured | goal | |",
        "|---|---|---|---|",
        "| a | 1.23 |  | 1 s |",
        "",
        "step: 2026-01-02, machine A Card",
        "trl: 2026-01-02, not measured the package trl is not installed",
        "<!-- end of cards -->",
        "z",
    ]


def test_the_published_way_gets_as_many_rows_as_there_is_memory_for() -> None:
    one = 11 * 1000 * 4  # bytes of a row at V = 1,000
    assert [rows_that_fit(64, 1000, free) for free in (64 * one, 64 * one - 1, 20 * one, 1)] == [64, 32, 16, 1]


def test_a_part_of_the_rehearsal_sees_no_gpu_and_this_checkout_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    show = "import os; print(repr(os.environ['CUDA_VISIBLE_DEVICES']), os.environ['PYTHONPATH'])"
    run_part("trl", [sys.executable, "-c", show], 60, tmp_path / "log", dry=True)
    root = interpreters.ROOT
    assert (tmp_path / "log").read_text().splitlines()[
        -1
    ] == f"'' {os.pathsep.join((f'{root}/src', str(root), 'elsewhere'))}"
