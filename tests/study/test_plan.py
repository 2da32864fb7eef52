"""Plans: pure lists of runs in which an arm differs from the base in what it declares, and in nothing else."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import fakes
import pytest

from balora.errors import ConfigError, DataError
from balora.settings import Family, dotted
from balora.study.design.reading import find_study, read_study
from balora.study.design.study import Study
from balora.study.design.without_testbed import without_own_rates
from balora.study.plan.blocks import seeds
from balora.study.plan.plan import Choices, Plan, make_plan
from balora.study.plan.prepare import command, prepare
from balora.study.plan.profiles import PROFILES
from balora.study.plan.suites import Tasks, choose_tasks
from balora.tasks.catalogue import find_task
from balora.training.spec import RunSpec

TASKS = Tasks(("cola", "stsb", "gsm8k"), ("mnli",))


def plan_of(name: str, **choices: object) -> Plan:
    study = without_own_rates(find_study(name))[0]  # of `pissa-initialization`, the plain 2×2
    return make_plan(study, Choices("m", **choices), TASKS, fakes.fingerprints)  # type: ignore[arg-type]


def differing(one: RunSpec, other: RunSpec) -> set[str]:
    a, b = dotted(one.model_dump()), dotted(other.model_dump())
    return {key for key in a.keys() | b.keys() if a.get(key) != b.get(key)}


FORMULAS: dict[Family, set[str]] = {
    family: {
        "objective.formulation",
        "objective.diversity.form",
        "objective.diversity.top_k",
        "objective.spectral.k",
        "objective.spectral.norm",
    }
    for family in ("nlu", "nlg")
}
WEIGHTS = {"objective.consistency.weight", "objective.diversity.weight", "objective.spectral.weight"}
EXPECTED: dict[str, dict[str, dict[Family, set[str]]]] = {
    "pissa-initialization": {
        "standard-initialization": {"nlu": {"adapter.init"}, "nlg": {"adapter.init"}},
        "no-regularizers": {"nlu": WEIGHTS, "nlg": WEIGHTS},
        "plain-lora": {"nlu": {"adapter.init", *WEIGHTS}, "nlg": {"adapter.init", *WEIGHTS}},
    },
    "formulation-swap": {
        "swapped": FORMULAS,
        "swapped-matched": {family: {*keys, "objective.matching"} for family, keys in FORMULAS.items()},
        "no-regularizers": {"nlu": WEIGHTS, "nlg": WEIGHTS},
    },
}


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("profile", PROFILES)
def test_a_shipped_arm_differs_from_the_base_in_what_it_declares_and_nothing_else(name: str, profile: str) -> None:
    plan = plan_of(name, profile=profile, seeds=2)
    base = {(run.task, run.seed): run.spec for run in plan.runs if run.arm == "ba-lora"}
    for run in plan.runs:
        if run.arm != "ba-lora":
            family = find_task(run.task).family
            assert differing(run.spec, base[run.task, run.seed]) == EXPECTED[name][run.arm][family], (run.arm, run.task)
    assert {run.arm for run in plan.runs} == {"ba-lora", *EXPECTED[name]}


def test_swapped_is_the_other_familys_formulation_with_the_tasks_own_weights() -> None:
    specs = {(run.arm, run.task): run.spec.objective for run in plan_of("formulation-swap", seeds=1).runs}
    assert specs["ba-lora", "cola"].active_formulation == "nlu"
    assert (specs["swapped", "cola"].formulation, specs["swapped", "gsm8k"].formulation) == ("nlg", "nlu")
    assert specs["swapped", "cola"].consistency.weight == specs["ba-lora", "cola"].consistency.weight == 0.15
    assert specs["swapped", "gsm8k"].diversity.form == "covariance"
    assert specs["swapped-matched", "gsm8k"].matching == "gradient"


def test_every_arm_has_the_same_seeds_and_a_block_is_whole_before_the_next_begins() -> None:
    plan = plan_of("pissa-initialization", seeds=3)
    assert [(run.seed, run.task) for run in plan.runs] == [
        (seed, task) for seed in (42, 1024, 2024) for task in TASKS.present for _ in range(4)
    ]
    assert [run.arm for run in plan.runs[:4]] == [arm.name for arm in plan.arms]
    assert all(run.spec.training.seed == run.seed for run in plan.runs)
    assert len(plan.distinct) == len(plan.runs) == 36


def test_arms_that_do_not_differ_for_a_task_share_the_run() -> None:
    levels = "{nlu: {objective.formulation: nlu}, nlg: {objective.formulation: nlg}}"
    text = f"study: s\nquestion: q\nbase: ba-lora\nfactors:\n  f: {levels}"
    plan = make_plan(read_study(text, "x"), Choices("m", seeds=1), TASKS, fakes.fingerprints)
    ids = {(run.arm, run.task): run.id for run in plan.runs}
    assert ids["nlu", "cola"] == ids["ba-lora", "cola"] != ids["nlg", "cola"]
    assert ids["nlg", "gsm8k"] == ids["ba-lora", "gsm8k"] != ids["nlu", "gsm8k"]
    assert len(plan.distinct) == 6 < len(plan.runs) == 9


def test_set_lies_over_the_profile_and_under_the_arms() -> None:
    settings = {"adapter.rank": 3, "adapter.init": "standard", "training.steps": 5}
    with pytest.raises(
        ConfigError, match=r"arms 'ba-lora' and 'standard-initialization' are the same .* the profile and --set"
    ):
        plan_of("pissa-initialization", settings=settings)
    specs = [run.spec for run in plan_of("formulation-swap", settings=settings).runs]
    assert {(s.adapter.rank, s.adapter.init, s.training.steps) for s in specs if s.adapter} == {(3, "standard", 5)}


def test_a_weight_for_the_whole_study_does_not_switch_a_term_on_where_an_arm_is_without() -> None:
    plan = plan_of("pissa-initialization", settings={"objective.spectral.weight": 0.7, "objective.spectral.k": 2})
    by_arm = {run.arm: run.spec.objective for run in plan.runs}
    assert by_arm["ba-lora"].spectral.weight == by_arm["standard-initialization"].spectral.weight == 0.7
    assert by_arm["no-regularizers"].regularized is False
    assert {objective.spectral.k for objective in by_arm.values()} == {2}


def test_an_arm_may_be_a_method_without_adapter() -> None:
    text = "study: s\nquestion: q\nbase: ba-lora\narms: {f: {set: {method: full}}, r: {set: {method: full+reg}}}"
    plan = make_plan(read_study(text, "x"), Choices("m", seeds=1), TASKS, fakes.fingerprints)
    assert {run.arm: run.spec.adapter is None for run in plan.runs} == {"ba-lora": False, "f": True, "r": True}


@pytest.mark.parametrize("key", ["task", "model", "training.seed", "data.folder"])
def test_what_belongs_to_the_study_cannot_be_set(key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        plan_of("pissa-initialization", settings={key: 1})


def test_unknown_settings_have_a_nearest_match() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'training\.steps'"):
        plan_of("pissa-initialization", settings={"training.step": 1})


def test_the_profile_caps_the_studys_seeds_and_the_caller_overrides_both() -> None:
    assert len(plan_of("pissa-initialization", profile="glance").seeds) == 3
    assert len(plan_of("pissa-initialization", profile="thorough").seeds) == 8
    assert len(plan_of("pissa-initialization", profile="glance", seeds=11).seeds) == 11


def test_seeds_are_fixed_in_advance_and_more_only_add_to_fewer() -> None:
    assert seeds(1) == (42,)
    assert seeds(5) == (42, 1024, 2024, 3024, 4024)
    assert all(seeds(n) == seeds(20)[:n] for n in range(1, 20))
    assert len(set(seeds(1000))) == 1000


def test_tasks_are_those_that_are_there() -> None:
    both = _study("nlu", "nlg")
    found = choose_tasks(both, lambda task: task.name in ("rte", "gsm8k"), "under x")
    assert found.present == ("rte", "gsm8k")
    assert found.absent == ("cola", "sst2", "mrpc", "stsb", "mnli", "qnli", "qqp", "math")
    with pytest.raises(DataError, match=r"no task of suite 'nlg' found under x \(looked for: gsm8k, math\)"):
        choose_tasks(both, lambda task: task.name == "rte", "under x")
    with pytest.raises(DataError, match="tasks not found under x: qqp"):
        choose_tasks(_study("nlu", tasks=("rte", "qqp")), lambda task: task.name == "rte", "under x")
    with pytest.raises(ConfigError, match="gsm8k belong to none of the suites nlu"):
        choose_tasks(_study("nlu", tasks=("rte", "gsm8k")), lambda task: True, "under x")
    with pytest.raises(ConfigError, match="humaneval cannot be both trained on and scored: use `recipes`"):
        choose_tasks(_study("nlg", tasks=("humaneval",)), lambda task: True, "under x")


def _study(*suites: str, **known: Any) -> Study:
    return Study(study="s", question="?", base="ba-lora", suites=suites, grid={"adapter.rank": [4]}, **known)


def test_a_recipe_is_trained_on_one_set_and_scored_on_others() -> None:
    study = _study("nlu", "paper-nlg")
    assert (study.suites, study.recipes) == (("nlu", "nlg"), ("math", "code", "chat"))
    everything = choose_tasks(study, lambda task: task.format != "glue" or task.name == "rte", "", judged=True)
    assert everything.present == ("rte", "metamathqa", "codefeedback", "wizardlm")
    assert everything.scored == {
        "metamathqa": ("gsm8k", "math"),
        "codefeedback": ("humaneval", "mbpp"),
        "wizardlm": ("mt_bench",),
    }


def test_what_a_recipe_cannot_be_scored_on_is_absent_and_without_anything_left_the_recipe_is() -> None:
    study = _study("paper-nlg")
    unjudged = choose_tasks(study, lambda task: task.name != "math", "")
    assert unjudged.scored == {"metamathqa": ("gsm8k",), "codefeedback": ("humaneval", "mbpp")}
    assert unjudged.absent == ("math", "mt_bench")
    unlearnt = choose_tasks(study, lambda task: task.name != "metamathqa", "", judged=True)
    assert unlearnt.absent == ("metamathqa", "gsm8k", "math")
    with pytest.raises(
        DataError, match=r"no task of suite 'nlg' found under x \(looked for: metamathqa, gsm8k, math, "
    ):
        choose_tasks(study, lambda task: task.name == "gsm8k", "under x")


def test_a_suite_of_recipes_names_them_itself() -> None:
    with pytest.raises(ConfigError, match="leave out `recipes` and `tasks`"):
        _study("paper-nlg", recipes=("math",))
    with pytest.raises(ConfigError, match="give either `recipes` or `tasks`"):
        _study("nlg", recipes=("math",), tasks=("gsm8k",))
    with pytest.raises(ConfigError, match="recipes: unknown recipe 'maths'"):
        _study("nlg", recipes=("maths",))
    with pytest.raises(ConfigError, match="recipes: 'math' is scored in suite 'nlg', which `suites` does not name"):
        _study("nlu", recipes=("math",))


def test_suites_of_one_average_cannot_be_given_together() -> None:
    with pytest.raises(ConfigError, match="suites: 'nlg' and 'paper-nlg' are two lists for one NLG Avg: give one"):
        _study("nlg", "paper-nlg")
    with pytest.raises(ConfigError, match="suites: 'paper-nlg' is given twice"):
        _study("paper-nlg", "paper-nlg")
    with pytest.raises(ConfigError, match=r"suites\.0: .* got \['nlu'\]"):
        _study(["nlu"], "paper-nlg")


def test_prepare_needs_a_data_folder_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        prepare("pissa-initialization", model="m", data=str(tmp_path / "no"), fingerprints=fakes.fingerprints)
    with pytest.raises(ConfigError, match="did you mean 'glance'"):
        prepare("pissa-initialization", model="m", profile="glanc", fingerprints=fakes.fingerprints)


def test_the_real_data_has_five_of_eight_glue_tasks(data: Path) -> None:
    plan = prepare("pissa-initialization", model="m", data=str(data), fingerprints=fakes.fingerprints)
    assert plan.tasks.present == ("cola", "sst2", "mrpc", "rte", "stsb", "gsm8k")
    assert plan.tasks.absent == ("mnli", "qnli", "qqp", "math")


def test_the_command_can_be_typed_again() -> None:
    line = command(
        "my study.yaml", Path("out"), model="m", data=None, profile="glance", seeds=None, assignments=("a.b=[1, 2]",)
    )
    assert line == "balora study run 'my study.yaml' --model m --profile glance --set 'a.b=[1, 2]' --output out"


def test_ten_thousand_runs_are_ten_thousand_identities() -> None:
    plan = plan_of("pissa-initialization", seeds=834)
    assert len({run.id for run in plan.runs}) == len(plan.runs) == 10_008


def test_planning_and_reporting_import_no_torch() -> None:
    code = """
import sys, balora.cli.study_run, balora.cli.study_listing, balora.report.markdown, balora.report.records.report
import balora.statistics, balora.study.design.arms, balora.study.plan.prepare, balora.study.store.study_folder
import balora.study.engine.execute, balora.study.engine.pool, balora.study.engine.display
print([name for name in ("torch", "transformers", "scipy", "peft") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
