"""Grade generated programs: run every sample of every row with the row's tests in a sandbox, and compute pass@k."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from balora.errors import ConfigError
from balora.sandbox.limits import Limits
from balora.sandbox.run_programs import LIMITS, OnRows, Outcome, Program, Sandbox, run_programs
from balora.tasks.code_answers import program_of
from balora.tasks.pass_at_k import pass_at_k


class Graded(NamedTuple):
    """The verdicts on the samples of every row."""

    items: list[dict[str, Any]]
    """One a row, in the order given: `index`, `prediction` (the program of the first sample), `correct` (whether it
    passes), `passed` and `samples` (how many pass, of how many), `text` (the first sample), `reason` (why it fails)."""
    metrics: dict[str, float]
    """`pass_at_<k>` for every k asked for: the mean over the rows."""
    notes: tuple[str, ...]
    """Where the programs ran, and how many samples ended at a limit."""


def grade_programs(
    rows: Sequence[Mapping[str, Any]],
    answers: Sequence[Sequence[str] | None],
    *,
    sandbox: Sandbox,
    limits: Limits = LIMITS,
    ks: Sequence[int] = (1,),
    workers: int | None = None,
    on_rows: OnRows | None = None,
) -> Graded:
    """Return the verdicts on ``answers[i]``, the samples of row i: one greedy answer, or n drawn ones for pass@k.

    A row holds `tests`, `prompt` and `entry_point` (:mod:`balora.tasks.program_rows`). No samples (None: the prompt
    left no room) count as wrong. Equal programs run once. ``on_rows`` counts programs.

    Raises:
        ConfigError: a k below 1, or above the number of samples of a row.
        SandboxError: the sandbox broke down.
    """
    _check_ks(ks, answers)
    parts = [[_program(row, text) for text in given or ()] for row, given in zip(rows, answers, strict=True)]
    unique = list(dict.fromkeys(program for row_parts in parts for program, _ in row_parts))
    outcomes = run_programs(unique, sandbox=sandbox, limits=limits, workers=workers, on_rows=on_rows)
    ended = dict(zip(unique, outcomes, strict=True))
    items = [
        _item(index, given, codes, [ended[program] for program, _ in codes])
        for index, (given, codes) in enumerate(zip(answers, parts, strict=True))
    ]
    metrics = {f"pass_at_{k}": sum(_share(item, k) for item in items) / len(items) for k in ks if items}
    return Graded(items, metrics, _notes(sandbox, [ended[program] for codes in parts for program, _ in codes]))


def _check_ks(ks: Sequence[int], answers: Sequence[Sequence[str] | None]) -> None:
    fewest = min((len(given) for given in answers if given is not None), default=max(ks, default=1))
    for k in ks:
        if not 1 <= k <= fewest:
            raise ConfigError(f"pass@{k} needs k from 1 to the number of samples of a row, {fewest}: draw more samples")


def _program(row: Mapping[str, Any], text: str) -> tuple[Program, str]:
    """Return what runs for one sample, the tests last, and the part of it that the model wrote."""
    code = program_of(text, prompt=row.get("prompt", ""), entry_point=row.get("entry_point", ""))
    return (*code, *row["tests"]), code[-1]


def _item(
    index: int, given: Sequence[str] | None, codes: Sequence[tuple[Program, str]], ended: Sequence[Outcome]
) -> dict[str, Any]:
    passed = sum(outcome.status == "ok" for outcome in ended)
    return {
        "index": index,
        "prediction": codes[0][1] if codes else None,
        "correct": bool(ended) and ended[0].status == "ok",
        "passed": passed,
        "samples": len(ended),
        "text": given[0] if given else None,
        "reason": ended[0].reason if ended else "no answer",
    }


def _share(item: Mapping[str, Any], k: int) -> float:
    return pass_at_k(item["samples"], item["passed"], k) if item["samples"] else 0.0


def _notes(sandbox: Sandbox, ended: Sequence[Outcome]) -> tuple[str, ...]:
    at_limits = Counter(outcome.status for outcome in ended if outcome.status not in ("ok", "failed"))
    notes = [f"programs ran in {sandbox.description}"]
    if at_limits:
        what = ", ".join(f"{name} {count:,}" for name, count in sorted(at_limits.items()))
        notes.append(f"{at_limits.total():,} of {len(ended):,} programs ended at a limit ({what}): counted as wrong")
    return tuple(notes)
