"""Measure which planted flaws show in the answers to a testbed's tests; torch-free."""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from balora.tasks.answers import same_result, same_text
from balora.tasks.catalogue import Task
from balora.tasks.testbed.pairs import PARTS
from balora.tasks.testbed.rows_nlu import HIGHEST_SCORE

Item = Mapping[str, Any]
LEAST_IN_A_CELL = 20
"""Items below which a cell's share is too uncertain for the worst cell to be chosen by it."""


def inheritance(task: Task, items: Sequence[Item], truth: Sequence[Item]) -> dict[str, float]:
    """Return the measures that ``items`` (of an evaluation) and the ``truth`` about them (their tags) define.

    * `minority_recall`: the share right among the items of the minority.
    * `worst_group`: the lowest share right among the cells group × clan, of those with at least 20 items.
    * `aligned_minus_robust`: the share right where the clan points to the label less that where it points away.
    * `memorised_noise`: among the items with a memorisable wrong answer, the share answered by exactly that.
    * `noise_gap`: the same share among prone items less that among the others, which takes out plain difficulty.

    A measure without items is left out.
    """
    right = [is_right(task, item) for item in items]
    cells: dict[tuple[str, str], list[bool]] = {}
    for good, known in zip(right, truth, strict=True):
        cells.setdefault((known["group"], known["clan"]), []).append(good)
    shares = [fmean(cell) for cell in cells.values() if len(cell) >= LEAST_IN_A_CELL]
    found = {
        "minority_recall": _share(right, truth, lambda known: known["group"] == "minority"),
        "worst_group": min(shares, default=None),
        "aligned_minus_robust": _difference(
            _share(right, truth, lambda known: known["cue"] == "aligned"),
            _share(right, truth, lambda known: known["cue"] == "against"),
        ),
        **_noise(task, items, truth),
    }
    return {name: value for name, value in found.items() if value is not None}


def is_right(task: Task, item: Item) -> bool:
    """Return whether an item was answered right: of a similarity, whether its level is the nearest one."""
    if not task.regression:
        return bool(item["correct"])
    level = HIGHEST_SCORE / len(PARTS)
    nearest = min(max(round(item["prediction"] / level), 0), len(PARTS))
    return bool(nearest == round(item["label"] / level))


def says(task: Task, item: Item, wrong: Any) -> bool:
    """Return whether an item was answered by the ``wrong`` answer that the text repeats.

    A program is, where every instruction is the right or the repeated wrong one, and at least one is wrong: noise hits
    instructions one by one.
    """
    prediction = item["prediction"]
    if prediction is None or task.family == "nlu":
        return bool(prediction == wrong)
    if task.grader == "expressions":
        given, repeated, wanted = (_instructions(text) for text in (prediction, wrong, item["answer"]))
        choices = list(zip(repeated, wanted, strict=True))
        known = len(given) == len(choices) and all(one in pair for one, pair in zip(given, choices, strict=True))
        return known and given != wanted
    return same_result(prediction, wrong) if task.format == "gsm8k" else same_text(prediction, wrong)


def _instructions(program: str) -> list[str]:
    return [" ".join(instruction.split()) for instruction in program.strip().removesuffix(";").split(";")]


def _noise(task: Task, items: Sequence[Item], truth: Sequence[Item]) -> dict[str, float | None]:
    """Leave out the items whose memorisable wrong answer is right: a story misread twice may end in the same number."""
    with_wrong_answer = [
        (item, known)
        for item, known in zip(items, truth, strict=True)
        if known["wrong"] is not None and not (task.format == "gsm8k" and same_result(known["wrong"], item["answer"]))
    ]
    repeated = [says(task, item, known["wrong"]) for item, known in with_wrong_answer]
    tags = [known for _, known in with_wrong_answer]
    prone = _share(repeated, tags, lambda known: known["prone"])
    other = _share(repeated, tags, lambda known: not known["prone"])
    return {"memorised_noise": _share(repeated, tags, lambda known: True), "noise_gap": _difference(prone, other)}


def _share(values: Sequence[bool], truth: Sequence[Item], chosen: Callable[[Item], bool]) -> float | None:
    found = [value for value, known in zip(values, truth, strict=True) if chosen(known)]
    return fmean(found) if found else None


def _difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other
