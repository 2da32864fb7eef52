"""What a shell is told to complete: the same names that the verbs take, without loading torch."""

import os
import subprocess
import sys

import pytest

BALORA = [sys.executable, "-c", "import sys; from balora.cli.main import main; code = main(sys.argv[1:]); "
          "assert 'torch' not in sys.modules; sys.exit(code)"]  # fmt: skip


def completed(line: str) -> list[str]:
    """Return what bash would offer after ``line``."""
    words = {"_BALORA_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    return subprocess.run(
        BALORA, env={**os.environ, **words}, capture_output=True, text=True, check=True
    ).stdout.split()


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("balora de", ["demo"]),
        ("balora study ru", ["run"]),
        ("balora study run pis", ["pissa-initialization"]),
        ("balora study plan form", ["formulation-swap"]),
        ("balora train --task gsm", ["gsm8k"]),
        ("balora train --method lo", ["lora", "lora+reg"]),
        ("balora train -s adapter.ra", ["adapter.rank="]),
        ("balora settings training.warm", ["training.warmup"]),
        ("balora init x.yaml --task senti", ["sentiment"]),
    ],
)
def test_names_are_completed(line: str, wanted: list[str]) -> None:
    assert completed(line) == wanted


def test_the_shell_gets_its_script() -> None:
    script = subprocess.run([*BALORA, "--show-completion", "bash"], capture_output=True, text=True, check=True).stdout
    assert "complete -o default -F _balora_completion balora" in script
