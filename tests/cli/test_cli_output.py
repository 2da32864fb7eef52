"""What the command line prints: JSON, the findings of the doctor, progress."""

import json
import math
import sys
from pathlib import Path

import pytest
from running import Balora

from balora.cli import progress_bar as progress
from balora.cli.output import print_json, write_file
from balora.cli.progress_bar import Lines, show_progress
from balora.diagnosis import Check
from balora.errors import OutputError
from balora.progress import Progress


def test_numbers_that_json_lacks_are_printed_as_null(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": math.nan, "b": [math.inf, 1.5, -math.inf], "c": {"λ": True, "d": None}, "e": (1, "x")})
    out = capsys.readouterr().out
    assert json.loads(out) == {"a": None, "b": [None, 1.5, None], "c": {"λ": True, "d": None}, "e": [1, "x"]}
    assert "λ" in out


def test_a_failed_write_is_refused_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match=r"output file .*scores\.json: cannot be written \(No space left on device\)"):
        write_file(tmp_path / "scores.json", "{}")
    assert list(tmp_path.iterdir()) == []


def test_the_doctor_prints_a_line_for_each_finding(balora: Balora) -> None:
    done = balora("doctor")
    assert done.code == 0
    lines = done.out.splitlines()
    assert all(line[:3] in ("ok ", "-- ", "!! ") for line in lines)
    assert any(line.startswith("ok peft") for line in lines)
    report = json.loads(balora("doctor", "--json").out)
    assert report["healthy"] is True
    assert len(report["checks"]) == len(lines)


def test_a_broken_package_makes_the_doctor_end_with_1(balora: Balora, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("balora.diagnosis.examine", lambda: [Check("torch", "broken", "not installed")])
    done = balora("doctor")
    assert (done.code, done.out) == (1, "!! torch         not installed\n")
    done = balora("doctor", "--json")
    assert (done.code, json.loads(done.out)["healthy"]) == (1, False)


def test_without_a_terminal_progress_is_a_line_at_the_ends_of_a_phase_and_every_ten_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter([0.0, 1.0, 12.0, 13.0, 20.0, 20.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    show = Lines()
    for sign in (
        Progress("load", 0, 1),
        Progress("train", 1, 40),  # at 0 s
        Progress("train", 2, 40),  # at 1 s: too soon
        Progress("train", 10, 40, 0.5),  # at 12 s
        Progress("train", 11, 40, 0.5),  # at 13 s: too soon
        Progress("train", 40, 40, 0.25),  # the last one, always
        Progress("evaluate", 8, 16),
    ):
        show(sign)
    assert capsys.readouterr().err.splitlines() == [
        "train 1/40",
        "train 10/40 loss 0.5000, about 36 s left",
        "train 40/40 loss 0.2500",
        "evaluate 8/16",
    ]


def test_on_a_terminal_progress_is_a_bar_for_each_phase(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with show_progress() as show:
        show(Progress("train", 3, 9, 0.5))
        show(Progress("evaluate", 8, 16))
    err = capsys.readouterr().err
    assert "train" in err
    assert "9/9" in err  # a phase is done when the next one begins
    assert "8/16" in err
    assert "loss 0.5000" in err
