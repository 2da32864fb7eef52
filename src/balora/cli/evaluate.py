"""`balora evaluate`: score a model, or an adapter on its base, on tasks."""

from pathlib import Path
from typing import Annotated, Any

import typer

from balora.cli import completion
from balora.cli.switches import UNSAFE_LOCAL_EXECUTION


def evaluate(
    model: Annotated[
        str,
        typer.Option(
            "--model", "-m", help="Hub id or folder of the model (with --adapter: of its base model), or `testbed`."
        ),
    ],
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            "-t",
            help="Task to score, e.g. cola, or a task file (.yaml) of your own; repeatable.",
            autocompletion=completion.tasks,
        ),
    ] = None,
    tasks: Annotated[str | None, typer.Option(help="Several tasks, separated by commas.")] = None,
    data: Annotated[str | None, typer.Option(help="Folder that contains the tasks' files or folders.")] = None,
    adapter: Annotated[
        Path | None, typer.Option(help="Folder of a PEFT adapter, e.g. `adapter` in a run's folder.")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="KEY=VALUE",
            help="One setting, e.g. data.eval_rows=200; repeatable.",
            autocompletion=completion.assignments,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="New file to write the scores to, as JSON; with --harness a new folder, which is required.",
        ),
    ] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Allow Python code that comes with the model.")
    ] = False,
    unsafe_local_execution: UNSAFE_LOCAL_EXECUTION = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    harness: Annotated[
        str | None,
        typer.Option(help="`lm-eval`: score tasks of lm-evaluation-harness. --model may be the folder of a run."),
    ] = None,
    include_path: Annotated[
        Path | None, typer.Option(help="With --harness: folder with task definitions of your own (YAML).")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="With --harness: rows to score of each task.")] = None,
    num_fewshot: Annotated[int | None, typer.Option(help="With --harness: examples in front of a question.")] = None,
) -> None:
    """Score a model or an adapter on one or several tasks."""
    from balora.cli.evaluate_harness import evaluate_with_harness, refuse_without_harness
    from balora.errors import ConfigError
    from balora.training.launchers import refuse_several_processes

    refuse_several_processes("balora evaluate")
    names = list(dict.fromkeys([*(task or []), *(name.strip() for name in (tasks or "").split(",") if name.strip())]))
    if not names:
        raise ConfigError("balora evaluate needs a task: pass --task NAME, or --tasks NAME,NAME")
    if harness is not None:
        evaluate_with_harness(
            harness,
            model=model,
            adapter=adapter,
            tasks=names,
            data=data,
            assignments=assignments or [],
            include_path=include_path,
            limit=limit,
            num_fewshot=num_fewshot,
            output=output,
            trust_remote_code=trust_remote_code,
            unsafe_local_execution=unsafe_local_execution,
            as_json=as_json,
        )
        return
    refuse_without_harness(include_path, limit, num_fewshot)
    options = {
        "method": "full",
        "model": model,
        "data.folder": data,
        "trust_remote_code": trust_remote_code or None,
        "unsafe_local_execution": unsafe_local_execution or None,
    }
    _evaluate(model, names, adapter, options, assignments or [], output, as_json)


def _evaluate(
    model: str,
    names: list[str],
    adapter: Path | None,
    options: dict[str, Any],
    assignments: list[str],
    output: Path | None,
    as_json: bool,
) -> None:
    """Score the tasks called ``names`` with balora's own evaluator."""
    from balora.cli.assignments import UNSAFE_WARNING, gather, remote_code_warning
    from balora.cli.output import claim_file, json_text, write_file
    from balora.errors import ConfigError, shown
    from balora.tasks.task_file import is_task_file
    from balora.training.spec import RunSpec

    specs: dict[str, RunSpec] = {}
    for name in names:
        folder = None if is_task_file(name) else options["data.folder"]  # such a file names its own data
        spec = gather(None, {**options, "task": name, "data.folder": folder}, assignments)
        if spec.task in specs:
            raise ConfigError(f"task {shown(spec.task)} is given twice: rename one of the two in its task file")
        specs[spec.task] = spec
    if any(spec.trust_remote_code for spec in specs.values()):
        typer.echo(remote_code_warning(model), err=True)
    if any(spec.unsafe_local_execution for spec in specs.values()):
        typer.echo(UNSAFE_WARNING, err=True)
    if output is not None:
        claim_file(output)

    from balora.cli.print_results import print_scores, scores_document
    from balora.cli.progress_bar import show_progress
    from balora.training.score_model import score_on_tasks

    with show_progress() as on_progress:
        results = score_on_tasks(specs, adapter, on_progress=on_progress)
    families = {name: spec.find(name).family for name, spec in specs.items()}
    document = scores_document(model, adapter, results, families)
    if output is not None:
        write_file(output, json_text(document) + "\n")
    print_scores(document, output, as_json=as_json)
