"""A finished study of quick stand-in runs, made once for all the tests that damage a copy of it."""

import shutil
from pathlib import Path

import pytest
from sealed_study import carry_on, plan_of


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "s"
    outcome, _ = carry_on(plan_of(), folder)
    assert outcome.ok == 8
    return folder


@pytest.fixture
def study(finished: Path, tmp_path: Path) -> Path:
    """A copy of a finished study."""
    return Path(shutil.copytree(finished, tmp_path / "s"))
