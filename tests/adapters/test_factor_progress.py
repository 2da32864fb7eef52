"""Attaching to a large model tells how far it is: on a terminal, after a while, and not where a caller listens."""

import io
import sys
from collections.abc import Iterator

import pytest
from transformers.utils import logging

from balora.adapters import factor_progress as watching
from balora.adapters.factor_progress import with_progress

NAMES = ("q", "k", "v")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def bars_are_on() -> Iterator[None]:
    shown = logging.is_progress_bar_enabled()
    logging.enable_progress_bar()
    yield
    if shown:
        logging.enable_progress_bar()
    else:
        logging.disable_progress_bar()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PATIENCE", 0.0)


def told(monkeypatch: pytest.MonkeyPatch, stderr: io.StringIO) -> str:
    monkeypatch.setattr(sys, "stderr", stderr)
    assert tuple(with_progress(NAMES, None)) == NAMES
    return stderr.getvalue()


@pytest.mark.usefixtures("impatient")
def test_a_bar_is_shown_on_a_terminal_alone_and_can_be_hidden_as_transformers_bars_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "starting factors" in told(monkeypatch, Terminal())
    assert told(monkeypatch, io.StringIO()) == ""
    logging.disable_progress_bar()
    assert told(monkeypatch, Terminal()) == ""


@pytest.mark.usefixtures("impatient")
def test_who_listens_is_told_and_no_bar_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr, heard = Terminal(), list[tuple[int, int]]()
    monkeypatch.setattr(sys, "stderr", stderr)
    assert tuple(with_progress(NAMES, lambda done, of: heard.append((done, of)))) == NAMES
    assert heard == [(0, 3), (1, 3), (2, 3)]
    assert stderr.getvalue() == ""


def test_nothing_is_told_of_what_is_done_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, Terminal()) == ""
    heard: list[tuple[int, int]] = []
    assert tuple(with_progress(NAMES, lambda done, of: heard.append((done, of)))) == NAMES
    assert heard == []
