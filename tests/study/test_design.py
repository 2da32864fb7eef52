"""Study files: what they may say, and every fault named with its line."""

import pytest

from balora.errors import ConfigError
from balora.study.design.arms import design_arms
from balora.study.design.reading import find_study, read_study, shipped

DESIGN_DOCUMENT = """
study: pissa-initialization
question: Does BA-LoRA's gain come from PiSSA, from the regularizers, or only from both?
model: testbed            # a Hub id or a folder for real models
suites: [nlu, nlg]
metrics: [nlu_avg, nlg_avg]
seeds: 8
base: ba-lora
arms:
  standard-initialization:
    ablation:
      part: PiSSA initialization
      action: replace
      replacement: standard LoRA (A scaled normal, B zero)
    set: {adapter.init: standard}
factors:                  # a full factorial beside the named arms: main effects and the interaction
  initialization: {pissa: {adapter.init: pissa}, standard: {adapter.init: standard}}
  regularizers: {on: {}, off: {objective.preset: none}}
"""
SMALL = "study: s\nquestion: q?\nbase: ba-lora\n"
ARM = "arms: {a: {set: {adapter.rank: 3}}}\n"


def test_the_design_documents_example_loads_as_it_is() -> None:
    arms = design_arms(read_study(DESIGN_DOCUMENT, "example"))
    assert [(arm.name, arm.method, tuple((arm.cell or {}).values())) for arm in arms] == [
        ("ba-lora", "ba-lora", ("pissa", "on")),
        ("standard-initialization", "lora+reg", ("standard", "on")),
        ("pissa · off", "pissa", ("pissa", "off")),
        ("standard · off", "lora", ("standard", "off")),
    ]
    assert [arm.is_base for arm in arms] == [True, False, False, False]


SHIPPED = {
    "adapters": 8,
    "controls": 22,
    "editions": 4,
    "formulation-swap": 4,
    "inheritance": 15,
    "lambdas": 23,
    "learning-rates": 4,
    "pissa-initialization": 5,
    "ranks": 24,
    "reference-head": 5,
    "regularizers": 8,
    "starts": 8,
    "shares": 6,
    "terms": 11,
}
"""How many arms each shipped study has on the testbed; of `learning-rates` at each rate."""


