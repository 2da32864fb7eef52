"""The sentences of a report: the answer, and what must be known before believing it; pure and torch-free."""

from collections.abc import Iterator, Mapping, Sequence

from balora.report.scores import MEASURES, Measure
from balora.study.folder import StudyRecord
from balora.study.profiles import PROFILES
from balora.study.statistics import CONFIDENCE, Comparison, Summary, smallest_p
from balora.training.record import RunRecord

DECIMALS = {"points": 2, "nats/token": 4}


def number(value: float | None, unit: str, sign: bool = False) -> str:
    """Return a number with its unit's decimals and a true minus sign; `–` for none."""
    if value is None:
        return "–"
    text = f"{value:+.{DECIMALS[unit]}f}" if sign else f"{value:.{DECIMALS[unit]}f}"
    return text.replace("-", "−")


def answer(base: str, seeds: Sequence[int], compared: Sequence[tuple[str, Measure, Comparison]]) -> str:
    """Return the answer in one sentence: per measure, the verdicts with the arms that earned them."""
    parts = []
    for measure in MEASURES.values():
        verdicts: dict[str, list[str]] = {}
        for arm, its_measure, paired in compared:
            if its_measure is measure:
                directed = paired.verdict in ("better", "worse", "leans better", "leans worse")
                size = f" ({number(paired.mean, measure.unit, sign=True)})" if directed else ""
                verdicts.setdefault(paired.verdict, []).append(arm + size)
        found = [f"{verdict} for {_listed(arms)}" for verdict, arms in verdicts.items()]
        if found:
            rank = "" if measure.higher_is_better else " (secondary)"
            parts.append(f"in {measure.label}{rank}, {', '.join(found)}")
    return f"Compared with {base} over {_count(len(seeds), 'seed')}: {'; '.join(parts)}."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def cautions(
    record: StudyRecord, runs: Mapping[str, RunRecord], unfinished: int, averages: Mapping[str, Mapping[str, Summary]]
) -> Iterator[str]:
    """Return what limits the answer, the gravest first."""
    if unfinished:
        yield f"{_count(unfinished, 'planned run')} without a result: only seeds with every task count for an average."
    if record.profile in PROFILES:
        yield f"Profile {record.profile}: {PROFILES[record.profile].about}."
    yield _seeds(len(record.seeds))
    for suite in record.study.suites:
        summaries = [summary.get(f"{suite}_avg") for summary in averages.values()]
        if all(summary and summary.mean == 0 for summary in summaries):
            label = MEASURES[f"{suite}_avg"].label
            yield f"{label} is 0 for every arm: the model solved no item, so the score cannot tell arms apart" + (
                "; read the answer loss instead." if suite == "nlg" else "."
            )
    if record.absent:
        place = f"under {record.data}" if record.data else "by name"
        yield f"Not found {place}, and so not in the averages: {', '.join(record.absent)}."
    versions = {tuple(sorted(run.versions.items())) for run in runs.values() if run.status == "ok"}
    if len(versions) > 1:
        yield f"The records come from {len(versions)} different sets of library versions."
    yield "Intervals and p are per comparison, not corrected for their number."


def _seeds(n: int) -> str:
    if n == 1:
        return "One seed: nothing can be said about spread, intervals or chance."
    least = smallest_p(n)
    if least <= 1 - CONFIDENCE:
        return f"{n} seeds: the smallest p that the exact test can give is {least:.2g}."
    return f"{n} seeds: the exact test cannot give a p below {least:.2g}, so nothing is confirmed; 6 seeds reach 0.031."
