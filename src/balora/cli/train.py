"""`balora train`: fine-tune one model on one task with one method."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from balora.cli import completion
from balora.cli.switches import UNSAFE_LOCAL_EXECUTION
from balora.errors import ConfigError

if TYPE_CHECKING:
    from balora.training.spec import RunSpec


def train(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for the run's record, scores and adapter; new or empty."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Hub id or folder of the pre-trained model, or `testbed`.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            "-t",
            autocompletion=completion.tasks,
            help="Task to train on: cola, say, on which the model is also scored, or metamathqa, whose model is scored "
            "on gsm8k and math, or a task file (.yaml) of your own; on the testbed e.g. facts. --set score=[math500] "
            "names other tasks to score.",
        ),
    ] = None,
    data: Annotated[str | None, typer.Option(help="Folder that contains the task's files or folder.")] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="full, full+reg, lora, pissa, lora+reg or ba-lora (the default).", autocompletion=completion.methods
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of settings; options and --set override it.")] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="KEY=VALUE",
            help="One setting, e.g. adapter.rank=8; repeatable.",
            autocompletion=completion.assignments,
        ),
    ] = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Only print all settings of the run, as a config file with comments.")
    ] = False,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Allow Python code that comes with the model.")
    ] = False,
    unsafe_local_execution: UNSAFE_LOCAL_EXECUTION = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Fine-tune one model on one task with one method, score it, and save its record and adapter."""
    from balora.cli.assignments import UNSAFE_WARNING, gather, remote_code_warning
    from balora.cli.start_processes import is_to_start, start_processes
    from balora.training.launchers import is_first_process, processes_together

    options = {
        "model": model,
        "task": task,
        "method": method,
        "data.folder": data,
        "trust_remote_code": trust_remote_code or None,
        "unsafe_local_execution": unsafe_local_execution or None,
    }
    spec = gather(config, options, assignments or [])
    if print_config:
        _print_config(spec, task, config)
        return
    if output is None:
        raise ConfigError("--output: a run needs a folder for its record, scores and adapter, e.g. --output runs/one")
    is_first, starts = is_first_process(), is_to_start(spec)
    if not starts:
        processes_together(spec.launch)
    if spec.trust_remote_code and is_first:
        typer.echo(remote_code_warning(spec.model), err=True)
    if spec.unsafe_local_execution and is_first:
        typer.echo(UNSAFE_WARNING, err=True)

    from balora.cli.print_results import print_run
    from balora.cli.progress_bar import shown_by_the_first
    from balora.training.record import read_record
    from balora.training.run_in_folder import finished_run, run_in_folder

    if starts:
        record = finished_run(spec, output, spec.launch.processes or 1)
        done_before = record is not None
        if record is None:
            start_processes(spec, output)
            record = read_record(output)
    else:
        with shown_by_the_first() as on_progress:
            record, done_before = run_in_folder(spec, output, on_progress=on_progress)
    if is_first and record is not None:
        print_run(record, output, as_json=as_json, done_before=done_before)


def _print_config(spec: "RunSpec", task: str | None, config: Path | None) -> None:
    from balora.cli.assignments import read_config
    from balora.cli.config_text import config_text
    from balora.cli.output import print_lines

    filed = read_config(config).content.get("task") if config else None
    print_lines(config_text(spec, task or filed or spec.task).splitlines())
