"""List what must be known before a report's answer is believed; pure and torch-free."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from balora.report.records.arm_rows import ArmRow
from balora.report.records.looks import looks_of
from balora.report.records.measures import JUDGED, MEASURES
from balora.report.records.rate_sentences import rate_cautions
from balora.report.records.shareable import base_name
from balora.report.records.wording import listed, number_of
from balora.statistics import design_warning, smallest_p
from balora.study.plan.blocks import describe_blocks
from balora.study.plan.plan import has_one_rate
from balora.study.plan.profiles import PROFILES
from balora.study.plan.testbed_profiles import find_profile
from balora.study.store.study_folder import StudyRecord
from balora.tasks.catalogue import TASKS
from balora.training.record import RunRecord


def cautions(
    record: StudyRecord,
    runs: Mapping[str, RunRecord],
    unfinished: int,
    arms: Sequence[ArmRow],
    families: Mapping[str, int],
    noun: str,
) -> Iterator[str]:
    """Return what limits the answer, the gravest first; ``families`` are sizes by what is compared in them."""
    if unfinished:
        without = number_of(unfinished, "planned run")
        yield f"{without} without a result: only {noun}s with every task count for an average."
    if record.looks:
        yield (
            f"Rows, steps and tasks are those of the profile {record.profile}; the looks decide how many {noun}s there "
            "are."
        )
    elif record.profile in PROFILES:
        yield f"Profile {record.profile}: {find_profile(record.profile, record.model).about}."
    yield from _looks(record, runs, noun)
    yield from _blocks(record, families, noun)
    yield from _corrected(families)
    yield from _unsolved(record, arms)
    yield from _tuned(record, arms, noun)
    yield from rate_cautions(record)
    if record.left_out:
        one_rate = ", or all arms have one learning rate" if has_one_rate(record.study, record.settings) else ""
        why = f"only the testbed has their settings{one_rate}"
        yield f"Left out, because {why}: {', '.join(record.left_out)}."
    if record.absent:
        place = f"under {base_name(record.data)}" if record.data else "by name"
        found = [task for task in record.absent if task not in JUDGED]
        unlearnt = any(task in TASKS and not TASKS[task].scored for task in found)
        if found:
            why = "Not found, or without the set to train on," if unlearnt else "Not found"
            yield f"{why} {place}, and so not in the averages: {', '.join(found)}."
        if len(found) < len(record.absent):
            needed = "its questions or the set to train on" if unlearnt else "its questions"
            yield f"MT-Bench is not in the averages: no judge was given, or {needed} were not found {place}."
    yield from _chosen_weights(runs)
    yield from _versions(runs)
    yield from _threads(runs)


def _looks(record: StudyRecord, runs: Mapping[str, RunRecord], noun: str) -> Iterator[str]:
    """Describe the looks of a study that goes on until it is answered."""
    looks = looks_of(record, runs)
    if looks is None:
        return
    planned = f"looks were planned after {listed([str(look) for look in looks.planned])} {noun}s"
    if not looks.reached:
        yield f"Goes on until it is answered: {planned}, and no look has been reached: nothing is compared before it."
        return
    used = "1 was" if looks.reached == 1 else f"{looks.reached} were"
    yield (
        f"Goes on until it is answered: {planned}, of which {used} used. Intervals and p of the comparisons hold "
        "whenever it stops; a comparison that a look decided keeps the numbers of that look. Intervals of single "
        "tasks, of inherited measures and of the noise are a fixed study's, and too narrow here."
    )


def _chosen_weights(runs: Mapping[str, RunRecord]) -> Iterator[str]:
    """Name the runs whose weights were chosen by the rows that they are scored on."""
    finished = [run for run in runs.values() if run.status == "ok"]
    chosen = sum(run.spec.training.keep == "best" for run in finished)
    if chosen:
        some = "" if chosen == len(finished) else ": differences between these arms and the others favour these"
        yield (
            f"{number_of(chosen, 'run')} kept the weights that scored best on the rows that are scored "
            f"(training.keep: best), so that scores are optimistic{some}."
        )


def _threads(runs: Mapping[str, RunRecord]) -> Iterator[str]:
    """Name the numbers of threads of which the finished runs had several, with how many runs had each."""
    counts = Counter(run.threads for run in runs.values() if run.status == "ok")
    if len(counts) > 1:
        known = sorted(counts.items(), key=lambda pair: pair[0] or 0)
        mixed = ", ".join(f"{threads or 'not recorded'} ({number})" for threads, number in known)
        yield (
            f"The runs were computed with different numbers of threads (runs in brackets): {mixed}. Some results "
            "differ by rounding with them, and so do differences between arms: run the study again with one --workers, "
            "or set training.threads."
        )


def _versions(runs: Mapping[str, RunRecord]) -> Iterator[str]:
    """Name the libraries (and processors) of which the finished runs had several, with how many runs had each."""
    finished = [run.versions for run in runs.values() if run.status == "ok"]
    mixed = []
    for library in sorted({name for versions in finished for name in versions}):
        counts = Counter(versions.get(library, "not recorded") for versions in finished)
        if len(counts) > 1:
            mixed.append(f"{library} {', '.join(f'{version} ({n})' for version, n in sorted(counts.items()))}")
    if mixed:
        yield f"The records come from different library versions or processors (runs in brackets): {'; '.join(mixed)}."


def _blocks(record: StudyRecord, families: Mapping[str, int], noun: str) -> Iterator[str]:
    n, models = len(record.seeds), len(set(record.pretrainings))
    if record.pretrainings:
        yield f"{describe_blocks(record.seeds, record.pretrainings)}."
    if 0 < models < n:
        yield (
            "Blocks on one pre-trained model share its luck, which the intervals take for independent: they hold for "
            f"{'this model' if models == 1 else 'these models'} rather than for others; profile standard gives every "
            "block its own."
        )
    if record.looks:
        return
    warnings = {design_warning(n, size, noun): None for size in families.values() if size}
    if any(warnings):
        yield from (f"{warning}." for warning in warnings if warning)
    elif n > 1:
        yield f"{number_of(n, noun)}: the smallest p that the exact test can give is {smallest_p(n):.2g}."


def _corrected(families: Mapping[str, int]) -> Iterator[str]:
    sizes = [f"{number_of(size, 'comparison')} ({what})" for what, size in families.items() if size]
    if sizes:
        yield (
            f"p is corrected (Holm) over a family of {' and over one of '.join(sizes)}; intervals, and what is in no "
            "family, are not corrected."
        )


def _unsolved(record: StudyRecord, arms: Sequence[ArmRow]) -> Iterator[str]:
    for suite in record.study.suites:
        summaries = [arm.averages.get(f"{suite}_avg") for arm in arms if not arm.is_tuned]
        if all(summary and summary.mean == 0 for summary in summaries):
            label = MEASURES[f"{suite}_avg"].label
            yield f"{label} is 0 for every arm: the model solved no item, so the score cannot tell arms apart" + (
                "; read the answer loss instead." if suite == "nlg" else "."
            )


def _tuned(record: StudyRecord, arms: Sequence[ArmRow], noun: str) -> Iterator[str]:
    tuned = [arm.name for arm in arms if arm.is_tuned]
    if tuned and len(record.seeds) == 1:
        yield f"One {noun}: there is no other {noun} to choose the settings of {listed(tuned)} by, so no score."
