"""Studies without a model: the testbed's tasks, blocks of two seeds, profiles and learning rates of its own."""

import json

import fakes
import pytest

from balora.errors import ConfigError, ModelError, OutputError
from balora.study.design.arms import design_arms
from balora.study.design.reading import find_study, read_study
from balora.study.engine.pretraining import missing_models
from balora.study.plan.blocks import Block, blocks, blocks_of_testbed, describe_blocks
from balora.study.plan.plan import Choices, Plan, make_plan
from balora.study.plan.prepare import prepare
from balora.study.plan.profiles import PROFILES
from balora.study.plan.suites import Tasks
from balora.study.plan.testbed_profiles import RATES, TESTBED_PROFILES
from balora.tasks.catalogue import find_task
from balora.tasks.testbed import model_cache as cache
from balora.tasks.testbed.config import TestbedConfig


def plan_of(name: str = "pissa-initialization", **choices: object) -> Plan:
    return prepare(name, fingerprints=fakes.fingerprints, **choices)  # type: ignore[arg-type]


def test_a_study_that_names_no_model_runs_on_the_testbed() -> None:
    plan = plan_of(profile="quick")
    assert {run.spec.model for run in plan.runs} == {"testbed"}
    assert plan.tasks == (("sentiment", "entailment", "paraphrase", "arithmetic", "code", "facts"), (), {})
    assert all(find_task(run.task).source == "testbed" and run.spec.testbed for run in plan.runs)
    assert len(plan.runs) == 8 * 5 * 6
    assert plan_of(model="testbed", profile="quick").runs == plan.runs


def test_a_block_is_a_pretraining_seed_with_a_finetuning_seed_for_all_arms() -> None:
    plan = plan_of(profile="quick")
    pairs = {(run.spec.training.seed, run.spec.testbed.seed) for run in plan.runs if run.spec.testbed}
    assert pairs == {(s, i % 4) for i, s in enumerate((42, 1024, 2024, 3024, 4024, 5024, 6024, 7024))}
    assert plan.pretrainings == (0, 1, 2, 3, 0, 1, 2, 3)
    own = plan_of(profile="standard")
    assert own.pretrainings == tuple(range(16))
    assert len(own.tasks.present) == 8


def test_more_blocks_only_add_to_fewer() -> None:
    assert all(
        blocks_of_testbed(n, 4) == blocks_of_testbed(20, 4)[:n]
        and blocks_of_testbed(n, None) == blocks_of_testbed(20, None)[:n]
        for n in (1, 7)
    )
    assert blocks_of_testbed(6, 4)[5] == Block(5024, 1)
    assert blocks_of_testbed(6, None)[5] == Block(5024, 5)
    assert blocks(2) == (Block(42), Block(1024))


@pytest.mark.parametrize(
    ("tuned", "pretrained", "words"),
    [
        ((42, 1024), (), "2 seeds: 42, 1024"),
        ((42,), (), "1 seed: 42"),
        ((42,), (0,), "1 block: fine-tuning seed 42, on one pre-trained model (pre-training seed 0)"),
        (
            (42, 1024, 2024),
            (0, 1, 0),
            "3 blocks: fine-tuning seeds 42, 1024, 2024, on 2 pre-trained models (pre-training seeds 0, 1)",
        ),
        (
            tuple(range(9)),
            tuple(range(9)),
            "9 blocks: fine-tuning seeds 0, 1, 2, …, 8, each on a pre-trained model of its own "
            "(pre-training seeds 0, 1, 2, …, 8)",
        ),
    ],
)
def test_blocks_are_described_by_their_seeds_and_models(
    tuned: tuple[int, ...], pretrained: tuple[int, ...], words: str
) -> None:
    assert describe_blocks(tuned, pretrained) == words


def test_both_kinds_of_model_have_the_same_profiles() -> None:
    """`small` is for genuine models that two cores can train; the testbed's are smaller still."""
    assert [name for name in PROFILES if name != "small"] == list(TESTBED_PROFILES)


@pytest.mark.parametrize("profile", TESTBED_PROFILES)
@pytest.mark.parametrize("study", ["pissa-initialization", "formulation-swap"])
def test_every_profile_fits_the_testbed(study: str, profile: str) -> None:
    """NLG prompts with their answers fit the decoder's 256 positions; both suites have a task."""
    plan = plan_of(study, profile=profile, seeds=1)
    assert {find_task(task).family for task in plan.tasks.present} == {"nlu", "nlg"}
    assert all(run.spec.data.max_length + run.spec.data.max_new_tokens <= 256 for run in plan.runs)


def test_the_learning_rate_follows_family_and_start_and_set_overrides_it() -> None:
    for run in plan_of(profile="glance").runs:
        assert run.spec.adapter is not None
        start = "pissa" if run.arm == "standard-at-one-rate" else run.spec.adapter.init
        expected = RATES[find_task(run.task).family][start]
        assert run.spec.training.learning_rate == expected, (run.arm, run.task)
    given = plan_of(profile="glance", settings={"training.learning_rate": 0.5})
    assert {run.spec.training.learning_rate for run in given.runs} == {0.5}


def test_an_arm_may_choose_its_own_rate_and_train_everything() -> None:
    study = read_study(
        "study: s\nquestion: q\nbase: ba-lora\n"
        "arms: {fast: {set: {training.learning_rate: 0.1}}, all: {set: {method: full}}}",
        "x",
    )
    plan = make_plan(study, Choices("testbed", seeds=1), Tasks(("facts",), ()), fakes.fingerprints)
    rates = {run.arm: run.spec.training.learning_rate for run in plan.runs}
    assert rates == {"ba-lora": RATES["nlg"]["pissa"], "fast": 0.1, "all": RATES["nlg"]["full"]}


