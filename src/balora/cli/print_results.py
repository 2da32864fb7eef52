"""Print the result of `balora train` or `balora evaluate`: as tables for people, as JSON for programs."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from balora.cli.output import print_json
from balora.cli.plain_table import plain_console, plain_table, print_texts
from balora.errors import printable
from balora.harness.harness_record import ITEMS, OWN_FILES, RECORD, HarnessScores
from balora.settings import Family
from balora.tasks.scores import Evaluation, suite_average
from balora.training.record import RunRecord, scores_in_words
from balora.training.run_in_folder import RUN_FILES

HARNESS_FILES = {RECORD: "record", ITEMS: "every scored row", OWN_FILES: "lm-eval's own files"}
"""What `balora evaluate --harness lm-eval` leaves in its folder."""


def print_run(record: RunRecord, folder: Path, *, as_json: bool, done_before: bool) -> None:
    """Print a run's record as JSON, or its scores, its terms and where its files are."""
    if as_json:
        print_json({**record.model_dump(mode="json"), "folder": str(folder), "done_before": done_before})
        return
    console = plain_console()
    spec, cost = record.spec, record.cost
    done = "already done, nothing was run again: " if done_before else ""
    words = scores_in_words(record.scores) or "no score"
    score = f"score {words} of 100" if len(record.scores) == 1 else words
    console.print(printable(f"{done}{spec.method} on {spec.task}, seed {spec.training.seed}: {score}"), style="bold")
    seconds = ((cost.setup_seconds, "set-up"), (cost.train_seconds, "training"), (cost.eval_seconds, "scoring"))
    console.print(plain_table([
        *([name, f"{value:.4f}"] for name, value in _measures(record)),
        ["steps", f"{cost.steps:,}"],
        ["trained parameters", f"{cost.trained_parameters:,}"],
        ["time", ", ".join(f"{value:.1f} s {phase}" for value, phase in seconds)],
        ["peak memory", f"{cost.peak_memory_mb:,.0f} MiB"],
    ]))  # fmt: skip
    if record.terms or record.inactive:
        console.print(plain_table(_term_rows(record), ("term", "λ>", "first>", "last>", "gradient share>", "")))
    print_texts(console, [f"note: {note}" for note in record.notes])
    written = {what: folder / name for name, what in RUN_FILES.items() if (folder / name).exists()}
    print_texts(console, [f"{what + ':':<22}{path}" for what, path in written.items()])


def _measures(record: RunRecord) -> Iterable[tuple[str, float]]:
    """Yield every measure of a run; those of a task with its name before it where there are several tasks."""
    first = f"{record.spec.scored[0]}: " if record.others else ""
    yield from ((f"{first}{name}", value) for name, value in {**record.metrics, **record.behaviour}.items())
    for task, one in record.others.items():
        yield from ((f"{task}: {name}", value) for name, value in {**one.metrics, **one.behaviour}.items())
    yield from {**record.inheritance, **record.measures}.items()


def scores_document(
    model: str, adapter: Path | None, results: Mapping[str, Evaluation], family_of: Mapping[str, Family]
) -> dict[str, Any]:
    """Return the scores of every task, and the average of each family with more than one task."""
    families = {family: [name for name in results if family_of[name] == family] for family in ("nlu", "nlg")}
    return {
        "model": model,
        "adapter": str(adapter) if adapter else None,
        "tasks": {
            name: {
                "score": result.score,
                "metrics": result.metrics,
                "behaviour": result.behaviour,
                "notes": list(result.notes),
            }
            for name, result in results.items()
        },
        "averages": {
            f"{family}_avg": suite_average({name: results[name].score for name in names})
            for family, names in families.items()
            if len(names) > 1
        },
    }


def print_scores(document: Mapping[str, Any], written: Path | None, *, as_json: bool) -> None:
    """Print the scores as JSON or as a table."""
    if as_json:
        print_json(document)
        return
    console = plain_console()
    rows = []
    for name, result in document["tasks"].items():
        metrics = ", ".join(f"{metric} {value:.4f}" for metric, value in result["metrics"].items())
        rows.append([name, f"{result['score']:.2f}", metrics])
    rows += [[name, f"{value:.2f}", "mean over the tasks above"] for name, value in document["averages"].items()]
    console.print(plain_table(rows, ("task", "score>", "metrics")))
    notes = [(name, note) for name, result in document["tasks"].items() for note in result["notes"]]
    print_texts(console, [f"note on {name}: {note}" for name, note in notes])
    print_texts(console, [f"written to {written}"] if written is not None else [])


def print_harness_scores(record: HarnessScores, folder: Path, *, as_json: bool) -> None:
    """Print the metrics of each task with the harness' standard errors, as JSON or as a table."""
    if as_json:
        print_json({**record.model_dump(mode="json"), "folder": str(folder)})
        return
    console = plain_console()
    rows = [
        [name, metric, _number(value), f"± {_number(scores.stderr.get(metric))}", f"{scores.rows:,}"]
        for name, scores in record.tasks.items()
        for metric, value in scores.metrics.items()
    ]
    rows += [[name, key, _number(value), "", ""] for name, of in record.groups.items() for key, value in of.items()]
    console.print(plain_table(rows, ("task", "metric,filter", "value>", "standard error", "rows>")))
    notes = [f"note on {name}: {note}" for name, scores in record.tasks.items() for note in scores.notes]
    print_texts(console, [*notes, *(f"note: {note}" for note in record.notes)])
    print_texts(console, [f"{what + ':':<22}{folder / name}" for name, what in HARNESS_FILES.items()])


def _term_rows(record: RunRecord) -> Iterable[list[str]]:
    for name, term in record.terms.items():
        share = _share(term.gradient_share)
        yield [name, f"{term.weight:g}", _number(term.first), _number(term.last), share, record.inactive.get(name, "")]
    for name, reason in record.inactive.items():
        if name not in record.terms:
            yield [name, "", "", "", "", f"inactive: {reason}"]


def _share(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2%}" if value == 0 or value >= 1e-4 else f"{100 * value:.0e}%"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
