"""Find a sandbox that works here, try it once, or refuse with the ways on."""

import shutil

from balora.errors import ConfigError, SandboxError, printable
from balora.sandbox.interpreter import find_interpreter
from balora.sandbox.run_programs import Sandbox, run_program

FLAG = "--unsafe-local-execution"
UNSAFE = (
    f"or pass {FLAG}, which runs them in a plain process with limits of time and memory and no other protection: it "
    "can read and delete your files and use the network"
)


def find_sandbox(unsafe: bool = False) -> Sandbox:
    """Return the sandbox in which generated programs run: bubblewrap, or with ``unsafe`` a plain process.

    A program that does nothing is run in it first. There is never a fallback from one to the other.

    Raises:
        ConfigError: bubblewrap is missing or not permitted here, or the interpreter does not start in it.
    """
    interpreter = find_interpreter()
    if unsafe:
        return _tried(Sandbox("local", interpreter), f"give {FLAG} on a system where it can start")
    path = shutil.which("bwrap")
    if path is None:
        raise ConfigError(
            "generated programs run only in a sandbox, and bubblewrap (the command `bwrap`) is not installed: install "
            f"it (`apt-get install bubblewrap`; Linux only), {UNSAFE}"
        )
    way_on = f"allow user namespaces to this container or user, or update bubblewrap (0.8 or newer), {UNSAFE}"
    return _tried(Sandbox("bubblewrap", interpreter, path), way_on)


def _tried(sandbox: Sandbox, way_on: str) -> Sandbox:
    try:
        outcome = run_program("pass", sandbox=sandbox)
    except (SandboxError, OSError) as error:
        raise ConfigError(
            f"generated programs run only in a sandbox, and this one is installed but does not work here "
            f"({printable(str(error))}): {way_on}"
        ) from None
    if outcome.status != "ok":
        raise ConfigError(f"{sandbox.description}: an empty program fails in it ({outcome.reason}): {way_on}")
    return sandbox
