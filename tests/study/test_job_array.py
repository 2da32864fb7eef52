"""A study in shares: each job carries out its part, and the last to end leaves the whole study, as one job would."""

import json
import shutil
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import fakes
import pytest
from study_cases import Here, Notebook, plan_of

from balora.errors import ConfigError, OutputError
from balora.report.records.report import read_report
from balora.study.engine.execute import Outcome, execute
from balora.study.engine.job_array import Share, execute_share, gather, read_share
from balora.study.engine.pool import LocalPool
from balora.study.engine.tune_rates import with_rates
from balora.study.plan.plan import Plan
from balora.study.plan.suites import Tasks
from balora.study.store.lock import locked
from balora.study.store.study_folder import read_study_record


def go(plan: Plan, output: Path, share: Share, run: Any = fakes.quick, **options: Any) -> Outcome:
    how = {"command": "again", "pool": Here(), "run": run, **options}
    return execute_share(plan, output, Notebook(), share, **how)


def unfinished_runs(output: Path) -> int:
    return read_report(output).counts.missing


def contents(output: Path) -> dict[str, bytes]:
    """Return the bytes of every record, and of the list of runs."""
    records = {path.parent.name: path.read_bytes() for path in (output / "runs").glob("*/run.json")}
    return records | {"study": (output / "study.json").read_bytes()}


@pytest.mark.parametrize("of", [1, 2, 3, 4, 6, 8, 100])
def test_shares_are_parts_of_the_study(of: int) -> None:
    plan = plan_of(seeds=3)
    parts = [Share(number, of).ids(plan) for number in range(1, of + 1)]
    assert sorted(id for part in parts for id in part) == sorted(run.id for run in plan.distinct)
    assert all(parts) or of > len(plan.distinct)


@pytest.mark.parametrize("of", [2, 4, 6])
def test_the_arms_of_a_task_in_a_block_stay_together(of: int) -> None:
    """Machines and threads may differ between shares: within a block they would be taken for the arms' difference."""
    plan = plan_of(seeds=3)
    for number in range(1, of + 1):
        mine = Share(number, of).ids(plan)
        groups = {(run.task, run.seed) for run in plan.distinct if run.id in mine}
        assert mine == {run.id for run in plan.distinct if (run.task, run.seed) in groups}


def test_the_last_share_to_end_leaves_the_study_that_one_job_would(tmp_path: Path) -> None:
    plan = plan_of(seeds=2)
    execute(plan, tmp_path / "whole", Notebook(), command="again", pool=Here(), run=fakes.quick)
    left = [len(plan.distinct)]
    for number in (2, 3, 1):
        outcome = go(plan, tmp_path / "study", Share(number, 3))
        left.append(unfinished_runs(tmp_path / "study"))
        assert outcome.ok == outcome.planned == left[-2] - left[-1] == len(Share(number, 3).ids(plan))
    assert left[-1] == 0
    assert contents(tmp_path / "study") == contents(tmp_path / "whole")


def test_a_share_that_is_run_again_repeats_nothing(tmp_path: Path) -> None:
    plan = plan_of(seeds=1)
    go(plan, tmp_path / "study", Share(1, 2))
    outcome = go(plan, tmp_path / "study", Share(1, 2), run=fakes.full_disk)
    assert (outcome.ok, outcome.failed) == (0, 0)
    assert outcome.skipped == outcome.planned
    other = go(plan, tmp_path / "study", Share(1, 1))
    assert other.skipped == outcome.planned, "another cut takes what is gathered"


def test_another_cut_takes_what_is_finished_and_not_gathered(tmp_path: Path) -> None:
    plan = plan_of(seeds=2)
    go(plan, tmp_path / "study", Share(1, 2))
    go(plan, tmp_path / "study", Share(2, 2))
    shutil.rmtree(tmp_path / "study" / "runs")
    (tmp_path / "study" / "study.json").unlink()
    outcome = go(plan, tmp_path / "study", Share(1, 1), run=fakes.full_disk)
    assert outcome.skipped == outcome.planned == len(plan.distinct)


