"""`balora evaluate`: score a model, or an adapter on its base, on tasks."""

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    model: Annotated[
        str, typer.Option(help="Hub id or folder of the model (with --adapter: of its base model), or `testbed`.")
    ],
    task: Annotated[list[str], typer.Option(help="Task to score, e.g. cola; repeatable.")],
    data: Annotated[str | None, typer.Option(help="Folder that contains the tasks' files or folders.")] = None,
    adapter: Annotated[
        Path | None, typer.Option(help="Folder of a PEFT adapter, e.g. `adapter` in a run's folder.")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting, e.g. data.eval_rows=200; repeatable."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="New file to write the scores to, as JSON.")] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Allow Python code that comes with the model.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Score a model or an adapter on one or several tasks."""
    from balora.cli.assignments import gather, remote_code_warning
    from balora.cli.output import claim_file, json_text, write_file
    from balora.training.launchers import refuse_several_processes

    refuse_several_processes("balora evaluate")
    options = {"method": "full", "model": model, "data.folder": data, "trust_remote_code": trust_remote_code or None}
    specs = {name: gather(None, {**options, "task": name}, assignments or []) for name in task}
    if any(spec.trust_remote_code for spec in specs.values()):
        typer.echo(remote_code_warning(model), err=True)
    if output is not None:
        claim_file(output)

    from balora.cli.print_results import print_scores, scores_document
    from balora.cli.progress_bar import show_progress
    from balora.training.score_model import score_on_tasks

    with show_progress() as on_progress:
        results = score_on_tasks(specs, adapter, on_progress=on_progress)
    document = scores_document(model, adapter, results)
    if output is not None:
        write_file(output, json_text(document) + "\n")
    print_scores(document, output, as_json=as_json)
