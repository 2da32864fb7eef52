"""A run that is trained on one set and scored on others: one record, one model, every score, every item."""

import json
from pathlib import Path
from typing import Any

import pytest
from recipe_data import write_recipe_data

from balora.errors import ConfigError, DataError
from balora.tasks.config import DataConfig
from balora.training.record import read_record
from balora.training.run import run
from balora.training.score_model import score_on_tasks
from balora.training.spec import RunSpec, resolve


def spec_of(checkpoint: Path, data: Path, **changes: Any) -> RunSpec:
    given = {
        "task": "metamathqa",
        "model": str(checkpoint),
        "adapter.rank": 2,
        "data.folder": str(data),
        "data.max_length": 512,
        "data.max_new_tokens": 8,
        "training.steps": 2,
        "training.batch_size": 4,
    }
    return resolve({**given, **changes})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe_data(tmp_path_factory.mktemp("recipes"))


@pytest.fixture(scope="module")
def finished(checkpoint: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    run(spec_of(checkpoint, data), folder)
    return folder


def test_the_record_holds_the_score_and_the_rows_of_every_scored_task(finished: Path) -> None:
    record = read_record(finished)
    assert record is not None
    assert record.spec.scored == ("gsm8k", "math")
    assert record.score is not None
    assert (record.rows, record.others["math"].rows) == (4, 4)
    assert record.metrics.keys() >= {"exact_match", "answer_loss"}
    assert record.others["math"].metrics.keys() >= {"exact_match", "answer_loss"}
    items = [json.loads(line) for line in (finished / "items.jsonl").read_text().splitlines()]
    assert [(item["task"], item["index"]) for item in items] == [
        (task, index) for task in ("gsm8k", "math") for index in range(4)
    ]


def test_a_record_gives_each_task_its_own_scores(finished: Path) -> None:
    record = read_record(finished)
    assert record is not None
    gsm8k, math = record.of_task("gsm8k"), record.of_task("math")
    assert (gsm8k.metrics, math.metrics) == (record.metrics, record.others["math"].metrics)
    assert (gsm8k.spec.scored, math.spec.scored) == (("gsm8k",), ("math",))
    assert gsm8k.metrics["answer_loss"] != math.metrics["answer_loss"]


def test_the_scores_are_those_of_scoring_the_saved_adapter_with_the_prompt_of_training(
    finished: Path, checkpoint: Path, data: Path
) -> None:
    record = read_record(finished)
    assert record is not None
    from balora.tasks.prompts import INSTRUCTION

    given = {"method": "full", "model": str(checkpoint), "data.folder": str(data), "data.prompt": INSTRUCTION}
    specs = {task: resolve({**given, "task": task, "data.max_new_tokens": 8}) for task in ("gsm8k", "math")}
    found = score_on_tasks(specs, finished / "adapter")
    assert found["gsm8k"].metrics["answer_loss"] == pytest.approx(record.metrics["answer_loss"], abs=2e-6)
    assert found["math"].metrics["answer_loss"] == pytest.approx(record.others["math"].metrics["answer_loss"], abs=2e-6)


def test_the_id_depends_on_the_rows_of_every_side(checkpoint: Path, tmp_path: Path) -> None:
    from balora.training.fingerprint import fingerprints

    folder = write_recipe_data(tmp_path, "metamathqa", "gsm8k", "math")
    spec = spec_of(checkpoint, folder)
    found = {fingerprints(spec)["data"]}
    for name in ("metamathqa/train.jsonl", "gsm8k/test.jsonl", "math/test.jsonl"):
        path = folder / name
        path.write_text(path.read_text().splitlines()[0] + "\n")
        found.add(fingerprints(spec)["data"])
    assert len(found) == 4


def test_questions_that_are_also_trained_on_are_counted(checkpoint: Path, tmp_path: Path) -> None:
    folder = write_recipe_data(tmp_path / "data", "metamathqa", "gsm8k")
    learnt = folder / "metamathqa" / "train.jsonl"
    question = json.loads((folder / "gsm8k" / "test.jsonl").read_text().splitlines()[0])["question"]
    learnt.write_text(
        learnt.read_text() + json.dumps({"query": f" {question}\n", "response": "The answer is: 2"}) + "\n"
    )
    record = run(spec_of(checkpoint, folder, score=["gsm8k"], **{"training.steps": 1}), tmp_path / "run")
    assert "gsm8k: 1 of 4 evaluation rows have a question that is also trained on" in record.notes


def test_a_folder_of_one_task_is_not_read_for_several(checkpoint: Path, tmp_path: Path) -> None:
    rows = write_recipe_data(tmp_path / "all", "metamathqa", "gsm8k")
    (rows / "gsm8k" / "train.jsonl").write_text((rows / "metamathqa" / "train.jsonl").read_text())
    with pytest.raises(DataError, match="would be read for each of metamathqa, gsm8k, math: give the folder above"):
        run(spec_of(checkpoint, rows / "gsm8k"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["instruction", "query"])
@pytest.mark.parametrize("answer", ["output", "response", "answer"])
def test_instructions_are_read_under_their_usual_names(name: str, answer: str, tmp_path: Path) -> None:
    from balora.tasks.catalogue import find_task
    from balora.tasks.splits import read_rows

    (tmp_path / "train.jsonl").write_text(json.dumps({name: "Add.", answer: "Done.", "type": "own"}) + "\n")
    rows = read_rows(find_task("codefeedback"), DataConfig(folder=str(tmp_path)), "train")
    assert rows == [{"question": "Add.", "input": "", "answer": "Done."}]


def test_published_file_names_are_found(tmp_path: Path) -> None:
    from balora.tasks.catalogue import find_task
    from balora.tasks.splits import read_rows

    folder = tmp_path / "MetaMathQA"
    folder.mkdir()
    (folder / "MetaMathQA-395K.json").write_text(json.dumps([{"query": "1+1?", "response": "The answer is: 2"}]))
    assert len(read_rows(find_task("metamathqa"), DataConfig(folder=str(tmp_path)), "train")) == 1


def test_wizardlm_rows_are_conversations_or_instructions(tmp_path: Path) -> None:
    from balora.tasks.catalogue import find_task
    from balora.tasks.splits import read_rows

    (tmp_path / "train.jsonl").write_text(
        json.dumps({"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]})
        + "\n"
        + json.dumps({"instruction": "Hi", "output": "Hello"})
        + "\n"
    )
    rows = read_rows(find_task("wizardlm"), DataConfig(folder=str(tmp_path)), "train")
    assert [row["messages"] for row in rows] == [[{"role": "user", "content": "Hi"}]] * 2
    assert [row["answer"] for row in rows] == ["Hello"] * 2


def test_programs_are_scored_in_a_sandbox_and_their_answers_drawn_for_pass_at_k(
    checkpoint: Path, data: Path, tmp_path: Path
) -> None:
    changes = {"scoring.samples": 2, "scoring.pass_at": [1, 2], "training.steps": 1, "data.max_new_tokens": 4}
    record = run(spec_of(checkpoint, data, task="codefeedback", **changes), tmp_path / "run")
    assert record.spec.scored == ("humaneval", "mbpp")
    assert record.metrics.keys() == {"pass_at_1", "pass_at_2"}
    assert (record.rows, record.others["mbpp"].rows) == (3, 3)
    assert any(note.startswith("humaneval: programs ran in bubblewrap") for note in record.notes)


def test_a_missing_sandbox_is_an_error_before_training(
    checkpoint: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ConfigError, match=r"bubblewrap .* is not installed: install it"):
        run(spec_of(checkpoint, data, task="codefeedback"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scoring.pass_at": [1, 5]}, r"pass_at: must hold 1, and numbers up to scoring\.samples = 1, got \[1, 5\]"),
        ({"score": ["gsm8k", "gsm8k"]}, "score: names a task twice"),
        ({"score": ["metamathqa"]}, "score: task 'metamathqa' has no rows to score a model on"),
        ({"score": ["cola"]}, "a model trained on 'metamathqa' cannot be scored on 'cola'"),
        ({"score": ["gsm8"]}, "unknown task 'gsm8'"),
    ],
)
def test_what_cannot_be_scored_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve({"task": "metamathqa", "model": "m", **settings})


def test_the_file_of_another_benchmark_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    folder = write_recipe_data(tmp_path / "data", "codefeedback", "mbpp")
    (folder / "humaneval").mkdir()
    (folder / "humaneval" / "HumanEval.jsonl").write_text((folder / "mbpp" / "mbpp.jsonl").read_text())
    with pytest.raises(DataError, match="MBPP"):
        run(spec_of(checkpoint, folder, task="codefeedback"), tmp_path / "run")


@pytest.mark.parametrize("score", [{}, "", 0, False, 5, {"gsm8k": 1}])
def test_what_is_no_list_of_tasks_is_refused(score: object) -> None:
    with pytest.raises(ConfigError, match=r"score|unknown task ''"):
        resolve({"task": "metamathqa", "model": "m", "score": score})


def test_a_task_scored_on_itself_is_the_same_run_whether_or_not_it_is_named() -> None:
    given = {"task": "gsm8k", "model": "m"}
    for score in ("gsm8k", ["gsm8k"], ("gsm8k",)):
        assert resolve({**given, "score": score}) == resolve(given)


def test_without_a_list_the_recipe_decides() -> None:
    for score in (None, [], ()):
        assert resolve({"task": "metamathqa", "model": "m", "score": score}).scored == ("gsm8k", "math")


@pytest.mark.parametrize(
    ("task", "way"),
    [
        ("humaneval", "train on task 'codefeedback', whose model is scored on it"),
        ("mt_bench", "train on task 'wizardlm', whose model is scored on it"),
        ("math500", "train on another task, with this one in `score`"),
    ],
)
def test_nobody_trains_on_a_benchmark(task: str, way: str, checkpoint: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"task '{task}' has no rows to train on, .*: {way}"):
        run(spec_of(checkpoint, data, task=task), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_conversations_are_scored_only_on_models_that_were_trained_on_some() -> None:
    with pytest.raises(ConfigError, match="task 'chat' holds conversations, which a model trained on 'gsm8k' has no"):
        resolve({"task": "gsm8k", "model": "m", "score": ["gsm8k", "chat"]})
    assert resolve({"task": "wizardlm", "model": "m", "score": ["chat", "gsm8k"]}).scored == ("chat", "gsm8k")


def test_a_prompt_for_conversations_is_refused_before_anything_is_read() -> None:
    with pytest.raises(ConfigError, match=r"data\.prompt: does not apply to task 'wizardlm'"):
        resolve({"task": "wizardlm", "model": "m", "data.prompt": "Q {question}"})


def test_one_data_set_by_name_is_not_read_for_several_tasks(checkpoint: Path) -> None:
    from balora.training.evaluation import refuse_shared_folder

    with pytest.raises(DataError, match="the data set 'openai/gsm8k' would be read for several of metamathqa, gsm8k"):
        refuse_shared_folder(spec_of(checkpoint, Path("openai/gsm8k")))
    glue = {"task": "rte", "model": "m", "data.folder": "nyu-mll/glue", "score": ["rte", "qnli"]}
    refuse_shared_folder(resolve(glue))
    for change in ({"data.subset": "rte"}, {"data.folder": "a/mirror"}, {"data.folder": None, "data.subset": "rte"}):
        with pytest.raises(DataError, match=r"the data set '.*'.* would be read for several of rte, qnli"):
            refuse_shared_folder(resolve({**glue, **change}))


def test_a_classifier_needs_no_evaluation_rows_of_the_task_it_is_only_trained_on(
    checkpoint: Path, tmp_path: Path
) -> None:
    for name, first, second in (("RTE", "sentence1", "sentence2"), ("QNLI", "question", "sentence")):
        (tmp_path / "glue" / name).mkdir(parents=True)
        rows = [{first: f"{name} a cat {i}", second: f"a dog {i}", "label": i % 2} for i in range(8)]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / "glue" / name / ("train.jsonl" if name == "RTE" else "validation.jsonl")).write_text(text)
    record = run(spec_of(checkpoint, tmp_path, task="rte", score=["qnli"]), tmp_path / "run")
    assert (record.status, record.spec.scored, record.rows) == ("ok", ("qnli",), 8)
    assert not any("also trained on" in note for note in record.notes)


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        ("metamathqa", {}, r"task 'metamathqa' is only trained on .*: score the tasks of its recipe \(gsm8k, math\)"),
        ("wizardlm", {}, r"task 'wizardlm' is only trained on .*: score the tasks of its recipe \(mt_bench\)"),
        ("gsm8k", {"score": ["math"]}, "score: names math, but the tasks to score are those given as --task"),
    ],
)
def test_evaluation_scores_the_given_tasks_alone(
    task: str, changes: dict[str, Any], message: str, checkpoint: Path, data: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        score_on_tasks({task: spec_of(checkpoint, data, task=task, **changes)})


def test_a_conversation_and_a_question_are_the_same_question_whatever_blanks_surround_them() -> None:
    from balora.tasks.prepared import question_of

    assert question_of({"messages": [{"role": "user", "content": " Hi\n"}]}) == question_of({"question": "Hi "}) == "Hi"
