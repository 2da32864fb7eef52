"""Read files that somebody else may have written: regular files only, up to a size, optionally no symbolic links."""

import errno
import os
import stat
from pathlib import Path

SETTINGS_BYTES = 4 * 2**20
"""Most bytes of a study file, a config file or another file that people write by hand."""
RECORD_BYTES = 256 * 2**20
"""Most bytes of a file that balora wrote and reads back whole: records, plans, series, items."""


def open_regular(path: str | os.PathLike[str], flags: int = os.O_RDONLY, *, links: bool = True) -> int:
    """Return a file descriptor of ``path``; a fifo or a device is refused at once instead of waited for.

    Args:
        path: the file.
        flags: as for :func:`os.open`; `O_TRUNC` must not be among them, since it acts before the check.
        links: whether ``path`` itself may be a symbolic link.

    Raises:
        OSError: it cannot be opened, is no regular file, or is an unwanted link; ``strerror`` says which.
    """
    name = os.fspath(path)
    names = ("O_NONBLOCK", "O_CLOEXEC") if links else ("O_NONBLOCK", "O_CLOEXEC", "O_NOFOLLOW")
    guarded = flags
    for flag in names:
        guarded |= getattr(os, flag, 0)  # Windows has none of them
    try:
        descriptor = os.open(name, guarded, 0o666)
    except ValueError:
        raise OSError(errno.EINVAL, "its name holds a zero byte or half a character", name) from None
    except OSError as error:
        if error.errno == errno.ELOOP and not links:
            raise OSError(errno.ELOOP, "it is a symbolic link", name) from None
        if error.errno == errno.ENXIO:  # a fifo without a reader, a socket
            raise OSError(errno.EINVAL, "it is no regular file", name) from None
        raise
    kind = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(kind):
        os.close(descriptor)
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, "it is a folder", name)
        raise OSError(errno.EINVAL, "it is no regular file", name)
    return descriptor


def read_regular(path: str | os.PathLike[str], limit: int, *, links: bool = True) -> bytes:
    """Return the content of a regular file of at most ``limit`` bytes.

    Raises:
        OSError: as :func:`open_regular`, or it is larger than ``limit``; ``strerror`` says which.
    """
    with open(open_regular(path, links=links), "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {_size(limit)}", os.fspath(path))
    return content


def read_regular_text(path: str | os.PathLike[str], limit: int, *, links: bool = True) -> str:
    """Return the text of a UTF-8 file of at most ``limit`` bytes; line ends stay as they are.

    Raises:
        OSError: as :func:`read_regular`, or its bytes are not UTF-8; ``strerror`` says which.
    """
    try:
        return read_regular(path, limit, links=links).decode("utf-8")
    except UnicodeDecodeError:
        raise OSError(errno.EILSEQ, "it is not UTF-8 text", os.fspath(path)) from None


def is_regular(path: Path) -> bool:
    """Return whether ``path`` is a regular file and no symbolic link."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _size(limit: int) -> str:
    return f"{limit // 2**20:,} MiB" if limit >= 2**20 else f"{limit:,} bytes"
