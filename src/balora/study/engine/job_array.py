"""Carry out one share of a study, as one job of many does, and gather what all of them have finished; torch-free.

Each share works in a study folder of its own, OUTPUT/shares/k-of-n, with a lock, a log and workers of its own, so that
shares on many machines need nothing but a file system in common. A share that has ended copies the finished runs of all
shares into OUTPUT, so that the last one leaves the whole study there.
"""

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from balora.errors import ConfigError, OutputError, shown
from balora.study.engine.execute import Outcome, execute
from balora.study.engine.watcher import Watcher
from balora.study.plan.plan import Plan
from balora.study.store.lock import is_locked
from balora.study.store.run_folders import shares_in, take_stock
from balora.study.store.study_folder import SHARES, describe, opened, refuse_foreign

WAIT = 3600.0
"""Seconds to wait for other shares that gather."""
EVERY = 0.5


class Share(NamedTuple):
    """One of several equal parts of a study's runs."""

    number: int
    """From 1 on."""
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def ids(self, plan: Plan) -> frozenset[str]:
        """Return its runs of ``plan``.

        Runs of all arms on one task in one block stay together, so that machines differ between blocks and not between
        arms; where there are fewer such groups than shares, runs are shared out one by one.
        """
        groups: dict[object, list[str]] = {}
        for run in plan.distinct:
            groups.setdefault((run.task, run.seed), []).append(run.id)
        if len(groups) < self.of:
            groups = {run.id: [run.id] for run in plan.distinct}
        return frozenset(id for group in list(groups.values())[self.number - 1 :: self.of] for id in group)


def read_share(text: str | None) -> Share | None:
    """Return the share in ``text``, `3/8`; None for None.

    Raises:
        ConfigError: it is none.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    share = Share(int(found[1]), int(found[2])) if found else Share(0, 0)
    if not 1 <= share.number <= share.of:
        raise ConfigError(
            f"--share {shown(text)}: expected k/n with 1 ≤ k ≤ n, such as 3/8 for the third of eight shares"
        )
    return share


def execute_share(
    plan: Plan, output: Path, watcher: Watcher, share: Share, *, reuse: Sequence[Path] = (), **how: Any
) -> Outcome:
    """Carry out the runs of ``share``, and gather the finished runs of all shares in ``output``.

    The other arguments are those of :func:`balora.study.engine.execute.execute`; the outcome is that of the share.
    """
    refuse_foreign(output, describe(plan, how["command"]))  # before hours of runs
    place = output / SHARES / f"{share.number}-of-{share.of}"
    known = [path for path in (output, *shares_in(output)) if path != place and (path / "study.json").is_file()]
    outcome = execute(plan, place, watcher, reuse=(*known, *reuse), only=share.ids(plan), **how)
    gather(plan, output, watcher, how["command"])
    return outcome


def gather(plan: Plan, output: Path, watcher: Watcher, command: str) -> None:
    """Copy every run that has ended in a share into ``output``, failed ones too, one gathering process at a time."""
    deadline, record = time.monotonic() + WAIT, describe(plan, command)
    while True:
        was_locked = is_locked(output)  # asked before: another share may end its gathering meanwhile
        try:
            with opened(output, record, watcher.message):
                take_stock(output, record, plan, (), watcher.message, failed_too=True)
            return
        except OutputError:
            if not (was_locked or is_locked(output)) or time.monotonic() > deadline:
                raise
            time.sleep(EVERY)
