"""Run lm-evaluation-harness without its output: its progress becomes ours, its warnings are collected."""

import logging
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from importlib import import_module
from typing import Any
from unittest.mock import patch

from balora.errors import DataError, printable, shortened, shown
from balora.harness.lm_eval_library import harness_module
from balora.progress import OnProgress, Progress
from balora.tasks.silence import silence_transformers

EXPECTED = (
    "`pretrained` model kwarg is not of type",
    "Passed an already-initialized model",
    "Overwriting default num_fewshot",
    "generation_kwargs:",
)
"""How warnings begin that only repeat what balora asks of the harness."""
MOST_NOTES = 20


class HarnessLog(logging.Handler):
    """Collects what the harness warns of, and which files of task definitions its index has passed over."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.unread: list[tuple[str, str]] = []
        """(file, why it is no task definition)."""
        self._warnings: dict[str, tuple[int, str]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Take one message of the harness' loggers."""
        if str(record.msg).startswith("Skip %s") and isinstance(record.args, tuple):
            self.unread.append((str(record.args[0]), str(record.args[1])))
        elif record.levelno >= logging.WARNING:
            text = " ".join(record.getMessage().split())
            kind = re.sub(r"\d+", "#", text[:80])
            count, first = self._warnings.get(kind, (0, text))
            self._warnings[kind] = count + 1, first

    def notes(self) -> list[str]:
        """Return one line for each kind of warning: the first of its kind, and how often it came."""
        told = [found for found in self._warnings.values() if not found[1].startswith(EXPECTED)]
        lines = [
            f"lm-eval warned{f' {count:,} times, first' if count > 1 else ''}: {printable(shortened(text, 300))}"
            for count, text in told[:MOST_NOTES]
        ]
        return lines + [f"lm-eval warned of {len(told) - MOST_NOTES:,} more things"] * (len(told) > MOST_NOTES)


@contextmanager
def quiet_harness(on_progress: OnProgress, *, trusted: bool) -> Iterator[HarnessLog]:
    """Hide what the harness prints while the block runs, report its progress, and give what it warned of.

    Unless the task definitions are ``trusted``, their templates are rendered in jinja2's sandbox, since a template of
    plain jinja2 can reach Python's builtins, and their metrics are those of the harness, since it hands every other
    name to `evaluate.load`, which runs the file of that name or a program of the Hub.
    """
    log = HarnessLog()
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(redirect_stdout(stack.enter_context(open(os.devnull, "w", encoding="utf-8"))))
        stack.enter_context(silence_transformers())
        stack.enter_context(_silent_datasets())
        stack.enter_context(_collecting(log))
        for module in ("api.model", "api.task", "models.huggingface"):
            stack.enter_context(patch.object(harness_module(module), "tqdm", _bars(on_progress)))
        stack.enter_context(patch("tqdm.tqdm", _silent_tqdm()))  # of resampled standard errors
        # it would print "fatal: not a git repository" where the user works outside of one
        stack.enter_context(patch.object(harness_module("evaluator"), "get_git_commit_hash", lambda: None))
        if not trusted:
            stack.enter_context(patch.object(harness_module("utils"), "env", _sandbox()))
            stack.enter_context(patch.object(harness_module("api.task"), "get_metric", _own_metric))
        harness_module("utils").warning_once.cache_clear()  # else a second evaluation of a process has no warnings
        yield log


@contextmanager
def _collecting(log: HarnessLog) -> Iterator[None]:
    logger, index = logging.getLogger("lm_eval"), logging.getLogger("lm_eval.tasks._index")
    before = logger.level, logger.propagate, index.level
    logger.addHandler(log)
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    index.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(log)
        logger.setLevel(before[0])
        logger.propagate = before[1]
        index.setLevel(before[2])


@contextmanager
def _silent_datasets() -> Iterator[None]:
    from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    shown = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            enable_progress_bars()


def _sandbox() -> Any:
    """Return the harness' template environment, as one of jinja2's sandbox."""
    from jinja2.sandbox import SandboxedEnvironment

    own = harness_module("utils").env
    environment = SandboxedEnvironment(
        loader=own.loader, undefined=own.undefined, keep_trailing_newline=own.keep_trailing_newline
    )
    environment.filters.update(own.filters)
    return environment


def _own_metric(name: str, hf_evaluate_metric: bool = False) -> Any:
    """Return a metric that the harness itself has; stands in for its `get_metric`, which would look elsewhere too."""
    known = harness_module("api.registry").metric_registry
    if hf_evaluate_metric or not isinstance(name, str) or name not in known:
        raise DataError(
            f"metric {shown(name)} of a task is none of the harness: it is a program, in a file or on the Hub, which "
            "would run: pass --trust-remote-code if you trust that code"
        )
    return known.get(name)


def _bars(on_progress: OnProgress) -> Any:
    """Return what stands in for tqdm: the passes over all requests are reported, other bars are dropped."""

    def make(rows: Iterable[Any] | None = None, *_: Any, total: int | None = None, desc: str = "", **__: Any) -> _Bar:
        reports = desc.startswith("Running")
        return _Bar(rows, total or 0, on_progress if reports else None)

    return make


def _silent_tqdm() -> type:
    """Return a tqdm that prints nothing; a class, since modules that are imported meanwhile may extend it."""
    usual = import_module("tqdm.std").tqdm

    def begin(bar: Any, *given: Any, **named: Any) -> None:
        usual.__init__(bar, *given, **{**named, "disable": True})

    return type("Silent", (usual,), {"__init__": begin})


class _Bar:
    """Has what the harness uses of a tqdm bar."""

    def __init__(self, rows: Iterable[Any] | None, total: int, on_progress: OnProgress | None) -> None:
        self._rows, self._total, self._on_progress, self._done = rows, total, on_progress, 0
        self.update(0)

    def __iter__(self) -> Iterator[Any]:
        yield from self._rows or ()

    def update(self, count: int = 1) -> None:
        self._done += count
        if self._on_progress is not None and self._total:
            self._on_progress(Progress("evaluate", self._done, self._total))

    def close(self) -> None:
        """End the bar."""
