"""The words of a report: numbers, verdicts and the answer in one sentence; pure and torch-free."""

from collections.abc import Iterable, Mapping, Sequence

from balora.report.records.measures import MEASURES, Measure
from balora.statistics import Comparison

DECIMALS = {"points": 2, "nats/token": 4, "share": 3, "nats": 3, "directions": 2, "sd": 2}


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


def shared_rates(rates: Iterable[Mapping[str, Sequence[float]]]) -> str:
    """Return the learning rates in words if all arms have the same; else nothing: then each arm names its own."""
    different = {rates_in_words(one) for one in rates}
    return different.pop() if len(different) == 1 else ""


def _numbers(values: Sequence[float]) -> str:
    return " and ".join(f"{value:g}" for value in values)


def verdict(paired: Comparison, unit: str, noun: str) -> str:
    """Return the verdict with its x and n filled in: `no difference larger than 0.85 points`."""
    if paired.verdict == "no difference larger than x":
        return f"no difference larger than {number(paired.bound, unit)} {unit}"
    if paired.verdict == "cannot tell: needs about n seeds":
        enough = f"needs about {paired.needed:,} {noun}s" if paired.needed else "the family is too large for any number"
        return f"cannot tell: {enough}"
    return paired.verdict.replace("seed", noun)


def answer(against: str, blocks: int, noun: str, compared: Sequence[tuple[str, Measure, Comparison]]) -> str:
    """Return the answer in one sentence: per measure, each verdict once with the arms that earned it."""
    parts = []
    for measure in MEASURES.values():
        earned: dict[str, list[tuple[str, Comparison]]] = {}
        for arm, its_measure, paired in compared:
            if its_measure is measure:
                earned.setdefault(paired.verdict, []).append((arm, paired))
        if earned:
            rank = " (secondary)" if measure.secondary else ""
            found = [_shared(members, measure.unit, noun) for members in earned.values()]
            parts.append(f"in {measure.label}{rank}, {', '.join(found)}")
    return f"Compared with {against} over {number_of(blocks, noun)}: {'; '.join(parts)}."


def _shared(members: Sequence[tuple[str, Comparison]], unit: str, noun: str) -> str:
    """Return what arms of one verdict share: the widest x, the range of n; and the size of what helps or hurts."""
    first = members[0][1]
    if first.verdict == "no difference larger than x":
        widest = max((paired for _, paired in members), key=lambda paired: paired.bound or 0.0)
        return f"{verdict(widest, unit, noun)} for {listed([arm for arm, _ in members])}"
    counts = sorted({paired.needed for _, paired in members if paired.needed})
    if first.verdict == "cannot tell: needs about n seeds" and len(members) > 1 and counts:
        enough = f"need about {' to '.join(f'{n:,}' for n in dict.fromkeys((counts[0], counts[-1])))} {noun}s"
        return f"cannot tell for {listed([arm for arm, _ in members])} ({enough})"
    if first.verdict in ("helps", "hurts"):
        return f"{first.verdict} for {listed([f'{arm} ({_size(paired, unit)})' for arm, paired in members])}"
    words, _, why = verdict(first, unit, noun).partition(": ")
    return f"{words} for {listed([arm for arm, _ in members])}" + (f" ({why})" if why else "")


def _size(paired: Comparison, unit: str) -> str:
    """Return the difference, and a warning where it is one of several that nobody corrected for."""
    return number(paired.mean, unit, sign=True) + (", not corrected" if paired.family is None else "")


def listed(names: Sequence[str]) -> str:
    """Return `a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def number_of(n: int, noun: str) -> str:
    """Return `1 seed`, `2 seeds`."""
    return f"{n} {noun}" if n == 1 else f"{n:,} {noun}s"
