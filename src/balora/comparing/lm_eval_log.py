"""Read the sample logs of lm-evaluation-harness (`--log_samples`): `samples_<task>_<time>.jsonl` or their folder."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from balora.comparing.score_table import ItemScore, Key, SystemScores, collected, finite
from balora.errors import DataError, shown, unknown_name
from balora.regular_files import RECORD_BYTES, open_regular, read_regular

NAME = re.compile(r"samples_(?P<task>.+)_(?P<time>\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?)\.jsonl")
HEAD, TAIL = b'{"doc_id": ', b', "filter": '
AGAIN = "run lm-eval again with --log_samples"
FEW = 3
"""Tasks that a note names."""
LONGEST_LINE = 64 * 2**20
"""Most bytes of one sample."""


class Log(NamedTuple):
    """One task's file of samples."""

    path: Path
    task: str
    time: str


class Chosen(NamedTuple):
    """The score of a task that is compared."""

    metric: str
    filter: str

    @property
    def label(self) -> str:
        """As the harness writes it in its results, with the filter only where it has one."""
        return self.metric if self.filter == "none" else f"{self.metric},{self.filter}"


def read_lm_eval_samples(path: Path, metrics: Sequence[str] = (), tasks: Sequence[str] = ()) -> SystemScores:
    """Return the scores in a file of samples, or in all files of samples in a folder (one model's).

    Args:
        path: the file, the folder that holds it beside `results_<time>.json`, or the `--output_path` above that folder.
        metrics: the metrics to take, each as `acc` or with its filter as `exact_match,flexible-extract`; a task is
            scored by the first that it has. Without them, by its own first metric and filter.
        tasks: the tasks to read; all without any.

    Raises:
        DataError: it holds no samples, a line is torn, an item is there twice, or a score is no finite number.
            A task is not there, or has none of ``metrics``.
    """
    logs, notes = _logs(path, tasks)
    scores: dict[Key, ItemScore] = {}
    chosen: dict[str, Chosen] = {}
    also: dict[tuple[str, str], list[str]] = {}
    for log in logs:
        samples = list(_samples(log.path))
        labels_there = _all_labels(samples)
        chosen[log.task] = one = _choice(log, labels_there, bool(samples), metrics)
        rows = [(where, sample) for where, sample in samples if str(sample["filter"]) == one.filter]
        scores |= collected(
            [(where, *_scored(where, log.task, sample, one.metric)) for where, sample in rows], str(path)
        )
        others = ", ".join(label.label for label in labels_there if label != one)
        if others:
            also.setdefault((one.label, others), []).append(log.task or path.name)
    notes += [
        f"{_few(tasks_of)}: compared by {label}; the log also holds {others}"
        for (label, others), tasks_of in also.items()
    ]
    labels = {task: one.label for task, one in chosen.items()}
    return SystemScores(str(path), str(path), scores, labels, _direction(logs, chosen), tuple(notes))


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - FEW:,} more tasks" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more


def is_lm_eval_folder(folder: Path) -> bool:
    """Return whether ``folder``, or the only kind of folder in it, is one that the harness wrote."""
    return any(_is_own(path.name) for place in _places(folder) for path in place.glob("*.json*"))


def _is_own(name: str) -> bool:
    return bool(NAME.fullmatch(name) or re.fullmatch(r"results_\d{4}-.*\.json", name))


def _places(folder: Path) -> list[Path]:
    return [folder, *sorted(below for below in folder.iterdir() if below.is_dir())]


def _logs(path: Path, tasks: Sequence[str]) -> tuple[list[Log], list[str]]:
    """Return the newest log of every task at ``path``, in the order of their names, and what was passed over."""
    if path.is_file():
        return [_log(path)], []
    holding = [place for place in _places(path) if any(_is_own(one.name) for one in place.glob("*.json*"))]
    if len(holding) > 1:
        names = " and ".join(shown(place.name) for place in holding[:2])
        raise DataError(f"{path}: holds the logs of several models ({names}): pass the folder of one of them")
    logs = [_log(one) for one in sorted(holding[0].glob("*.jsonl")) if NAME.fullmatch(one.name)] if holding else []
    if not logs:
        raise DataError(f"{path}: holds results of lm-eval but no samples_….jsonl: {AGAIN}")
    newest = {log.task: log for log in sorted(logs, key=lambda log: log.time)}
    for task in tasks:
        if task not in newest:
            raise DataError(f"{path}: {unknown_name('task', task, newest)}")
    newest = {task: log for task, log in newest.items() if not tasks or task in tasks}
    counts = {task: sum(log.task == task for log in logs) for task in newest}
    notes = [
        f"{task}: {count} logs lie in {path}; the newest, {newest[task].path.name}, is compared"
        for task, count in counts.items()
        if count > 1
    ]
    return [newest[task] for task in sorted(newest)], notes


