"""`balora study list`, `plan` and `run`. The workers import torch; this process does not."""

import sys
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from balora.cli.study_options import (
    DATA,
    JSON,
    MODEL,
    MOST_BLOCKS,
    PROFILE,
    RATE_GRID,
    SEEDS,
    SET,
    STUDY,
    SUITES,
    TRUST_REMOTE_CODE,
    UNTIL_ANSWERED,
)
from balora.cli.switches import UNSAFE_LOCAL_EXECUTION

if TYPE_CHECKING:
    from balora.study.engine.job_array import Share
    from balora.study.engine.protocol import Pool
    from balora.study.plan.plan import Plan
    from balora.study.store.object_storage import Storage


class Executor(StrEnum):
    """What can carry out the runs of a study."""

    LOCAL = "local"
    RAY = "ray"


app = typer.Typer(no_args_is_help=True, help="Ablation studies: compare BA-LoRA with variants of itself.")

MANY_RUNS = 5000
"""A plan with more runs is printed as JSON on one line."""


@app.command("list", epilog="Example: [bold]balora study list[/bold]")
def list_(as_json: JSON = False) -> None:
    """List the shipped studies with their questions, and the profiles."""
    from balora.cli.study_listing import list_studies, studies_text

    _print(list_studies(), studies_text, as_json)


@app.command(
    epilog="Example: [bold]balora study plan pissa-initialization[/bold] (on the testbed), or with "
    "[bold]--model MODEL --data DATA[/bold]"
)
def plan(
    study: STUDY,
    model: MODEL = None,
    data: DATA = None,
    profile: PROFILE = "glance",
    seeds: SEEDS = None,
    suites: SUITES = None,
    rate_grid: RATE_GRID = None,
    until_answered: UNTIL_ANSWERED = False,
    most_blocks: MOST_BLOCKS = None,
    assignments: SET = None,
    past: Annotated[
        list[Path] | None,
        typer.Option(
            help="Output folder of an earlier study, from which costs and the widths of intervals are estimated; "
            "repeatable."
        ),
    ] = None,
    trust_remote_code: TRUST_REMOTE_CODE = False,
    unsafe_local_execution: UNSAFE_LOCAL_EXECUTION = False,
    as_json: JSON = False,
) -> None:
    """Print every run of a study, in order, without starting any."""
    from balora.cli.study_listing import describe_plan, plan_text
    from balora.report.records.expected_precision import expected_precision, past_reports
    from balora.study.plan.costs import Costs, past_runs
    from balora.study.plan.plan import at_look
    from balora.study.plan.prepare import prepare
    from balora.study.plan.until import chosen_until

    until = chosen_until(until_answered, most_blocks, None, seeds)
    settings = _settings(_typed(assignments, trust_remote_code, unsafe_local_execution))
    grid = _grid(rate_grid)
    where: dict[str, Any] = {"model": model, "data": data, "profile": profile, "seeds": seeds, "suites": suites}
    planned = prepare(study, **where, rate_grid=grid, settings=settings, looks=until.looks if until else ())
    if until:
        planned = at_look(planned, until.most_blocks, {})
    _warn(planned)
    costs = Costs(past_runs(past or []))
    _print(describe_plan(planned, costs, expected_precision(planned, past_reports(past or []))), plan_text, as_json)


