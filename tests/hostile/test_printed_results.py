"""What `train`, `evaluate`, a study's display and an error print of hostile texts: no markup, no escape sequences."""

import io
import sys
from pathlib import Path

import pytest
from hostile_studies import ATTACKS
from rich.console import Console

from balora.cli import main
from balora.cli.print_results import print_run, print_scores
from balora.cli.study_listing import LONGEST_LIST, list_studies, studies_text
from balora.errors import DataError, is_printable, printable
from balora.study.engine.display import LiveWatcher, PlainWatcher
from balora.training.record import RunRecord, TermSummary
from balora.training.spec import resolve

main_file = sys.modules["balora.cli.main"]


def shows_itself(text: str) -> bool:
    return all(c == "\n" or is_printable(c) for c in text)


def record(attack: str) -> RunRecord:
    return RunRecord(
        id="x",
        spec=resolve({"model": "m", "task": "cola", "data": {"folder": "d"}}),
        status="ok",
        score=50.0,
        metrics={attack: 0.5},
        terms={attack: TermSummary(weight=0.1)},
        inactive={attack: attack, f"{attack} too": attack},
        notes=[attack],
    )


@pytest.mark.parametrize("kind", ATTACKS)
def test_the_result_of_a_run_is_text(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    attack = ATTACKS[kind]
    print_run(record(attack), tmp_path / "out", as_json=False, done_before=False)
    out = capsys.readouterr().out
    assert shows_itself(out)
    assert f"note: {printable(attack)}\n" in out


@pytest.mark.parametrize("kind", ATTACKS)
def test_the_scores_of_tasks_are_text(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    attack = ATTACKS[kind]
    result = {"score": 50.0, "metrics": {attack: 0.5}, "notes": [attack]}
    print_scores({"tasks": {attack: result}, "averages": {}}, Path("x"), as_json=False)
    out = capsys.readouterr().out
    assert shows_itself(out)
    assert f"note on {printable(attack)}: {printable(attack)}\n" in out


@pytest.mark.parametrize("kind", ATTACKS)
def test_the_display_of_a_study_shows_each_message_on_one_line(kind: str) -> None:
    for watcher, width in ((PlainWatcher, 80), (LiveWatcher, 100_000)):
        shown = io.StringIO()
        watcher(Console(file=shown, width=width)).message(f"set aside: {ATTACKS[kind]}")
        assert shown.getvalue().rstrip() == f"set aside: {printable(ATTACKS[kind])}".rstrip()


@pytest.mark.parametrize("kind", ATTACKS)
@pytest.mark.parametrize("debug", [False, True])
def test_an_error_shows_itself_with_its_traceback_too(
    kind: str, debug: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(args: list[str]) -> int:
        raise DataError(f"row 3: {ATTACKS[kind]}")

    monkeypatch.setattr(main_file, "_run", failing)
    assert main(["train", *["--debug"] * debug]) == 2
    err = capsys.readouterr().err
    assert shows_itself(err)
    assert ("Traceback" in err) is debug


@pytest.mark.parametrize("kind", ["escape", "newline", "nul", "bidi", "surrogate"])
def test_an_error_of_the_system_shows_the_file_on_one_line(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(args: list[str]) -> int:
        raise PermissionError(13, "Permission denied", ATTACKS[kind])

    monkeypatch.setattr(main_file, "_run", failing)
    assert main(["train"]) == 2
    err = capsys.readouterr().err
    assert shows_itself(err)
    assert err.count("\n") == 1


def test_the_list_of_studies_is_short() -> None:
    text = studies_text(list_studies())
    named = [line for line in text.splitlines() if " against " in line and line.startswith("    ")]
    assert len(named) == len(list_studies().studies)
    assert max(map(len, named)) < LONGEST_LIST + 60
    assert "    pissa against 21 arms: longer-training, " in text
    assert "(18 more)" in text
    assert "    ba-lora against standard-initialization, standard-at-one-rate, no-regularizers, plain-lora" in text