def _log(path: Path) -> Log:
    match = NAME.fullmatch(path.name)
    return Log(path, match["task"], match["time"]) if match else Log(path, "", "")


def _samples(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield where each sample stands, and its fields without the document, the arguments and the answers."""
    name = path.name
    try:
        with open(open_regular(path), "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.isspace():
                    yield f"{name}:{number}", _fields(path, number, line)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None


def _fields(path: Path, number: int, line: bytes) -> dict[str, Any]:
    """Return the fields of one sample that say what it is and how it was scored.

    The harness writes them before and after everything else, which takes ten times as long to read as they do. A
    line of any other build is read as a whole; inside a string of JSON neither mark can stand, as its quotes are
    escaped there.
    """
    if line.startswith(HEAD) and line.count(HEAD) == 1 and line.count(TAIL) == 1:
        with suppress(ValueError):
            fields: dict[str, Any] = json.loads("{" + line[line.find(TAIL) + 2 :].decode())
            if "metrics" in fields:
                fields["doc_id"] = int(line[len(HEAD) : line.find(b",")])
                return fields
    return _whole(f"{path}:{number}", line)


def _whole(where: str, line: bytes) -> dict[str, Any]:
    if len(line) > LONGEST_LINE:
        raise DataError(f"{where}: a line of {len(line):,} bytes is no sample of lm-eval: at most {LONGEST_LINE:,}")
    try:
        sample = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if isinstance(error, ValueError) else "nested too deeply"
        raise DataError(f"{where}: not a whole sample ({reason}): the line is torn: {AGAIN}") from None
    missing = [name for name in ("doc_id", "filter", "metrics") if not isinstance(sample, dict) or name not in sample]
    if missing:
        raise DataError(f"{where}: no sample of lm-eval 0.4.4 or later (it has no {missing[0]!r}): {AGAIN}")
    return {name: value for name, value in sample.items() if name not in ("doc", "arguments", "resps")}


def _all_labels(samples: Sequence[tuple[str, dict[str, Any]]]) -> list[Chosen]:
    """Return every metric with every filter, in order of first appearance."""
    firsts: dict[tuple[str, str], dict[str, Any]] = {}
    for _, sample in samples:
        firsts.setdefault((repr(sample["metrics"]), str(sample["filter"])), sample)
    return list(dict.fromkeys(label for sample in firsts.values() for label in _labels(sample)))


def _labels(sample: dict[str, Any]) -> list[Chosen]:
    names = sample["metrics"]
    return [Chosen(str(name), str(sample["filter"])) for name in names] if isinstance(names, list) else []


def _choice(log: Log, there: Sequence[Chosen], has_samples: bool, metrics: Sequence[str]) -> Chosen:
    if not has_samples:
        raise DataError(f"{log.path}: holds no sample: {AGAIN}")
    if not there:
        raise DataError(f"{log.path}: its samples name no metric: {AGAIN}")
    for wanted in metrics:
        for one in there:
            if wanted in (one.metric, f"{one.metric},{one.filter}"):
                return one
    if metrics:
        known = {one.metric: 0 for one in there} | {one.label: 0 for one in there}
        raise DataError(f"{log.path}: {unknown_name('metric', metrics[0], known)}: pass one of them with --metric")
    return there[0]


def _scored(where: str, task: str, sample: dict[str, Any], metric: str) -> tuple[Key, ItemScore]:
    value = finite(sample.get(metric))
    if value is None:
        labels = ", ".join(label.label for label in _labels(sample))
        raise DataError(
            f"{where}: metric {shown(metric)} is {shown(sample.get(metric))}, not one finite number for the item: "
            f"choose another with --metric (it has {labels})"
        )
    content = ("document", f"{sample.get('doc_hash', '')}{sample.get('target_hash', '')}")
    key = Key(task, str(sample["doc_id"]))
    return key, ItemScore(value, content=content, prompt=str(sample.get("prompt_hash", "")))


def _direction(logs: Sequence[Log], chosen: dict[str, Chosen]) -> bool | None:
    """Return whether the higher score is the better one, as the results beside the logs say; None if they do not."""
    found = set()
    for log in logs:
        path = log.path.with_name(f"results_{log.time}.json")
        try:
            content = json.loads(read_regular(path, RECORD_BYTES))
            found.add(content["higher_is_better"][log.task][chosen[log.task].metric])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
    if len(found) > 1:
        raise DataError(
            f"{logs[0].path.parent}: the higher score is better in some of its tasks and the lower one in others: "
            "choose scores of one kind with --metric or --task"
        )
    known = next(iter(found), None)
    return known if isinstance(known, bool) else None
