"""What two studies are compared by: the bytes of every file, but those of logs, locks and the command."""

import json
from pathlib import Path

UNEQUAL = ("log.txt", ".lock", ".live.json")


def content(folder: Path) -> dict[str, bytes]:
    """Return every file that a study leaves in ``folder``, by its path there."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return plan_without_command({name: path.read_bytes() for name, path in files.items() if name not in UNEQUAL})


def plan_without_command(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return ``files`` with `study.json` less the command in it, which names the output, and its digest."""
    plan = {**json.loads(files["study.json"]), "command": "", "digest": ""}
    return {**files, "study.json": json.dumps(plan).encode()}
