"""Small models and data, spoilt in one way each, and canaries: files that appear if something hostile is run."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

QUICK = ("training.steps=1", "training.batch_size=4", "data.train_rows=4", "data.eval_rows=4", "data.max_new_tokens=4")
QUICK_WORDS = [word for assignment in QUICK for word in ("--set", assignment)]


def small_data(folder: Path) -> Path:
    """Write four rows of CoLA and of GSM8K below ``folder`` and return it."""
    for name, splits, row in (
        ("CoLA", ("train", "validation"), lambda i: {"sentence": f"The cat sat {i}.", "label": i % 2, "idx": i}),
        ("gsm8k", ("train", "test"), lambda i: {"question": f"What is {i}?", "answer": f"It is so.\n#### {i}"}),
    ):
        (folder / name).mkdir(parents=True)
        for split in splits:
            lines = "".join(json.dumps(row(i)) + "\n" for i in range(4))
            (folder / name / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def copied(checkpoint: Path, folder: Path) -> Path:
    """Return ``folder`` with the files of ``checkpoint``, writable."""
    folder.mkdir(parents=True)
    for path in checkpoint.iterdir():
        shutil.copyfile(path, folder / path.name)
    return folder


def edit(path: Path, **changes: Any) -> None:
    """Change settings in a JSON file."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**content, **changes}), encoding="utf-8")


class _Bomb:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.canary),)


def bomb(canary: Path) -> bytes:
    """Return a pickle that makes the folder ``canary`` when it is loaded."""
    return pickle.dumps({"model.norm.weight": _Bomb(canary)})


def own_code(folder: Path, canary: Path) -> None:
    """Make ``folder`` a model with code of its own, which makes ``canary`` when it is imported or used."""
    mark = f"import os\nos.makedirs({str(canary)!r}, exist_ok=True)\n"
    for module, base, kind in (
        ("configuration_own", "LlamaConfig", "OwnConfig"),
        ("modeling_own", "LlamaForCausalLM", "OwnForCausalLM"),
    ):
        code = f"from transformers import {base}\n{mark}class {kind}({base}):\n    def __init__(self, *a, **k):\n"
        code += f"        os.makedirs({str(canary)!r}, exist_ok=True)\n        super().__init__(*a, **k)\n"
        (folder / f"{module}.py").write_text(code, encoding="utf-8")
    edit(folder / "config.json", auto_map={"AutoModelForCausalLM": "modeling_own.OwnForCausalLM"})
