"""Import parts of lm-evaluation-harness, an optional dependency, or say in one line how to install it."""

import re
import warnings
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import ModuleType

from balora.errors import ConfigError

PACKAGE = "lm_eval"
INSTALL = "pip install 'balora[lm-eval]'"
OLDEST = (0, 4, 13)
NEXT = (0, 5)


def require_lm_eval() -> str:
    """Return the version of the installed harness.

    Raises:
        ConfigError: it is not installed, or in a version whose interface is another.
    """
    try:
        found = version(PACKAGE) if find_spec(PACKAGE) is not None else None
    except PackageNotFoundError:
        found = None
    if found is None:
        raise ConfigError(f"--harness lm-eval needs the package lm-eval, which is not installed: {INSTALL}")
    numbers = tuple(int(part) for part in re.findall(r"\d+", found)[:3])
    if not OLDEST <= numbers < NEXT:
        oldest, after = (".".join(map(str, each)) for each in (OLDEST, NEXT))
        raise ConfigError(
            f"--harness lm-eval works with lm-eval from {oldest} to below {after}, got {found}: {INSTALL}"
        )
    return found


def harness_module(name: str) -> ModuleType:
    """Return the module ``name`` of the harness, e.g. `tasks`; call :func:`require_lm_eval` before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own dependencies, while they are imported
        return import_module(f"{PACKAGE}.{name}")
