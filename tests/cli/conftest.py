"""Running the command line in this process."""

import pytest
from running import Balora, Ended

from balora.cli import main


@pytest.fixture
def balora(capsys: pytest.CaptureFixture[str]) -> Balora:
    """Run `balora` with the given words and return how it ended."""

    def run(*words: object) -> Ended:
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return run
