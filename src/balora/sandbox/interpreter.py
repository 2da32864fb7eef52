"""Find the Python interpreter that runs inside the sandbox: the system's own, else the one that runs balora."""

import os
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from balora.errors import ConfigError

OLDEST = (3, 8)
"""The oldest Python that the code inside the sandbox runs on."""
SYSTEM = (Path("/usr/bin/python3"), Path("/usr/local/bin/python3"))
"""Interpreters that every user can read, and that see nothing of balora's environment."""
VERSION = "import sys; print('.'.join(map(str, sys.version_info[:3])))"


INSTALL = f"install the system's python3 ({OLDEST[0]}.{OLDEST[1]} or newer)"


class Interpreter(NamedTuple):
    """One Python interpreter, and the folder that must be shown to the sandbox for it to start."""

    path: Path
    version: str
    """As `3.11.2`."""
    folder: Path | None
    """Its installation where that is outside /usr; the sandbox shows it read-only."""


def find_interpreter(system: Sequence[Path] = SYSTEM) -> Interpreter:
    """Return the first interpreter of ``system`` that is new enough, else the base installation of this process.

    A virtual environment is never used: its packages stay outside the sandbox.

    Raises:
        ConfigError: the base installation is the root folder or a home, which must not be shown; or this is root, and
            other users, as which root runs programs, cannot read it.
    """
    for path in (name.resolve() for name in system):  # a link may lead through /etc, which the sandbox has not
        version = _version(path) if path.is_relative_to("/usr") else None
        if version is not None and tuple(map(int, version.split("."))) >= OLDEST:
            return Interpreter(path, version, None)
    folder = Path(sys.base_prefix).resolve()
    if folder in (Path("/"), Path("/home"), Path(os.path.expanduser("~"))):
        raise ConfigError(
            f"the Python that runs balora is installed in {folder}, which must not be shown to generated programs: "
            f"{INSTALL}"
        )
    if os.geteuid() == 0 and not _others_can_read(folder):
        raise ConfigError(
            f"the Python that runs balora is installed in {folder}, which other users cannot read, but root runs "
            f"generated programs as another user: {INSTALL}, or run balora as an ordinary user"
        )
    major, minor, micro = sys.version_info[:3]
    path = folder / "bin" / f"python{major}.{minor}"
    return Interpreter(path, f"{major}.{minor}.{micro}", None if folder.is_relative_to("/usr") else folder)


def _version(path: Path) -> str | None:
    """Return the version of an interpreter, or None if it does not start."""
    try:
        done = subprocess.run(
            [path, "-I", "-S", "-c", VERSION], capture_output=True, text=True, timeout=60, env={}, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _others_can_read(folder: Path) -> bool:
    """Return whether users who are neither owner nor in the group may enter a folder and read it."""
    wanted = stat.S_IROTH | stat.S_IXOTH
    enter = all(above.stat().st_mode & stat.S_IXOTH for above in folder.parents)
    return enter and folder.stat().st_mode & wanted == wanted
