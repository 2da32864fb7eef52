"""Imports stay cheap: what each room may load, checked in a process of its own."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"
HEAVY = ("torch", "transformers", "peft", "trl", "datasets", "accelerate", "sklearn", "scipy", "pandas")
LIGHT = ("study", "statistics", "importing", "report", "cli", "judging", "objective/config", "adapters/config",
         "tasks/config", "tasks/catalogue", "tasks/testbed/config", "tasks/score_registry", "tasks/math_grading",
         "measures/config", "measures/measured", "training/spec", "training/record", "training/identity",
         "training/tools", "harness/config", "harness/harness_record", "comparing")  # fmt: skip
"""Rooms and files that work on settings, plans, records and reports, and so need no model."""


ON_TORCH = "import balora.maths\nfrom balora import Objective"
"""Imports the rooms that need torch alone."""


@cache
def loaded_after(code: str, *, whole: bool = False) -> set[str]:
    """Return the packages (``whole``: all modules) that are loaded after running ``code`` in a fresh interpreter."""
    probe = f"{code}\nimport sys\nprint(*sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    modules = done.stderr.splitlines()[-1].split()
    return set(modules) if whole else {name.split(".")[0] for name in modules}


def test_the_probe_sees_a_heavy_import() -> None:
    assert "torch" in loaded_after(ON_TORCH)


def test_balora_alone_imports_nothing_but_itself() -> None:
    known = loaded_after("pass") | sys.stdlib_module_names  # what the environment loads at start-up, and Python's own
    assert loaded_after("import balora") - known == {"balora"}


def test_the_command_line_starts_without_the_heavy_stack() -> None:
    run_help = "from balora.cli import main\nassert main(['--help']) == 0\nassert main(['train', '--help']) == 0"
    assert not loaded_after(run_help) & set(HEAVY)


def test_maths_and_the_objective_need_torch_and_no_transformers() -> None:
    assert not loaded_after(ON_TORCH) & {"transformers", "peft", "datasets", "sklearn"}


@pytest.fixture(scope="module")
def heavy_parts() -> dict[str, list[str]]:
    """Return the heavy packages that each place loads, in a fresh interpreter that imports one after the other.

    A package is counted for the first place that loads it.
    """
    modules = {place: _modules(f"balora/{place}.py", f"balora/{place}/**/*.py") for place in LIGHT}
    assert all(modules.values())
    code = f"""
import importlib, json, sys
seen, found = set(), {{}}
for place, modules in {modules!r}.items():
    for module in modules:
        importlib.import_module(module)
    found[place] = sorted({{*{HEAVY!r}}} & {{*sys.modules}} - seen)
    seen.update(found[place])
print(json.dumps(found))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("place", LIGHT)
def test_settings_plans_records_and_reports_need_neither_torch_nor_transformers(
    place: str, heavy_parts: dict[str, list[str]]
) -> None:
    assert heavy_parts[place] == []


def test_statistics_stands_alone_without_torch_or_any_other_room() -> None:
    names = _modules("balora/statistics/**/*.py")
    loaded = loaded_after("\n".join(f"import {name}" for name in names), whole=True)
    assert not {name.split(".")[0] for name in loaded} & {*HEAVY, "pydantic", "yaml"}
    assert {name for name in loaded if name.split(".")[0] == "balora"} == {"balora", *names}


def _modules(*patterns: str) -> list[str]:
    paths = sorted(path.relative_to(SOURCE).with_suffix("") for pattern in patterns for path in SOURCE.glob(pattern))
    return [".".join(path.parts).removesuffix(".__init__") for path in paths]


@pytest.mark.parametrize("name", ["Objective", "attach", "BALoraTrainer", "resolve", "BaloraError"])
def test_public_names_are_found_at_first_use(name: str) -> None:
    import balora

    assert getattr(balora, name).__name__ == name
