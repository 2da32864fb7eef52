"""Two processes, one of which is killed, go on together from their last whole checkpoint, to the same bits."""

from pathlib import Path
from typing import Any

import pytest
from together import run_together, spec_of, started_together

from balora.training.checkpoints import checkpoint_folder
from balora.training.fingerprint import fingerprints
from balora.training.identity import run_id
from balora.training.record import RunRecord, read_record

pytestmark = pytest.mark.slow  # each starts nine interpreters
WORKER = str(Path(__file__).parent / "killed_worker.py")
CASES: dict[str, dict[str, Any]] = {
    "rows that come again": {"data.train_rows": 20, "training.evaluate_every": 4, "training.keep": "best"},
    "dropout, accumulated": {"task": "facts", "adapter.dropout": 0.1, "training.accumulation": 2},
}


def comparable(folder: Path) -> dict[str, Any]:
    record = read_record(folder)
    assert isinstance(record, RunRecord)
    return record.model_dump(exclude={"started", "cost", "digest"})


@pytest.mark.parametrize("case", CASES)
def test_two_processes_of_which_one_was_killed_go_on_to_the_same_bits(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`files` of a record holds a digest of every file: the weights, every item and the series are the same."""
    spec = spec_of(
        4, **{"training.steps": 9, "training.checkpoint_every": 3, "training.telemetry_every": 2}, **CASES[case]
    )
    run_together(spec, tmp_path / "whole", BALORA_CACHE=str(tmp_path / "cache of whole"))
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path / "cache"))
    killed = started_together(spec, tmp_path / "killed", WORKER, KILLED_AFTER="8")
    printed, _ = killed.communicate()
    assert killed.returncode != 0, printed
    assert not (tmp_path / "killed" / "run.json").exists()
    folder = checkpoint_folder(run_id(spec, fingerprints(spec), 2))
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint-3", "checkpoint-6"]
    states = {path.name for path in (folder / "checkpoint-6").glob("rng_state*")}
    assert states == {"rng_state_0.pth", "rng_state_1.pth"}
    run_together(spec, tmp_path / "again")
    assert comparable(tmp_path / "again") == comparable(tmp_path / "whole")
    again = read_record(tmp_path / "again")
    assert again is not None
    assert (again.cost.resumed, again.cost.steps) == (1, 9)
    assert not folder.exists()
