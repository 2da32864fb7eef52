"""`--together`: which runs a worker carries out together, and that a study cannot tell."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fakes
import pytest
from study_cases import go, plan_of

from balora.study.engine.grouping import next_group
from balora.study.engine.pool import LocalPool, local_pool
from balora.study.engine.protocol import Event, Job
from balora.study.engine.worker import carry_out_group
from balora.study.plan.suites import Tasks
from balora.training.record import read_record
from balora.training.spec import RunSpec, resolve
from balora.training.turns import pass_turn


def spec(**changes: Any) -> RunSpec:
    return resolve({"task": "cola", "model": "m", **changes})


def job(spec: RunSpec, name: str = "x", run: Any = fakes.quick) -> Job:
    return Job(name, spec, Path(name), run)


def groups(specs: Sequence[RunSpec], most: int) -> list[list[int]]:
    """Return the places of the runs that are carried out together, group by group."""
    waiting = [job(one, str(place)) for place, one in reversed(list(enumerate(specs)))]
    found = []
    while waiting:
        found.append([int(one.id) for one in next_group(waiting, most)])
    return found


ARMS = {
    "start": {"method": "lora+reg"},
    "rank": {"adapter.rank": 2},
    "objective": {"method": "pissa"},
    "swapped": {"objective.formulation": "nlg", "objective.matching": "gradient"},
    "rate": {"training.learning_rate": 1e-3},
    "matched": {"adapter.init": "standard", "training.step_matching": "pissa"},
    "decay": {"training.weight_decay": 0.1, "training.l2_start": 0.1, "training.warmup": 0.5},
}
APART: dict[str, dict[str, Any]] = {
    "steps": {"training.steps": 7},
    "stretched": {"training.stretch": 2.0},
    "batches": {"training.batch_size": 2},
    "accumulation": {"training.accumulation": 2},
    "precision": {"training.precision": "bfloat16"},
    "rows": {"data.train_rows": 9},
    "longer rows": {"data.max_length": 9},
    "head": {"objective.reference_head": "probe"},
    "full": {"method": "full"},
    "threads": {"training.threads": 2},
    "compiled": {"training.compile": True},
    "quantised": {"model.quantization": "nf4"},
    "spread": {"model.device_map": "auto"},
    "sharded": {"launch.strategy": "fsdp2"},
}


@pytest.mark.parametrize("arm", ARMS)
def test_arms_that_differ_in_the_adapter_go_together(arm: str) -> None:
    assert groups([spec(), spec(**ARMS[arm])], 2) == [[0, 1]]


@pytest.mark.parametrize("arm", APART)
def test_runs_with_other_batches_or_without_a_frozen_base_do_not(arm: str) -> None:
    assert groups([spec(), spec(**APART[arm])], 2) == [[0], [1]]
    assert groups([spec(**APART[arm]), spec()], 2) == [[0], [1]]


@pytest.mark.parametrize("arm", ["full", "threads", "compiled", "quantised", "spread", "sharded"])
def test_what_must_be_alone_does_not_go_with_its_like(arm: str) -> None:
    assert groups([spec(**APART[arm]), spec(**APART[arm], **{"training.learning_rate": 1e-3})], 2) == [[0], [1]]


def test_groups_end_with_their_block_and_pass_over_an_arm_between() -> None:
    ranks = [spec(**{"adapter.rank": rank}) for rank in range(1, 6)]
    assert groups(ranks, 1) == [[0], [1], [2], [3], [4]]
    assert groups(ranks, 2) == [[0, 1], [2, 3], [4]]
    assert groups(ranks, 9) == [[0, 1, 2, 3, 4]]
    assert groups([ranks[0], spec(method="full"), ranks[1]], 2) == [[0, 2], [1]]
    other = [one.with_seeds(7, None) for one in ranks[:2]]
    assert groups([ranks[0], *other, ranks[1]], 4) == [[0], [1, 2], [3]]
    assert groups([ranks[0], spec(task="rte"), ranks[1]], 4) == [[0], [1], [2]]


def in_turns(spec: RunSpec, folder: Path, on_progress: Any) -> Any:
    """Takes its turns; fails, after it has begun, where the adapter has the standard start."""
    pass_turn()
    if spec.adapter is not None and spec.adapter.init == "standard":
        raise RuntimeError("an arm's own fault")
    pass_turn()
    return fakes.quick(spec, folder, on_progress)


def test_each_of_a_group_ends_by_itself_under_its_own_place(tmp_path: Path) -> None:
    specs = [spec(), spec(method="lora+reg"), spec(method="pissa")]
    sent: list[tuple[int, Event]] = []
    carry_out_group([Job(str(n), one, tmp_path / str(n), in_turns) for n, one in enumerate(specs)], sent.append)
    assert [(place, event.kind) for place, event in sent if event.kind != "progress"] == [
        (1, "failed"),
        (0, "done"),
        (2, "done"),
    ]
    for place in (0, 2):
        assert (found := read_record(tmp_path / str(place))) is not None
        assert found.spec == specs[place]


def test_a_study_together_leaves_the_records_of_one_that_is_not(tmp_path: Path) -> None:
    """One task's runs raise, another's leave a record that says so; every arm is told to have started and ended."""
    plan = plan_of(Tasks(("cola", "rte", "stsb"), ()))
    (alone, lines), (together, others) = (
        go(plan, tmp_path / name, fakes.failing, pool=pool)
        for name, pool in (("alone", LocalPool(1)), ("together", LocalPool(1, together=3)))
    )
    assert together == alone
    assert sorted(line for line in others if "progress" not in line) == sorted(x for x in lines if "progress" not in x)
    for run in plan.distinct:
        assert read_record(tmp_path / "together" / run.folder) == read_record(tmp_path / "alone" / run.folder)


def test_a_worker_that_dies_costs_what_was_left_of_its_group(tmp_path: Path) -> None:
    """The first arm of CoLA kills the worker; nothing of GSM8K is lost, and the failures name what was under way."""
    plan = plan_of()
    outcome, _ = go(plan, tmp_path, fakes.unlucky, pool=LocalPool(1, together=4))
    assert (outcome.ok, outcome.failed) == (4, 4)
    reasons = [record.error for run in plan.distinct if (record := read_record(tmp_path / run.folder)) and record.error]
    assert {(reason.kind, reason.message.endswith("log.txt (4 runs were under way in it)")) for reason in reasons} == {
        ("WorkerDied", True)
    }


def test_by_default_every_run_is_alone() -> None:
    assert local_pool(True).together == 1
    assert local_pool(True, together=3).together == 3


@pytest.mark.slow
def test_a_study_on_the_testbed_together(tmp_path: Path) -> None:
    """From the command line; the second call finds nothing to do, and without the option neither."""
    words = ["training.steps=2", "data.train_rows=16", "data.eval_rows=12"]
    code = "import sys; from balora.cli.main import main; sys.exit(main())"

    def study(output: str, *more: object) -> dict[str, Any]:
        line = [sys.executable, "-c", code, "study", "run", "formulation-swap", "--seeds", 1, "--workers", 1]
        line += [word for one in words for word in ("--set", one)] + ["--output", tmp_path / output, "--json", *more]
        environment = {**os.environ, "BALORA_CACHE": str(tmp_path / f"cache of {output}")}
        done = subprocess.run([str(word) for word in line], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        return {**json.loads(done.stdout), "said": done.stderr}

    alone, together = study("alone"), study("together", "--together", 4)
    assert together["counts"] == alone["counts"]
    assert together["arms"] == alone["arms"]
    assert "0 runs to do" in study("together")["said"]
