"""Tasks on rows of our own making, a tiny trained run, and a cache of `datasets` that tests share with nobody."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness_cases import run_balora, story_tasks

TRAIN = ("training.steps=6", "training.batch_size=8", "training.learning_rate=1e-2", "data.train_rows=64",
         "data.max_length=200", "data.eval_rows=2", "data.max_new_tokens=4", "adapter.rank=4")  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def datasets_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    import datasets

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_machine_report() -> Iterator[None]:
    """Leave out the description of the machine that the harness writes into its results, by a dozen programs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.utils.collect_env.get_pretty_env_info", lambda: "not described in tests")
        yield


@pytest.fixture(scope="session")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that defines `stories_choice` and `stories_name`."""
    return story_tasks(tmp_path_factory.mktemp("definitions") / "tasks")


@pytest.fixture(scope="session")
def run(checkpoint: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short BA-LoRA run on GSM8K."""
    folder = tmp_path_factory.mktemp("runs") / "gsm8k"
    settings = [word for one in TRAIN for word in ("--set", one)]
    given = ("--model", checkpoint, "--data", data, "--task", "gsm8k", "--output", folder)
    ended = run_balora("train", *given, *settings)
    assert ended.code == 0, ended.err
    return folder
