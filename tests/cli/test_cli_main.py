"""Every error becomes one line on stderr and an exit code."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from balora.cli import main
from balora.cli.app import app
from balora.errors import (
    AdapterError,
    BaloraError,
    ConfigError,
    DataError,
    InputError,
    ModelError,
    OutputError,
    TrainingError,
    unknown_name,
)

main_file = sys.modules["balora.cli.main"]


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch):
    """Make every command raise the given error."""

    def set_error(error: BaseException) -> None:
        def run(args: list[str]) -> int:
            raise error

        monkeypatch.setattr(main_file, "_run", run)

    return set_error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("a"), 2),
        (ConfigError("a"), 2),
        (DataError("a"), 2),
        (ModelError("a"), 2),
        (AdapterError("a"), 2),
        (OutputError("a"), 2),
        (TrainingError("a"), 1),
        (BaloraError("a"), 1),
    ],
)
def test_every_own_error_is_its_message_and_its_code(raising, capsys, error: BaloraError, code: int) -> None:
    raising(error)
    assert main(["doctor"]) == code
    out, err = capsys.readouterr()
    assert (out, err) == ("", "balora: error: a\n")


def test_a_message_of_several_lines_becomes_one(raising, capsys) -> None:
    raising(DataError("first\n  second\n"))
    main([])
    assert capsys.readouterr().err == "balora: error: first second\n"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out/x"), 2, ("No space left", "out/x", "free some disk")),
        (RuntimeError("serializing: I/O error: No space left on device (os error 28)"), 2, ("free some disk",)),
        (PermissionError(errno.EACCES, "Permission denied", "out/x"), 2, ("Permission denied: out/x", "permissions")),
        (OSError(errno.EROFS, "Read-only file system", "out/x"), 2, ("Read-only file system: out/x",)),
        (ZeroDivisionError("division by zero"), 1, ("ZeroDivisionError: division by zero", "bug", "--debug")),
        (FileNotFoundError(errno.ENOENT, "No such file", "gone"), 1, ("FileNotFoundError", "gone", "bug")),
    ],
)
def test_an_error_of_the_system_names_the_way_out_and_any_other_is_a_bug(
    raising, capsys, error: Exception, code: int, words: tuple[str, ...]
) -> None:
    raising(error)
    assert main(["train"]) == code
    err = capsys.readouterr().err
    assert err.startswith("balora: error: ")
    assert err.count("\n") == 1
    assert all(word in err for word in words), err


@pytest.mark.parametrize("place", [["--debug", "train"], ["train", "--debug"], ["train", "--x", "--debug", "y"]])
def test_debug_adds_the_traceback_wherever_it_stands(raising, capsys, place: list[str]) -> None:
    raising(ConfigError("rank is 0"))
    assert main(place) == 2
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert err.endswith("balora: error: rank is 0\n")


def test_an_interruption_is_130_and_no_traceback(raising, capsys) -> None:
    raising(KeyboardInterrupt())
    assert main(["train"]) == 130
    assert capsys.readouterr().err == "balora: interrupted\n"


def test_an_interruption_inside_a_command_is_130_too(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def interrupted() -> list[object]:
        raise KeyboardInterrupt

    monkeypatch.setattr("balora.diagnosis.examine", interrupted)
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err == "balora: interrupted\n"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["doctr"], ("No such command 'doctr'", "'doctor'")),
        (["doctor", "--jsn"], ("No such option: --jsn", "--json")),
        (["train"], ("task: required but not given", "model: required but not given")),
        (["study", "run", "x", "--output", "o", "--workers", "many"], ("Invalid value for '--workers'", "integer")),
    ],
)
def test_wrong_usage_is_one_line_with_the_nearest_match(capsys, args: list[str], words: tuple[str, ...]) -> None:
    assert main(args) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("balora: error: ")
    assert err.count("\n") == 1
    assert all(word in err for word in words), err


def test_a_commands_own_exit_code_is_returned(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def failing() -> list[object]:
        raise typer.Exit(1)

    monkeypatch.setattr("balora.diagnosis.examine", failing)
    assert main(["doctor"]) == 1


def test_the_installed_command_ends_with_the_exit_code() -> None:
    command = [os.path.join(os.path.dirname(sys.executable), "balora"), "trian"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "balora: error: No such command 'trian'. Did you mean 'train'? (see --help)\n"
    assert done.stdout == ""


def test_no_words_show_the_help(capsys) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert all(verb in out for verb in ("train", "evaluate", "export", "study", "doctor", "--debug"))


def test_study_alone_shows_its_help_and_no_error(capsys) -> None:
    assert main(["study"]) == 2
    out, err = capsys.readouterr()
    assert "report" in out + err
    assert "balora: error" not in err


@pytest.mark.parametrize(
    "verb",
    [
        ["train"],
        ["evaluate"],
        ["export"],
        ["doctor"],
        *(["study", verb] for verb in ("list", "plan", "run", "report", "watch", "import")),
    ],
)
def test_every_command_has_help_with_an_example(capsys, verb: list[str]) -> None:
    assert main([*verb, "--help"]) == 0
    out = capsys.readouterr().out
    assert "Example" in out
    assert f"balora {' '.join(verb)} " in " ".join(out.split())


def test_the_version_is_the_packages(capsys) -> None:
    import balora

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"balora {balora.__version__}\n"


def test_the_help_of_train_names_every_method(capsys) -> None:
    from balora.training.spec import METHODS

    main(["train", "--help"])
    words = capsys.readouterr().out.replace(",", " ").split()
    assert set(METHODS) <= set(words)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("colla", "unknown key 'colla': did you mean 'cola'? known: a.rank, b.k, c.k, cola"),
        ("rank", "unknown key 'rank': did you mean 'a.rank'? known: a.rank, b.k, c.k, cola"),
        ("k", "unknown key 'k': did you mean 'b.k' or 'c.k'? known: a.rank, b.k, c.k, cola"),
        ("xyz", "unknown key 'xyz': known: a.rank, b.k, c.k, cola"),
    ],
)
def test_an_unknown_name_is_reported_with_the_names_that_may_be_meant(name: str, text: str) -> None:
    assert unknown_name("key", name, ["cola", "c.k", "b.k", "a.rank"]) == text


SHORT = {"--output": "-o", "--model": "-m", "--task": "-t", "--set": "-s"}


def test_an_option_has_the_same_short_form_in_every_verb() -> None:
    def options(command: Any, name: str) -> Iterator[tuple[str, list[str]]]:
        for inner in getattr(command, "commands", {}).items():
            yield from options(inner[1], f"{name} {inner[0]}")
        yield from ((name, parameter.opts) for parameter in command.params)

    found = list(options(typer.main.get_command(app), "balora"))
    assert len(found) > 100
    for verb, opts in found:
        for long, short in SHORT.items():
            if long in opts:
                assert short in opts, f"{verb} {long}"
            elif short in opts:
                pytest.fail(f"{verb}: {short} is not {long}")