def test_a_single_job_takes_what_shares_have_finished(tmp_path: Path) -> None:
    plan = plan_of(seeds=2)
    go(plan, tmp_path / "study", Share(2, 2))
    shutil.rmtree(tmp_path / "study" / "runs")
    whole = execute(plan, tmp_path / "study", Notebook(), command="again", pool=Here(), run=fakes.quick)
    assert whole.skipped == len(Share(2, 2).ids(plan))
    assert whole.ok == len(Share(1, 2).ids(plan))


def test_what_went_well_in_one_cut_counts_over_a_failure_in_another(tmp_path: Path) -> None:
    plan = plan_of(Tasks(("stsb", "gsm8k"), ()), seeds=1)
    for number in (1, 2):
        go(plan, tmp_path / "study", Share(number, 2), run=fakes.failing)
    for number in (1, 2, 3):
        go(plan, tmp_path / "study", Share(number, 3), retry_failed=True)
    assert read_report(tmp_path / "study").counts.failed == 0


def test_failed_runs_are_gathered_and_counted(tmp_path: Path) -> None:
    plan = plan_of(Tasks(("stsb", "gsm8k"), ()), seeds=1)
    outcomes = [go(plan, tmp_path / "study", Share(number, 2), run=fakes.failing) for number in (1, 2)]
    counts = read_report(tmp_path / "study").counts
    assert counts.failed == sum(one.failed for one in outcomes) == 4
    assert outcomes[1].failed in (0, 4), "the arms of a task stay together"
    assert counts.missing == 0
    failed = 1 if outcomes[0].failed else 2
    again = go(plan, tmp_path / "study", Share(failed, 2), run=fakes.quick, retry_failed=True)
    assert again.ok == 4
    assert read_report(tmp_path / "study").counts.failed == 0


def test_shares_at_the_same_time_gather_one_after_another(tmp_path: Path) -> None:
    plan = plan_of(seeds=2)
    faults: list[BaseException] = []

    def one(number: int) -> None:
        try:
            go(plan, tmp_path / "study", Share(number, 3), pool=LocalPool(1))
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert unfinished_runs(tmp_path / "study") == 0


def test_gathering_waits_for_another_share_that_gathers(tmp_path: Path) -> None:
    plan, output = plan_of(seeds=1), tmp_path / "study"
    go(plan, output, Share(1, 2))
    held = threading.Event()

    def hold() -> None:
        with locked(output):
            held.set()
            time.sleep(1.5)

    other = threading.Thread(target=hold)
    other.start()
    held.wait()
    gather(plan, output, Notebook(), "again")
    other.join()


def test_a_folder_of_another_study_is_refused_before_any_run(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds something else \(notes.txt\)"):
        go(plan_of(), tmp_path, Share(1, 2), run=fakes.full_disk)


def test_gathering_does_not_wait_for_a_lock_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "study").write_text("a file")
    with pytest.raises(OutputError, match="is a file, not a folder"):
        gather(plan_of(), tmp_path / "study", Notebook(), "again")


def test_the_search_for_rates_waits_for_the_other_shares(tmp_path: Path) -> None:
    plan = plan_of(seeds=1, profile="small")

    def share(number: int) -> Plan | None:
        return with_rates(
            plan, tmp_path / "study", Notebook(), command="again", pool=Here(), run=fakes.quick,
            fingerprints=fakes.fingerprints, carry_out=partial(execute_share, share=Share(number, 2)),
        )  # fmt: skip

    assert share(1) is None
    found = share(2)
    if found is None:  # the grid was widened, which needs the first share once more
        assert share(1) is None or share(2) is not None
        found = share(2)
    assert found is not None
    assert found.rate_search is not None
    assert read_study_record(tmp_path / "study" / "rates").study.study == "rates-of-pissa-initialization"


@pytest.mark.parametrize("text", ["3/2", "0/4", "1/0", "a/b", "1", "1/2/3", "-1/2", "1 / 2", ""])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_share(text)
    assert str(caught.value) == (
        f"--share {json.dumps(text).replace(chr(34), chr(39))}: expected k/n with 1 ≤ k ≤ n, such as 3/8 for the third "
        "of eight shares"
    )


def test_a_share_is_read() -> None:
    assert read_share("3/8") == Share(3, 8)
    assert str(Share(3, 8)) == "3/8"
    assert read_share(None) is None
