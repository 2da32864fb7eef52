"""Score a model or an adapter with lm-evaluation-harness: its numbers, our items and record, its own files."""

import json
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from balora.errors import DataError, OutputError, printable, shortened, shown
from balora.folders import claim_output, staged
from balora.harness.config import SEEDS, HarnessConfig
from balora.harness.harness_items import Metric, main_metric, task_items
from balora.harness.harness_record import ITEMS, OWN_FILES, RECORD, HarnessScores
from balora.harness.harness_results import scores_record
from balora.harness.harness_tasks import check_definitions, load_tasks
from balora.harness.lm_eval_library import harness_module, require_lm_eval
from balora.harness.quiet_harness import HarnessLog, quiet_harness
from balora.harness.scored_model import Source, load_scored_model, model_name, resolve_source, spec_to_load
from balora.progress import OnProgress, Progress

OF_DEFINITIONS = (AssertionError, IndexError, KeyError, TypeError, ValueError, TemplateError)
"""What the harness raises where a task's definition, its rows and the model do not fit each other."""


def score_with_harness(config: HarnessConfig, output: Path, *, on_progress: OnProgress | None = None) -> HarnessScores:
    """Score what ``config`` names, and write the record, the items and the harness' own files to ``output``.

    The model is loaded with all the checks of :mod:`balora.training.score_model`, on the same device and in the same
    precision; answers are decoded greedily. Everything is checked before the model is loaded, and the folder appears
    complete or not at all, its record last.

    Raises:
        InputError: model, adapter, tasks or their data cannot be used; the harness is not installed.
        OutputError: ``output`` is taken or cannot be written.
        TrainingError: a loglikelihood is not finite.
    """
    report = on_progress or (lambda progress: None)
    version = require_lm_eval()
    claim_output(output, kind="evaluation")
    if config.include_path is not None:
        check_definitions(config.include_path, trusted=config.trust_remote_code)
    source = resolve_source(config)
    spec = spec_to_load(source, config)
    with quiet_harness(report, trusted=config.trust_remote_code) as log:
        report(Progress("load", 0, 1))
        tasks = load_tasks(config, log)
        model, tokenizer = load_scored_model(source, spec, config.tasks[0])
        results = _evaluate(config, model, tokenizer, tasks)
        metrics, samples = _main_metrics(results, tasks), results.pop("samples")
        items = [item for name, rows in samples.items() for item in task_items(name, rows, metrics[name])]
        with staged(output) as work:
            _write_items(work / ITEMS, items)
            _save_own_files(results, samples, source, work / OWN_FILES, log)
            record = scores_record(config, source, results, metrics, model, version, log.notes())
            (work / RECORD).write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return record


def _evaluate(config: HarnessConfig, model: Any, tokenizer: Any, tasks: list[Any]) -> dict[str, Any]:
    """Return what the harness' `simple_evaluate` returns."""
    greedy = {"do_sample": False} if any(map(_samples, _leaves(tasks))) else None
    try:
        wrapped = harness_module("models.huggingface").HFLM(
            pretrained=model, tokenizer=tokenizer, backend="causal", batch_size=config.batch_size
        )
        for task in _leaves(tasks):
            _require_room(task, wrapped.max_length)
        results: dict[str, Any] = harness_module("evaluator").simple_evaluate(
            model=wrapped,
            tasks=tasks,
            num_fewshot=config.num_fewshot,
            limit=config.limit,
            gen_kwargs=greedy,
            batch_size=config.batch_size,
            device=str(model.device),
            task_manager=harness_module("tasks").TaskManager(include_defaults=False),
            log_samples=True,
            **SEEDS,
        )
    except DataError:
        raise
    except OF_DEFINITIONS as error:
        raise DataError(
            f"lm-eval cannot score {', '.join(map(shown, config.tasks))} with this model "
            f"({type(error).__name__}: {_one_line(str(error))}): compare the task's definition, its rows and the model"
        ) from error
    return results


def _main_metrics(results: dict[str, Any], tasks: list[Any]) -> dict[str, Metric | None]:
    aggregations = {task.task_name: task.aggregation() for task in _leaves(tasks)}
    return {name: main_metric(rows, aggregations[name]) for name, rows in results["samples"].items()}


def _leaves(tasks: list[Any]) -> list[Any]:
    """Return the single tasks among tasks and groups."""
    return [leaf for one in tasks for leaf in (one.get_all_tasks() if hasattr(one, "get_all_tasks") else [one])]


def _require_room(task: Any, positions: int) -> None:
    """Raise DataError if the answers of ``task`` alone would fill the model's positions."""
    if task.get_config("output_type") == "generate_until":
        normalised = harness_module("models.utils").normalize_gen_kwargs(task.get_config("generation_kwargs") or {})
        if (new := normalised["max_gen_toks"]) >= positions:
            raise DataError(
                f"task {shown(task.task_name)} generates up to {new:,} tokens, but the model has {positions:,} "
                "positions: lower max_gen_toks in the task's definition, or take a model with more"
            )


def _samples(task: Any) -> bool:
    """Return whether the definition of ``task`` draws its answers at random."""
    chosen = task.get_config("generation_kwargs") or {}
    warm = bool(chosen.get("temperature")) and chosen.get("do_sample") is not False
    return task.get_config("output_type") == "generate_until" and (bool(chosen.get("do_sample")) or warm)


def _write_items(path: Path, items: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")


def _save_own_files(
    results: dict[str, Any], samples: dict[str, Any], source: Source, folder: Path, log: HarnessLog
) -> None:
    """Let the harness write `results_*.json` and `samples_*.jsonl`; it adds `task_hashes` to ``results``.

    Raises:
        OutputError: a file is missing afterwards; the harness itself only warns then.
    """
    tracker = harness_module("loggers").EvaluationTracker(output_path=str(folder))
    tracker.general_config_tracker.log_experiment_args(
        model_source="hf",
        model_args={"pretrained": model_name(source)},
        system_instruction=None,
        chat_template=None,
        fewshot_as_multiturn=False,
    )
    tracker.save_results_aggregated(results=results, samples=samples)
    for name, rows in samples.items():
        tracker.save_results_samples(task_name=name, samples=rows)
    if len(list(folder.rglob("results_*.json"))) != 1 or len(list(folder.rglob("samples_*.jsonl"))) != len(samples):
        raise OutputError(f"output folder {folder}: lm-eval could not write its files ({'; '.join(log.notes())})")


def _one_line(text: str) -> str:
    return printable(shortened(" ".join(text.split()), 300))
