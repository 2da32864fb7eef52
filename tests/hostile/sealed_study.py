"""A small finished study that was never really trained, and ways to damage its files."""

import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "study"))  # stand-ins for runs
import fakes
import numpy as np
from safetensors.numpy import save_file
from study_cases import Here, Notebook, plan_of

from balora.progress import OnProgress
from balora.study.engine.execute import Outcome, execute
from balora.study.plan.plan import Plan
from balora.training.record import RunRecord, write_record
from balora.training.seal import SEAL, sha256
from balora.training.spec import RunSpec

__all__ = ["Here", "Notebook", "carry_on", "fakes", "plan_of", "reseal", "rewrite", "with_adapter"]


def with_adapter(spec: RunSpec, folder: Path, on_progress: OnProgress) -> RunRecord:
    """Leave all kinds of files that a run leaves."""
    (folder / "adapter").mkdir(parents=True)
    (folder / "adapter" / "adapter_config.json").write_text("{}")
    digest = hashlib.sha256(spec.model_dump_json().encode()).digest()
    save_file({"lora_A": np.frombuffer(digest, dtype=np.uint8)}, folder / "adapter" / "adapter_model.safetensors")
    row = {"step": 1, "loss": 0.5, "task": 0.25}
    (folder / "series.jsonl").write_text(json.dumps(row) + "\n")
    (folder / "items.jsonl").write_text('{"row": 0}\n')
    return write_record(fakes.record_of(spec, rows=3, correct="oA=="), folder)


def carry_on(plan: Plan, output: Path, run: object = with_adapter, **options: Any) -> tuple[Outcome, list[str]]:
    """Carry ``plan`` out in this process; return the outcome and the messages."""
    notebook = Notebook()
    options = {"pool": Here(), "run": run, **options}
    outcome = execute(plan, output, notebook, command="again", **options)
    return outcome, [
        line.removeprefix("message: ")
        for line in notebook.lines
        if line.startswith("message: ") and "warning" not in line
    ]


def reseal(text: str) -> str:
    """Return a record's text with the digest that belongs to it, as somebody can who knows how records are made."""
    body = json.dumps({key: value for key, value in json.loads(text).items() if key != "digest"}, indent=1)
    body = body.removesuffix("\n}")
    return body + SEAL.format(sha256(body.encode()))


def rewrite(path: Path, edit: Callable[[Any], None], *, sealed: bool) -> None:
    """Edit the content of a sealed JSON file, with or without making its seal fit."""
    content = json.loads(path.read_text())
    edit(content)
    text = json.dumps(content, indent=1)
    path.write_text(reseal(text) if sealed else text)


def _replace(path: Path, make: Callable[[Path], None]) -> None:
    path.rename(path.with_name("kept"))
    make(path)


def _link(path: Path) -> None:
    path.symlink_to(path.with_name("kept"))


def _deep(path: Path) -> None:
    path.write_text("[" * 100_000)


def _with(old: str, new: str) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return edit


def _resealed_number(number: str) -> Callable[[Path], None]:
    """Put a number that Python's own JSON would take into the file, and seal it."""

    def edit(path: Path) -> None:
        body = path.read_text().rpartition(',\n "digest"')[0].replace('"format": ', f'"odd": {number},\n "format": ', 1)
        path.write_text(body + SEAL.format(sha256(body.encode())))

    return edit


BROKEN: dict[str, Callable[[Path], None]] = {
    "empty": lambda path: path.write_bytes(b""),
    "torn": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "not UTF-8": lambda path: path.write_bytes(path.read_bytes().replace(b'"format"', b'"for\xe9at"', 1)),
    "deep": _deep,
    "a list": lambda path: path.write_text("[]"),
    "a text": lambda path: path.write_text('"format"'),
    "NaN": _resealed_number("NaN"),
    "Infinity": _resealed_number("-Infinity"),
    "beyond floats": _resealed_number("1e999"),
    "a huge number": _resealed_number("1e200"),
    "5,000 digits": _resealed_number("9" * 5000),
    "another format": lambda path: rewrite(path, lambda content: content.update(format="x"), sealed=False),
    "another digest": lambda path: rewrite(path, lambda content: content.update(digest="0" * 64), sealed=False),
    "unknown key": lambda path: rewrite(path, lambda content: content.update(colour="red"), sealed=True),
    "a byte more": lambda path: path.write_bytes(path.read_bytes() + b" "),
    "a key twice": _with('"format": ', '"format": 9,\n "format": '),
    "a folder": lambda path: _replace(path, Path.mkdir),
    "a link": lambda path: _replace(path, _link),
    "a broken link": lambda path: _replace(path, lambda path: path.symlink_to("nowhere")),
    "a fifo": lambda path: _replace(path, os.mkfifo),
}
"""Ways in which a sealed file can be no sealed file."""
