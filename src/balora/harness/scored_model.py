"""Find and load what a harness evaluation scores: a model, or a plain adapter on its base; runs are resolved."""

from pathlib import Path
from typing import Any, NamedTuple

from balora.errors import AdapterError, InputError, ModelError, shown
from balora.harness.config import HarnessConfig
from balora.tasks.catalogue import Task, find_task
from balora.tasks.prepared import pad_id_of
from balora.training.export_run import finished_run, refuse_other_files
from balora.training.loading import load_config
from balora.training.model_settings import LoadingConfig
from balora.training.record import RunRecord, check_files
from balora.training.saved_files import ADAPTER, ADAPTER_CONFIG, TRAINED
from balora.training.score_model import check_adapter, load_model_to_score
from balora.training.spec import TESTBED, RunSpec, resolve

RUN = "run.json"
STAND_IN = "gsm8k"
"""A generation task of ours; models for the harness are loaded as for it."""
OFFSET = (
    "holds an adapter in the training form (the offset form), as `save_pretrained` and a Trainer write it: there the "
    "update is a difference of two large products, which the half precision of a server ruins, so its scores would "
    "not be those of the model that is served: export it with `export_adapter`, or give the `adapter` folder of a run"
)


class Source(NamedTuple):
    """What is scored: the model (with an adapter, its base), the adapter, and how the model is loaded."""

    model: str
    adapter: Path | None
    loading: LoadingConfig = LoadingConfig()


def resolve_source(config: HarnessConfig) -> Source:
    """Return model and adapter of ``config``, with the folder of a run replaced by what the run has exported there.

    Raises:
        InputError: an unfinished or damaged run, one of the testbed, or a base that is not the one trained on.
    """
    if config.model == TESTBED:
        raise ModelError(_testbed("--model testbed"))
    model, adapter = config.model, config.adapter
    if (record := _run_in(Path(model), "config.json")) is not None:
        if adapter is not None:
            raise InputError(f"--model {model} is the folder of a run: leave --adapter {adapter} out")
        if record.spec.adapter is None:
            return Source(str(Path(model) / TRAINED), None)
        model, adapter = record.spec.model, Path(model)
    if adapter is None or (record := _run_in(adapter, ADAPTER_CONFIG)) is None:
        return Source(model, adapter)
    if record.spec.adapter is None:
        raise AdapterError(f"--adapter {adapter}: method {record.spec.method!r} trained the whole model: pass --model")
    refuse_other_files(record, model)
    return Source(model, adapter / ADAPTER, record.spec.loading)


def _run_in(folder: Path, sign: str) -> RunRecord | None:
    """Return the record of the run in ``folder``; None if that is no run's, but a model's or an adapter's own."""
    if not (folder / RUN).exists() or (folder / sign).exists():
        return None
    record = finished_run(folder)
    if record.spec.model == TESTBED:
        raise ModelError(_testbed(f"{folder} holds a run of the testbed:"))
    check_files(record, folder)
    return record


def _testbed(what: str) -> str:
    return f"{what} has a vocabulary and tasks of its own, which the harness does not know: leave --harness out"


def spec_to_load(source: Source, config: HarnessConfig) -> RunSpec:
    """Return the specification that ``source`` is loaded by, after a look at the small files of model and adapter.

    Raises:
        ModelError, AdapterError: one of them cannot be used.
    """
    trusted = config.trust_remote_code
    spec = resolve({"model": source.model, "task": STAND_IN, "method": "full", "trust_remote_code": trusted})
    spec = spec.model_copy(update={"loading": source.loading})
    if source.adapter is not None:
        check_adapter(source.adapter, _named(config.tasks[0]))
    load_config(spec)
    return spec


def _named(task: str) -> Task:
    """Return a generation task called ``task``, for error texts."""
    return find_task(STAND_IN)._replace(name=task)


def load_scored_model(source: Source, spec: RunSpec, task: str) -> tuple[Any, Any]:
    """Return the model, on the device where runs are, and its tokenizer, with a padding token.

    Raises:
        ModelError, AdapterError: as :func:`load_model_to_score`; or the adapter is in the offset form.
    """
    model, tokenizer = load_model_to_score(spec, _named(task), source.adapter)
    if source.adapter is not None:
        from balora.adapters.stored_offset import holds_offset_form

        if holds_offset_form(model):
            raise AdapterError(f"adapter folder {source.adapter} {OFFSET}")
    if tokenizer.pad_token_id is None:  # the harness would add a token, for which the model has no embedding
        tokens = getattr(model.config.get_text_config(), "vocab_size", None)
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(pad_id_of(tokenizer, tokens))
    return model, tokenizer


def model_name(source: Source) -> str:
    """Return a short name for the harness' own files."""
    path = Path(source.adapter or source.model)
    name = path.resolve().name if path.exists() else str(source.model)
    if name in (ADAPTER, TRAINED) and path.exists():
        name = f"{path.resolve().parent.name}-{name}"
    return name[:80] or shown(source.model)[:80]