@app.command(
    epilog="Example: [bold]balora study run pissa-initialization --profile quick --output runs/pissa[/bold] (on the "
    "testbed), or with [bold]--model MODEL --data DATA[/bold]. After an interruption, the same command continues."
)
def run(
    study: STUDY,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER|URL",
            help="Folder for the records and the report, or object storage (s3://bucket/study): new, empty or this "
            "study's.",
        ),
    ],
    model: MODEL = None,
    data: DATA = None,
    profile: PROFILE = "glance",
    seeds: SEEDS = None,
    suites: SUITES = None,
    rate_grid: RATE_GRID = None,
    until_answered: UNTIL_ANSWERED = False,
    most_blocks: MOST_BLOCKS = None,
    hours: Annotated[
        float | None,
        typer.Option(
            help="With --until-answered: begin no further look that would end more than so many hours after this start."
        ),
    ] = None,
    share: Annotated[
        str | None,
        typer.Option(
            metavar="K/N",
            help="Carry out only the K-th of N shares, as one of N jobs with the same --output; the last to end "
            "completes the study there.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Runs at the same time. Default: one per GPU; without one, on the testbed one per core, else "
            "two at most.",
        ),
    ] = None,
    devices: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="GPUs, each for one worker: numbers or UUIDs with commas between, as in CUDA_VISIBLE_DEVICES, or none "
            "for the CPU. Default: all that this process sees.",
        ),
    ] = None,
    together: Annotated[
        int,
        typer.Option(
            min=1,
            help="Arms of one block that a worker trains together, step by step, on one base in memory; for GPUs.",
        ),
    ] = 1,
    executor: Annotated[
        Executor,
        typer.Option(
            help="What carries out the runs: processes of this machine, or the nodes of the Ray cluster that this "
            "machine is one of."
        ),
    ] = Executor.LOCAL,
    cpus: Annotated[
        int | None,
        typer.Option(
            "--cpus-per-run",
            min=1,
            help="With --executor ray: CPUs of each run. Default: one on the testbed, else the CPUs of a node shared "
            "by its GPUs, or half of them where there is none.",
        ),
    ] = None,
    gpus: Annotated[
        float | None,
        typer.Option(
            "--gpus-per-run",
            min=0,
            help="With --executor ray: GPUs of each run, or a part of one. Default: one, if the nodes have any and the "
            "study is not on the testbed.",
        ),
    ] = None,
    assignments: SET = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run failed runs again.")] = False,
    reuse: Annotated[
        list[Path] | None,
        typer.Option(help="Output folder of another study whose finished runs are reused where identical; repeatable."),
    ] = None,
    trust_remote_code: TRUST_REMOTE_CODE = False,
    unsafe_local_execution: UNSAFE_LOCAL_EXECUTION = False,
    as_json: JSON = False,
) -> None:
    """Run a study, skipping finished runs, write its report, and print the answer."""
    from functools import partial

    from balora.cli.output import print_lines
    from balora.cli.study_report import write_report
    from balora.errors import ConfigError
    from balora.report.records.open_questions import open_questions
    from balora.study.engine.display import show_progress
    from balora.study.engine.execute import execute
    from balora.study.engine.job_array import execute_share, read_share
    from balora.study.engine.tune_rates import with_rates
    from balora.study.engine.until_answered import execute_until_answered
    from balora.study.plan.prepare import command, prepare, refuse_open_arms
    from balora.study.plan.until import chosen_until
    from balora.study.store.object_storage import is_url, located
    from balora.training.fingerprint import fingerprints
    from balora.training.launchers import refuse_several_processes
    from balora.training.tools import check_tools

    refuse_several_processes("balora study run")
    given = _typed(assignments, trust_remote_code, unsafe_local_execution)
    where: dict[str, Any] = {"model": model, "data": data, "profile": profile, "seeds": seeds, "suites": suites}
    where["rate_grid"] = _grid(rate_grid)
    until, part = chosen_until(until_answered, most_blocks, hours, seeds), read_share(share)
    if until and part:
        raise ConfigError("--share: a look needs the runs of all shares at once: leave it or --until-answered out")
    if part and is_url(output):
        raise ConfigError(f"--share: shares need a folder that all jobs see, not {output}: give one, or --executor ray")
    planned = prepare(study, **where, settings=_settings(given), looks=until.looks if until else ())
    refuse_open_arms(planned.study)
    _warn(planned)
    check_tools(run.column for run in planned.runs[: len(planned.arms) * len(planned.tasks.present)])
    started = time.monotonic()
    place = output if is_url(output) else Path(output)
    repeat = command(study, place, **{**where, "suites": suites or ()}, assignments=given, until=until)
    try:
        with located(output) as (folder, storage):
            pool = _pool(executor, planned.choices.on_testbed, workers, devices, together, cpus, gpus, storage)
            with show_progress() as watcher:
                how: dict[str, Any] = {
                    "command": repeat,
                    "pool": pool,
                    "retry_failed": retry_failed,
                    "reuse": tuple(reuse or ()),
                }
                carry_out = partial(execute_share, share=part) if part else execute
                search: dict[str, Any] = {"fingerprints": fingerprints, "on_folder": write_report}
                tuned, outcome = with_rates(planned, folder, watcher, **how, **search, carry_out=carry_out), None
                if tuned and until:
                    looks: dict[str, Any] = {"until": until, "started": started}
                    looks["on_look"] = lambda folder: open_questions(write_report(folder)[0])
                    outcome = execute_until_answered(tuned, folder, watcher, **looks, **how)
                elif tuned:
                    outcome = carry_out(tuned, folder, watcher, **how)
            if outcome is not None:
                _end(folder, part, as_json)
    except KeyboardInterrupt:
        again = f"{repeat} --share {part}" if part else repeat
        print_lines((f"finished runs remain in {output}; to go on: {again}",), error=True)
        raise
    if outcome is None:
        told = "the search for learning rates needs the other shares: when they have ended, run this again"
        print(f"share {part}: {told}", file=sys.stderr)
        return
    if storage is not None:
        print_lines((f"stored in {storage.url}; {folder} is its copy on this machine",), error=True)
    if failed := outcome.failed + outcome.failed_before:
        print(f"{failed} of {outcome.planned} runs failed; see the report", file=sys.stderr)
        raise typer.Exit(1)


