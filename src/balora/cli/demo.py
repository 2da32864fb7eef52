"""`balora demo`: fine-tune one tiny model twice, without the method and with it, and show both side by side."""

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from balora.cli import completion


def demo(
    task: Annotated[
        str,
        typer.Option(
            "--task",
            "-t",
            help="Task of the testbed: sentiment, code, facts, arithmetic, …",
            autocompletion=completion.tasks,
        ),
    ] = "code",
    seed: Annotated[int, typer.Option(min=0, help="Decides the training rows and their order.")] = 42,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="New or empty folder to keep both runs in. Default: no trace.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print both records as JSON instead of text.")] = False,
) -> None:
    """Fine-tune a tiny model with planted flaws as plain LoRA and as BA-LoRA, and print what each has learnt.

    It takes under a minute, and needs no data and no network.
    """
    from balora.cli.print_demo import METHODS, print_demo
    from balora.folders import claim_output
    from balora.study.plan.single_run import single_run
    from balora.training.launchers import refuse_several_processes

    refuse_several_processes("balora demo")
    if output is not None:
        claim_output(output, kind="demo", own=METHODS)
    settings = {"training.seed": seed, "training.threads": 1}  # so tiny a model is as quick with one
    specs = {method: single_run("quick", task, method, settings) for method in METHODS}

    from balora.cli.progress_bar import show_progress
    from balora.training.run_in_folder import run_in_folder

    with nullcontext(output) if output else tempfile.TemporaryDirectory(prefix="balora-demo-") as place:
        folders = {method: Path(place) / method for method in METHODS}
        with show_progress() as on_progress:
            records = {
                method: run_in_folder(spec, folders[method], on_progress=on_progress)[0]
                for method, spec in specs.items()
            }
        print_demo(records, folders, is_kept=output is not None, as_json=as_json)
