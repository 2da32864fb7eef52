"""Compute the paper's NLG Avg, which mixes MT-Bench's 1 to 10 with points of 100, beside the one in points alone.

BA-LoRA's tables (arXiv 2408.04556, section 4.1) give GSM8K, MATH, HumanEval and MBPP in points of 100 and MT-Bench as a
rating from 1 to 10, and their average is the plain mean of the five numbers. In it a whole point of MT-Bench, a tenth
of its scale, weighs as much as one problem of a hundred. It is reported as `NLG Avg (paper)`, to be set beside the
paper's tables. NLG Avg itself takes MT-Bench times 10, so that the five weigh alike; that is
:func:`balora.tasks.scores.suite_average` of scores in points. The times 10 is a change of unit, and no more: the worst
rating is 1, so that the scale begins at 10 points.
"""

from collections.abc import Mapping

from balora.errors import InputError

MT_BENCH = "mt_bench"
POINTS_PER_RATING = 10.0


def rating_to_points(rating: float) -> float:
    """Return a rating of MT-Bench from 1 to 10 in points of 100: the score of the task.

    Raises:
        InputError: it is outside 1 to 10.
    """
    if not 1 <= rating <= 10:
        raise InputError(f"a rating of MT-Bench lies between 1 and 10, got {rating:g}: give the rating, not points")
    return POINTS_PER_RATING * rating


def paper_average(scores: Mapping[str, float]) -> float | None:
    """Return the mean of ``scores`` as the paper takes it: all in points of 100, but MT-Bench as a rating from 1 to 10.

    Args:
        scores: by task, all in points of 100; MT-Bench's is ten times its rating (:func:`rating_to_points`).

    Returns:
        The mean; None where `mt_bench` is not among the scores, since the paper's average always holds it.
    """
    if MT_BENCH not in scores:
        return None
    as_printed = {**scores, MT_BENCH: scores[MT_BENCH] / POINTS_PER_RATING}
    return sum(as_printed.values()) / len(as_printed)