def _end(folder: Path, part: "Share | None", as_json: bool) -> None:
    """Write the report and print the answer, or how many runs are still to come from other shares."""
    from balora.cli.study_report import end_with, write_report

    if part and (waiting := write_report(folder)[0].counts.missing):
        print(f"share {part}: has ended; {waiting} runs of the study are still to come from others", file=sys.stderr)
    else:
        end_with(folder, as_json)


def _pool(
    executor: Executor,
    on_testbed: bool,
    workers: int | None,
    devices: str | None,
    together: int,
    cpus: int | None,
    gpus: float | None,
    storage: "Storage | None",
) -> "Pool":
    """Return the pool that carries out the runs; :class:`ConfigError` for an option of another executor."""
    from balora.errors import ConfigError
    from balora.study.engine.stored_pool import StoredPool

    pool: Pool
    if executor is Executor.RAY:
        from balora.study.engine.ray_pool import ray_pool

        if devices is not None:
            raise ConfigError("--devices: Ray gives each run its GPUs: leave it out, or give --gpus-per-run")
        if together > 1:
            raise ConfigError("--together: Ray gives each run a process of its own: leave it or --executor ray out")
        pool = ray_pool(on_testbed, workers, cpus, gpus, storage)
        return StoredPool(pool, storage) if storage else pool
    from balora.study.engine.devices import choose_devices, visible_devices
    from balora.study.engine.pool import local_pool

    for name, value in (("--cpus-per-run", cpus), ("--gpus-per-run", gpus)):
        if value is not None:
            raise ConfigError(f"{name}: is for --executor ray: leave it out, or give --workers and --devices")
    pool = local_pool(on_testbed, workers, choose_devices(devices, visible_devices()), together)
    return StoredPool(pool, storage) if storage else pool


def _typed(assignments: list[str] | None, trust_remote_code: bool, unsafe_local_execution: bool) -> tuple[str, ...]:
    """Return the assignments as they were typed; each switch is one more, which the study's record then holds."""
    switches = {"trust_remote_code": trust_remote_code, "unsafe_local_execution": unsafe_local_execution}
    return (*(assignments or ()), *(f"{name}=true" for name, on in switches.items() if on))


def _settings(assignments: tuple[str, ...]) -> dict[str, Any]:
    from balora.cli.assignments import parse_assignments

    return parse_assignments(assignments)


def _grid(text: str | None) -> tuple[float, ...] | None:
    """Return the learning rates in ``text``; :class:`ConfigError` where it is no list of positive numbers."""
    from balora.errors import ConfigError, shown

    if text is None:
        return None
    try:
        rates = tuple(float(part) for part in text.split(","))
    except ValueError:
        rates = ()
    if not rates or not all(0 < rate < float("inf") for rate in rates):
        raise ConfigError(f"--rate-grid: expected positive numbers with commas between (5e-4,1e-3), got {shown(text)}")
    return rates


def _warn(planned: "Plan") -> None:
    from balora.cli.assignments import UNSAFE_WARNING, remote_code_warning

    if any(run.column.trust_remote_code for run in planned.runs):
        print(remote_code_warning(planned.choices.model), file=sys.stderr)
    if any(run.column.unsafe_local_execution for run in planned.runs):
        print(UNSAFE_WARNING, file=sys.stderr)


def _print(content: Any, draw: Callable[[Any], str], as_json: bool) -> None:
    """Print frozen records as JSON, or as text."""
    from balora.cli.output import print_json, print_lines

    if as_json:
        print_json(content, compact=len(getattr(content, "runs", ())) > MANY_RUNS)
    else:
        print_lines(draw(content).split("\n"))
