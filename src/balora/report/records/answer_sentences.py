"""Say a study's answer in sentences for people: one for each arm and average; pure and torch-free."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from balora.errors import shortened
from balora.report.records.arm_rows import ArmRow
from balora.report.records.comparisons import Difference, reference
from balora.report.records.measures import MEASURES, Measure, shared
from balora.report.records.shareable import one_line, shareable_settings
from balora.report.records.wording import CANNOT_TELL, listed, number, number_of
from balora.statistics import Comparison, Verdict
from balora.study.store.study_folder import StudyRecord

FEW_ARMS = 4
"""Compared arms up to which every comparison of an average has a sentence."""
MOST = 6
"""Sentences where there are more arms; one more counts the other comparisons."""
LONGEST = 100
"""Most characters of a name, or of the words for an ablated part, in a sentence."""
MOST_SETTINGS = 2
"""Settings up to which an arm without an ablation is described by them, and not by its name."""
BRACKETS = re.compile(r"\s*\([^()]*\)")
"""What stands in brackets, with the blanks before it."""
JUDGED_PART: dict[str, tuple[str, str]] = {
    "remove": ("what was removed hurts", "what was removed helps"),
    "replace": ("the replacement is better", "the replacement is worse"),
    "add": ("the addition helps", "the addition hurts"),
    "": ("this is better", "this is worse"),
}
"""By the action of an ablation: what an arm that helps shows of the ablated part, and what one that hurts shows."""
CERTAIN = "and chance does not explain it"
UNCORRECTED = "not corrected for several comparisons"
COUNTED: dict[Verdict, str] = {
    Verdict.HELPS: "better",
    Verdict.HURTS: "worse",
    Verdict.ABOVE: "higher",
    Verdict.BELOW: "lower",
    Verdict.BOUNDED: "no difference that matters",
    Verdict.UNDECIDED: CANNOT_TELL,
    Verdict.SAME: "exactly the same",
    Verdict.ONE_SEED: CANNOT_TELL,
    Verdict.NO_SEED: CANNOT_TELL,
}
"""How the comparisons without a sentence are counted."""
DIRECTED = (Verdict.HELPS, Verdict.HURTS, Verdict.ABOVE, Verdict.BELOW)
"""The verdicts that say in which direction the difference goes; confirmed where the comparison is in a family."""


class Asked(NamedTuple):
    """One comparison, with everything that its sentence needs."""

    subject: str
    """What was done: `Removing the regularizers`."""
    action: str
    """Of the arm's ablation; empty where the sentence does not name one."""
    measure: Measure
    paired: Comparison
    margin: float
    """The smallest difference that would matter, in the measure's unit."""
    blocks: str
    """How many blocks the difference is a mean over: `5 seeds`, `24 models`, `8 blocks on 4 models`."""
    noun: str
    """What one of them is called there."""


def answer_sentences(record: StudyRecord, arms: Sequence[ArmRow], differences: Sequence[Difference]) -> tuple[str, ...]:
    """Return the answer in sentences: the comparisons, a count of those without a sentence, and the margin.

    NLG answer loss is secondary and has sentences only where NLG Avg is 0 in every block of every arm.
    """
    unsolved = [measure for measure in MEASURES.values() if not measure.secondary and _is_zero(arms, measure.key)]
    asked = _asked(record, arms, differences, {measure.family for measure in unsolved})
    noun = "block" if record.pretrainings else "seed"
    found = [f"{one.label} cannot show a difference here: it is 0 in every {noun} of every arm." for one in unsolved]
    if not asked:
        return tuple(found)
    if all(one.paired.verdict is Verdict.NO_SEED for one in asked):
        against = _name(reference(record))
        return (*found, f"Nothing can be compared: no {noun} has finished in {against} and in another arm.")
    told, others = asked, []
    if len({one.arm for one in differences}) > FEW_ARMS:
        ranked = sorted(asked, key=_rank)
        told, others = ranked[:MOST], ranked[MOST:]
    found += [sentence(one) for one in told]
    if others:
        found.append(f"{_counted(others)}; see the table of differences.")
    loss = next((f" ({one.margin:g} nats/token)" for one in told if one.measure.secondary), "")
    return (*found, margin_sentence(record.study.margin, loss))


