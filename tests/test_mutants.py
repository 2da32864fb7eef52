"""The mutants in scripts/mutants.d fit the source that they break; `make mutants` runs them."""

from collections import Counter
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
FORMULAS = ["consistency", "diversity", "spectrum", "pissa", "schedule", "task_loss", "objective", "head"]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = str(ROOT / "scripts" / "mutants")
    module = module_from_spec(spec_from_loader("mutants", SourceFileLoader("mutants", path)))  # type: ignore[arg-type]
    module.__spec__.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def test_every_old_text_occurs_exactly_once(script: ModuleType) -> None:
    wrong = {m.name: m.found() for m in script.mutants() if m.found() != 1}
    assert wrong == {}


def test_every_mutant_changes_something_that_named_tests_guard(script: ModuleType) -> None:
    for mutant in script.mutants():
        assert mutant.old != mutant.new, mutant.name
        for test in mutant.tests:
            assert (ROOT / "tests" / test).is_file(), mutant.name


def test_names_are_unique_and_every_formula_has_three(script: ModuleType) -> None:
    mutants = script.mutants()
    assert len({m.name for m in mutants}) == len(mutants)
    counts = Counter(m.name.split(":")[0] for m in mutants)
    assert all(
        counts[formula] >= 3 for formula in [*FORMULAS, "regularizers", "vocabulary", "rowwise", "tile", "editions"]
    )
