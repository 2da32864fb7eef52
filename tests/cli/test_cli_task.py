"""A task of one's own from the command line: check it, train on it, score it, study it."""

import json
import shutil
from pathlib import Path

import pytest
from running import Balora
from tests.tasks.own_cases import CHATS, LABELS, REPLIES, TICKETS, chat_task, ticket_task, tickets

SHORT = ("training.steps=12", "training.batch_size=16", "training.learning_rate=2e-2", "data.max_new_tokens=8")
ONE_STEP = ("training.steps=1", "training.batch_size=4", "data.max_new_tokens=4")


def settings(*assignments: str) -> list[str]:
    return [word for assignment in assignments for word in ("--set", assignment)]


@pytest.mark.slow
def test_a_table_of_five_labels_is_trained_and_scored(balora: Balora, checkpoint: Path, tmp_path: Path) -> None:
    task, run = ticket_task(tmp_path, train=tickets(200)), tmp_path / "run"
    trained = balora("train", "--model", checkpoint, "--task", task, "--output", run, *settings(*SHORT), "--json")
    assert trained.code == 0, trained.err
    record = json.loads(trained.out)
    assert record["score"] > 40  # one of five labels: 20 by chance
    (own,) = record["spec"]["own"]
    assert (record["spec"]["task"], own["labels"]) == ("tickets", list(LABELS))

    adapter = ("--model", checkpoint, "--adapter", run / "adapter")
    scored = balora("evaluate", *adapter, "--task", task, "--json")
    assert scored.code == 0, scored.err
    assert json.loads(scored.out)["tasks"]["tickets"]["score"] == record["score"]

    again = balora("train", "--model", checkpoint, "--task", task, "--output", run, *settings(*SHORT))
    assert "already done" in again.out
    task.unlink()  # from here on, the record is enough
    assert balora("export", run, "--output", tmp_path / "lora").code == 0


def test_conversations_are_trained_and_scored(balora: Balora, checkpoint: Path, tmp_path: Path) -> None:
    task, run = chat_task(tmp_path, CHATS + "score: [contains, chrf]\n"), tmp_path / "run"
    trained = balora("train", "--model", checkpoint, "--task", task, "--output", run, *settings(*SHORT), "--json")
    assert trained.code == 0, trained.err
    record = json.loads(trained.out)
    assert set(record["metrics"]) == {"contains", "chrf", "answer_loss"}
    assert record["score"] == pytest.approx(100 * record["metrics"]["contains"])
    assert record["metrics"]["answer_loss"] < 5  # 5.9 before training
    scored = balora(
        "evaluate", "--model", checkpoint, "--adapter", run / "adapter", "--task", task, "--json",
        *settings("data.max_new_tokens=8"),
    )  # fmt: skip
    assert json.loads(scored.out)["tasks"]["support"]["score"] == pytest.approx(record["score"])
    items = [json.loads(line) for line in (run / "items.jsonl").read_text().splitlines()]
    assert [item["answer"] for item in items] == [LABELS[number % 5] for number in range(100, 104)]
    assert all(0 <= item["scores"]["chrf"] <= 1 and isinstance(item["correct"], bool) for item in items)


def test_numbers_are_predicted(balora: Balora, checkpoint: Path, tmp_path: Path) -> None:
    text = TICKETS.replace("label: Queue", "label: No\nscore: [spearman, pearson]")
    trained = balora(
        "train", "--model", checkpoint, "--task", ticket_task(tmp_path, text), "--output", tmp_path / "run", "--json",
        *settings(*ONE_STEP),
    )  # fmt: skip
    assert trained.code == 0, trained.err
    assert list(json.loads(trained.out)["metrics"]) == ["spearman", "pearson"]


def test_the_task_file_names_its_own_data(balora: Balora, checkpoint: Path, tmp_path: Path) -> None:
    words = ("--model", checkpoint, "--task", ticket_task(tmp_path), "--data", tmp_path)
    refused = balora("train", *words, "--output", tmp_path / "run")
    assert refused.code == 2
    assert "the task file names its own data: leave --data out" in refused.err
    assert not (tmp_path / "run").exists()


def test_a_wrong_file_is_one_line_with_every_fault(balora: Balora, tmp_path: Path) -> None:
    task = ticket_task(tmp_path, TICKETS.replace("[Subject", "[Subjct").replace("Queue", "Qeue"))
    for words in (("task", "check", task), ("train", "--model", "m", "--task", task, "--output", tmp_path / "run")):
        ended = balora(*words)
        assert ended.code == 2
        assert ended.out == ""
        assert ended.err.count("\n") == 1
        assert "line 4: text: unknown column 'Subjct'" in ended.err
        assert "line 5: label: unknown column 'Qeue'" in ended.err


def test_a_judge_is_needed_before_anything_is_loaded(balora: Balora, tmp_path: Path) -> None:
    task = ticket_task(tmp_path, REPLIES + "score: judge\n")
    ended = balora("train", "--model", tmp_path, "--task", task, "--output", tmp_path / "run")
    assert ended.code == 2
    assert "task 'replies' needs a judge: set scoring.judge.url" in ended.err


