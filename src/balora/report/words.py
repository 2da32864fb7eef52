"""The sentences of a report: the answer, and what must be known before believing it; pure and torch-free."""

from collections.abc import Iterator, Mapping, Sequence

from balora.report.scores import MEASURES, Measure
from balora.study.blocks import in_words
from balora.study.folder import StudyRecord
from balora.study.profiles import PROFILES
from balora.study.statistics import CONFIDENCE, Comparison, Summary, smallest_p
from balora.study.testbed_profiles import find_profile
from balora.training.record import RunRecord

DECIMALS = {"points": 2, "nats/token": 4, "share": 3, "nats": 3, "directions": 2}


def number(value: float | None, unit: str, sign: bool = False) -> str:
    """Return a number with its unit's decimals and a true minus sign; `–` for none."""
    if value is None:
        return "–"
    text = f"{value:+.{DECIMALS[unit]}f}" if sign else f"{value:.{DECIMALS[unit]}f}"
    return text.replace("-", "−")


def rates_in_words(rates: Mapping[str, Sequence[float]], lead: str = "") -> str:
    """Return ``learning rate 0.002 (NLU), 0.003 (NLG)`` after ``lead``; nothing where none is known."""
    if len({tuple(found) for found in rates.values()}) == 1:
        return f"{lead}learning rate {_numbers(next(iter(rates.values())))}"
    parts = [f"{_numbers(found)} ({family.upper()})" for family, found in rates.items()]
    return f"{lead}learning rate {', '.join(parts)}" if parts else ""


def _numbers(values: Sequence[float]) -> str:
    return " and ".join(f"{value:g}" for value in values)


def answer(base: str, blocks: str, compared: Sequence[tuple[str, Measure, Comparison]]) -> str:
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
    return f"Compared with {base} over {blocks}: {'; '.join(parts)}."


def block_count(record: StudyRecord) -> str:
    """Return how many blocks there are, in the words for this kind of model."""
    return _count(len(record.seeds), "block" if record.pretrainings else "seed")


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
        yield f"Profile {record.profile}: {find_profile(record.profile, record.model).about}."
    yield from _blocks(record)
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


def _blocks(record: StudyRecord) -> Iterator[str]:
    n, models = len(record.seeds), len(set(record.pretrainings))
    if record.pretrainings:
        yield f"{in_words(record.seeds, record.pretrainings)}."
    if 0 < models < n:
        yield (
            "Blocks on one pre-trained model share its luck, which the intervals take for independent: they hold for "
            f"{'this model' if models == 1 else 'these models'} rather than for others; profile standard gives every "
            "block its own."
        )
    if n == 1:
        yield f"One {'block' if models else 'seed'}: nothing can be said about spread, intervals or chance."
        return
    least, count = smallest_p(n), block_count(record)
    if least <= 1 - CONFIDENCE:
        yield f"{count}: the smallest p that the exact test can give is {least:.2g}."
    else:
        yield f"{count}: the exact test cannot give a p below {least:.2g}, so nothing is confirmed; 6 reach 0.031."