def test_an_arm_that_is_matched_to_pissa_is_given_its_rate() -> None:
    study = read_study(
        "study: s\nquestion: q\nbase: {method: lora}\n"
        "arms: {matched: {set: {training.step_matching: pissa}}, pissa: {set: {adapter.init: pissa}}}",
        "x",
    )
    plan = make_plan(study, Choices("testbed", seeds=1), Tasks(("sentiment", "facts"), ()), fakes.fingerprints)
    for task, family in (("sentiment", "nlu"), ("facts", "nlg")):
        rates = {run.arm: run.spec.training.learning_rate for run in plan.runs if run.task == task}
        pissa, standard = RATES[family]["pissa"], RATES[family]["standard"]
        assert rates == {"base": standard, "matched": pissa, "pissa": pissa}


FLAWS = """
study: flaws
question: q
base: {method: lora, testbed.noise: 0.1}
arms: {cued: {set: {data.cue: 0.5}}}
factors: {noise: {low: {}, high: {testbed.noise: 0.7}}, method: {lora: {}, ba-lora: {method: ba-lora}}}
"""


def test_flaws_of_the_text_may_be_factors() -> None:
    study = read_study(FLAWS, "x")
    assert [arm.name for arm in design_arms(study)] == [
        "base",
        "cued",
        "low · ba-lora",
        "high · lora",
        "high · ba-lora",
    ]
    tasks = Tasks(("sentiment", "facts"), ())
    plan = make_plan(study, Choices("testbed", profile="quick", seeds=5), tasks, fakes.fingerprints)
    noise = {(r.arm, r.spec.testbed.noise, r.spec.testbed.seed) for r in plan.runs if r.spec.testbed}
    assert noise == {(arm.name, 0.7 if "high" in arm.name else 0.1, seed) for arm in plan.arms for seed in (0, 1, 2, 3)}
    with pytest.raises(
        ConfigError, match="arm 'base' on cola: testbed: these settings are for model 'testbed' only, got model 'm'"
    ):
        make_plan(study, Choices("m"), Tasks(("cola",), ()), fakes.fingerprints)


@pytest.mark.parametrize(
    ("tasks", "choices", "line"),
    [
        ("[facts]", {"data": "/tmp"}, "--data /tmp: the testbed draws its own rows: leave it out"),
        (
            "[cola]",
            {},
            "tasks: cola cannot run on the testbed: pass --model and --data, or take its own tasks: acc",
        ),
        ("[facts]", {"model": "m"}, "tasks: facts cannot run on a real model: leave out --model for the testbed"),
        ("[facts]", {}, "tasks: none is of suite 'nlu': add one of acceptability, sentiment"),
        ("[facts, cola]", {}, "the testbed's tasks and real ones cannot be in one study"),
        (
            "[facts, sentiment]",
            {"settings": {"testbed.noise": 1.5}},
            "testbed.noise: must be between 0 (no flaw) and 1",
        ),
        ("[facts, sentiment]", {"settings": {"testbed.people": 4}}, "testbed.people: must be an even number from 16"),
        ("[facts, sentiment]", {"settings": {"testbed.seed": 4}}, "testbed.seed: pre-training seeds belong to"),
    ],
)
def test_what_cannot_be_planned_is_one_line(tmp_path, tasks: str, choices: dict[str, object], line: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        f"study: s\nquestion: q\nbase: ba-lora\ntasks: {tasks}\narms: {{a: {{set: {{adapter.rank: 2}}}}}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        plan_of(str(path), **choices)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_models_that_are_missing_are_named_once_and_found_ones_not(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "SHIPPED", tmp_path / "shipped")
    plan = plan_of(profile="glance", seeds=3, settings={"testbed.noise": 0.9})
    found: list[tuple[TestbedConfig, str]] = []
    monkeypatch.setattr(
        cache, "find_model", lambda config, family: found.append((config, family)) if config.seed else 1
    )
    missing = missing_models(plan.runs)
    assert [model.label for model in missing] == ["pretrain encoder 1, noise 0.9", "pretrain decoder 1, noise 0.9"]
    assert len(found) == 2
    assert missing_models(runs_of_a_real_model()) == ()


def runs_of_a_real_model() -> tuple:
    study = find_study("pissa-initialization")
    return make_plan(study, Choices("m", seeds=1), Tasks(("cola", "gsm8k"), ()), fakes.fingerprints).runs


def test_a_cache_that_cannot_be_written_and_a_damaged_model_stop_before_the_first_run(tmp_path, monkeypatch) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "testbed").write_text("")
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "SHIPPED", tmp_path / "shipped")
    plan = plan_of(profile="glance", seeds=1)
    with pytest.raises(OutputError, match=r"cache folder .*cache/testbed: cannot be written .*set BALORA_CACHE"):
        missing_models(plan.runs)
    config = plan.runs[0].spec.testbed
    assert config is not None
    shipped = tmp_path / "shipped" / "encoder-0"
    shipped.mkdir(parents=True)
    card = {"key": config.key(), "config": config.model_dump(), "files": {"model.safetensors": "another digest"}}
    (shipped / "testbed.json").write_text(json.dumps(card))
    (shipped / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(
        ModelError, match=r"shipped model .*encoder-0: model.safetensors is damaged: install balora again"
    ):
        missing_models(plan.runs)
