"""List what a report shows, section by section; Markdown, LaTeX and the page render the same list."""

from collections.abc import Iterator
from dataclasses import dataclass

from balora.report.records.report import Report
from balora.report.records.wording import number_of
from balora.report.tables import answer, run_tables
from balora.report.tables.noise_tables import noise_tables
from balora.report.tables.rate_tables import rate_tables
from balora.report.tables.table import Table

LINES = 50
"""Lines of a list before it is cut."""


@dataclass(frozen=True)
class Section:
    """One section: a heading and what stands under it, in this order."""

    id: str
    title: str
    intro: str = ""
    command: str = ""
    tables: tuple[Table, ...] = ()
    lists: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Lists of short texts, each under its heading, which may be empty."""
    points: tuple[str, ...] = ()
    """Sentences under the intro, each a point of a list."""

    @property
    def has_text(self) -> bool:
        """Whether it shows anything besides figures."""
        return bool(self.command or self.points or self.tables or self.lists)


def facts(report: Report) -> tuple[str, ...]:
    """Return the size of the study in a few words each."""
    counts = report.counts
    return (
        report.blocks,
        f"{number_of(len(report.arms), 'arm')}, {number_of(len(report.tasks), 'task')}",
        f"{counts.ok:,} of {number_of(counts.planned, 'run')} finished",
        f"model {report.model}, profile {report.profile}",
    )


def sections(report: Report) -> Iterator[Section]:
    """Yield every section in order; one that has no text is there for the figures that a page may put into it."""
    noun, against = report.noun, report.against
    yield Section("cautions", "Cautions", lists=_filled_lists(("", report.cautions)))
    yield Section("arms", "Arms", tables=_filled(answer.arms(report)))
    loss = f" ({report.margin / 100:g} nats/token of answer loss)" if "nlg_answer_loss" in report.measures else ""
    yield Section(
        "differences",
        f"Differences to {against}",
        f"Each row is the mean over {noun}s of arm minus {against}. A difference matters to this study if it is at "
        f"least its margin of {report.margin:g} of 100 points{loss}.",
        tables=_filled(answer.differences(report), answer.strengths(report)),
    )
    yield Section("noise", "Where the noise comes from", _noise_intro(noun), points=report.noise_sentences,
                  tables=_filled(*noise_tables(report)))  # fmt: skip
    yield Section("factors", "Factors", tables=_filled(answer.effects(report)))
    yield Section(
        "rates",
        "Learning rates",
        "The same number is a step of another size for another start of the adapter, so what a start is worth depends "
        "on the rate at which it is asked.",
        tables=_filled(*rate_tables(report)),
    )
    yield Section("sweeps", "Swept settings")
    yield Section("tasks", "Tasks", tables=_filled(answer.tasks(report), answer.task_losses(report)))
    yield Section(
        "inherited",
        "What was inherited",
        "Measures beside the scores, means over tasks. Descriptive: nothing here is tested, and nothing of it is in "
        "the answer. docs/testbed.md defines each measure.",
        tables=_filled(*_inherited(report)),
    )
    yield Section("training", "Training", tables=_filled(run_tables.terms(report), run_tables.inactive(report)))
    yield Section("cost", "Cost", tables=_filled(run_tables.costs(report)))
    notes = tuple(
        f"{note.text} ({number_of(note.runs, 'run')}{', the numbers differ' * (note.variants > 1)})"
        for note in report.notes
    )
    yield Section(
        "runs",
        "Runs",
        tables=_filled(run_tables.counts(report), run_tables.failures(report)),
        lists=_filled_lists(("Files that cannot be used", report.unreadable), ("Notes of the runs", notes)),
    )
    yield Section(
        "repeat",
        "Repeat it",
        " · ".join(facts(report)),
        report.command,
        tables=_filled(run_tables.versions(report), run_tables.fingerprints(report)),
    )


def _noise_intro(noun: str) -> str:
    """Return how the sources of the noise are read; docs/statistics.md defines them."""
    again = "from one fine-tuning to the next on the same model" if noun == "block" else f"from {noun} to {noun}"
    return (
        f"The difference of an arm varies from {noun} to {noun}, and this section says why. Pre-training is the part "
        f"that changes from one pre-trained model to another, and fine-tuning the part that changes {again}. Test "
        f"items: other items would have given another difference, and more {noun}s do not help against that. The rest "
        "is which of the same items one fine-tuning happened to answer differently. "
        f"With few {noun}s the shares are rough."
    )


def _inherited(report: Report) -> Iterator[Table]:
    for family in dict.fromkeys(one.family for one in report.inherited):
        yield run_tables.inherited(report, family, changes=False)
        if len(report.arms) > 1:
            yield run_tables.inherited(report, family, changes=True)


def _filled(*tables: Table) -> tuple[Table, ...]:
    return tuple(table for table in tables if table.rows)


def _filled_lists(*lists: tuple[str, tuple[str, ...]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((title, _cut(lines)) for title, lines in lists if lines)


def _cut(lines: tuple[str, ...]) -> tuple[str, ...]:
    left = len(lines) - LINES
    return (*lines[:LINES], f"and {left:,} more") if left > 0 else lines
