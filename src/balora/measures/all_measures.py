"""Take every measure that has a data file on one model: read the files first, then run the model."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from balora.measures.bbq import measure_bbq, read_bbq
from balora.measures.blimp import measure_blimp, read_blimp
from balora.measures.config import MeasuresConfig
from balora.measures.crows_pairs import measure_crows_pairs, read_crows_pairs
from balora.measures.hans import infers, measure_hans, read_hans
from balora.measures.held_out_text import measure_held_out, read_documents
from balora.measures.language_head import WithHead
from balora.measures.likelihood import LanguageModel
from balora.measures.measured import Measured, together
from balora.measures.toxigen import measure_toxigen, read_toxigen
from balora.measures.winogender import measure_winogender, read_winogender
from balora.tasks.catalogue import Task
from balora.tasks.evaluating import OnRows


class Kind(NamedTuple):
    """How one measure is taken on a language model."""

    read: Callable[[str, int | None], list[Any]]
    take: Callable[[LanguageModel, list[Any], OnRows | None], Measured]
    of_masked: bool = False
    """Whether it is defined for masked language models too."""


LANGUAGE: Mapping[str, Kind] = {
    "blimp": Kind(read_blimp, measure_blimp, of_masked=True),
    "crows_pairs": Kind(read_crows_pairs, measure_crows_pairs, of_masked=True),
    "winogender": Kind(read_winogender, measure_winogender),
    "bbq": Kind(read_bbq, measure_bbq),
    "toxigen": Kind(read_toxigen, measure_toxigen),
    "held_out": Kind(lambda path, limit: read_documents(path), measure_held_out),
}
"""The measures that are taken on a language model, by their setting."""
HANS = "hans"


def read_all(config: MeasuresConfig) -> dict[str, list[Any]]:
    """Return the rows of every measure that has a file.

    Raises:
        DataError: a file is missing, torn, or another benchmark's.
    """
    readers = {name: kind.read for name, kind in LANGUAGE.items()} | {HANS: read_hans}
    return {name: readers[name](getattr(config, name), config.rows) for name in config.given}


def measure(
    model: Any,
    tokenizer: Any,
    config: MeasuresConfig,
    *,
    task: Task,
    batch_size: int,
    language: WithHead | str = "the model has no language-modelling head",
    max_positions: int | None = None,
    is_trained: bool = True,
    on_rows: OnRows | None = None,
) -> Measured:
    """Return every measure of ``config`` that is defined for ``model``, with a note for each that is not.

    The model is used without dropout and gradient and left in the modes in which it was; no random number is drawn.
    Call it inside :func:`balora.adapters.reference_of` for the values of the pre-trained model.

    Args:
        model: the model of a run: a causal language model, or a classifier.
        tokenizer: its tokenizer.
        config: which measures, and from which files.
        task: what the model is, or will be, fine-tuned on.
        batch_size: most rows of a forward pass.
        language: of a classifier, what :func:`balora.measures.language_head.with_language_head` returned: its backbone
            under a language-modelling head, or why there is none, so that only HANS is measured.
        max_positions: the longest sequence that the model can read.
        is_trained: whether a classifier's head was trained; HANS is left out before.
        on_rows: called with (sequences done, sequences in all) of every measure in turn.

    Raises:
        DataError: a file is missing, torn, another benchmark's, or has a row that is too long.
        ModelError: model and tokenizer do not fit each other.
        TrainingError: an output is not finite.
    """
    rows = read_all(config)
    parts = []
    language = WithHead(model, is_masked=False) if task.family == "nlg" else language
    for name in config.given:
        if name != HANS and isinstance(language, str):
            parts.append(Measured(notes=(f"{name} is not measured: {language}",)))
        elif name != HANS and isinstance(language, WithHead):
            reader = LanguageModel(language.model, tokenizer, language.is_masked, batch_size, max_positions)
            parts.append(_of_language(name, reader, rows[name], on_rows))
        elif not infers(task):
            parts.append(
                Measured(notes=(f"hans is not measured: task {task.name!r} is none of inference, as MNLI is",))
            )
        elif is_trained:
            options: dict[str, Any] = {"batch_size": batch_size, "max_positions": max_positions, "on_rows": on_rows}
            parts.append(measure_hans(model, tokenizer, task, rows[HANS], **options))
    return together(parts)


def _of_language(name: str, reader: LanguageModel, rows: list[Any], on_rows: OnRows | None) -> Measured:
    if reader.is_masked and not LANGUAGE[name].of_masked:
        return Measured(notes=(f"{name} is not measured: it needs a causal language model, and this one is masked",))
    return LANGUAGE[name].take(reader, rows, on_rows)