def _is_zero(arms: Sequence[ArmRow], measure: str) -> bool:
    values = [value for arm in arms for value in arm.by_seed.get(measure, {}).values()]
    return bool(values) and not any(values)


def _asked(
    record: StudyRecord, arms: Sequence[ArmRow], differences: Sequence[Difference], unsolved: set[str]
) -> list[Asked]:
    """Return the comparisons in the averages; in the answer loss where an average is 0 everywhere."""
    rows, against = {arm.name: arm for arm in arms}, reference(record)
    subjects = _subjects(record, [rows[name] for name in dict.fromkeys(one.arm for one in differences)])
    found = []
    for one in differences:
        measure, arm = MEASURES[one.measure], rows[one.arm]
        is_loss = not measure.higher_is_better
        if is_loss == (measure.family in unsolved) and is_loss == measure.secondary:
            action = _action(record, arm)
            seeds = shared(arm.by_seed[measure.key], rows[against].by_seed[measure.key])[: one.paired.n]
            margin = measure.margin(record.study.margin)
            found.append(
                Asked(subjects[arm.name], action, measure, one.paired, margin, *blocks_in_words(record, seeds))
            )
    return found


def _rank(one: Asked) -> tuple[bool, bool, float]:
    """Return the order of sentences: the declared family first, in it what is confirmed, in that the largest."""
    paired = one.paired
    return paired.family is None, paired.verdict not in DIRECTED, -abs(paired.mean or 0.0) / one.margin


def blocks_in_words(record: StudyRecord, seeds: Sequence[int]) -> tuple[str, str]:
    """Return in words how many blocks ``seeds`` are, and what one of them is called: a model where each has its own."""
    count = len(seeds)
    if not record.pretrainings:
        return number_of(count, "seed"), "seed"
    models = len({model for seed, model in zip(record.seeds, record.pretrainings, strict=False) if seed in seeds})
    if models == count > 0:
        return number_of(count, "model"), "model"
    return f"{number_of(count, 'block')} on {number_of(models, 'model')}", "block"


def _subjects(record: StudyRecord, arms: Sequence[ArmRow]) -> dict[str, str]:
    """Return the subject of each arm's sentences; where two would have the same, each names its arm."""
    found = {arm.name: _subject(record, arm) for arm in arms}
    counts = Counter(found.values())
    alike = [arm for arm in arms if counts[found[arm.name]] > 1]
    return found | {arm.name: _subject(record, arm, f" ({_name(arm.name)})") for arm in alike}


def _action(record: StudyRecord, arm: ArmRow) -> str:
    """Return the action of an arm's ablation; nothing beside another reference than the base, which it speaks of."""
    return arm.ablation["action"] if arm.ablation and reference(record) == record.study.base_name else ""


def _subject(record: StudyRecord, arm: ArmRow, name: str = "") -> str:
    if reference(record) != record.study.base_name:
        return f"Compared with {_name(reference(record))}, the arm {_name(arm.name)}"
    if arm.ablation:
        return _ablated(arm.ablation, name)
    settings = {} if arm.is_tuned or arm.cell else shareable_settings(arm.changes)
    if 0 < len(settings) <= MOST_SETTINGS and all(isinstance(value, str | int | float) for value in settings.values()):
        return f"Setting {listed([f'{key} to {_value(value)}' for key, value in settings.items()])}{name}"
    return f"The arm {_name(arm.name)}"


def _name(name: str) -> str:
    return shortened(name, LONGEST)


def _value(value: object) -> str:
    """Return a setting's value as a study file has it."""
    text = f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
    return shortened(one_line(text), LONGEST)


def _ablated(ablation: Mapping[str, Any], name: str) -> str:
    """Return `Removing …`, `Adding …` or `Replacing … by …`, without what stands in brackets in the replacement."""
    part = _prose(ablation["part"])
    if ablation["action"] != "replace":
        return f"{'Removing' if ablation['action'] == 'remove' else 'Adding'} {_closed(part + name)}"
    whole = ablation["replacement"]
    plain = BRACKETS.sub("", whole)
    replacement = _prose(plain if plain.strip() and not set("()") & set(plain) else whole)
    return f"Replacing {_closed(part)} by {_closed(replacement + name)}"


