"""The examples run as they are, and their models learn."""

import re
import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

# warnings of the libraries about themselves
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*deprecated and will be removed in v6:FutureWarning"),
    pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true but no accelerator:UserWarning"),
]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run an example with the given arguments; return the losses that it prints, and everything it prints."""

    def run_example(name: str, *words: object) -> tuple[list[float], str]:
        monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        out = capsys.readouterr().out
        return [float(found) for found in re.findall(r"(?:  loss |'loss': ')([\d.]+)", out)], out

    return run_example


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {"plain_loop.py", "trainer.py", "sft.py"}


def test_the_plain_loop_learns_and_starts_at_the_reference(run) -> None:
    losses, out = run("plain_loop.py")
    assert losses[-1] < losses[0]
    assert "consistency 0.00e+00" in out.splitlines()[0]  # before the first step the two models are one


def test_the_plain_loop_learns_on_a_real_model_and_exports_a_plain_lora(run, checkpoint: Path, tmp_path: Path) -> None:
    losses, out = run("plain_loop.py", checkpoint, tmp_path / "lora")
    assert losses[-1] < losses[0] - 0.5
    assert str(tmp_path / "lora") in out
    assert (tmp_path / "lora" / "adapter_model.safetensors").is_file()


def test_the_trainer_learns_and_names_the_term_that_cannot_act(run) -> None:
    losses, out = run("trainer.py")
    assert losses[-1] < 0.7 * losses[0]
    assert "spectral cannot act: k = 3 ≥ min(N, D) = 3" in out


def test_the_sft_trainer_learns_and_logs_each_terms_share(run) -> None:
    losses, out = run("sft.py")
    assert losses[-1] < losses[0]
    assert "'balora/consistency_share'" in out


@pytest.mark.slow
def test_the_sft_trainer_learns_on_a_real_model(run, checkpoint: Path) -> None:
    losses, _ = run("sft.py", checkpoint)
    assert losses[-1] < 0.8 * losses[0]


def test_the_support_chats_are_a_task(capsys: pytest.CaptureFixture[str]) -> None:
    from balora.tasks.config import DataConfig
    from balora.tasks.splits import read_split
    from balora.tasks.task_file import read_task_file

    task = read_task_file(EXAMPLES / "support.yaml").as_task()
    rows = [row for split in ("train", "validation") for row in read_split(task, DataConfig(), split).rows]
    assert len(rows) == 18
    assert {row["messages"][0]["role"] for row in rows} == {"system"}
