"""What enters the id of a run on a task of one's own: its definition and its data, not where the files lie."""

import shutil
from pathlib import Path

import pytest
from tests.tasks.own_cases import TICKETS, chat_task, ticket_task, tickets

from balora.errors import ConfigError
from balora.report.records.shareable import shareable_settings
from balora.settings import SettingsError
from balora.training.fingerprint import fingerprints
from balora.training.identity import recorded_id, run_id
from balora.training.spec import RunSpec, resolve

LISTED = "labels: [spam, shipping, refund, other, billing]\n"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    return tmp_path / "model"


def spec(task: Path, model: Path, **changes: object) -> RunSpec:
    return resolve({"task": str(task), "model": str(model), **changes})


def identity(task: Path, model: Path, **changes: object) -> str:
    found = spec(task, model, **changes)
    return run_id(found, fingerprints(found))


def folder(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name


def test_moving_the_files_keeps_the_id(tmp_path: Path, model: Path) -> None:
    first = folder(tmp_path, "a")
    before = identity(ticket_task(first), model)
    shutil.move(first, tmp_path / "b")
    assert identity(tmp_path / "b" / "tickets.yaml", model) == before


def test_one_file_and_its_seed(tmp_path: Path, model: Path) -> None:
    def of(share: str, seed: int) -> str:
        read = f"{{file: train.csv, validation: {share}, seed: {seed}}}"
        return identity(ticket_task(tmp_path, TICKETS.replace("{train: train.csv, validation: dev.csv}", read)), model)

    assert of("0.2", 1) == of("0.2", 1)
    assert len({of("0.2", 1), of("0.2", 2), of("0.3", 1)}) == 3


def test_what_changes_the_numbers_changes_the_id(tmp_path: Path, model: Path) -> None:
    changed = tickets()
    changed[0]["Subject"] += "!"
    renamed = [{**row, "Queue": row["Queue"].replace("spam", "junk")} for row in tickets(40)]
    dev = [{**row, "Queue": row["Queue"].replace("spam", "junk")} for row in tickets(10, 100)]
    found = [
        identity(ticket_task(folder(tmp_path, "a")), model),
        identity(ticket_task(folder(tmp_path, "b"), train=changed), model),
        identity(ticket_task(folder(tmp_path, "c"), train=renamed, dev=dev), model),
        identity(ticket_task(folder(tmp_path, "d"), TICKETS + "score: macro_f1\n"), model),
        identity(ticket_task(folder(tmp_path, "e"), TICKETS.replace("[Subject, Body Text]", "Subject")), model),
        identity(ticket_task(folder(tmp_path, "f"), dev=tickets(9, 100)), model),
        identity(ticket_task(folder(tmp_path, "g"), TICKETS.replace("task: tickets", "task: other")), model),
        identity(ticket_task(folder(tmp_path, "h"), TICKETS + LISTED), model),
    ]  # fmt: skip
    assert len(set(found)) == len(found)


def test_the_turns_that_are_learnt_change_the_id(tmp_path: Path, model: Path) -> None:
    task = chat_task(tmp_path)
    assert identity(task, model) != identity(task, model, **{"data.turns": "last"})


def test_a_record_is_read_without_the_task_file(tmp_path: Path, model: Path) -> None:
    found = spec(ticket_task(folder(tmp_path, "a")), model)
    prints = fingerprints(found)
    shutil.rmtree(tmp_path / "a")
    content = {"spec": found.model_dump(mode="json"), "fingerprints": prints}
    assert RunSpec(**content["spec"]) == found
    assert recorded_id(content) == run_id(found, prints)


def test_reports_show_the_last_part_of_a_path(tmp_path: Path, model: Path) -> None:
    shown = shareable_settings(spec(ticket_task(tmp_path), model).model_dump())
    assert str(tmp_path) not in repr(shown)
    assert shown["own"][0]["read"]["train"] == "train.csv"


def test_a_definition_is_read_from_a_file_alone(tmp_path: Path, model: Path) -> None:
    with pytest.raises(SettingsError, match="own: is filled in from a task file"):
        resolve({"task": "cola", "model": str(model), "own": [{"task": "x"}]})
    with pytest.raises(ConfigError, match="the task file names its own data"):
        spec(ticket_task(tmp_path), model, **{"data.folder": str(tmp_path)})
