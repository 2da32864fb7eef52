"""What an import may cost: each claim is checked in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"
HEAVY = ("torch", "transformers", "peft", "trl", "datasets", "accelerate", "sklearn", "scipy", "pandas")
LIGHT_NAMES = {"config", "spec", "record", "design", "plan", "catalogue", "statistics"}


def loaded_after(code: str) -> set[str]:
    """Return the top-level packages that are loaded after running ``code`` in a fresh interpreter."""
    probe = f"{code}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def test_the_probe_sees_a_heavy_import() -> None:
    assert "torch" in loaded_after("import balora.maths")


def test_balora_alone_imports_nothing_but_itself() -> None:
    known = loaded_after("pass") | sys.stdlib_module_names  # what the environment loads at start-up, and Python's own
    assert loaded_after("import balora") - known == {"balora"}


def test_the_command_line_starts_without_the_heavy_stack() -> None:
    run_help = "from balora.cli import main\nassert main(['--help']) == 0\nassert main(['train', '--help']) == 0"
    assert not loaded_after(run_help) & set(HEAVY)


def test_maths_needs_torch_and_no_transformers() -> None:
    assert not loaded_after("import balora.maths") & {"transformers", "peft", "datasets", "sklearn"}


def test_objective_needs_no_transformers() -> None:
    assert not loaded_after("from balora import Objective") & {"transformers", "peft", "datasets", "sklearn"}


def test_report_needs_no_torch() -> None:
    modules = _modules("balora/report/**/*.py")
    assert modules
    assert not loaded_after("\n".join(f"import {name}" for name in modules)) & {"torch", "transformers", "peft"}


def test_configurations_plans_and_records_need_neither_torch_nor_transformers() -> None:
    modules = [name for name in _modules("balora/**/*.py") if name.split(".")[-1] in LIGHT_NAMES]
    assert {"balora.training.spec", "balora.objective.config", "balora.study.plan.plan"} <= set(modules)
    assert not loaded_after("\n".join(f"import {name}" for name in modules)) & {"torch", "transformers", "peft"}


def _modules(pattern: str) -> list[str]:
    paths = sorted(path.relative_to(SOURCE).with_suffix("") for path in SOURCE.glob(pattern))
    return [".".join(path.parts).removesuffix(".__init__") for path in paths]


@pytest.mark.parametrize("name", ["Objective", "attach", "BALoraTrainer", "resolve", "BaloraError"])
def test_public_names_are_found_at_first_use(name: str) -> None:
    import balora

    assert getattr(balora, name).__name__ == name
