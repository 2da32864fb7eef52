"""Say in sentences what the learning rates do to a study's answer; pure and torch-free."""

from collections.abc import Iterator, Mapping, Sequence

from balora.report.records.answer_sentences import Asked, sentence
from balora.report.records.arm_rows import ArmRow
from balora.report.records.measures import MEASURES
from balora.report.records.rate_sheets import RateContrast, RateSheet, verdict_by_rate
from balora.report.records.wording import answer, listed, shared_rates
from balora.settings import Family
from balora.study.store.study_folder import StudyRecord
from balora.training.record import RunRecord


def one_rate_sentence(record: StudyRecord, runs: Mapping[str, RunRecord], arms: Sequence[ArmRow]) -> Iterator[str]:
    """Yield a warning where arms with several starts all have one learning rate: the answer is that rate's.

    Not where a search has found the same rate for each of them.
    """
    starts = {run.spec.start for run in runs.values() if run.status == "ok"}
    shared = shared_rates(arm.rates for arm in arms if arm.rates)
    if len(starts) > 1 and shared and record.rate_search is None:
        yield (
            f"All arms have one {shared}, which may suit one start of the adapter better than another: this answer "
            "holds at that rate."
        )


def rate_sentences(record: StudyRecord, sheets: Sequence[RateSheet], blocks: tuple[str, str]) -> Iterator[str]:
    """Yield the answer of a study over the learning rates: with each start at its own, and at which rates it turns.

    ``blocks`` says how many there are, and what one is called.
    """
    for sheet in sheets:
        if sheet.source == "blocks" and not MEASURES[sheet.key].secondary:
            for start, regularized in dict.fromkeys((one.start, one.regularized) for one in sheet.contrasts):
                yield from _of_start(record, sheet, start, regularized, blocks)


def _of_start(
    record: StudyRecord, sheet: RateSheet, start: str, regularized: bool, blocks: tuple[str, str]
) -> Iterator[str]:
    own = [one for one in sheet.contrasts if (one.start, one.regularized) == (start, regularized)]
    measure = MEASURES[sheet.key]
    for one in own:
        if one.at_own_rates:
            asked = Asked(_subject(one), "replace", measure, one.paired, measure.margin(record.study.margin), *blocks)
            yield sentence(asked)
    if turn := turning_sentence(sheet, start, regularized):
        yield turn


def turning_sentence(sheet: RateSheet, start: str, regularized: bool) -> str:
    """Return at which common rates ``start`` does worse and better than the base's; nothing where none is common."""
    sides = verdict_by_rate(sheet, start, regularized)
    words = (("behind", "worse"), ("ahead", "better"), ("open", "neither for certain"))
    parts = [f"{word} at {listed([f'{rate:g}' for rate in sides[side]])}" for side, word in words if sides[side]]
    against = next((one.against for one in sheet.contrasts), "")
    return (
        f"At one rate for both starts, {_with(regularized)}, {start} does {', '.join(parts)} compared with {against} "
        f"({sheet.label})."
        if parts
        else ""
    )


def _subject(one: RateContrast) -> str:
    return (
        f"With each start at its own rate, {_with(one.regularized)}, replacing {one.against} ({one.against_rate:g}) by "
        f"{one.start} ({one.rate:g})"
    )


def _with(regularized: bool) -> str:
    return f"{'with' if regularized else 'without'} regularizers"


def rate_answer(record: StudyRecord, sheets: Sequence[RateSheet], noun: str) -> str | None:
    """Return the answer of a study over the learning rates in one sentence; None of any other study."""
    own = [(sheet, one) for sheet in sheets for one in sheet.contrasts if one.at_own_rates]
    if not own:
        return None
    compared = [(f"{o.start} {_with(o.regularized)}", MEASURES[sheet.key], o.paired) for sheet, o in own]
    return answer(f"{own[0][1].against}, each start at its own learning rate,", len(record.seeds), noun, compared)


def rate_cautions(record: StudyRecord) -> Iterator[str]:
    """Yield what limits the learning rates that a search has chosen."""
    search = record.rate_search
    if search is None:
        return
    lowest, highest = search.grid[0], search.grid[-1]
    if search.at_the_end:
        ends = ", ".join(f"{start} ({family.upper()})" for family, start in search.at_the_end)
        yield (
            f"The best learning rate of {ends} lies at an end of the grid ({lowest:g} to {highest:g}, widened once): a "
            "better one may lie beyond."
        )
    families = {record.study.find(task).family for task in record.tasks}
    missing: list[Family] = sorted(families - set(search.rates))
    if missing:
        yield (
            f"All arms have one learning rate in {' and '.join(f.upper() for f in missing)}: what its tasks train on "
            "cannot be scored, so no search was made."
        )
