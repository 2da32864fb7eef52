"""Turn the harness' samples into items, one a row of a task, as `items.jsonl` of a run has them; torch-free."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from balora.errors import TrainingError, shown

RIGHT_OR_WRONG = frozenset({"acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match", "pass@1"})
"""The harness' metrics that are 1 for a right row and 0 for a wrong one."""
MEANS = ("mean", "nanmean")
"""Names of the aggregations that are a mean over the items."""
HASHES = ("doc_hash", "prompt_hash", "target_hash")


class Metric(NamedTuple):
    """A metric of a task together with the filter that read the answers."""

    name: str
    filter: str

    @property
    def full(self) -> str:
        """The name in the harness' results."""
        return f"{self.name},{self.filter}"


def main_metric(samples: Sequence[Mapping[str, Any]], aggregations: Mapping[str, Any]) -> Metric | None:
    """Return the first metric, under the first filter, that the task aggregates by a mean over its items, if any.

    A perplexity, an F1 or a correlation is no such mean: it cannot be compared item by item.
    """
    for name in samples[0]["metrics"]:
        if getattr(aggregations.get(name), "__name__", "") in MEANS and _is_number(samples[0][name]):
            return Metric(name, samples[0]["filter"])
    return None


def task_items(task: str, samples: Sequence[Mapping[str, Any]], metric: Metric | None) -> list[dict[str, Any]]:
    """Return one item for each row of ``task``, in the order of the rows.

    An item has `task`, `index` (the harness' `doc_id`), `correct` or `score` (the value of ``metric``, if there is
    one), `prediction` and `answer` as that filter reads them, `metrics` (all values, as `metric,filter`), the harness'
    hashes of row, prompt and target, and the generated `text` or the `loglikelihoods` of the choices.

    Raises:
        TrainingError: a loglikelihood is not finite.
    """
    rows: dict[int, dict[str, Any]] = {}
    for sample in samples:
        item = rows.setdefault(sample["doc_id"], {})
        if not item:
            item |= {"task": task, "index": sample["doc_id"]}
            item |= _verdict(sample, metric) | _outcome(task, sample) | {"metrics": {}}
            item |= {name: sample[name] for name in HASHES if name in sample}
        item["metrics"] |= {f"{name},{sample['filter']}": _plain(sample[name]) for name in sample["metrics"]}
    return [rows[index] for index in sorted(rows)]


def _verdict(sample: Mapping[str, Any], metric: Metric | None) -> dict[str, Any]:
    if metric is None:
        return {"score": None}
    value = float(sample[metric.name])
    if metric.name in RIGHT_OR_WRONG and value in (0.0, 1.0):
        return {"correct": value == 1.0}
    return {"score": value}


def _outcome(task: str, sample: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the model said, in the same terms as the target, and what that is read from."""
    answer, responses = _plain(sample["target"]), sample["filtered_resps"]
    if not all(map(_is_loglikelihood, responses)):
        text = sample["resps"][0][0] if sample["resps"] and sample["resps"][0] else None
        said = {"prediction": responses[0], "text": text} if isinstance(text, str) else {"prediction": None}
        return {key: _plain(value) for key, value in said.items()} | {"answer": answer}
    values = [float(likelihood) for likelihood, _ in responses]
    if not all(map(math.isfinite, values)):
        raise TrainingError(
            f"task {shown(task)}, row {sample['doc_id']}: the model gives a loglikelihood that is not finite: it "
            "overflows or holds damaged numbers"
        )
    return {"prediction": _choice(sample, values, answer), "answer": answer, "loglikelihoods": values}


def _is_loglikelihood(response: Any) -> bool:
    """Return whether a response is (loglikelihood, whether greedy decoding would give it), and no text."""
    pair = isinstance(response, tuple | list) and len(response) == 2
    return pair and isinstance(response[0], float) and isinstance(response[1], bool)


def _choice(sample: Mapping[str, Any], values: list[float], answer: Any) -> Any:
    """Return the likeliest choice: its text where the target is a text, else its number; of a single one, whether
    greedy decoding would give it."""
    if len(values) == 1:
        return bool(sample["filtered_resps"][0][1])
    choices = values[: len(values) // 2] if "acc_mutual_info" in sample["metrics"] else values
    chosen = max(range(len(choices)), key=choices.__getitem__)  # the first of equal ones, as numpy's argmax
    return str(sample["arguments"][chosen][1]).strip() if isinstance(answer, str) else chosen


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float) or hasattr(value, "item")


def _plain(value: Any) -> Any:
    """Return ``value`` in types that JSON has; numbers of numpy are unpacked, numbers that JSON lacks become null."""
    value = value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set) or hasattr(value, "tolist"):
        return [_plain(inner) for inner in value]
    return str(value)
