"""Every path that a verb takes is replaced by one that cannot be used: one line, exit code 2, nothing written."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from refusals import refused, run_verb

from balora.cli.app import app

PATH = object()
"""Stands for the path under attack."""
TESTBED = ("--model", "testbed", "--task", "sentiment")
HARNESS = ("evaluate", "--harness", "lm-eval", "--tasks", "hellaswag")
READ: dict[str, tuple[object, ...]] = {
    "train --model": ("train", "--model", PATH, "--task", "cola", "--data", "data", "--output", "out"),
    "train --config": ("train", "--config", PATH, *TESTBED, "--output", "out"),
    "train --data": ("train", "--model", "model", "--task", "cola", "--data", PATH, "--output", "out"),
    "evaluate --model": ("evaluate", "--model", PATH, "--task", "cola", "--data", "data", "--output", "scores.json"),
    "evaluate --data": ("evaluate", "--model", "model", "--task", "cola", "--data", PATH, "--output", "scores.json"),
    "evaluate --adapter": ("evaluate", "--model", "model", "--task", "cola", "--data", "data", "--adapter", PATH),
    "evaluate --harness --model": (*HARNESS, "--model", PATH, "--output", "out"),
    "evaluate --include-path": (*HARNESS, "--model", "model", "--include-path", PATH, "--output", "out"),
    "evaluate --harness --adapter": (*HARNESS, "--model", "model", "--adapter", PATH, "--output", "out"),
    "train --task": ("train", "--model", "model", "--task", PATH, "--output", "out"),
    "evaluate --task": ("evaluate", "--model", "model", "--task", PATH),
    "task check": ("task", "check", PATH),
    "export": ("export", PATH, "--output", "out"),
    "push": ("push", PATH, "me/tuned"),
    "study run": ("study", "run", PATH, "--output", "out"),
    "study run --reuse": ("study", "run", "terms", "--profile", "glance", "--output", "out", "--reuse", PATH),
    "study run --data": ("study", "run", "terms", "--model", "model", "--data", PATH, "--output", "out"),
    "study plan": ("study", "plan", PATH),
    "study plan --past": ("study", "plan", "terms", "--profile", "glance", "--past", PATH),
    "study report": ("study", "report", PATH, "--all"),
    "study watch": ("study", "watch", PATH, "--once", "--page"),
    "study import": ("study", "import", PATH, "--output", "study.yaml"),
    "compare": ("compare", "scores.csv", PATH, "--output", "out"),
    "compare NAME=": ("compare", "two.csv", PATH),
}
WRITTEN: dict[str, tuple[object, ...]] = {
    "train --output": ("train", *TESTBED, "--output", PATH),
    "study run --output": ("study", "run", "terms", "--profile", "glance", "--output", PATH),
    "init": ("init", PATH, "--task", "cola"),
    "study import --output": ("study", "import", "plan.md", "--output", PATH),
    "evaluate --output": ("evaluate", "--model", "model", "--task", "cola", "--data", "data", "--output", PATH),
    "evaluate --harness --output": (*HARNESS, "--model", "model", "--output", PATH),
    "export --output": ("export", "run", "--output", PATH),
    "compare --output": ("compare", "two.csv", "--output", PATH),
}
OTHERS: dict[str, tuple[object, ...]] = {
    "doctor": ("doctor", "--jsno"),
    "demo": ("demo", "--task", "cola"),
    "settings": ("settings", "nonesuch"),
    "study list": ("study", "list", "everything"),
    "study report --format": ("study", "report", "nowhere", "--format", "word"),
    "testbed pretrain": ("testbed", "pretrain", "--set", "noise=2"),
    "testbed text": ("testbed", "text", "--count", "0"),
    "nothing": ("studdy",),
    "no verb": ("study", "runn", "terms"),
    "no option": ("train", "--modell", "x"),
    "no value": ("train", "--model"),
}

Make = Callable[[Path], object]


def missing(folder: Path) -> object:
    return folder / "nowhere"


def fifo(folder: Path) -> object:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def device(folder: Path) -> object:
    return "/dev/zero"


def loop(folder: Path) -> object:
    (folder / "loop").symlink_to("loop")
    return folder / "loop"


def broken_link(folder: Path) -> object:
    (folder / "broken").symlink_to("gone/away")
    return folder / "broken"


def long_name(folder: Path) -> object:
    return folder / ("n" * 300)


def long_path(folder: Path) -> object:
    return folder / "/".join(["n" * 200] * 30)


def acting_name(folder: Path) -> object:
    return folder / "a\x1b[31m\nb"


def undecodable_name(folder: Path) -> object:
    return f"{folder}/caf\udce9"


def below_a_file(folder: Path) -> object:
    (folder / "file").write_text("{}")
    return folder / "file" / "below"


def empty_file(folder: Path) -> object:
    (folder / "empty").touch()
    return folder / "empty"


def binary_file(folder: Path) -> object:
    (folder / "binary").write_bytes(bytes(range(256)) * 4)
    return folder / "binary"


def empty_folder(folder: Path) -> object:
    (folder / "bare").mkdir()
    return folder / "bare"


def nothing(folder: Path) -> object:
    return ""


def foreign_folder(folder: Path) -> object:
    (folder / "foreign").mkdir()
    (folder / "foreign" / "thesis.tex").write_text("years of work")
    return folder / "foreign"


def pseudo_folder(folder: Path) -> object:
    return "/proc/balora"


UNREADABLE = (missing, fifo, device, loop, broken_link, long_name, long_path, acting_name, undecodable_name,
              below_a_file, empty_file, binary_file, empty_folder, nothing)  # fmt: skip
UNWRITABLE = (fifo, device, loop, long_name, below_a_file, binary_file, foreign_folder, pseudo_folder)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a plan, an unusable model, and nothing that a verb could finish with."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "data").mkdir()
    (tmp_path / "plan.md").write_text("# Plan\n\nNo ablation here.\n")
    (tmp_path / "scores.csv").write_text("item,score\n1,0\n2,1\n")
    (tmp_path / "two.csv").write_text("item,system,score\n1,a,0\n2,a,1\n1,b,1\n2,b,1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("make", UNREADABLE, ids=lambda make: make.__name__)
@pytest.mark.parametrize("place", READ)
def test_a_path_that_cannot_be_read_is_refused(place: str, make: Make, here: Path) -> None:
    path = make(here)
    refused([path if word is PATH else word for word in READ[place]], watched=here)


@pytest.mark.parametrize("make", UNWRITABLE, ids=lambda make: make.__name__)
@pytest.mark.parametrize("place", WRITTEN)
def test_a_path_that_cannot_be_written_is_refused(place: str, make: Make, here: Path) -> None:
    path = make(here)
    refused([path if word is PATH else word for word in WRITTEN[place]], watched=here)


@pytest.mark.parametrize("name", OTHERS)
def test_a_wrong_word_is_refused(name: str, here: Path) -> None:
    refused(OTHERS[name], watched=here)


def test_every_verb_is_attacked() -> None:
    lines = [" ".join(map(str, words)) for words in (*READ.values(), *WRITTEN.values(), *OTHERS.values())]
    assert [
        verb for verb in _verbs(typer.main.get_command(app)) if not any(line.startswith(verb) for line in lines)
    ] == []


def _verbs(command: object, above: str = "") -> Iterator[str]:
    for name, inner in getattr(command, "commands", {}).items():
        yield from _verbs(inner, f"{above}{name} ") if hasattr(inner, "commands") else (above + name,)


def test_the_working_folder_takes_what_can_be_used(here: Path) -> None:
    """The attacks above fail because of their one path: the same words with a usable one begin their work."""
    assert run_verb("study", "plan", "terms", "--profile", "glance").code == 0
