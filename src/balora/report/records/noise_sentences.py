"""Say in sentences where effects differ between models, and where the next run is worth most; torch-free."""

from collections.abc import Iterator, Sequence
from statistics import fmean

from balora.report.records.measures import MEASURES
from balora.report.records.noise_sources import Noise, primary, varying
from balora.report.records.wording import listed, number, number_of
from balora.statistics import Gain, Heterogeneity, Missing

MOST = 6
"""Comparisons that a sentence names; it counts the others."""
OWN_MODELS = (
    "Every block has a pre-trained model of its own, so pre-training and fine-tuning cannot be told apart: that takes "
    "two blocks on one model, as in profile quick."
)
NO_ITEMS = "No score is the share of right answers, so test items cannot be told from fine-tuning."
SOME_ITEMS = (
    "Test items are told apart where a task's score is the share of right answers; the items of other tasks are taken "
    "as given."
)


def noise_sentences(found: Sequence[Noise], pretrained: bool, noun: str) -> tuple[str, ...]:
    """Return what cannot be told, which effects differ between models, and what more runs would bring.

    ``pretrained``: whether the study has pre-trained models of its own, as on the testbed.
    """
    return (*_missing(found, pretrained, noun), *_vary(found), *_worth(primary(found), pretrained, noun))


def _missing(found: Sequence[Noise], pretrained: bool, noun: str) -> Iterator[str]:
    """Yield why parts of the variance cannot be told, each reason once."""
    one_model = (
        "All blocks are on one pre-trained model, so what pre-training does to a difference cannot be told: that takes "
        "blocks on several models, as in profile quick."
        if pretrained
        else "All seeds are of the given model, so what pre-training does to a difference cannot be told."
    )
    reasons = {
        Missing.ONE_BLOCK: f"One {noun} shows nothing about the noise: that takes two {noun}s or more.",
        Missing.ONE_MODEL: one_model,
        Missing.NO_REPLICATES: OWN_MODELS,
        Missing.NO_ITEMS: NO_ITEMS,
        Missing.SOME_ITEMS: SOME_ITEMS,
        Missing.CHOSEN: f"A tuned arm is left out: in each {noun} its setting is chosen by the others, which makes "
        "them dependent.",
    }
    missing = {reason for one in primary(found) for reason in one.components.missing}
    yield from (sentence for reason, sentence in reasons.items() if reason in missing)


def _vary(found: Sequence[Noise]) -> Iterator[str]:
    """Yield which effects differ between models, and which may: by how much, and what a new model may show."""
    shown = [*varying(found)]
    differ = [_effect(*pair) for pair in shown if pair[1].differs]
    if differ:
        yield f"The effect differs from model to model (standard deviation τ) for {_cut(differ)}."
    may = [_effect(*pair) for pair in shown if not pair[1].differs]
    if may:
        yield (
            "The effect may differ from model to model (its standard deviation τ is estimated above the margin, but "
            f"may be 0) for {_cut(may)}."
        )


def _effect(one: Noise, spread: Heterogeneity) -> str:
    """Return a comparison with the spread of its effect: `an arm in NLG Avg (τ = 3.10 points; a new model …)`."""
    measure = MEASURES[one.measure]
    return f"{one.arm} in {measure.label} (τ = {number(spread.tau, measure.unit)} {measure.unit}{_new(one, spread)})"


def _new(one: Noise, spread: Heterogeneity) -> str:
    if spread.new_low is None:
        return ""
    ends = [number(end, MEASURES[one.measure].unit, sign=True) for end in (spread.new_low, spread.new_high)]
    return f"; a new model: {' to '.join(ends)}"


def _cut(parts: Sequence[str]) -> str:
    more = [f"{len(parts) - MOST} more in the table"] if len(parts) > MOST else []
    return listed([*parts[:MOST], *more])


def heterogeneity_caution(found: Sequence[Noise]) -> tuple[str, ...]:
    """Return where the mean is not the whole story, in one sentence; nothing where no effect differs for certain."""
    differ = [_effect(one, spread) for one, spread in varying(found) if spread.differs]
    if not differ:
        return ()
    return (f"The mean is not the whole story where effects differ between pre-trained models: {_cut(differ)}.",)


def _worth(found: Sequence[Noise], pretrained: bool, noun: str) -> Iterator[str]:
    """Yield by how much more seeds, models and items would narrow the intervals, and which block is worth most."""
    most = max((one.components.blocks for one in found if one.gains), default=0)
    by_way: dict[str, list[Gain]] = {}
    for one in found:
        for gain in one.gains if one.components.blocks == most else ():
            by_way.setdefault(gain.way, []).append(gain)
    if not by_way:
        return
    options = [f"{_option(all_of[0], pretrained)} by {_range(all_of)}" for all_of in by_way.values()]
    over = " over models" if "models" in by_way else ""
    yield f"What would narrow the 95 % intervals{over}: {listed(options)}."
    means = {way: fmean(gain.narrowing for gain in all_of) for way, all_of in by_way.items()}
    if {"seeds", "models"} <= means.keys():
        new = means["models"] >= means["seeds"]
        where = "on a new model" if new else "as another fine-tuning of one of these models"
        yield f"The next {noun} is worth most {where}."


def _option(gain: Gain, pretrained: bool) -> str:
    """Return one way of going on in words, with what it takes."""
    if gain.way == "items":
        return "twice the test items, which take no fine-tuning,"
    if gain.way == "models":
        return f"{number_of(gain.more, 'more model')} with one block each"
    if not pretrained:
        return number_of(gain.more, "more seed")
    return f"{number_of(gain.more, 'more fine-tuning')} on each model ({number_of(gain.blocks, 'block')})"


def _range(all_of: Sequence[Gain]) -> str:
    ends = sorted({f"{100 * gain.narrowing:.0f}" for gain in all_of}, key=float)
    return f"{ends[0]} %" if len(ends) == 1 else f"{ends[0]} % to {ends[-1]} %"
