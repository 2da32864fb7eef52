"""What two studies are compared by: the bytes of every file, but those of logs, locks and the command."""

import json
from pathlib import Path

REPORTS = ("report.md", "report.html")
UNEQUAL = ("log.txt", ".lock", ".live.json")


def content(folder: Path) -> dict[str, bytes]:
    """Return every file that a study leaves in ``folder``, by its path there."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return plan_without_command({name: path.read_bytes() for name, path in files.items() if name not in UNEQUAL})


def plan_without_command(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return ``files`` without the command that repeats the study, which names the output and stands in the report."""
    plan = json.loads(files["study.json"])
    output = plan["command"].rpartition(" --output ")[2]
    bare = {**plan, "command": "", "digest": ""}
    reports = {name: files[name].replace(f"--output {output}".encode(), b"") for name in REPORTS if name in files}
    return {**files, **reports, "study.json": json.dumps(bare).encode()}