def _prose(text: str) -> str:
    return shortened(one_line(text).rstrip(" ."), LONGEST)


def _closed(text: str) -> str:
    """Return a text with the comma that closes what its last comma opened, unless that is a list (`a, b and c`)."""
    _, comma, last = text.rpartition(", ")
    return f"{text}," if comma and " and " not in last else text


def sentence(one: Asked) -> str:
    """Return one comparison as a sentence: what was done, by how much it changed the average, and what that shows."""
    label, paired = one.measure.label + " (secondary)" * one.measure.secondary, one.paired
    if paired.verdict is Verdict.NO_SEED:
        return (
            f"{one.subject.rstrip(',')}: {label} cannot be compared, because no {one.noun} has finished in both arms."
        )
    if paired.verdict is Verdict.SAME:
        return f"{one.subject} left {label} exactly the same in each of {one.blocks}."
    unit, mean = one.measure.unit, paired.mean or 0.0
    if paired.verdict in DIRECTED:
        change = f"{'raised' if mean > 0 else 'lowered'} {label} by {number(abs(mean), unit)} {unit}"
    else:
        change = f"changed {label} by {number(mean, unit, sign=True)} {unit}"
    low, high = (number(end, unit, sign=True) for end in (paired.low, paired.high))
    over = one.blocks if paired.low is None else f"{low} to {high}, {one.blocks}"
    return f"{one.subject} {change} ({over}): {_shown(one)}."


def _shown(one: Asked) -> str:
    """Return what a comparison with a difference shows."""
    verdict = one.paired.verdict
    if verdict is Verdict.BOUNDED:
        return COUNTED[verdict]
    if verdict is Verdict.ONE_SEED:
        return f"{CANNOT_TELL} from one {one.noun}"
    if verdict is Verdict.UNDECIDED:
        return _undecided(one)
    helps, hurts = JUDGED_PART[one.action]
    words = {Verdict.HELPS: helps, Verdict.HURTS: hurts}.get(verdict, f"this is {COUNTED[verdict]}")
    farthest = max(abs(one.paired.low or 0.0), abs(one.paired.high or 0.0))
    small = ", by too little to matter" if farthest < one.margin else ""
    return f"{words}{small}, " + (f"but this is {UNCORRECTED}" if one.paired.family is None else CERTAIN)


def _undecided(one: Asked) -> str:
    """Return how many blocks would be enough, after the p where the interval alone would seem to decide."""
    paired, family, why = one.paired, one.paired.family or 1, ""
    p = paired.p if paired.adjusted_p is None else paired.adjusted_p
    if not (paired.low or 0.0) <= 0 <= (paired.high or 0.0):
        several = f" after correction for {number_of(family, 'comparison')}" if family > 1 else ""
        why = f" (p = {p:.2g}{several})"
    if paired.needed is None:
        return f"{CANNOT_TELL}{why}, and with this many comparisons no number of {one.noun}s would"
    return f"{CANNOT_TELL}{why}; about {number_of(paired.needed, one.noun)} would"


def _counted(others: Sequence[Asked]) -> str:
    """Return `The other 14 comparisons: 12 cannot tell, 2 no difference that matters`."""
    counts = Counter(
        COUNTED[verdict] + (f" ({UNCORRECTED})" if verdict in DIRECTED and one.paired.family is None else "")
        for one in others
        for verdict in (one.paired.verdict,)
    )
    several = f"{len(others):,} comparisons" if len(others) > 1 else "comparison"
    parts = [f"{count:,} {words}" if len(counts) > 1 else words for words, count in counts.most_common()]
    return f"The other {several}: {', '.join(parts)}"


def margin_sentence(points: float, loss: str = "") -> str:
    """Return from which difference on one matters to a study, in points, and in brackets in ``loss``."""
    return f"A difference matters from {points:g} point{'s' * (points != 1)}{loss} on, which is the study's margin."