def test_these_studies_are_shipped() -> None:
    assert set(shipped()) == set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_studies_ask_a_question_and_say_what_they_ablate(name: str) -> None:
    study = find_study(name)
    assert study.study == name
    assert study.question.endswith("?")
    assert all(arm.ablation is not None for arm in study.arms.values())
    assert len(design_arms(study)) == SHIPPED[name]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("study: s\nquestion: q\nbase: ba-lora\n", "x.yaml: arms: nothing to compare: give at least one arm, factor"),
        (SMALL + "bse: lora\n", "line 4: bse: unknown key 'bse': did you mean 'base'?"),
        (SMALL + "arms:\n  a:\n    set: {adapter.rnak: 3}\n", "line 6: arms.a.set: adapter.rnak: unknown key"),
        (SMALL + "arms:\n  a:\n    set: {adapter.rank: 0}\n", "line 5: arms.a: adapter.rank: input should be greater"),
        (SMALL + "arms:\n  a: {set: {adapter.init: pissa}}\n", "line 5: arms.a: the same settings as the base"),
        (
            SMALL + "arms:\n  a: {set: {adapter.rank: 3}}\n  b: {set: {adapter: {rank: 3}}}\n",
            "line 6: arms.b: the same settings as 'a'",
        ),
        (SMALL + ARM + "arms: {b: {set: {adapter.rank: 4}}}\n", "line 5: arms: given twice"),
        (SMALL + "arms:\n  a: {set: {}}\n", "line 5: arms.a.set: "),
        (SMALL + "arms:\n  a: {set: {training.seed: 3}}\n", "training.seed: seeds are the study's paired blocks"),
        (SMALL + "arms:\n  ba-lora: {set: {adapter.rank: 3}}\n", "an arm may not have the name of the base"),
        (
            SMALL + "arms:\n  a: {ablation: {part: p, action: replace}, set: {adapter.rank: 3}}\n",
            "line 5: arms.a.ablation: replacement: required with action 'replace'",
        ),
        (
            SMALL + "arms: {two: {set: {adapter.rank: 3}}}\nfactors: {f: {one: {}, two: {adapter.rank: 2}}}\n",
            "two arms of different settings would be called 'two': rename one",
        ),
        (SMALL + "factors:\n  f: {x: {}}\n", "line 5: factors.f: a factor needs at least two levels, got 1"),
        (
            SMALL + "factors:\n  f: {x: {}, y: {adapter.rank: 3}}\n  g: {x: {}, y: {adapter.rank: 4}}\n",
            "line 6: factors.g: sets 'adapter.rank', as does factor 'f'",
        ),
        (SMALL + "suites: [nlu]\nfactors:\n  f: suites\n", "line 6: factors.f: the suites are no factor"),
        (SMALL + ARM + "suites: [nlu]\nmetrics: [nlg_avg]\n", "line 6: metrics: 'nlg_avg' needs"),
        (SMALL + ARM + "tasks: [coal]\n", "line 5: tasks: unknown task 'coal': did you mean 'cola'?"),
        (SMALL + ARM + "seeds: -1\n", "line 5: seeds: input should be greater than or equal to 0"),
        ("study: s\nquestion: q\nbase: ba-lroa\narms: {a: {set: {adapter.rank: 3}}}\n", "did you mean 'ba-lora'?"),
        ("- a\n- b\n", "x.yaml: expected a mapping of settings"),
        ("study: [\n", "x.yaml:2: not YAML"),
        ("a: &x {b: 1}\nc: *x\n", "aliases"),
    ],
)  # fmt: skip
def test_faults_are_named_with_their_line(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_study(text, "x.yaml")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_faults_at_once_in_order_of_lines() -> None:
    text = (
        SMALL
        + "arms:\n  a: {set: {adapter.rnak: 3}}\n  b: {set: {adapter.rank: 0}}\n  c: {set: {adapter.init: pissa}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        read_study(text, "x.yaml")
    message = str(caught.value)
    places = [message.index(part) for part in ("line 5: arms.a.set", "line 6: arms.b", "line 7: arms.c")]
    assert places == sorted(places)


def test_a_fault_of_form_hides_no_fault_of_the_arms() -> None:
    text = (
        SMALL + "metrics: [best]\narms:\n  a: {set: {method: ba-lora}}\n  b: {set: {adapter.rank: 3}}\n"
        "  c: {set: {adapter.rank: 3}}\n  d: {}\n  e: {set: {adapter.rnak: 3}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        read_study(text, "x.yaml")
    assert [part.split(": ")[:3] for part in str(caught.value).removeprefix("x.yaml: ").split("; ")] == [
        ["line 4", "metrics.0", "input should be 'nlu_avg' or 'nlg_avg', got 'best'"],
        ["line 6", "arms.a", "the same settings as the base 'ba-lora'"],
        ["line 8", "arms.c", "the same settings as 'b'"],
        ["line 9", "arms.d.set", "required but not given"],
        ["line 10", "arms.e.set", "adapter.rnak"],
    ]


def test_a_fault_of_the_base_is_not_repeated_for_every_arm() -> None:
    text = SMALL.replace("ba-lora", "ba-lra") + "arms: {a: {set: {adapter.rank: 3}}}\n"
    with pytest.raises(ConfigError) as caught:
        read_study(text, "x.yaml")
    assert str(caught.value).count("unknown method") == 1


def test_a_study_is_found_by_name_or_file(tmp_path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(SMALL + "arms: {a: {set: {adapter.rank: 3}}}\n")
    assert find_study(str(path)).study == "s"
    with pytest.raises(ConfigError, match="did you mean 'formulation-swap'"):
        find_study("formulation-swop")
    with pytest.raises(ConfigError, match=r"none.yaml: cannot read the study \(No such file"):
        find_study("none.yaml")


def test_keys_on_and_off_stay_words() -> None:
    study = read_study(SMALL + "factors:\n  f: {on: {}, off: {objective.preset: none}}\n", "x")
    assert list(study.factors["f"]) == ["on", "off"]


def test_factors_need_not_contain_the_base() -> None:
    study = read_study(SMALL + "factors:\n  f: {two: {adapter.rank: 2}, four: {adapter.rank: 4}}\n", "x")
    assert [(arm.name, arm.cell) for arm in design_arms(study)] == [
        ("ba-lora", None),
        ("two", {"f": "two"}),
        ("four", {"f": "four"}),
    ]
