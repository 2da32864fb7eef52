"""The examples of docs/own-tasks.md and the shipped example are read as they stand."""

import re
import shutil
from pathlib import Path

import pytest
from tests.tasks.own_cases import chat, write_jsonl, write_table

from balora.cli import main
from balora.study.design.reading import find_study
from balora.tasks.config import DataConfig
from balora.tasks.own_task import OwnTask, Reading
from balora.tasks.score_registry import SCORES
from balora.tasks.splits import read_split
from balora.tasks.task_file import read_task_file

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "own-tasks.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
TASKS = {re.match(r"task: (\w+)", block)[1]: block for block in BLOCKS if block.startswith("task:")}  # type: ignore[index]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with data for every example."""
    rows = [
        {
            "message": f"question {number}", "hours": number, "reply": f"answer {number}", "topics": ["a", "b"],
            "program": "def f(): return 1", "checks": ["assert f() == 1"],
        }
        for number in range(8)
    ]  # fmt: skip
    for name in ("train", "dev"):
        write_jsonl(tmp_path / f"{name}.jsonl", rows)
        write_table(tmp_path / f"{name}.csv", rows)
    write_jsonl(tmp_path / "chats.jsonl", [{**chat(number)} for number in range(8)])
    shutil.copy(ROOT / "examples" / "tickets.csv", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", TASKS)
def test_every_task_file_is_read(name: str, folder: Path) -> None:
    (folder / "own.yaml").write_text(TASKS[name], encoding="utf-8")
    own = read_task_file(folder / "own.yaml")
    assert own.task == name
    assert read_split(own.as_task(), DataConfig(), "validation").rows


def test_the_study_is_read(folder: Path) -> None:
    (folder / "tickets.yaml").write_text(TASKS["tickets"], encoding="utf-8")
    (folder / "study.yaml").write_text(next(block for block in BLOCKS if block.startswith("study:")), encoding="utf-8")
    study = find_study(str(folder / "study.yaml"))
    assert study.tasks == ("cola", "tickets")
    assert [own.task for own in study.own] == ["tickets"]


def test_the_example_is_the_one_of_the_document_with_an_id() -> None:
    shipped = read_task_file(ROOT / "examples" / "tickets.yaml")
    assert len(shipped.labels) == 5
    lines = (ROOT / "examples" / "tickets.yaml").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith(("#", "id:"))] == TASKS["tickets"].splitlines()


def test_the_commands_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["task", "check", "examples/tickets.yaml"]) == 0
    assert "validation: 8 rows" in capsys.readouterr().out


def test_every_key_is_in_the_document() -> None:
    table = TEXT.split("## Every key")[1].split("\n\n")[1]
    keys = [line.split("`")[1] for line in table.splitlines()[2:]]
    assert set(keys) == set(OwnTask.model_fields)
    assert all(f"{key}:" in TEXT for key in Reading.model_fields)


def test_every_score_is_in_the_document() -> None:
    assert all(f"`{name}`" in TEXT for name in SCORES)
