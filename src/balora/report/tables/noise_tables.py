"""Build the tables of a report's noise: its sources, effects over models, what more runs bring, and collapsed runs."""

from collections.abc import Iterator

from balora.report.records.collapses import Collapses
from balora.report.records.measures import MEASURES
from balora.report.records.noise_sources import SOURCES, Noise, Part
from balora.report.records.report import Report
from balora.report.records.wording import INTERVAL, number_of
from balora.report.tables.answer import reference_row
from balora.report.tables.table import NOTHING, Cell, Number, Table, count, interval, measured, words
from balora.statistics import Gain


def noise_tables(report: Report) -> Iterator[Table]:
    """Yield every table of the section; those without a row are dropped by whoever shows them."""
    yield sources(report)
    yield over_models(report)
    yield worth(report)
    yield collapsed_by_arm(report)
    yield collapsed_runs(report)


def sources(report: Report) -> Table:
    """Return the standard deviation that each source gives a block's difference, with its share of the variance."""
    found = [one for one in report.noise if one.parts]
    shown = [source for source in SOURCES if any(source in one.parts for one in found)]
    rows = tuple(
        (
            *_names(one),
            measured(one.sd, MEASURES[one.measure].unit),
            *(_part(one.parts.get(source), MEASURES[one.measure].unit) for source in shown),
            count(one.components.blocks),
            count(len(one.components.sizes)),
        )
        for one in found
    )
    return Table(
        "noise",
        f"Sources of the noise of one {report.noun}",
        ("arm", "measure", "all", *(SOURCES[source] for source in shown), f"{report.noun}s", "models"),
        rows,
        texts=2,
        note="Standard deviations in the measure's unit, and in brackets the share of the variance. “–” cannot be told "
        "from these runs, which does not make it 0.",
    )


def _names(one: Noise) -> tuple[Cell, Cell]:
    return words(one.arm), words(MEASURES[one.measure].label)


def _part(part: Part | None, unit: str) -> Cell:
    if part is None:
        return NOTHING
    return (
        measured(part.sd, unit) if part.share is None else (*measured(part.sd, unit), " (", *_percent(part.share), ")")
    )


def _percent(share: float) -> Cell:
    return (Number(share, f"{100 * share:.0f} %"),)


def over_models(report: Report) -> Table:
    """Return the mean over models, how much effects vary between them, and what a new model may show."""
    rows = tuple(
        (
            *_names(one),
            measured(spread.mean, unit, sign=True),
            interval(spread.low, spread.high, unit),
            measured(spread.tau, unit),
            (*measured(spread.tau_low, unit), " to ", *measured(spread.tau_high, unit)),
            interval(spread.new_low, spread.new_high, unit),
            count(spread.models),
        )
        for one in report.noise
        if (spread := one.spread) is not None
        for unit in (MEASURES[one.measure].unit,)
    )
    return Table(
        "over-models",
        "Effects over pre-trained models",
        ("arm", "measure", "mean over models", INTERVAL, "τ", f"{INTERVAL} of τ", "new model", "models"),
        rows,
        texts=2,
        note="The mean and its interval hold for models like these, and take each model for one observation; verdicts "
        "take each block for one. τ: standard deviation of the effect between models. New model: where its own "
        "mean difference lies with 95 % probability.",
    )


def worth(report: Report) -> Table:
    """Return by how much each way of going on should narrow the interval of each comparison."""
    found = [one for one in report.noise if one.half_width is not None]
    options = list(dict.fromkeys((gain.way, gain.more) for one in found for gain in one.gains))
    rows = tuple(
        (
            *_names(one),
            measured(one.half_width, MEASURES[one.measure].unit),
            *(_narrowing(one, option) for option in options),
            NOTHING if one.needed is None else count(one.needed),
        )
        for one in found
    )
    given = "models" not in {way for way, _ in options}
    noun = f"{report.noun}s" if given else "models"
    half = f"half-width of the {INTERVAL}{'' if given else ' over models'}"
    return Table(
        "worth",
        "By how much more runs would narrow the intervals",
        (
            "arm",
            "measure",
            "half-width now",
            *(_head(*option, given) for option in options),
            f"{noun} for ± margin",
        ),
        rows,
        texts=2,
        note=f"The {half} that such a design should have, by how much of it more runs would narrow it, and how many "
        f"{noun}{'' if given else ', with one block each,'} should bring it down to the study's margin.",
    )


def _head(way: str, more: int, given: bool) -> str:
    if way == "items":
        return "twice the test items"
    if way == "models":
        return number_of(more, "more model")
    return number_of(more, "more seed") if given else f"{number_of(more, 'more fine-tuning')} on each model"


def _narrowing(one: Noise, option: tuple[str, int]) -> Cell:
    gain: Gain | None = next((gain for gain in one.gains if (gain.way, gain.more) == option), None)
    return NOTHING if gain is None else _percent(gain.narrowing)


def collapsed_by_arm(report: Report) -> Table:
    """Return how many runs of each arm collapsed, by task; nothing where none did."""
    found = report.collapses
    judged = [one.task for one in found.thresholds if one.below is not None]
    counts = {(one.arm, one.task): 0 for one in found.runs}
    for one in found.runs:
        counts[one.arm, one.task] += 1
    rows = tuple(
        (
            words(arm),
            *(count(counts.get((arm, task), 0)) for task in judged),
            count(sum(counts.get((arm, task), 0) for task in judged)),
            count(runs),
        )
        for arm, runs in found.finished.items()
    )
    return Table(
        "collapses",
        "Collapsed runs",
        ("arm", *judged, "all", "of runs"),
        rows if found.runs else (),
        note=_rule(found),
        strong=reference_row(report, list(found.finished)),
    )


def _rule(found: Collapses) -> str:
    ends = [
        f"{one.task} {one.below:.1f} (guess {one.guess:.1f}, median {one.median:.1f})"
        for one in found.thresholds
        if one.below is not None
    ]
    return (
        "A run has collapsed on a task when its score is nearer to a guess's than to the median of all finished runs "
        f"of the task: below {', '.join(ends)}. The rule is fixed in advance, and it leaves no run out of an average."
    )


def collapsed_runs(report: Report) -> Table:
    """Return every collapsed run."""
    rows = tuple(
        (
            words(one.arm),
            words(one.task),
            words(str(one.seed)),
            words("–" if one.pretraining is None else str(one.pretraining)),
            words("this arm" if one.is_alone else f"every arm of the {report.noun}"),
            measured(one.score, "points"),
        )
        for one in report.collapses.runs
    )
    head = ("arm", "task", "fine-tuning seed", "pre-training seed", "what collapsed", "score, points")
    return Table("collapsed-runs", "Each collapsed run", head, rows, texts=5)
