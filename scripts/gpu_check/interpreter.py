"""Find a Python whose torch sees a GPU, and give it packages from a folder of wheels, without a network."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PROBE = """
import json, sys
found = {"version": list(sys.version_info[:2]), "torch": None, "card": None, "paths": []}
try:
    import sysconfig, torch
    found["torch"] = torch.__version__
    found["paths"] = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    found["card"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None
except Exception as error:
    found["error"] = f"{type(error).__name__}: {error}".splitlines()[0]
print(json.dumps(found))
"""
OLDEST = (3, 11)
PATIENCE = 300
"""Seconds for importing torch from a slow disk, or for installing wheels."""


class CheckError(Exception):
    """The check cannot start; the text is one line that states what is missing and what to do."""


class Interpreter(NamedTuple):
    """A Python with torch."""

    python: str
    torch: str
    card: str | None
    """Name of its first GPU; None: its torch sees none."""
    paths: tuple[str, ...] = ()
    """Where its packages are."""


def find_interpreter(named: str | None, dry: bool) -> Interpreter:
    """Return the first Python whose torch sees a GPU (any torch for a dry run).

    Tried are the one that was named, or else this one, `python3` on the path and the checkout's `.venv`.

    Raises:
        CheckError: none will do; says why for each.
    """
    usual = (sys.executable, shutil.which("python3"), str(ROOT / ".venv" / "bin" / "python"))
    tried = dict.fromkeys([named] if named else [python for python in usual if python and Path(python).exists()])
    reasons = []
    for python in tried:
        found = _probe(python)
        if isinstance(found, Interpreter) and (dry or found.card):
            return found
        reasons.append(found if isinstance(found, str) else f"{python} has torch {found.torch}, which sees no GPU")
    need = "no Python with torch" if dry else "no Python whose torch sees a GPU"
    way = "name one with --python" if dry else "name one with --python, or rehearse on the CPU with --dry"
    raise CheckError(f"{need} ({'; '.join(reasons)}): {way}")


def _probe(python: str) -> Interpreter | str:
    """Return what ``python`` has, or why it will not do."""
    try:
        done = subprocess.run([python, "-c", PROBE], capture_output=True, text=True, timeout=PATIENCE)
        found = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError) as error:
        return f"{python} does not run ({type(error).__name__})"
    version = tuple(found["version"])
    if version < OLDEST:
        return f"{python} is Python {'.'.join(map(str, version))}, below {'.'.join(map(str, OLDEST))}"
    if found["torch"] is None:
        return f"{python} has no torch ({found['error']})"
    return Interpreter(python, found["torch"], found["card"], tuple(found["paths"]))


def with_wheels(interpreter: Interpreter, wheels: Path) -> Interpreter:
    """Return a Python in a new environment beside ``wheels``, with these wheels over the packages of ``interpreter``.

    The environment borrows those packages by a path file, since `--system-site-packages` would pass over an environment
    that ``interpreter`` itself belongs to. Dependencies are not resolved: what is missing shows in the part that
    needs it.

    Raises:
        CheckError: the folder holds no wheels, or they cannot be installed.
    """
    names = sorted({file.name.split("-")[0] for file in wheels.glob("*.whl")})
    if not names:
        raise CheckError(f"{wheels} holds no wheels (*.whl): name a folder that does with --wheels")
    place = wheels.resolve().with_name(f"{wheels.resolve().name}-venv")
    python = str(place / "bin" / "python")
    _call([interpreter.python, "-m", "venv", "--clear", "--without-pip", "--system-site-packages", str(place)])
    _borrow(python, interpreter.paths)
    pip = [interpreter.python, "-m", "pip", "--disable-pip-version-check", "--python", python]
    # a borrowed package of another version would count as installed
    options = ["--quiet", "--no-index", "--no-deps", "--ignore-installed", "--find-links", str(wheels)]
    _call([*pip, "install", *options, *names])
    return interpreter._replace(python=python)


def _borrow(python: str, paths: Sequence[str]) -> None:
    site = _call([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
    lines = [f"import site; site.addsitedir({path!r})" for path in paths]
    (Path(site.strip()) / "borrowed.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _call(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CheckError(f"`{' '.join(command[:4])} …` did not run ({type(error).__name__})") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise CheckError(f"`{' '.join(command[:4])} …` failed ({said}): see whether the wheels fit this Python")
    return done.stdout
