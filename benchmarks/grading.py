"""Measure the computing time of grading GSM8K's whole test set, and MATH-500 by exact match and by math-verify.

One thread computes at a time, so that this is the time that grading takes on a machine with a free core.

The outputs are the worked solutions: each once for its own problem, and once, as a wrong answer, for the one before it.
The data is read from `$BALORA_DATA`, or from `shared` beside the checkout.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

from balora.tasks.answers import final_answer, gold_answer, same_result
from balora.tasks.math_grading import grade_math

SHARED = Path(os.environ.get("BALORA_DATA") or Path(__file__).resolve().parents[2] / "shared")
GSM8K_GOAL, MATH_GOAL = 5.0, 60.0


def grading_rows() -> list[tuple[str, float, float, str]]:
    """Return (what, computing seconds, goal, detail) of both test sets, right and wrong answers apart."""
    rows = []
    for name, folder, goal in (("GSM8K, 1,319 answers", "gsm8k", GSM8K_GOAL), ("MATH-500", "math500", MATH_GOAL)):
        solutions = _solutions(SHARED / "data" / folder / "test.jsonl")
        taken, computed = {}, {}
        for kind, outputs in (("right", solutions), ("wrong", solutions[1:] + solutions[:1])):
            start, spent = time.perf_counter(), _computing_time()
            share = _graded(solutions, outputs, with_math_verify=folder == "math500")
            taken[kind] = time.perf_counter() - start
            computed[kind] = _computing_time() - spent
            if (share > 0.5) != (kind == "right"):
                raise RuntimeError(f"{name}: {share:.0%} of the {kind} answers were counted as right")
        detail = ", ".join(f"{kind} answers {computed[kind]:.1f} s, {taken[kind]:.1f} s by the clock" for kind in taken)
        rows.append((f"grading {name}, seconds of computing time", max(computed.values()), goal, detail))
    return rows


def _computing_time() -> float:
    """Return the computing time of this process and of those it has ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _graded(solutions: list[str], outputs: list[str], *, with_math_verify: bool) -> float:
    """Return the share of outputs that are right, graded as :func:`balora.tasks.nlg.evaluate_nlg` grades them."""
    items: list[dict[str, Any]] = [
        {"text": output, "correct": same_result(final_answer(output), str(gold_answer(solution)))}
        for solution, output in zip(solutions, outputs, strict=True)
    ]
    if with_math_verify:
        return grade_math(items, [{"solution": solution} for solution in solutions]).math_verify
    return sum(item["correct"] for item in items) / len(items)


def _solutions(file: Path) -> list[str]:
    return [json.loads(line)["answer"] for line in file.read_text(encoding="utf-8").splitlines()]
