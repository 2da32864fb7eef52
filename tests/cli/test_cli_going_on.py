"""`study run` and `study plan` with `--until-answered` and `--share`: what they refuse, and what a share prints."""

from pathlib import Path

import pytest
from running import Balora

REFUSED = [
    (("--until-answered", "--seeds", "3"), "--seeds 3: with --until-answered the looks decide"),
    (("--until-answered", "--most-blocks", "4"), "--most-blocks 4: must be from 8"),
    (("--until-answered", "--hours", "0"), "--hours 0: must be a number above 0"),
    (("--most-blocks", "16"), "--most-blocks 16: is for a study that goes on"),
    (("--hours", "1.5"), "--hours 1.5: is for a study that goes on"),
    (("--until-answered", "--share", "1/2"), "--share: a look needs the runs of all shares at once"),
    (("--share", "3/2"), "--share '3/2': expected k/n with 1 ≤ k ≤ n"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_options_that_contradict_each_other_are_refused(
    words: tuple[str, ...], message: str, balora: Balora, tmp_path: Path
) -> None:
    ended = balora("study", "run", "pissa-initialization", *words, "--output", tmp_path / "study")
    assert ended.code == 2
    assert ended.err.startswith(f"balora: error: {message}")
    assert len(ended.err.splitlines()) == 1
    assert not (tmp_path / "study").exists()


def test_a_study_without_a_family_cannot_go_on(balora: Balora, tmp_path: Path) -> None:
    for verb in (("run", "--output", str(tmp_path / "study")), ("plan",)):
        ended = balora("study", verb[0], "learning-rates", "--until-answered", *verb[1:])
        assert ended.code == 2
        assert "study learning-rates compares arms over learning rates" in ended.err


def test_the_plan_of_a_study_that_goes_on_names_its_looks(balora: Balora) -> None:
    ended = balora("study", "plan", "formulation-swap", "--until-answered", "--most-blocks", "16")
    assert ended.code == 0
    assert any(line.startswith("looks    after 8, 16 blocks") for line in ended.out.splitlines())
    assert "16 blocks: fine-tuning seeds 42, 1024, 2024, …, 15024, each on a pre-trained model of its own" in ended.out
