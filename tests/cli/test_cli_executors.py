"""`study run --executor` and `--output URL`: what they refuse before anything is begun."""

from pathlib import Path

import pytest
from running import Balora

REFUSED = [
    (("--executor", "ray", "--devices", "0"), "--devices: Ray gives each run its GPUs: leave it out"),
    (("--executor", "ray", "--together", "2"), "--together: Ray gives each run a process of its own: leave it or"),
    (("--together", "0"), "Invalid value for '--together': Input should be greater than or equal to 1"),
    (("--together", "-1"), "Invalid value for '--together': Input should be greater than or equal to 1"),
    (("--together", "two"), "Invalid value for '--together': Input should be a valid integer"),
    (("--cpus-per-run", "2"), "--cpus-per-run: is for --executor ray: leave it out, or give --workers and --devices"),
    (("--gpus-per-run", "0.5"), "--gpus-per-run: is for --executor ray: leave it out"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_options_of_another_executor_are_refused(
    words: tuple[str, ...], message: str, balora: Balora, tmp_path: Path
) -> None:
    ended = balora("study", "run", "pissa-initialization", *words, "--output", tmp_path / "study")
    assert ended.code == 2
    assert ended.err.splitlines()[-1].startswith(f"balora: error: {message}")
    assert not (tmp_path / "study").exists()


def test_shares_on_object_storage_are_refused(balora: Balora) -> None:
    ended = balora("study", "run", "pissa-initialization", "--share", "1/2", "--output", "s3://bucket/study")
    assert ended.code == 2
    assert ended.err == (
        "balora: error: --share: shares need a folder that all jobs see, not s3://bucket/study: give one, or "
        "--executor ray\n"
    )


@pytest.mark.parametrize("verb", ["run", "report", "watch"])
def test_an_unknown_kind_of_storage_is_refused(verb: str, balora: Balora) -> None:
    words = ("run", "pissa-initialization", "--output") if verb == "run" else (verb,)
    ended = balora("study", *words, "nosuch://bucket/study")
    assert ended.code == 2
    assert "'nosuch://bucket/study': Protocol not known: nosuch" in ended.err.splitlines()[-1]
