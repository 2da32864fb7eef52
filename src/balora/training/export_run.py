"""Export a saved run for use elsewhere: its plain adapter, or the whole model with the adapter merged in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from balora.errors import AdapterError, InputError, ModelError, shown
from balora.folders import claim_output, staged
from balora.progress import OnProgress
from balora.tasks.silence import silence_transformers
from balora.training.fingerprint import fingerprints, model_fingerprint
from balora.training.loading import load_model, load_tokenizer, usable_positions, with_model_folder
from balora.training.record import RunRecord, check_files, read_record
from balora.training.saved_files import (
    ADAPTER,
    TRAINED,
    adapter_files,
    copy_files,
    left_out,
    trained_files,
)
from balora.training.score_model import apply_adapter, check_adapter
from balora.training.spec import TESTBED, RunSpec

COMPARED = 8
"""Rows on which a model that was trained on a quantised base is compared with what is exported."""


def export_run(
    run_folder: Path,
    output: Path,
    *,
    merged: bool = False,
    rank: int | None = None,
    model: str | None = None,
    trust_remote_code: bool = False,
    on_progress: OnProgress | None = None,
    message: Callable[[str], None] | None = None,
    beside: Callable[[RunRecord, Path], object] | None = None,
) -> Path:
    """Write the run in ``run_folder`` to ``output``: a plain LoRA, or with ``merged`` the whole model and tokenizer.

    Args:
        run_folder: what `train` wrote.
        output: a new or empty folder.
        merged: merge the adapter into its base.
        rank: write the adapter at this lower rank (:mod:`balora.adapters.lower_rank`); ``message`` gets what it costs.
        model: where the base is now, if it has moved since.
        trust_remote_code: run Python code that comes with the base; what the run's record says about it never counts,
            since somebody else may have written it.
        on_progress: called while a missing model of the testbed is pre-trained again.
        message: called with a line on what lies beside the result and is left out.
        beside: called with the record and the folder before it gets its name, to write something beside the result.

    Raises:
        InputError: no finished run there, a rank that is no lower one, a base that is not the one trained on, an output
            that cannot be taken, a damaged result, or one with links or pickled files in it.
    """
    record = finished_run(run_folder)
    if model is not None and record.spec.model == TESTBED:
        raise InputError(
            f"--model {model}: the testbed's models are found or pre-trained automatically: leave --model out"
        )
    if rank is not None and (merged or record.spec.adapter is None):
        raise AdapterError(f"--rank {rank}: only an adapter has a rank: leave --rank or --merged out")
    folder = claim_output(output, kind="export")
    if record.spec.adapter is None and not merged:
        raise AdapterError(
            f"{run_folder}: method {record.spec.method!r} trained the whole model: export it with --merged"
        )
    result = run_folder / (TRAINED if record.spec.adapter is None else ADAPTER)
    if not result.is_dir():
        raise InputError(f"{run_folder}: its {result.name} folder is missing: run it again")
    files = trained_files(result) if record.spec.adapter is None else adapter_files(result)
    if foreign := [path for path in files if path.relative_to(run_folder).as_posix() not in record.files]:
        raise InputError(f"{foreign[0]}: its record names no such file of the {result.name} folder: run it again")
    check_files(record, run_folder)
    if (extra := list(left_out(result, files))) and message is not None:
        message(f"left out, since it is no part of the {result.name}: {', '.join(map(shown, extra))}")
    with staged(folder) as work:
        if merged and record.spec.adapter is not None:
            base = record.spec.replace(model=model or record.spec.model, trust_remote_code=trust_remote_code)
            _merge(record, base, result, work, on_progress or (lambda progress: None))
        else:
            copy_files(files, result, work)
        if rank is not None:
            _reduce(result, work, rank, message or (lambda line: None))
        if beside is not None:
            beside(record, work)
    if (quantised := record.spec.loading.quantization) is not None and not merged and message is not None:
        message(
            f"the adapter was trained on its base in {quantised}, and is exact on that: on the full-precision base it "
            "is another model (--merged measures how far)"
        )
    return folder


def _reduce(adapter: Path, work: Path, rank: int, message: Callable[[str], None]) -> None:
    from balora.adapters.lower_rank import lower_rank

    made = lower_rank(adapter, work, rank)
    message(
        f"rank {made.before} became {made.rank}, which loses {100 * made.lost:.1f} % of the change of the weights "
        f"(Frobenius norm; at most {100 * made.worst:.1f} %, in {shown(made.layer)}): `balora evaluate --adapter` "
        "shows what that costs in score"
    )


def finished_run(folder: Path) -> RunRecord:
    """Return the record of the finished run in ``folder``.

    Raises:
        InputError: there is none.
    """
    record = read_record(folder)
    if record is None:
        raise InputError(f"{folder}: no run here (no run.json): pass the --output folder of `balora train`")
    if record.status != "ok":
        raise InputError(f"{folder}: the run has status {record.status!r}: run it again first")
    return record


def _merge(record: RunRecord, spec: RunSpec, adapter: Path, work: Path, on_progress: OnProgress) -> None:
    from balora.adapters import export_merged

    task = record.spec.find(record.spec.task)
    if record.spec.model == TESTBED:
        _refuse_other_recipe(record)
        spec = with_model_folder(spec, on_progress)
    else:
        refuse_other_files(record, spec.model)
    check_adapter(adapter, task)
    tokenizer = load_tokenizer(spec)
    model = load_model(spec, task, tokenizer)
    inputs = None if spec.loading.quantization is None else _first_rows(spec, tokenizer, usable_positions(model))
    with silence_transformers():
        export_merged(apply_adapter(model, adapter), work, tokenizer, inputs=inputs)


def _first_rows(spec: RunSpec, tokenizer: Any, positions: int | None) -> dict[str, Any] | None:
    """Return the first rows that the run was scored on, as a batch of inputs; None where its data is gone."""
    from balora.tasks.collate import NOT_FOR_THE_MODEL, Collator
    from balora.training.evaluation import prepare_rows

    try:
        prepared = prepare_rows(spec.model_copy(update={"task": spec.scored[0]}), tokenizer, positions, train=False)
    except InputError:
        return None
    batch = Collator(prepared.pad_id)(prepared.eval[:COMPARED])
    return {name: value for name, value in batch.items() if name not in NOT_FOR_THE_MODEL}


def refuse_other_files(record: RunRecord, model: str) -> None:
    """Raise ModelError if ``model`` is a folder with other files than the base that the run was trained on."""
    known = record.fingerprints.get("model")
    if known and Path(model).is_dir() and known != model_fingerprint(model):
        raise ModelError(
            f"model {shown(model)} is not the base that the run was trained on (its files differ): pass that base as "
            "--model"
        )


def _refuse_other_recipe(record: RunRecord) -> None:
    known, now = record.fingerprints.get("model"), fingerprints(record.spec)["model"]
    if known and known != now:
        raise ModelError(
            f"the run was trained on {known}, but this version of balora makes {now}: export with the run's version"
        )
