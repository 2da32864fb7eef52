"""Build the record of an evaluation from the results that lm-evaluation-harness returns."""

from typing import Any

from balora.harness.config import SEEDS, HarnessConfig
from balora.harness.harness_items import Metric
from balora.harness.harness_record import HarnessScores, TaskScores
from balora.harness.scored_model import Source
from balora.training.fingerprint import adapter_fingerprint, model_fingerprint


def scores_record(
    config: HarnessConfig,
    source: Source,
    results: dict[str, Any],
    main: dict[str, Metric | None],
    model: Any,
    version: str,
    notes: list[str],
) -> HarnessScores:
    """Return the record of an evaluation from what the harness returned and ``model``, which it scored."""
    from balora.training.machine import versions

    prints = {"model": model_fingerprint(source.model)}
    if source.adapter is not None:
        prints["adapter"] = adapter_fingerprint(source.adapter)
    return HarnessScores(
        model=source.model,
        adapter=None if source.adapter is None else str(source.adapter),
        fingerprints=prints,
        tasks={name: _task_scores(name, metric, results, config) for name, metric in main.items()},
        groups={name: _numbers(found)[0] for name, found in results.get("groups", {}).items()},
        notes=notes,
        limit=config.limit,
        num_fewshot=config.num_fewshot,
        batch_size=config.batch_size,
        device=model.device.type,
        dtype=str(next(model.parameters()).dtype).removeprefix("torch."),
        seeds=SEEDS,
        versions={**versions(), "lm_eval": version},
    )


def _task_scores(name: str, metric: Metric | None, results: dict[str, Any], config: HarnessConfig) -> TaskScores:
    values, errors = _numbers(results["results"][name])
    count, shots, version = results["n-samples"][name], results["n-shot"].get(name, 0), results["versions"].get(name)
    notes = []
    if metric is None:
        notes.append("none of its metrics is a mean over items, so that its items have no score to compare")
    if config.num_fewshot is not None and shots != config.num_fewshot:
        notes.append(f"its definition fixes {shots} examples: --num-fewshot {config.num_fewshot} did not act")
    chosen = results["configs"].get(name, {}).get("generation_kwargs") or {}
    if (results["config"].get("gen_kwargs") or {}) and chosen.get("temperature"):
        notes.append(f"its definition draws answers at temperature {chosen['temperature']:g}: decoded greedily here")
    return TaskScores(
        metric=None if metric is None else metric.full,
        metrics=values,
        stderr=errors,
        higher_is_better=dict(results["higher_is_better"].get(name, {})),
        version=None if version is None else str(version),
        num_fewshot=shots,
        rows=count["effective"],
        rows_in_all=count["original"],
        fingerprint=results["task_hashes"][name],
        notes=notes,
    )


def _numbers(found: dict[str, Any]) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """Return the metrics among the entries of the harness' results, and their standard errors under the same names."""
    values, errors = {}, {}
    for key, value in found.items():
        if "," not in key:  # name, alias, number of rows
            continue
        name, filter_name = key.split(",", 1)
        number = float(value) if isinstance(value, int | float) else None
        number = None if number is not None and number - number != 0 else number
        if name.endswith("_stderr"):
            errors[f"{name.removesuffix('_stderr')},{filter_name}"] = number
        else:
            values[key] = number
    return values, errors
