"""Arms that a study file makes rather than names: sweeps, grids, tuned arms; what it builds on and leaves open."""

from pathlib import Path

import fakes
import pytest

from balora.errors import ConfigError
from balora.report.records.report import build
from balora.settings import SettingsError
from balora.study.design.arms import design_arms
from balora.study.design.reading import find_study, read_study
from balora.study.design.without_testbed import without_testbed
from balora.study.plan.blocks import blocks, blocks_of_testbed
from balora.study.plan.plan import Choices, make_plan
from balora.study.plan.prepare import refuse_open_arms
from balora.study.plan.suites import Tasks
from balora.study.store.study_folder import describe
from balora.training.identity import run_id, run_ids
from balora.training.spec import resolve

SMALL = "study: s\nquestion: q?\nbase: ba-lora\n"


def names(text: str) -> list[str]:
    return [arm.name for arm in design_arms(read_study(SMALL + text, "x"))]


def test_a_sweep_changes_one_setting_at_a_time() -> None:
    text = "sweeps:\n  adapter.rank: [4, 16]\n  objective.spectral.weight: [0.5, 0]\n"
    arms = design_arms(read_study(SMALL + text, "x"))
    assert [(arm.name, arm.delta) for arm in arms[1:]] == [
        ("adapter.rank=4", {"adapter": {"rank": 4}}),
        ("spectral.weight=0.5", {"objective": {"spectral": {"weight": 0.5}}}),
        ("spectral.weight=0", {"objective": {"spectral": {"weight": 0}}}),
    ], "rank 16 is the base's own"


def test_a_grid_crosses_its_settings() -> None:
    assert names("grid:\n  method: [pissa, lora]\n  adapter.rank: [2, 4]\n") == [
        "ba-lora",
        "method=pissa · adapter.rank=2",
        "method=pissa · adapter.rank=4",
        "method=lora · adapter.rank=2",
        "method=lora · adapter.rank=4",
    ]


def test_a_point_that_is_a_named_arm_is_that_arm() -> None:
    text = "arms: {small: {set: {adapter.rank: 4}}}\nsweeps: {adapter.rank: [4, 8]}\n"
    assert names(text) == ["ba-lora", "small", "adapter.rank=8"]


TUNED = """
against: decay
tuned:
  decay:
    set: {objective.preset: none}
    over: {training.weight_decay: [0, 0.1]}
  smooth:
    set: {objective.preset: none}
    over: {training.label_smoothing: [0, 0.2]}
"""


def test_candidates_of_tuned_arms_may_be_the_same_run_twice() -> None:
    arms = design_arms(read_study(SMALL + TUNED, "x"))
    assert [(arm.name, arm.tuned) for arm in arms] == [
        ("ba-lora", None),
        ("decay: training.weight_decay=0", "decay"),
        ("decay: training.weight_decay=0.1", "decay"),
        ("smooth: training.label_smoothing=0", "smooth"),
        ("smooth: training.label_smoothing=0.2", "smooth"),
    ]
    study = read_study(SMALL + TUNED, "x")
    plan = make_plan(study, Choices("m", seeds=2), Tasks(("cola", "gsm8k"), ()), fakes.fingerprints)
    assert len(plan.runs) == 20
    assert len(plan.distinct) == 16, "no decay and no smoothing are one run"


