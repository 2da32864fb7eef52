"""`balora doctor`: check the installation and the hardware, and say what a run would take of its memory."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from balora.cli import completion

if TYPE_CHECKING:
    from balora.training.memory import MemoryNeed
    from balora.training.spec import RunSpec

SYMBOLS = {"ok": "ok", "note": "--", "broken": "!!"}
GIB = 2**30


def doctor(
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Say what a run on this model takes of the memory: a hub id or folder."),
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", "-t", help="With --model: the run's task, e.g. gsm8k or sst2.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="With --model: full, full+reg, lora, pissa, lora+reg or ba-lora (the default).")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="With --model: YAML file of the run's settings.")] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="KEY=VALUE",
            help="With --model: one setting, e.g. training.batch_size=8.",
            autocompletion=completion.assignments,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Check what is installed, which hardware is found, and what will run where.

    With --model and --task: say what a run would take of the memory, before it starts. Nothing is loaded but the
    model's configuration.

    Exits with code 1 if something that is needed is missing or broken, or if the run would not fit.
    """
    if model or task or config or assignments or method:
        _run_fits(config, {"model": model, "task": task, "method": method}, assignments or [], as_json)
        return
    from balora.cli.output import print_json, print_lines
    from balora.diagnosis import examine, healthy

    checks = examine()
    if as_json:
        print_json({"healthy": healthy(checks), "checks": [check._asdict() for check in checks]})
    else:
        print_lines(f"{SYMBOLS[check.status]} {check.about:<13} {check.text}" for check in checks)
    if not healthy(checks):
        raise typer.Exit(1)


def _run_fits(config: Path | None, options: dict[str, str | None], assignments: list[str], as_json: bool) -> None:
    from balora.cli.assignments import gather
    from balora.cli.output import print_json, print_lines
    from balora.diagnosis import memory_of_a_run
    from balora.training.memory import estimate_memory

    spec = gather(config, options, assignments)
    need, there = estimate_memory(spec), memory_of_a_run()
    fits = there is None or need.peak <= there
    if as_json:
        print_json({"fits": fits, "there": there, "peak": need.peak, "training": need.training, **need._asdict()})
    else:
        print_lines(_memory_lines(spec, need, there))
    if not fits:
        raise typer.Exit(1)


def _memory_lines(spec: "RunSpec", need: "MemoryNeed", there: int | None) -> list[str]:
    from balora.training.machine import less_memory

    data, training = spec.data, spec.training
    rows = f"{training.batch_size} rows of {data.max_length} tokens"
    lines = [
        ("program", need.program, "Python and its libraries"),
        ("base", need.base, "the pre-trained weights, frozen" if spec.adapter else "the pre-trained weights, trained"),
        ("adapter", need.adapter, "its weights, their start, and a trained head"),
        ("reference", need.reference, "a frozen copy" if need.reference else "none: the model with its adapter off"),
        ("optimizer", need.optimizer, "gradients, and AdamW's two means"),
        ("step", need.step, f"{rows}: activations, the frozen model's outputs, the loss"),
        ("scoring", need.scoring, f"{training.eval_batch_size} rows at a time, after training"),
    ]
    shown = [f"{name:<10} {size / GIB:8.2f} GiB  {text}" for name, size, text in lines if size or name == "reference"]
    if need.spared:
        shown.append(f"{'logits':<10} {0:8.2f} GiB  not made: they would take {need.spared / GIB:.2f} GiB")
    shown.append(f"{'peak':<10} {need.peak / GIB:8.2f} GiB  {_verdict(need.peak, there)}")
    if there is not None and need.peak > there:
        shown.append(f"to need less: {less_memory(spec)}")
    return shown


def _verdict(peak: int, there: int | None) -> str:
    if there is None:
        return "how much there is on this system is unknown"
    return f"{'of' if peak <= there else 'but there are only'} {there / GIB:.2f} GiB"
