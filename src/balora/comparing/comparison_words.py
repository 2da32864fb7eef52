"""Put a comparison into words: verdicts, the answer, how every number was computed; and into one document for JSON."""

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from balora.comparing.compared import Compared, PairResult
from balora.statistics import CONFIDENCE, LEVEL, Comparison, Verdict

INTERVAL = f"{100 * CONFIDENCE:g} % interval"
CANNOT_TELL = "cannot tell"
VERDICTS = {
    Verdict.HELPS: "better",
    Verdict.HURTS: "worse",
    Verdict.BOUNDED: "no difference larger than {bound} points",
    Verdict.UNDECIDED: CANNOT_TELL + ": needs about {needed} {noun}s",
    Verdict.SAME: "the same in every {noun}",
    Verdict.ONE_SEED: CANNOT_TELL + ": one {noun} alone",
}
HOPELESS = CANNOT_TELL + ": with so many comparisons no number of {noun}s reaches p ≤ 0.05"
TESTS = {
    "binomial": "exact binomial test of the {noun}s that differ, half of them expected either way (of right and wrong "
    "answers: McNemar's exact test)",
    "exact": "exact sign-flip test over all patterns of signs",
    "sampled": "sign-flip test over the observed and {patterns:,} sampled patterns of signs, always the same ones",
}


def points(value: float | None, *, sign: bool = False) -> str:
    """Return points of 100 with two decimals and a true minus sign; `–` for none."""
    if value is None:
        return "–"
    text = f"{value:+.2f}" if sign else f"{value:.2f}"
    return text.replace("-", "−")


def interval(low: float | None, high: float | None) -> str:
    """Return ``low to high``."""
    return "–" if low is None or high is None else f"{points(low, sign=True)} to {points(high, sign=True)}"


def chance(p: float | None) -> str:
    """Return a p with two significant digits."""
    return "–" if p is None else f"{p:.2g}"


def counted(n: int, noun: str) -> str:
    """Return `1 item`, `2 items`."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


def verdict(paired: Comparison, noun: str) -> str:
    """Return the verdict with its numbers filled in: `no difference larger than 0.85 points`."""
    words = VERDICTS[paired.verdict]
    if paired.verdict is Verdict.UNDECIDED and paired.needed is None:
        words = HOPELESS
    return words.format(bound=points(paired.bound), needed=f"{paired.needed or 0:,}", noun=noun)


def answers(compared: Compared) -> Iterator[str]:
    """Yield what each comparison shows, in one sentence."""
    for one in compared.results:
        yield f"{one.system} compared with {one.against}: {verdict(one.paired, compared.noun)} ({_size(one)})."


def _size(one: PairResult) -> str:
    low, high = one.paired.low, one.paired.high
    return f"{points(one.paired.mean, sign=True)} points" + ("" if low is None else f", {interval(low, high)}")


def facts(compared: Compared) -> tuple[str, ...]:
    """Return the size of the comparison in a few words each."""
    items = sum(task.items for task in compared.tasks)
    clusters = sum(task.clusters or 0 for task in compared.tasks)
    size = [counted(items, "paired item")]
    size += [counted(clusters, "cluster")] if clusters else []
    size += [counted(compared.seeds, "seed")] if compared.seeds else []
    return (
        counted(len(compared.systems), "system"),
        counted(len(compared.tasks), "task"),
        ", ".join(size),
        f"scores from {compared.range.low:g} to {compared.range.high:g}, shown as points of 100",
    )


def methods(compared: Compared) -> Iterator[str]:
    """Yield how every number was computed, a sentence or two each."""
    tasks, noun, family = len(compared.tasks), compared.noun, len(compared.results)
    each = f", then over the {tasks} tasks, each with the same weight" if tasks > 1 else ""
    better = "" if compared.higher_is_better else " The lower score is the better one."
    yield f"Difference: the mean over the paired items of one system minus the other{each}, in points of 100.{better}"
    yield _resampled(compared)
    yield from _tests(compared)
    yield (
        f"Corrected p: Holm over the family of {counted(family, 'comparison')}. Differences of single tasks are in no "
        "family: they describe, and have no verdict."
        if tasks > 1
        else f"Corrected p: Holm over the family of {counted(family, 'comparison')}."
    )
    yield (
        f"Verdict: better or worse if the {INTERVAL} leaves out 0 and the corrected p is at most {LEVEL}; no "
        f"difference larger than x if the whole interval lies within ± the margin of {compared.margin:g} points; else "
        "cannot tell."
    )
    yield (
        f"Detectable: the smallest true difference that these {noun}s find with 80 % power (t-test at {LEVEL}, "
        f"two-sided, not corrected). Needed: the {noun}s that find a difference of the margin, or the observed one "
        f"where that is larger, with 80 % power at {LEVEL}/{family}."
    )


def _resampled(compared: Compared) -> str:
    degrees = "Student's t with one degree of freedom less than there are {noun}s"
    degrees = degrees if len(compared.tasks) == 1 or compared.over == "seeds" else "Student's t (Welch over the tasks)"
    errors = f"{INTERVAL}: mean ± t times the standard error, {degrees.format(noun=compared.noun)}."
    if compared.over == "seeds":
        return (
            f"{errors} Seeds are resampled, the items are taken as they are: the interval and p say what other seeds "
            "would show on these items. The interval over seeds and items resamples both."
        )
    taken = " Every item counts with its mean over its seeds, which are taken as they are."
    given = taken if compared.seeds > 1 else ""
    if compared.noun == "cluster":
        return (
            f"{errors} Clusters are resampled, each with all of its items: the interval and p say what other clusters "
            f"would show, and items of one cluster may vary together.{given}"
        )
    return f"{errors} Items are resampled: the interval and p say what other items of the same kind would show.{given}"


def _tests(compared: Compared) -> Iterator[str]:
    for kind, patterns in dict.fromkeys((one.test, one.patterns) for one in compared.results):
        if kind is not None:
            yield f"p: {TESTS[kind].format(noun=compared.noun, patterns=patterns)}; two-sided."


def document(compared: Compared) -> dict[str, Any]:
    """Return everything as one mapping for JSON, with the verdicts in words."""
    return {
        "balora": version("balora"),
        "answer": " ".join(answers(compared)),
        "unit": "points of 100",
        "range": list(compared.range),
        "higher_is_better": compared.higher_is_better,
        "margin": compared.margin,
        "resampled": f"{compared.noun}s",
        "seeds": compared.seeds,
        "family": len(compared.results),
        "tasks": compared.tasks,
        "systems": compared.systems,
        "comparisons": [_pair(one, compared.noun) for one in compared.results],
        "notes": compared.notes,
        "methods": list(methods(compared)),
    }


def _pair(one: PairResult, noun: str) -> dict[str, Any]:
    paired = one.paired
    return {
        "system": one.system,
        "against": one.against,
        "verdict": verdict(paired, noun),
        "difference": paired.mean,
        "low": paired.low,
        "high": paired.high,
        "p": paired.p,
        "corrected_p": paired.adjusted_p,
        "test": one.test,
        "patterns": one.patterns,
        "units": paired.n,
        "higher": one.higher,
        "lower": one.lower,
        "equal": one.equal,
        "effect_size": paired.effect_size,
        "detectable": paired.detectable,
        "needed": paired.needed,
        "over_seeds_and_items": one.joint,
        "tasks": one.tasks,
    }
