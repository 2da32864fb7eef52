"""Write a model card (README.md) for an exported run, from its record alone; torch-free."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from balora.adapters.model_names import is_hub_name, shared_name
from balora.errors import printable
from balora.report.records.shareable import without_paths
from balora.tasks.catalogue import Task
from balora.training.hub_upload import CARD
from balora.training.record import RunRecord, correct_rows
from balora.training.saved_files import ADAPTER_CONFIG, read_adapter_config
from balora.training.spec import TESTBED

TASK = "task"
"""The term that is the task's own loss."""
PIPELINES = {"nlu": "text-classification", "nlg": "text-generation"}
PAPER = "[BA-LoRA](https://arxiv.org/abs/2408.04556)"
SERVED_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM's --max-lora-rank takes; its default is 16."""
USUAL_RANK = 16


def write_card(record: RunRecord, folder: Path, *, name: str, licence: str | None = None) -> None:
    """Write the card of the export in ``folder``: metadata as the Hub reads them, and a page for people.

    Args:
        record: of the run.
        folder: what was exported; an adapter's rank is read there.
        name: how the model is called.
        licence: of the result; none: the card says that the base's licence holds.
    """
    (folder / CARD).write_text(card_text(record, folder, name=name, licence=licence), encoding="utf-8")


def card_text(record: RunRecord, folder: Path, *, name: str, licence: str | None = None) -> str:
    """Return what :func:`write_card` writes."""
    is_whole = not (folder / ADAPTER_CONFIG).exists()
    page = "\n".join(_page(record, folder, printable(name), licence, is_whole))
    return f"---\n{_metadata(record, name, licence, is_whole)}\n---\n\n{page}\n"


def _metadata(record: RunRecord, name: str, licence: str | None, is_whole: bool) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    task, base = record.spec.find(record.spec.task), shared_name(record.spec.model)
    results = [
        EvalResult(
            task_type=PIPELINES[scored.family],
            dataset_type=scored.hub[0] if scored.hub else scored.name,
            dataset_name=scored.name,
            dataset_config=scored.hub[1] if scored.hub else None,
            dataset_split=scored.eval_split,
            metric_type=metric,
            metric_value=round(value, 6),
        )
        for scored, found in _scores(record)
        for metric, value in found.metrics.items()
    ]
    data = ModelCardData(
        base_model=base if is_hub_name(record.spec.model) else None,
        datasets=[task.hub[0]] if task.hub else None,
        library_name="transformers" if is_whole else "peft",
        license=licence,
        pipeline_tag=PIPELINES[task.family],
        tags=["balora", record.spec.method] + ([] if is_whole else ["lora"]),
        model_name=name,
        eval_results=results or None,
    )
    return str(data.to_yaml())


def _scores(record: RunRecord) -> Iterator[tuple[Task, RunRecord]]:
    yield from ((record.spec.find(name), record.of_task(name)) for name in record.spec.scored)


def _page(record: RunRecord, folder: Path, name: str, licence: str | None, is_whole: bool) -> Iterator[str]:
    spec, task = record.spec, record.spec.find(record.spec.task)
    base = "the decoder or encoder of balora's testbed" if spec.model == TESTBED else f"`{shared_name(spec.model)}`"
    what = "A whole model" if is_whole else "A LoRA adapter"
    maker = f"balora {record.versions.get('balora', '')}".rstrip()
    yield f"# {name}\n"
    yield f"{what}: {base}, fine-tuned on {task.name} with `{spec.method}` by {maker}. {_method_words(record)}\n"
    yield "## How it was trained\n"
    yield from _table(("setting", "value"), _settings(record))
    yield "## Scores\n"
    yield (
        "Of this one run, with one seed. The interval is for the drawing of the rows alone, and says nothing on how "
        "far another run would differ.\n"
    )
    yield from _table(("task", "measure", "value", "95 % interval", "rows"), _score_rows(record))
    if kept := {**record.inheritance, **record.measures}:
        yield "## What it has kept of its base\n"
        yield from _table(("measure", "value"), [(key, f"{value:.4f}") for key, value in kept.items()])
    yield "## Limits\n"
    yield "- Nothing else was measured than what stands above: no other task, language or harm."
    yield "- It can repeat what is wrong or unfair in its base and in the rows it learnt."
    yield from (f"- {printable(without_paths(note))}." for note in record.notes)
    yield f"- {_licence_words(record, licence)}\n"
    yield "## How to load it\n"
    yield from _loading(record, folder, name, is_whole)
    yield f"Run `{record.id}`, started {record.started or 'at an unknown time'}. " + _versions(record.versions)


