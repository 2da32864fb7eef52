"""Study files with a wrong value at every key, names that act, and designs without end: one line each, and at once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from refusals import refused, run_verb

from balora.errors import ConfigError
from balora.study.design.arms import design_arms
from balora.study.design.extends import LONGEST_CHAIN
from balora.study.design.reading import find_study, read_study
from balora.study.plan.plan import Choices, make_plan
from balora.study.plan.suites import Tasks

SOUND = {"study": "s", "question": "q?", "base": "ba-lora", "arms": "{a: {set: {adapter.rank: 3}}}"}
VALUES = {
    "a number": "5",
    "a fraction": "0.5",
    "text": "hello",
    "no text": "''",
    "a list": "[1, x]",
    "an empty list": "[]",
    "a list of lists": "[[1]]",
    "a list of mappings": "[{a: 1}]",
    "a mapping": "{a: 1}",
    "a deep mapping": "{a: {b: {c: {d: 1}}}}",
    "null": "null",
    "a switch": "true",
    "a date": "2024-01-01",
}
PLACES = {
    **{key: f"{key}: {{}}" for key in ("study", "question", "extends", "model", "suites", "tasks", "metrics", "seeds")},
    **{key: f"{key}: {{}}" for key in ("base", "arms", "factors", "grid", "sweeps", "tuned", "against", "family")},
    "margin": "margin: {}",
    "arm": "arms: {{a: {}}}",
    "set": "arms: {{a: {{set: {}}}}}",
    "ablation": "arms: {{a: {{ablation: {}, set: {{adapter.rank: 3}}}}}}",
    "part": "arms: {{a: {{ablation: {{part: {}, action: remove}}, set: {{adapter.rank: 3}}}}}}",
    "action": "arms: {{a: {{ablation: {{part: p, action: {}}}, set: {{adapter.rank: 3}}}}}}",
    "factor": "factors: {{f: {}}}",
    "level": "factors: {{f: {{x: {}, y: {{}}}}}}",
    "tuned arm": "tuned: {{t: {}}}",
    "tuned set": "tuned: {{t: {{set: {}, over: {{adapter.rank: [3, 4]}}}}}}",
    "over": "tuned: {{t: {{over: {}}}}}",
    "over a rank": "tuned: {{t: {{over: {{adapter.rank: {}}}}}}}",
    "grid of ranks": "grid: {{adapter.rank: {}}}",
    "sweep of methods": "sweeps: {{method: {}}}",
    "sweep of objectives": "sweeps: {{objective: {}}}",
    "sweep of terms": "sweeps: {{objective.consistency: {}}}",
    "sweep of adapters": "sweeps: {{adapter: {}}}",
    "base's method": "base: {{method: {}}}",
    "base's adapter": "base: {{adapter: {}}}",
    "base's objective": "base: {{objective: {}}}",
    **{
        key: f"arms: {{{{a: {{{{set: {{{{{key}: {{}}}}}}}}}}}}}}"
        for key in (
            "method", "adapter", "adapter.rank", "adapter.target_modules", "objective", "objective.preset",
            "objective.edition", "objective.formulation", "objective.scale", "objective.consistency", "training",
            "training.steps", "training.gradient_checkpointing", "data", "data.prompt", "testbed", "testbed.noise",
        )
    },
}  # fmt: skip


def study_with(line: str) -> str:
    """A sound study file with one line replaced or added."""
    lines = {key: f"{key}: {value}" for key, value in SOUND.items()} | {line.partition(":")[0]: line}
    return "\n".join(lines.values()) + "\n"


@pytest.mark.parametrize("place", PLACES)
def test_any_kind_of_value_at_any_key_is_read_or_refused_in_a_line(place: str) -> None:
    refused_ones = [kind for kind, value in VALUES.items() if not is_read(study_with(PLACES[place].format(value)))]
    assert len(refused_ones) >= len(VALUES) // 2


def is_read(text: str) -> bool:
    """Whether a study is read and its arms resolve; a refusal is one line that names the file and a line in it."""
    try:
        design_arms(read_study(text, "s.yaml"))
    except ConfigError as error:
        line = str(error)
        assert line.startswith("s.yaml: line "), line
        assert line.isprintable()
        assert len(line) < 2_000
        return False
    return True


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("suites: 5", "line 5: suites: "),
        ("suites: nlg", None),
        ("suites: [nlu, nlu]", "line 5: suites: 'nlu' is given twice"),
        ("tasks: sentiment", "none is of suite 'nlg'"),
        ("tasks: [facts, facts, sentiment]", "line 5: tasks: 'facts' is given twice"),
        ("metrics: false", "line 5: metrics: "),
        ("metrics: nlu_avg", None),
        ("model: ''", "line 5: model: "),
        ("seeds: true", "line 5: seeds: expected a number, got true"),
        ("seeds: '2'", None),
        ("seeds: 1e400", "outside the range"),
        ("margin: 1e-1", None),
        ("margin: .inf", "line 5: margin: "),
        ("margin: false", "line 5: margin: expected a number, got false"),
        ("self: 1", "line 5: self: unknown key 'self'"),
        ("arms: {a: {self: 1, set: {adapter.rank: 2}}}", "line 4: arms.a.self: unknown key 'self'"),
        ("arms: {a: {set: {self: 1}}}", "unknown key 'self'"),
        ("arms: {a: {set: {objective.scale: 1e-1}}}", None),
        ("arms: {a: {set: {objective.scale: '1e-1'}}}", None),
        ("arms: {a: {set: {objective.scale: true}}}", "objective.scale: must be a number of at least 0, got True"),
        (f"arms: {{a: {{set: {{objective.scale: 1{'0' * 400}}}}}}}", "401 digits"),
        ("arms: {a: {set: {objective.scale: 1e308}}}", None),
        ("arms: {a: {set: {objective.scale: .nan}}}", "objective.scale: must be a number"),
        ("arms: {a: {set: {objective: 5}}}", "objective: expected a group of settings, got 5"),
        ("arms: {a: {set: {method: [lora]}}}", "method: expected a name, got ['lora']"),
        ("base: {method: [lora]}", "method: expected a name, got ['lora']"),
        ("base: {adapter.lr: 1}", "did you mean 'training.learning_rate'?"),
        ("arms: {a: {set: {lora_r: 4}}}", "did you mean 'adapter.rank'?"),
        ("arms: {a: {set: {a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a: 1}}}", "at most 20 groups deep"),
        (f"arms: {{a: {{set: {{? {'a.' * 400}a\n: 1}}}}}}", "at most 20 groups deep"),
        ("factors: {f: {x: {}, y: {'': 1}}}", "unknown key"),
        ("factors: {f: {x: {}, y: {a..b: 1}}}", "unknown key"),
        ("arms: {a: {set: {data.prompt: {answer}}}}", "unknown placeholder 'answer'"),
        ("arms: {a: {set: {training.steps: 10, training.stretch: 1e300}}}", "stretch: "),
        ("arms: {a: {set: {adapter.target_modules: q_proj}}}", None),
    ],
    ids=lambda value: value and value[:60],
)
def test_a_value_is_read_or_refused_for_the_right_reason(line: str, says: str | None, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(study_with(line))
    words = ("study", "plan", tmp_path / "s.yaml", "--seeds", 0)
    if says is None:
        assert run_verb(*words).code == 0, run_verb(*words).err
    else:
        refused(words, says, watched=tmp_path)


# --- names --------------------------------------------------------------------------------------------------------

ACTING = {
    "an escape": "a\\e[31m",
    "a zero byte": "a\\0b",
    "a line end": "a\\nb",
    "a carriage return": "a\\rb",
    "a tab": "a\\tb",
    "a bell": "a\\a",
    "a C1 control": "a\\x9bb",
    "a turn to the left": "a\\u202eb",
    "an isolate": "a\\u2066b",
    "a line separator": "a\\u2028b",
    "a next line": "a\\x85b",
    "half a character": "a\\ud83db",
    "nothing": "",
    "spaces": "  ",
    "201 characters": "n" * 201,
    "a megabyte": "n" * 10**6,
}
NAMED = {
    "study": 'study: "{}"',
    "arm": 'arms: {{"{}": {{set: {{adapter.rank: 3}}}}}}',
    "factor": 'factors: {{"{}": {{x: {{}}, y: {{adapter.rank: 3}}}}}}',
    "level": 'factors: {{f: {{x: {{}}, "{}": {{adapter.rank: 3}}}}}}',
    "tuned": 'tuned: {{"{}": {{over: {{adapter.rank: [3, 4]}}}}}}',
    "task": 'tasks: ["{}"]',
    "suite": 'suites: ["{}"]',
    "against": 'against: "{}"',
    "family": 'family: ["{}"]',
    "base": 'base: "{}"',
}


@pytest.mark.parametrize("where", NAMED)
@pytest.mark.parametrize("name", ACTING)
def test_a_name_that_acts_is_refused_with_its_line(where: str, name: str) -> None:
    text = study_with(NAMED[where].format(ACTING[name]))
    line = 1 + next(i for i, one in enumerate(text.splitlines()) if one == NAMED[where].format(ACTING[name]))
    with pytest.raises(ConfigError) as caught:
        read_study(text, "s.yaml")
    message = str(caught.value)
    assert f"s.yaml:{line}:" in message or f"line {line}: " in message
    assert message.isprintable()
    assert len(message) < 2_000


@pytest.mark.parametrize(
    "name", ["café", "模型", "a b", "λ1 = 0.5", "no-regularizers", "🙂", "n" * 200, "'", "<b>", "=1+1"]
)
def test_a_name_of_any_script_is_read(name: str) -> None:
    text = study_with(f"arms: {{{json_text(name)}: {{set: {{adapter.rank: 3}}}}}}")
    assert [arm.name for arm in design_arms(read_study(text, "s"))] == ["ba-lora", name]


def json_text(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


@pytest.mark.parametrize("key", ["question", "part"])
def test_a_sentence_may_have_lines_but_no_escapes(key: str) -> None:
    template = 'question: "{}"' if key == "question" else PLACES["part"].replace("{}", '"{}"')
    assert read_study(study_with(template.format("two\\nlines")), "s")
    for acting in ("a\\e[2J", "a\\u202eb", "", "q" * 2_001):
        with pytest.raises(ConfigError, match=f"{key}|control character"):
            read_study(study_with(template.format(acting)), "s")


def test_a_long_value_is_shortened_in_the_name_of_its_arm() -> None:
    prompt = "{question} " + "x" * 500 + "\\n"
    arms = design_arms(read_study(study_with(f'sweeps: {{data.prompt: ["{prompt}"]}}'), "s"))
    assert len(arms[-1].name) < 120
    assert arms[-1].name.isprintable()


# --- without end --------------------------------------------------------------------------------------------------


def ten_values(count: int) -> Iterator[str]:
    keys = ("adapter.rank", "adapter.alpha", "training.steps", "training.batch_size", "training.accumulation",
            "data.max_length", "data.train_rows", "data.eval_rows", "training.eval_batch_size")  # fmt: skip
    return (f"{key}: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]" for key in keys[:count])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (f"grid: {{{', '.join(ten_values(9))}}}", "grid: the study would have 1,000,000,002 arms: at most 10,000"),
        (f"tuned: {{t: {{over: {{{', '.join(ten_values(9))}}}}}}}", "tuned.t.over: the study would have 1,000,000,002"),
        (
            "factors: {" + ", ".join(f"f{i}: {{a{i}: {{}}, b{i}: {{}}}}" for i in range(40)) + "}",
            "factors: the study would have 1,099,511,627,778 arms",
        ),
        (
            "factors: {" + ", ".join(f"f{i}: {{a{i}: {{}}, b{i}: {{}}}}" for i in range(400)) + "}",
            "factors: the study would have about 10^121 arms",
        ),
        ("sweeps: {adapter.rank: [" + ",".join(map(str, range(1, 10_001))) + "]}", "would have 10,002 arms"),
        ("grid: {" + ", ".join(ten_values(5)) + "}", "would have 100,002 arms"),
    ],
    ids=["grid", "tuned", "factors", "more factors", "sweep", "smaller grid"],
)
def test_a_design_without_end_is_refused_before_an_arm_is_made(line: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_study(study_with(line), "s.yaml")
    assert says in str(caught.value)


def test_a_plan_of_more_runs_than_it_can_carry_is_refused_before_they_are_made() -> None:
    study = find_study("regularizers")
    prints = pytest.fail  # no task is looked at
    for seeds, runs in ((10**9, "16,000,000,000"), (12_501, "200,016")):
        with pytest.raises(ConfigError, match=rf"would have {runs} runs \(8 arms × 2 tasks × .* at most 200,000"):
            make_plan(study, Choices("m", seeds=seeds), Tasks(("cola", "gsm8k"), ()), prints)


def test_seeds_beyond_the_options_range_are_refused() -> None:
    refused(("study", "plan", "regularizers", "--seeds", 10**9), "--seeds", "1000")


def chain(folder: Path, length: int, last: str = "study: s\nquestion: q\nbase: ba-lora\n") -> Path:
    for i in range(length):
        (folder / f"{i}.yaml").write_text(
            f"extends: {i + 1}.yaml\narms: {{a{i}: {{set: {{adapter.rank: {i + 20}}}}}}}\n"
        )
    (folder / f"{length}.yaml").write_text(last)
    return folder / "0.yaml"


def test_a_chain_of_studies_has_an_end(tmp_path: Path) -> None:
    refused(("study", "plan", chain(tmp_path, 1_200)), "0.yaml", f"more than {LONGEST_CHAIN} studies extend each other")
    study = find_study(str(chain(tmp_path, LONGEST_CHAIN - 1)))
    assert len(study.arms) == LONGEST_CHAIN - 1


@pytest.mark.parametrize("name", ["0.yaml", "./0.yaml", "sub/../0.yaml", "link.yaml"])
def test_studies_that_extend_each_other_in_a_circle_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.yaml").symlink_to("0.yaml")
    refused(("study", "plan", chain(tmp_path, 2, f"extends: {name}\n")), "extend each other")
