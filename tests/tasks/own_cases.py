"""Task files and their data, written into a folder: tickets with five labels, and how they may go wrong."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LABELS = ("billing", "other", "refund", "shipping", "spam")
WORDS = {"billing": "invoice", "other": "hours", "refund": "money", "shipping": "parcel", "spam": "prize"}
COLUMNS = ("No", "Subject", "Body Text", "Queue")


def tickets(count: int = 40, start: int = 0) -> list[dict[str, Any]]:
    """Rows with column names of their own; every fifth has the same label."""
    return [
        {
            "No": str(number),
            "Subject": f"{WORDS[LABELS[number % 5]]} {number}",
            "Body Text": f"about {WORDS[LABELS[number % 5]]}",
            "Queue": LABELS[number % 5],
        }
        for number in range(start, start + count)
    ]


def write_table(path: Path, rows: Sequence[dict[str, Any]], separator: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


TICKETS = """task: tickets
family: nlu
read: {train: train.csv, validation: dev.csv}
text: [Subject, Body Text]
label: Queue
"""
CHATS = """task: support
family: nlg
read: {train: train.jsonl, validation: dev.jsonl}
messages: dialog
"""
REPLIES = """task: replies
family: nlg
read: {train: train.csv, validation: dev.csv}
prompt: "Which queue takes '{Subject}'?"
answer: Queue
"""


def ticket_task(folder: Path, text: str = TICKETS, train: Any = None, dev: Any = None) -> Path:
    """Write a task file on tables of tickets; return its path."""
    write_table(folder / "train.csv", tickets(40) if train is None else train)
    write_table(folder / "dev.csv", tickets(10, 100) if dev is None else dev)
    (folder / "tickets.yaml").write_text(text, encoding="utf-8")
    return folder / "tickets.yaml"


def chat(number: int) -> dict[str, Any]:
    """A conversation with a system text and two turns of the assistant."""
    turns = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": f"Ticket {number}?"},
        {"role": "assistant", "content": "Which queue?"},
        {"role": "user", "content": WORDS[LABELS[number % 5]]},
        {"role": "assistant", "content": LABELS[number % 5]},
    ]
    return {"dialog": turns}


def chat_task(folder: Path, text: str = CHATS) -> Path:
    write_jsonl(folder / "train.jsonl", [chat(number) for number in range(12)])
    write_jsonl(folder / "dev.jsonl", [chat(number) for number in range(100, 104)])
    (folder / "support.yaml").write_text(text, encoding="utf-8")
    return folder / "support.yaml"
