"""The scores of `balora evaluate`, for people and for programs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from balora.cli.output import print_json
from balora.tasks.catalogue import find_task
from balora.tasks.scores import Evaluation, suite_average


def scores_document(model: str, adapter: Path | None, results: Mapping[str, Evaluation]) -> dict[str, Any]:
    """Return everything that was measured; averages are over the given tasks of a family."""
    families = {family: [name for name in results if find_task(name).family == family] for family in ("nlu", "nlg")}
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
    """Print the document as JSON or as a table."""
    if as_json:
        print_json(document)
        return
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="")
    table.add_column("task")
    table.add_column("score", justify="right")
    table.add_column("metrics")
    for name, result in document["tasks"].items():
        metrics = ", ".join(f"{metric} {value:.4f}" for metric, value in result["metrics"].items())
        table.add_row(name, f"{result['score']:.2f}", metrics)
    for name, value in document["averages"].items():
        table.add_row(name, f"{value:.2f}", "mean over the tasks above")
    console.print(table)
    for name, result in document["tasks"].items():
        for note in result["notes"]:
            console.print(f"note on {name}: {note}", markup=False, soft_wrap=True)
    if written is not None:
        console.print(f"written to {written}", markup=False, soft_wrap=True)