def test_tuned_arms_reach_the_report_as_one_row_each() -> None:
    study = read_study(SMALL + TUNED, "x")
    plan = make_plan(study, Choices("m", seeds=4), Tasks(("cola", "gsm8k"), ()), fakes.fingerprints)
    runs = {run.id: fakes.record_of(run.spec) for run in plan.distinct}
    report = build(describe(plan, "c"), runs, {})
    assert report.against == "decay"
    assert [arm.name for arm in report.arms if arm.is_tuned] == ["decay", "smooth"]
    assert {one.arm for one in report.differences} == {"ba-lora", "smooth"}
    assert sum(report.arms[1].choices["nlu_avg"].values()) == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sweeps: {adapter.rank: []}\n", "sweeps.adapter.rank: "),
        ("sweeps: {adapter.rnak: [1]}\n", "sweeps.adapter.rnak: adapter.rnak: unknown key"),
        ("sweeps: {adapter.rank: [0]}\n", "adapter.rank: input should be greater than or equal to 1"),
        ("against: b\narms: {a: {set: {adapter.rank: 2}}}\n", "line 4: against: unknown arm 'b'"),
        ("family: [b]\narms: {a: {set: {adapter.rank: 2}}}\n", "line 4: family: unknown arm 'b'"),
        ("family: [ba-lora]\narms: {a: {set: {adapter.rank: 2}}}\n", "is the arm that the others are compared with"),
        ("tuned: {a: {over: {}}}\n", "tuned.a.over: "),
        ("arms: {a: {set: {adapter.rank: 2}}}\ntuned: {a: {over: {adapter.rank: [3]}}}\n", "another arm has this name"),
        ("tuned: {a: {over: {adapter.rank: [3, 3]}}}\n", "tuned.a: the same settings as 'a: adapter.rank=3'"),
        ("arms: {a: {set: {objective.scale: -1}}}\n", "objective.scale: must be a number of at least 0, got -1"),
        ("margin: 0\narms: {a: {set: {adapter.rank: 2}}}\n", "line 4: margin: "),
        ("bse: 1\narms: {a: {set: {adapter.rnak: 2}}}\n", "line 4: bse: unknown key 'bse'"),
        ("bse: 1\narms: {a: {set: {adapter.rnak: 2}}}\n", "line 5: arms.a.set: adapter.rnak: unknown key"),
    ],
)
def test_faults_of_made_arms_are_named(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_study(SMALL + text, "x.yaml")
    assert expected in str(caught.value)


def test_a_study_extends_another_entry_by_entry(tmp_path: Path) -> None:
    (tmp_path / "below.yaml").write_text(
        "study: below\nextends: pissa-initialization\nfamily: null\n"
        "arms:\n  plain-lora: null\n  rank: {set: {adapter.rank: 2}}\n"
    )
    (tmp_path / "above.yaml").write_text("extends: below.yaml\nseeds: 3\nfactors: {initialization: null}\n")
    study = find_study(str(tmp_path / "above.yaml"))
    assert study.study == "below"
    assert study.seeds == 3
    assert list(study.arms) == ["standard-initialization", "standard-at-one-rate", "no-regularizers", "rank"]
    assert list(study.factors) == ["regularizers"]
    assert study.question == find_study("pissa-initialization").question


def test_extending_in_a_circle_or_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    with pytest.raises(
        ConfigError, match=r"line 1: extends: the studies extend each other in a circle: .*a.yaml → .*b.yaml → .*a.yaml"
    ):
        find_study(str(tmp_path / "a.yaml"))
    (tmp_path / "c.yaml").write_text("study: c\nextends: pissa-initialisation\n")
    with pytest.raises(ConfigError, match=r"line 2: extends: unknown study .* did you mean 'pissa-initialization'"):
        find_study(str(tmp_path / "c.yaml"))
    (tmp_path / "d.yaml").write_text("extends: pissa-initialization\narms: {x: {set: {adapter.rank: 0}}}\n")
    with pytest.raises(ConfigError, match=r"line 2: arms.x: adapter.rank"):
        find_study(str(tmp_path / "d.yaml"))


def test_holes_are_read_and_planned_around_but_not_run() -> None:
    study = read_study(SMALL + "arms:\n  a: {set: {adapter.rank: 2}}\n  b:\n    set: ???\n", "x")
    assert study.holes == ("b",)
    assert [arm.name for arm in design_arms(study)] == ["ba-lora", "a"]
    with pytest.raises(
        ConfigError,
        match=r"arms.b.set: \?\?\? must be replaced before a run: .* adapter.rank, .*spectral.k",
    ):
        refuse_open_arms(study)


def test_a_given_model_is_not_asked_for_the_testbeds_dials() -> None:
    study, left_out = without_testbed(find_study("inheritance"))
    assert left_out == tuple(f"factors.flaws.{level}" for level in ("no-noise", "no-imbalance", "no-bias", "none"))
    assert [arm.name for arm in design_arms(study)] == ["ba-lora", "pissa", "lora"]
    whole = find_study("regularizers")
    assert without_testbed(whole) == (whole, ())
    with pytest.raises(ConfigError, match="its base has settings that only the testbed has"):
        without_testbed(
            read_study("study: s\nquestion: q?\nbase: {testbed.noise: 0}\nsweeps: {adapter.rank: [2]}", "x")
        )


@pytest.mark.parametrize("model", ["testbed", "m"])
def test_ids_of_many_blocks_are_those_of_single_runs(model: str) -> None:
    spec = resolve({"task": "facts" if model == "testbed" else "gsm8k", "model": model})
    chosen = blocks_of_testbed(5, 2) if model == "testbed" else blocks(5)
    prints = fakes.fingerprints(spec)
    assert run_ids(spec, prints, chosen) == [run_id(block.placed(spec), prints) for block in chosen]


def test_scale_multiplies_the_presets_weights_and_no_others() -> None:
    weights = resolve(
        {"task": "facts", "model": "testbed", "objective.scale": 10, "objective.spectral.weight": 0.5}
    ).objective
    assert weights.consistency.weight == pytest.approx(0.25)
    assert weights.diversity.weight == pytest.approx(0.05)
    assert weights.spectral.weight == 0.5
    with pytest.raises(SettingsError, match=r"objective.scale: must be a number of at least 0, got 'x'"):
        resolve({"task": "facts", "model": "testbed", "objective.scale": "x"})
