"""Put numbers, verdicts and the answer of a report into words; pure and torch-free."""

from collections.abc import Iterable, Mapping, Sequence

from balora.report.records.measures import MEASURES, Measure
from balora.statistics import CONFIDENCE, LEVEL, Comparison, Verdict

DECIMALS = {"points": 2, "mixed points": 2, "nats/token": 4, "share": 3, "nats": 3, "bits": 3, "directions": 2, "sd": 2}
INTERVAL = f"{100 * CONFIDENCE:g} % interval"
CANNOT_TELL = "cannot tell"
VERDICTS: dict[Verdict, tuple[str, str]] = {
    Verdict.HELPS: ("helps", ""),
    Verdict.HURTS: ("hurts", ""),
    Verdict.ABOVE: ("above 0", ""),
    Verdict.BELOW: ("below 0", ""),
    Verdict.BOUNDED: ("no difference larger than {bound}", ""),
    Verdict.UNDECIDED: (CANNOT_TELL, "{needs} about {needed} {noun}s"),
    Verdict.SAME: ("the same in every {noun}", ""),
    Verdict.ONE_SEED: (CANNOT_TELL, "one {noun}"),
    Verdict.NO_SEED: (CANNOT_TELL, "no {noun} in common"),
}
"""How every report words a verdict, and the reason that it gives."""
HOPELESS = f"with this many comparisons no number of {{noun}}s reaches p ≤ {LEVEL}"
"""The reason where no n is enough."""


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
    """Return ``0.002 and 0.004``; of more than three, as where each run has a rate of its own, ``0.002 to 0.009``."""
    shown = values if len(values) <= 3 else (min(values), max(values))
    return (" and " if len(values) <= 3 else " to ").join(f"{value:g}" for value in shown)


def verdict(paired: Comparison, unit: str, noun: str) -> str:
    """Return the verdict with its x and n filled in: `no difference larger than 0.85 points`."""
    return ": ".join(filter(None, _worded([paired], unit, noun)))


def _worded(members: Sequence[Comparison], unit: str, noun: str) -> tuple[str, str]:
    """Return one verdict in words, and the reason: with the widest x and the range of n of the comparisons."""
    words, why = VERDICTS[members[0].verdict]
    counts = sorted({paired.needed for paired in members if paired.needed})
    if members[0].verdict is Verdict.UNDECIDED and not counts:
        why = HOPELESS
    values = {
        "noun": noun,
        "bound": f"{number(max(paired.bound or 0.0 for paired in members), unit)} {unit}",
        "needs": "needs" if len(members) == 1 else "need",
        "needed": " to ".join(f"{n:,}" for n in dict.fromkeys((*counts[:1], *counts[-1:]))),
    }
    return words.format(**values), why.format(**values)


def answer(against: str, blocks: int, noun: str, compared: Sequence[tuple[str, Measure, Comparison]]) -> str:
    """Return the answer in one sentence: per measure, each verdict once with the arms that earned it."""
    parts = []
    for measure in MEASURES.values():
        earned: dict[Verdict, list[tuple[str, Comparison]]] = {}
        for arm, its_measure, paired in compared:
            if its_measure is measure:
                earned.setdefault(paired.verdict, []).append((arm, paired))
        if earned:
            rank = " (secondary)" if measure.secondary else ""
            together = [_shared(members, measure.unit, noun) for members in earned.values()]
            parts.append(f"in {measure.label}{rank}, {', '.join(together)}")
    return f"Compared with {against} over {number_of(blocks, noun)}: {'; '.join(parts)}."


def _shared(members: Sequence[tuple[str, Comparison]], unit: str, noun: str) -> str:
    """Return one verdict with the arms that earned it, and the size of each that helps or hurts."""
    words, why = _worded([paired for _, paired in members], unit, noun)
    sized = members[0][1].verdict in (Verdict.HELPS, Verdict.HURTS)
    arms = listed([f"{arm} ({_size(paired, unit)})" if sized else arm for arm, paired in members])
    return f"{words} for {arms}" + (f" ({why})" if why else "")


def _size(paired: Comparison, unit: str) -> str:
    """Return the difference, and a warning where it is one of several and not corrected for them."""
    return number(paired.mean, unit, sign=True) + (", not corrected" if paired.family is None else "")


def listed(names: Sequence[str]) -> str:
    """Return `a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def number_of(n: int, noun: str) -> str:
    """Return `1 seed`, `2 seeds`."""
    return f"{n} {noun}" if n == 1 else f"{n:,} {noun}s"
