"""Carry out `balora evaluate --harness lm-eval`: check its options, score, and print what was found."""

from collections.abc import Sequence
from pathlib import Path

import typer

from balora.errors import ConfigError, shown, unknown_name

HARNESS = "lm-eval"
BATCH_SIZE = "training.eval_batch_size"


def refuse_without_harness(include_path: Path | None, limit: int | None, num_fewshot: int | None) -> None:
    """Raise ConfigError for an option that only acts with the harness."""
    for option, value in (("--include-path", include_path), ("--limit", limit), ("--num-fewshot", num_fewshot)):
        if value is not None:
            more = ": use --set data.eval_rows=N" if option == "--limit" else ""
            raise ConfigError(f"{option} {value} acts only together with --harness {HARNESS}{more}")


def evaluate_with_harness(
    harness: str,
    *,
    model: str,
    adapter: Path | None,
    tasks: Sequence[str],
    data: str | None,
    assignments: Sequence[str],
    include_path: Path | None,
    limit: int | None,
    num_fewshot: int | None,
    output: Path | None,
    trust_remote_code: bool,
    unsafe_local_execution: bool,
    as_json: bool,
) -> None:
    """Score with the harness and print the scores; raises what :func:`score_with_harness` does."""
    from balora.cli.assignments import remote_code_warning
    from balora.harness.config import HarnessConfig
    from balora.harness.lm_eval_library import require_lm_eval

    if harness != HARNESS:
        raise ConfigError(unknown_name("harness", harness, [HARNESS]))
    if data is not None:
        raise ConfigError(
            f"--data {shown(data)}: the harness reads the data that its tasks name: leave --data out, and define tasks "
            "on files of your own with --include-path"
        )
    if unsafe_local_execution:
        raise ConfigError(
            "--unsafe-local-execution does not act with --harness lm-eval, whose tasks that run programs are refused"
        )
    if output is None:
        raise ConfigError(
            f"--harness {HARNESS} writes a record, items and the harness' own files: pass --output FOLDER"
        )
    config = HarnessConfig(
        model=model,
        adapter=adapter,
        tasks=tuple(tasks),
        include_path=include_path,
        limit=limit,
        num_fewshot=num_fewshot,
        batch_size=_batch_size(assignments),
        trust_remote_code=trust_remote_code,
    )
    require_lm_eval()
    if trust_remote_code:
        place = f" and {include_path}" if include_path is not None else ""
        typer.echo(remote_code_warning(f"{model}{place}"), err=True)

    from balora.cli.print_results import print_harness_scores
    from balora.cli.progress_bar import show_progress
    from balora.harness.score_with_harness import score_with_harness

    with show_progress() as on_progress:
        record = score_with_harness(config, output, on_progress=on_progress)
    print_harness_scores(record, output, as_json=as_json)


def _batch_size(assignments: Sequence[str]) -> int:
    """Return the one setting that acts on the harness."""
    from balora.cli.assignments import parse_assignments
    from balora.settings import dotted
    from balora.training.spec import TrainingConfig

    given = dotted(parse_assignments(assignments))
    for key in given:
        if key != BATCH_SIZE:
            raise ConfigError(f"--set {shown(key)} does not act with --harness {HARNESS}: only {BATCH_SIZE} does")
    return TrainingConfig(**{"eval_batch_size": given[BATCH_SIZE]} if given else {}).eval_batch_size
