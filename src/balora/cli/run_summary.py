"""What a person reads at the end of a run."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from balora.cli.output import print_json
from balora.training.record import RunRecord, TermSummary
from balora.training.run_in_folder import KEPT


def print_run(record: RunRecord, folder: Path, *, as_json: bool, done_before: bool) -> None:
    """Print the record as JSON, or its gist and where everything was written as tables."""
    if as_json:
        print_json({**record.model_dump(mode="json"), "folder": str(folder), "done_before": done_before})
        return
    console = Console(highlight=False)
    spec = record.spec
    done = "already done, nothing was run again: " if done_before else ""
    console.print(f"{done}{spec.method} on {spec.task}, seed {spec.training.seed}: {_score(record)}", style="bold")
    console.print(_outcome(record))
    if record.terms or record.inactive:
        console.print(_terms(record))
    for note in record.notes:
        console.print(f"note: {note}", markup=False, soft_wrap=True)
    for name, what in KEPT.items():
        if (folder / name).exists():
            console.print(f"{what + ':':<22}{folder / name}", markup=False, soft_wrap=True)


def _score(record: RunRecord) -> str:
    return f"score {record.score:.2f} of 100" if record.score is not None else "no score"


def _outcome(record: RunRecord) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in {**record.metrics, **record.behaviour, **record.inheritance}.items():
        table.add_row(name, f"{value:.4f}")
    cost = record.cost
    table.add_row("steps", f"{cost.steps:,}")
    table.add_row("trained parameters", f"{cost.trained_parameters:,}")
    table.add_row("time", f"{cost.setup_seconds:.1f} s set-up, {cost.train_seconds:.1f} s training, "
                          f"{cost.eval_seconds:.1f} s scoring")  # fmt: skip
    table.add_row("peak memory", f"{cost.peak_memory_mb:,.0f} MiB")
    return table


def _terms(record: RunRecord) -> Table:
    table = Table(box=None, pad_edge=False, header_style="")
    table.add_column("term")
    for heading in ("λ", "first", "last", "gradient share"):
        table.add_column(heading, justify="right")
    table.add_column("")
    inactive = {name: reason for name, reason in record.inactive.items() if name not in record.terms}
    for name, term in record.terms.items():
        table.add_row(name, *_numbers(term), record.inactive.get(name, ""))
    for name, reason in inactive.items():
        table.add_row(name, "", "", "", "", f"inactive: {reason}")
    return table


def _numbers(term: TermSummary) -> tuple[str, str, str, str]:
    return f"{term.weight:g}", _number(term.first), _number(term.last), _share(term.gradient_share)


def _share(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2%}" if value == 0 or value >= 1e-4 else f"{100 * value:.0e}%"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
