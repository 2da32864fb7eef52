"""Write the command lines that start a program: inside bubblewrap, or in a plain process without isolation."""

from importlib.resources import files
from pathlib import Path

from balora.sandbox.interpreter import Interpreter
from balora.sandbox.limits import MIB, Limits

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
"""All that a program sees of the environment; the fixed hash seed makes the order of sets the same in every run."""
FLAGS = ("-s", "-S", "-B", "-X", "utf8")
"""No packages beside the standard library (`-s -S`), no bytecode files, UTF-8."""


def local_command(interpreter: Interpreter, job: int, channel: int) -> list[str]:
    """Return the command that runs a job in a plain process; the program can do all that its user can do."""
    return [*_python(interpreter, job, channel), "local"]


def bubblewrap_command(
    bubblewrap: str,
    interpreter: Interpreter,
    limits: Limits,
    job: int,
    channel: int,
    info: int,
    system_calls: int | None,
) -> list[str]:
    """Return the command that runs a job in namespaces of its own: no network, no home, nothing of /etc, /proc or /sys.

    Args:
        bubblewrap: path of `bwrap`, version 0.8 or newer (`--disable-userns`).
        interpreter: the Python inside; its folder is shown read-only.
        limits: decide the size of the temporary folder.
        job, channel: descriptors that the program's process inherits.
        info: descriptor to which bubblewrap writes the number of the first process inside.
        system_calls: descriptor of the filter of system calls (:mod:`balora.sandbox.system_calls`), if there is one.
    """
    words = [bubblewrap, "--ro-bind", "/usr", "/usr", *_system_folders()]
    words += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache", "--dev", "/dev"]
    words += ["--size", str(max(4 * limits.file_bytes, MIB)), "--tmpfs", "/tmp", "--size", str(MIB)]
    words += ["--tmpfs", "/dev/shm"]
    if interpreter.folder is not None:
        words += ["--ro-bind", str(interpreter.folder), str(interpreter.folder)]
    words += ["--remount-ro", "/", "--remount-ro", "/dev", "--chdir", "/tmp"]
    words += ["--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"]
    words += ["--cap-drop", "ALL", "--clearenv", "--info-fd", str(info)]
    if system_calls is not None:
        words += ["--seccomp", str(system_calls)]
    for name, value in ENVIRONMENT.items():
        words += ["--setenv", name, value]
    return [*words, "--", *_python(interpreter, job, channel), "bubblewrap"]


def _system_folders() -> list[str]:
    """Return the words that show /bin, /lib and their like: as links into /usr, or as folders on older systems."""
    words: list[str] = []
    for name in ("bin", "lib", "lib32", "lib64"):
        path = Path("/", name)
        if path.is_symlink():
            words += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            words += ["--ro-bind", str(path), str(path)]
    return words


def _python(interpreter: Interpreter, job: int, channel: int) -> list[str]:
    source = files("balora.sandbox").joinpath("inner_runner.py").read_text(encoding="utf-8")
    return [str(interpreter.path), *FLAGS, "-c", source, str(job), str(channel)]
