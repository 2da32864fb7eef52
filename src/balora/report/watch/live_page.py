"""Update the page of a running study: write it anew when runs have ended; the page reloads itself."""

from pathlib import Path

from balora.folders import write_atomic
from balora.report.page.html import draw
from balora.report.records.dossier import read_dossier
from balora.report.watch.snapshot import Snapshot
from balora.study.store.study_folder import writing

SOONEST = 10
"""Seconds after which the page loads itself anew, at the least: a reader must be able to read."""


class LivePage:
    """Writes `report.html` of a study's folder again whenever runs have ended."""

    def __init__(self, folder: Path, every: float) -> None:
        self.path, self._refresh = folder / "report.html", max(SOONEST, round(every))
        self._drawn: object = None

    def follow(self, snapshot: Snapshot) -> None:
        """Write the page if it has something new to show.

        Raises:
            OutputError: it cannot be written.
        """
        state = (snapshot.report.counts, snapshot.complete)
        if state != self._drawn:
            page = draw(read_dossier(self.path.parent), None if snapshot.complete else self._refresh)
            with writing(self.path.parent, "leave out --page"):
                write_atomic(self.path, page)
            self._drawn = state
