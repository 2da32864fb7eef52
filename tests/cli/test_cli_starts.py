"""Further starts of the adapter train on the testbed, from the command line to a record, and make arms of a study."""

import json
from pathlib import Path

import pytest
from running import Balora

from balora.study.plan.testbed_profiles import RATES

# PEFT asks a transformers model for a property that transformers is about to rename
pytestmark = pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning")
SIZES = ("training.steps=2", "data.train_rows=16", "data.eval_rows=8", "adapter.rank=2", "training.learning_rate=0.01")
STUDY = """
study: starts
question: What of PiSSA's start matters?
base: ba-lora
arms:
  minor: {set: {adapter.init: minor}}
  random: {set: {adapter.init: random-matched}}
"""


@pytest.mark.parametrize(("task", "init"), [("sentiment", "minor"), ("facts", "random-matched")])
def test_a_start_trains_and_leaves_a_record(balora: Balora, tmp_path: Path, task: str, init: str) -> None:
    assigned = [word for size in (f"adapter.init={init}", *SIZES) for word in ("--set", size)]
    ended = balora("train", "--model", "testbed", "--task", task, *assigned, "--output", tmp_path / "run")
    assert ended.code == 0, ended.err
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["status"], record["spec"]["adapter"]["init"]) == ("ok", init)
    assert json.loads((tmp_path / "run" / "adapter" / "adapter_config.json").read_text())["r"] == 4


def test_what_no_start_can_do_is_refused_in_one_line(balora: Balora, tmp_path: Path) -> None:
    assigned = ("--set", "adapter.init=minor", "--set", "adapter.svd=randomized")
    ended = balora("train", "--model", "testbed", "--task", "facts", *assigned, "--output", tmp_path / "run")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "balora: error: adapter: svd 'randomized' finds only the largest components: with init 'minor' set svd to "
        "'exact'\n"
    )
    assert not (tmp_path / "run").exists()


def test_arms_of_every_start_are_planned_with_a_rate(balora: Balora, tmp_path: Path) -> None:
    (tmp_path / "starts.yaml").write_text(STUDY)
    ended = balora("study", "plan", tmp_path / "starts.yaml", "--profile", "glance", "--json")
    assert ended.code == 0, ended.err
    arms = {arm["name"]: arm for arm in json.loads(ended.out)["arms"]}
    assert [arm["changes"] for arm in arms.values()] == [
        {}, {"adapter.init": "minor"}, {"adapter.init": "random-matched"},
    ]  # fmt: skip
    rates = {name: arm["rates"] for name, arm in arms.items()}
    starts = {"minor": "minor", "random": "random-matched", "ba-lora": "pissa"}
    assert rates == {
        name: {family: [by_start[start]] for family, by_start in RATES.items()} for name, start in starts.items()
    }