def _method_words(record: RunRecord) -> str:
    active = [term for term, one in record.terms.items() if one.weight and term not in (TASK, *record.inactive)]
    if record.spec.adapter is None:
        start = "All weights were trained."
    else:
        start = f"The adapter has rank {record.spec.adapter.rank} and starts as `{record.spec.adapter.init}`."
    if not active:
        return start
    return f"{start} {PAPER} adds these terms against the frozen base: {', '.join(active)}."


def _settings(record: RunRecord) -> list[tuple[str, str]]:
    spec, training = record.spec, record.spec.training
    rate = record.learning_rate or training.learning_rate
    rows = f"{spec.data.train_rows:,}" if spec.data.train_rows else "all"
    found = [
        ("training rows", rows),
        ("steps", f"{record.cost.steps:,}"),
        ("rows a step", f"{training.batch_size * training.accumulation:,}"),
    ]
    found += [("learning rate", f"{rate:g}, {training.lr_schedule} after a warm-up of {100 * training.warmup:g} %")]
    found += [("precision", training.precision), ("seed", str(training.seed))]
    if spec.adapter is not None:
        found += [
            ("rank", str(spec.adapter.rank)),
            ("scaling s", f"{spec.adapter.scaling:g}"),
            ("start", spec.adapter.init),
        ]
    if spec.loading.quantization is not None:
        found += [("base held in", spec.loading.quantization)]
    found += [(f"λ of {term}", f"{one.weight:g}") for term, one in record.terms.items() if term != TASK]
    return [*found, ("trained parameters", f"{record.cost.trained_parameters:,}")]


def _score_rows(record: RunRecord) -> Iterator[tuple[str, ...]]:
    for task, found in _scores(record):
        rows = "" if found.rows is None else f"{found.rows:,}"
        if found.score is not None:
            yield task.name, "score, of 100", f"{found.score:.2f}", _interval(found), rows
        for metric, value in found.metrics.items():
            yield task.name, metric, f"{value:.4f}", "", rows


def _interval(record: RunRecord) -> str:
    """Return Wilson's interval of a score that is the share of right rows, in points; else nothing."""
    right = correct_rows(record)
    if right is None or not len(right):
        return ""
    from scipy.stats import binomtest

    found = binomtest(int(right.sum()), len(right)).proportion_ci(0.95, method="wilson")
    return f"{100 * found.low:.1f} to {100 * found.high:.1f}"


def _licence_words(record: RunRecord, licence: str | None) -> str:
    own = f"The licence of this model is {licence}. " if licence else ""
    return f"{own}The licence of the base holds for what is derived from it: read it before you use or pass this on."


def _loading(record: RunRecord, folder: Path, name: str, is_whole: bool) -> Iterator[str]:
    spec = record.spec
    kind = "AutoModelForSequenceClassification" if spec.find(spec.task).family == "nlu" else "AutoModelForCausalLM"
    base = shared_name(spec.model) if is_hub_name(spec.model) else "BASE_FOLDER"
    if is_whole:
        yield f'```python\nfrom transformers import {kind}\n\nmodel = {kind}.from_pretrained("{name}")\n```\n'
        return
    classes = len(spec.find(spec.task).labels) or 1
    heads = f", num_labels={classes}" if kind.endswith("Classification") else ""
    yield (
        f"```python\nfrom peft import PeftModel\nfrom transformers import {kind}\n\n"
        f'base = {kind}.from_pretrained("{base}"{heads})\nmodel = PeftModel.from_pretrained(base, "{name}")\n```\n'
    )
    if heads:
        yield "Servers of language models do not load it: it has a classification head.\n"
        return
    config = read_adapter_config(folder)
    if config.get("use_dora") or config.get("modules_to_save"):
        yield "vLLM refuses DoRA and modules that were trained in full: export the model with --merged to serve it.\n"
        return
    rank = int(config["r"])
    flag = next((one for one in SERVED_RANKS if one >= rank), None)
    if flag is None:
        yield f"vLLM serves ranks up to {SERVED_RANKS[-1]}, and this adapter has {rank}: merge it, or lower its rank.\n"
    else:
        yield f"```\nvllm serve {base} --enable-lora --max-lora-rank {flag} --lora-modules tuned={name}\n```\n"
    if rank > USUAL_RANK:
        yield (
            f"vLLM's limit is rank {USUAL_RANK} unless --max-lora-rank raises it. `balora export --rank` writes a "
            "lower one and says what it loses.\n"
        )
    yield "For llama.cpp: `convert_lora_to_gguf.py --base BASE_FOLDER ADAPTER_FOLDER`, then `llama-cli --lora FILE`.\n"


def _versions(versions: Mapping[str, str]) -> str:
    return "Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + "." if versions else ""


def _table(head: tuple[str, ...], rows: Any) -> Iterator[str]:
    yield f"| {' | '.join(head)} |\n|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(printable(cell).replace('|', chr(92) + '|') for cell in row)} |"
    yield ""
