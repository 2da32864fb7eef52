"""The command line as a fixture."""

import pytest
from running import Balora, run_balora


@pytest.fixture
def balora() -> Balora:
    """Run `balora` with the given words in this process, and return how it ended."""
    return run_balora