def test_check_shows_tokens_lengths_labels_and_columns(balora: Balora, checkpoint: Path, tmp_path: Path) -> None:
    task = ticket_task(tmp_path, TICKETS + "id: No\n")
    shown = balora("task", "check", task, "--model", checkpoint, *settings("data.max_length=12"))
    assert shown.code == 0, shown.err
    for part in (
        "tickets: nlu, score accuracy",
        "column No         id",
        "column Body Text  text",
        "column Queue      label",
        "train: billing 8, other 8, refund 8, shipping 8, spam 8",
        "are longer than data.max_length = 12",
        "--- row 1: ",
        "→ billing",
    ):
        assert part in shown.out, part
    found = json.loads(balora("task", "check", task, "--model", checkpoint, "--json").out)
    assert (found["train"]["rows"], found["validation"]["rows"], found["unit"]) == (40, 10, "tokens")
    assert [row["label"] for row in found["rows"]] == ["billing", "other", "refund"]
    assert found["columns"] == {"No": "id", "Subject": "text", "Body Text": "text", "Queue": "label"}


@pytest.mark.parametrize("model", [True, False])
def test_check_brackets_what_is_learnt(balora: Balora, checkpoint: Path, tmp_path: Path, model: bool) -> None:
    words = ("--model", checkpoint) if model else ()
    shown = balora("task", "check", chat_task(tmp_path), *words)
    assert shown.code == 0, shown.err
    end = "</s>" if model else ""
    assert f"User: Ticket 0?\nAssistant:⟦ Which queue?⟧\nUser: invoice\nAssistant:⟦ billing{end}⟧\n" in shown.out
    assert ("without --model: texts in place of tokens" in shown.out) != model
    last = balora("task", "check", tmp_path / "support.yaml", *words, *settings("data.turns=last"))
    assert "Assistant: Which queue?\n" in last.out


def test_check_says_what_stands_in_both_splits(balora: Balora, tmp_path: Path) -> None:
    shown = balora("task", "check", ticket_task(tmp_path, dev=tickets(6)))
    assert "6 of 6 evaluation rows have a text that is also trained on" in shown.out
    assert "column No         not used" in shown.out


def test_check_shows_no_control_character(balora: Balora, tmp_path: Path) -> None:
    rows = [{**row, "Subject": f"\x1b[31m{row['No']}"} for row in tickets()]
    shown = balora("task", "check", ticket_task(tmp_path, train=rows))
    assert "\x1b" not in shown.out
    assert "\\x1b[31m0" in shown.out


STUDY = """study: mine
question: Does it help on tickets?
suites: nlu
tasks: [cola, tickets.yaml]
base: ba-lora
arms:
  lora: {set: {method: lora}}
"""


def test_a_study_takes_task_files_beside_tasks_of_the_catalogue(
    balora: Balora, checkpoint: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep").mkdir()
    ticket_task(tmp_path / "deep")
    (tmp_path / "deep" / "study.yaml").write_text(STUDY)
    (tmp_path / "extended.yaml").write_text("study: more\nextends: deep/study.yaml\nquestion: And now?\n")
    monkeypatch.chdir(tmp_path)
    for study in ("deep/study.yaml", "extended.yaml"):
        planned = balora("study", "plan", study, "--model", checkpoint, "--data", data, "--json")
        assert planned.code == 0, planned.err
        assert json.loads(planned.out)["tasks"] == ["cola", "tickets"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("tickets.yaml", "tikets.yaml", "line 4: tasks.1: task file deep/tikets.yaml: cannot be read (No such file"),
        ("[cola, tickets.yaml]", "[tickets.yaml, tickets.yaml]", "tasks: 'tickets' is given twice"),
        ("base:", "own: []\nbase:", "line 5: own: is filled in from task files"),
        ("suites: nlu", "suites: nlg", "metrics"),
    ],
)
def test_a_wrong_study_of_an_own_task(
    old: str, new: str, says: str, balora: Balora, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep").mkdir()
    ticket_task(tmp_path / "deep")
    (tmp_path / "deep" / "study.yaml").write_text(STUDY.replace(old, new))
    monkeypatch.chdir(tmp_path)
    ended = balora("study", "plan", "deep/study.yaml", "--model", checkpoint)
    assert ended.code == 2
    assert says in ended.err or says == "metrics"


@pytest.mark.slow
def test_a_study_runs_resumes_and_reports_without_the_task_file(
    balora: Balora, checkpoint: Path, tmp_path: Path
) -> None:
    ticket_task(tmp_path, TICKETS + "score: [macro_f1, accuracy]\n")
    (tmp_path / "study.yaml").write_text(STUDY.replace("cola, ", ""))
    words = ("study", "run", tmp_path / "study.yaml", "--model", checkpoint, "--seeds", "2", *settings(*ONE_STEP))
    first = balora(*words, "--output", tmp_path / "one")
    assert first.code == 0, first.err
    assert "tickets" in first.out
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("tickets.yaml", "study.yaml", "train.csv", "dev.csv"):
        shutil.move(tmp_path / name, moved / name)
    again = balora("study", "run", moved / "study.yaml", *words[3:], "--output", tmp_path / "two",
                   "--reuse", tmp_path / "one")  # fmt: skip
    assert again.code == 0, again.err
    ids = [sorted(path.name for path in (tmp_path / place / "runs").iterdir()) for place in ("one", "two")]
    assert ids[0] == ids[1]
    shutil.rmtree(moved)
    report = balora("study", "report", tmp_path / "two", "--json")
    assert report.code == 0, report.err
    assert str(tmp_path) not in report.out
    assert "tickets" in report.out
