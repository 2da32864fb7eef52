"""The sandbox of this machine; tests that need it are skipped where it is missing or not permitted."""

import pytest

from balora.errors import ConfigError
from balora.sandbox.availability import find_sandbox
from balora.sandbox.limits import Limits
from balora.sandbox.run_programs import Sandbox


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    try:
        return find_sandbox()
    except ConfigError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def plain_process() -> Sandbox:
    return find_sandbox(unsafe=True)


@pytest.fixture
def tight() -> Limits:
    """Limits that end a program soon; the wall limit is long enough for a machine under load."""
    return Limits(cpu_seconds=1, wall_seconds=30)
