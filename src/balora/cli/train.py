"""`balora train`: one model, one task, one method."""

from pathlib import Path
from typing import Annotated

import typer


def train(
    output: Annotated[Path, typer.Option(help="Folder for the run: its record, series and adapter; new or empty.")],
    model: Annotated[str | None, typer.Option(help="Hub id or folder of the pre-trained model, or `testbed`.")] = None,
    task: Annotated[
        str | None, typer.Option(help="Task to train and score, e.g. cola or gsm8k; on the testbed e.g. facts.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Folder with the task's files, or a folder above it.")] = None,
    method: Annotated[
        str | None, typer.Option(help="full, full+reg, lora, pissa, lora+reg or ba-lora (the default).")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of settings; options and --set win over it.")] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting, e.g. adapter.rank=8; repeatable."),
    ] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run Python code that comes with the model.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the run's record as JSON.")] = False,
) -> None:
    """Fine-tune one model on one task with one method, score it, and keep its record and adapter."""
    from balora.cli.assignments import gather

    options = {
        "model": model,
        "task": task,
        "method": method,
        "data.folder": data,
        "trust_remote_code": trust_remote_code or None,
    }
    spec = gather(config, options, assignments or [])

    from balora.cli.progress_bar import shown
    from balora.cli.run_summary import print_run
    from balora.training.run_in_folder import run_in

    with shown() as on_progress:
        record, done_before = run_in(spec, output, on_progress=on_progress)
    print_run(record, output, as_json=as_json, done_before=done_before)
