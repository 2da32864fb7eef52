"""What must be the same for the same numbers: the facts under the title, and how the study can be repeated."""

from dataclasses import dataclass

from balora.report.records.report import Report
from balora.report.tables.table import Cell, Table, words


@dataclass(frozen=True)
class Repeating:
    """How to come to the same numbers."""

    command: str
    tables: tuple[Table, ...]


def facts(report: Report) -> tuple[str, ...]:
    """Return the size of the study in a few words each."""
    counts = report.counts
    return (
        report.blocks,
        f"{len(report.arms):,} arms, {len(report.tasks):,} tasks",
        f"{counts.ok:,} of {counts.planned:,} runs finished",
        f"model {report.model}, profile {report.profile}",
    )


def repeating(report: Report) -> Repeating:
    """Return the command, the versions, and the fingerprints of what was read."""
    versions = tuple((words(name), words(version)) for name, version in report.versions.items())
    kinds = ("model", "data", "code")
    prints = tuple(
        (words(task), *(_short(found.get(kind, "")) for kind in kinds)) for task, found in report.fingerprints.items()
    )
    tables = (
        Table("versions", "Versions and processor", ("what", "version"), versions, texts=2),
        Table("fingerprints", "Fingerprints of what the runs read", ("task", *kinds), prints, texts=4),
    )
    return Repeating(report.command, tuple(table for table in tables if table.rows))


def _short(fingerprint: str) -> Cell:
    return words(fingerprint[:16] or "–")
