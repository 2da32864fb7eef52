"""Recognise what kind of scores each given path holds, read them, and give every system a name of its own."""

import gc
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from balora.comparing.lm_eval_log import is_lm_eval_folder, read_lm_eval_samples
from balora.comparing.score_table import ScoreTable, SystemScores
from balora.errors import DataError, InputError, shown, unknown_name
from balora.regular_files import open_regular

KINDS = (
    "a folder of lm-eval (with samples_….jsonl), of a run (run.json) or of a study (study.json), or a file of scores "
    "(.csv, .tsv, .jsonl or .parquet with the columns item, system and score)"
)
SNIFFED = 4 * 2**20
"""Most bytes of the first line of a JSONL file that are read to recognise it."""


class Source(NamedTuple):
    """One path as given, and the name given to it with `NAME=PATH`; empty where none was."""

    name: str
    path: Path


def read_table(
    given: Sequence[str], *, metrics: Sequence[str] = (), tasks: Sequence[str] = (), against: str | None = None
) -> ScoreTable:
    """Return the systems at the given paths, the one that others are compared with first.

    Args:
        given: paths, or `NAME=PATH`; each may hold several systems.
        metrics: see the readers.
        tasks: the tasks to take; all without any.
        against: the system that others are compared with; the first without it.

    Raises:
        InputError: a path cannot be read, holds no scores, or there is only one system.
    """
    sources = [source_of(word) for word in given]
    twice = [path for path, count in Counter(source.path.absolute() for source in sources).items() if count > 1]
    if twice:
        raise InputError(f"{twice[0]}: was given twice: a system is compared with another one")
    with _no_collection():
        read = [(source, read_path(source.path, metrics, tasks)) for source in sources]
    systems = [_only(one, tasks) for one in _named(read)]
    if len(systems) < 2:
        raise InputError(
            f"{systems[0].source}: holds one system ({shown(systems[0].name)}), and two or more are compared: pass a "
            "second path, or a table with a column `system`"
        )
    names = [one.name for one in systems]
    if against is not None and against not in names:
        raise InputError(f"--against: {unknown_name('system', against, names)}")
    first = names.index(against) if against is not None else 0
    ordered = (systems[first], *systems[:first], *systems[first + 1 :])
    notes = tuple(dict.fromkeys(note for one in ordered for note in one.notes))
    return ScoreTable(ordered, notes)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Stop the search for unreachable cycles: readers make none, and it takes half of the time of 10,000 samples."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def source_of(word: str) -> Source:
    """Return the path and the name in `NAME=PATH`; a path that exists as it stands has no name."""
    name, equals, path = word.partition("=")
    if not equals or "/" in name or not name.strip() or _exists(word):
        return Source("", Path(word))
    return Source(name.strip(), Path(path).expanduser())


def _is_folder(path: Path) -> bool:
    try:
        if not path.is_dir():
            return False
        next(path.iterdir(), None)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name holds a zero byte"
        raise InputError(f"{shown(str(path))}: cannot be read ({reason}): pass {KINDS}") from None
    return True


def _exists(word: str) -> bool:
    try:
        return Path(word).exists()
    except (OSError, ValueError):
        return False


def read_path(path: Path, metrics: Sequence[str] = (), tasks: Sequence[str] = ()) -> list[SystemScores]:
    """Return the systems at ``path``, whatever kind of scores it holds; raises what the readers do."""
    if _is_folder(path):
        return _read_folder(path, metrics, tasks)
    if path.name in ("run.json", "items.jsonl") and (path.parent / "run.json").is_file():
        return _read_folder(path.parent, metrics, tasks)
    if path.name == "study.json":
        return _read_folder(path.parent, metrics, tasks)
    if path.suffix.lower() == ".json" and path.name.startswith("results_"):
        raise DataError(f"{path}: holds the averages of lm-eval, not the scores of items: pass its folder, which holds "
                        "samples_….jsonl if lm-eval ran with --log_samples")  # fmt: skip
    return _read_file(path, metrics, tasks)


def _read_folder(path: Path, metrics: Sequence[str], tasks: Sequence[str]) -> list[SystemScores]:
    if (path / "study.json").exists():
        from balora.comparing.study_arms import read_study_arms

        return read_study_arms(path, metrics, tasks)
    if (path / "run.json").exists() or (path / "items.jsonl").exists():
        from balora.comparing.run_items import read_run

        return [read_run(path, metrics, tasks)]
    if is_lm_eval_folder(path):
        return [read_lm_eval_samples(path, metrics, tasks)]
    raise InputError(f"{path}: the folder holds no scores that are known: pass {KINDS}")


def _read_file(path: Path, metrics: Sequence[str], tasks: Sequence[str]) -> list[SystemScores]:
    from balora.comparing.score_file import FORMATS, read_score_file

    if path.suffix.lower() not in FORMATS:
        kind = "cannot be read (No such file or directory)" if not _exists(str(path)) else "is no file of scores"
        raise InputError(f"{shown(str(path))}: {kind}: pass {KINDS}")
    fields = _first_fields(path) if path.suffix.lower() == ".jsonl" else set()
    if {"doc_id", "filter"} <= fields:
        return [read_lm_eval_samples(path, metrics, tasks)]
    if "index" in fields and "item" not in fields:
        from balora.comparing.run_items import read_items

        return [read_items(path, metrics, tasks)]
    return read_score_file(path, metrics)


def _first_fields(path: Path) -> set[str]:
    """Return the names in the first object of a JSONL file; none where it cannot be read, which its reader explains."""
    try:
        with open(open_regular(path), "rb") as file:
            first = next((line for line in iter(lambda: file.readline(SNIFFED), b"") if line.strip()), b"")
        content = json.loads(first)
    except (OSError, ValueError, RecursionError):
        return set()
    return set(content) if isinstance(content, dict) else set()


def _named(read: Sequence[tuple[Source, list[SystemScores]]]) -> list[SystemScores]:
    """Return all systems under distinct names: as given, as their table calls them, or after their paths."""
    labels = _path_names([source.path for source, _ in read])
    counts = Counter(one.name for source, systems in read for one in systems if not source.name)
    found = []
    for (source, systems), label in zip(read, labels, strict=True):
        for one in systems:
            own = "" if one.name == str(source.path) else one.name
            if len(systems) == 1:
                name = source.name or (own if own and counts[own] == 1 else label)
            else:
                name = own if counts[own] == 1 and not source.name else f"{source.name or label}: {own}"
            found.append(one.named(name))
    twice = [name for name, count in Counter(one.name for one in found).items() if count > 1]
    if twice:
        raise InputError(f"two systems are called {shown(twice[0])}: name them with NAME=PATH")
    return found


def _path_names(paths: Sequence[Path]) -> list[str]:
    """Return the shortest ends of the paths, without the file's ending, that tell all of them apart."""
    whole = [path.absolute() for path in paths]
    parts = [(path if path.is_dir() else path.with_suffix("")).parts[1:] or ("/",) for path in whole]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(one[-length:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def _only(system: SystemScores, tasks: Sequence[str]) -> SystemScores:
    """Return the system with the given tasks alone."""
    if not tasks:
        return system
    for task in tasks:
        if task not in system.metrics:
            raise InputError(f"--task: {system.source}: {unknown_name('task', task, filter(None, system.metrics))}")
    scores = {key: score for key, score in system.scores.items() if key.task in tasks}
    return SystemScores(
        system.name, system.source, scores, {t: system.metrics[t] for t in tasks}, system.higher_is_better, system.notes
    )
