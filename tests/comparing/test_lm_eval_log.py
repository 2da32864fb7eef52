"""lm-eval's sample logs are read as the harness writes them, fast and as a whole alike, and torn ones are refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from comparing_cases import TIME, log_folder, sample, write_log

from balora.comparing import lm_eval_log
from balora.comparing.lm_eval_log import read_lm_eval_samples
from balora.comparing.score_table import Key
from balora.errors import DataError


def two_filters(n: int = 4) -> list[dict[str, Any]]:
    """What a task like gsm8k leaves: every document once for each filter."""
    filters = {"strict-match": 0.0, "flexible-extract": 1.0}
    return [sample(i, {"exact_match": x}, name) for name, x in filters.items() for i in range(n)]


def test_a_folder_gives_every_task_with_its_first_metric(tmp_path: Path) -> None:
    folder = log_folder(tmp_path / "out", {"b_task": [1.0, 0.0], "a_task": [0.0, 1.0, 1.0]})
    for place in (folder, folder / "a__model"):
        found = read_lm_eval_samples(place)
        assert found.metrics == {"a_task": "acc", "b_task": "acc"}
        assert {key: one.score for key, one in found.scores.items() if key.task == "b_task"} == {
            Key("b_task", "0"): 1.0,
            Key("b_task", "1"): 0.0,
        }
        assert found.higher_is_better is True


def test_metric_and_filter_are_chosen_by_their_names(tmp_path: Path) -> None:
    path = write_log(tmp_path / f"samples_gsm8k_{TIME}.jsonl", two_filters())
    assert read_lm_eval_samples(path).metrics == {"gsm8k": "exact_match,strict-match"}
    other = read_lm_eval_samples(path, ["acc", "exact_match,flexible-extract"])
    assert other.metrics == {"gsm8k": "exact_match,flexible-extract"}
    assert {one.score for one in other.scores.values()} == {1.0}
    assert read_lm_eval_samples(path).notes == (
        "gsm8k: compared by exact_match,strict-match; the log also holds exact_match,flexible-extract",
    )
    with pytest.raises(DataError, match=r"unknown metric 'exact_mach': did you mean 'exact_match'\?.*--metric"):
        read_lm_eval_samples(path, ["exact_mach"])


def test_one_note_speaks_of_all_tasks_that_it_is_true_of(tmp_path: Path) -> None:
    for task in "abcde":
        write_log(tmp_path / f"samples_{task}_{TIME}.jsonl", [sample(0, {"acc": 1.0, "acc_norm": 0.0})])
    found = read_lm_eval_samples(tmp_path)
    assert found.notes == ("a, b, c and 2 more tasks: compared by acc; the log also holds acc_norm",)


def test_a_task_that_is_not_read_needs_none_of_the_metrics(tmp_path: Path) -> None:
    folder = log_folder(tmp_path / "out", {"boolq": [1.0, 0.0]})
    write_log(folder / "a__model" / f"samples_gsm8k_{TIME}.jsonl", two_filters())
    with pytest.raises(DataError, match="unknown metric 'acc'"):
        read_lm_eval_samples(folder, ["acc"])
    found = read_lm_eval_samples(folder, ["acc"], ["boolq"])
    assert (found.metrics, found.notes) == ({"boolq": "acc"}, ())
    with pytest.raises(DataError, match=r"unknown task 'bolq': did you mean 'boolq'\?"):
        read_lm_eval_samples(folder, tasks=["bolq"])


def test_the_newest_of_several_logs_counts_and_a_note_says_so(tmp_path: Path) -> None:
    folder = log_folder(tmp_path / "out", {"t": [0.0, 0.0]})
    later = TIME.replace("10-36", "11-02")
    write_log(folder / "a__model" / f"samples_t_{later}.jsonl", [sample(i, {"acc": 1.0}) for i in range(2)])
    found = read_lm_eval_samples(folder)
    assert {one.score for one in found.scores.values()} == {1.0}
    assert found.notes[0].startswith("t: 2 logs lie in")
    assert later in found.notes[0]


LINES = {
    "as written": sample(3, {"acc": 1.0}),
    "fields in another order": dict(reversed(sample(3, {"acc": 1.0}).items())),
    "a document with fields of these names": sample(3, {"acc": 1.0}, doc={"doc_id": 9, "x": {"a": 1, "filter": "no"}}),
    "a document that ends with such a field": sample(3, {"acc": 1.0}, doc={"a": 1, "filter": "no", "metrics": ["no"]}),
    "true for a number": sample(3, {"acc": True}),
}


@pytest.mark.parametrize("name", LINES)
def test_reading_both_ends_of_a_line_gives_what_reading_all_of_it_does(name: str, tmp_path: Path) -> None:
    path = write_log(tmp_path / "samples.jsonl", [LINES[name]])
    found = read_lm_eval_samples(path)
    (key, score), = found.scores.items()  # fmt: skip
    whole = LINES[name]
    assert (key, score.score) == (Key("", "3"), 1.0)
    assert score.content == ("document", whole["doc_hash"] + whole["target_hash"])
    assert score.prompt == whole["prompt_hash"]


def test_a_usual_line_is_not_read_as_a_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(where: str, line: bytes) -> dict[str, Any]:
        raise AssertionError(f"{where} was read as a whole")

    monkeypatch.setattr(lm_eval_log, "_whole", refuse)
    path = write_log(tmp_path / "samples.jsonl", two_filters())
    assert len(read_lm_eval_samples(path).scores) == 4


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines(keepends=True)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda lines: [*lines[:-1], lines[-1][: len(lines[-1]) // 2]], r"samples\.jsonl:4: not a whole sample .*torn"),
        (lambda lines: [lines[0][:40] + lines[1], *lines[2:]], r"samples\.jsonl:1: not a whole sample .*torn"),
        (lambda lines: [*lines, lines[0]], r"item '0' has two scores, at samples\.jsonl:1 and at samples\.jsonl:5"),
        (lambda lines: ['{"a": 1}\n'], r"no sample of lm-eval 0\.4\.4 or later \(it has no 'doc_id'\)"),
        (lambda lines: ["\n"], r"holds no sample: run lm-eval again with --log_samples"),
        (lambda lines: ["[" * 100_000], r"nested too deeply"),
    ],
    ids=["torn", "two in one", "twice", "other kind", "empty", "deep"],
)
def test_a_damaged_log_is_refused(damage: Any, says: str, tmp_path: Path) -> None:
    path = write_log(tmp_path / "samples.jsonl", [sample(i, {"acc": 1.0}) for i in range(4)])
    path.write_text("".join(damage(lines_of(path))))
    with pytest.raises(DataError, match=says):
        read_lm_eval_samples(path)


@pytest.mark.parametrize("value", [[-3.5, 12], None, "yes", float("nan"), float("inf"), 10**400], ids=str)
def test_a_metric_that_is_no_number_of_an_item_is_refused(value: object, tmp_path: Path) -> None:
    path = write_log(tmp_path / "samples.jsonl", [sample(0, {"word_perplexity": value, "acc": 1.0})])
    with pytest.raises(DataError, match=r"metric 'word_perplexity' is .*choose another with --metric.*acc\)"):
        read_lm_eval_samples(path)
    assert len(read_lm_eval_samples(path, ["acc"]).scores) == 1


def test_results_without_samples_say_what_to_do(tmp_path: Path) -> None:
    folder = log_folder(tmp_path / "out", {"t": [1.0]})
    next((folder / "a__model").glob("samples_*")).unlink()
    with pytest.raises(DataError, match=r"holds results of lm-eval but no samples_….jsonl: run lm-eval again"):
        read_lm_eval_samples(folder)
    log_folder(tmp_path / "out", {"t": [1.0]})
    (folder / "a__model").rename(folder / "b__model")
    log_folder(tmp_path / "out", {"t": [1.0]})
    with pytest.raises(DataError, match=r"holds the logs of several models \('a__model' and 'b__model'\)"):
        read_lm_eval_samples(folder)


def test_tasks_of_both_directions_are_refused(tmp_path: Path) -> None:
    folder = log_folder(tmp_path / "out", {"s": [1.0], "t": [1.0]})
    path = folder / "a__model" / f"results_{TIME}.json"
    content = json.loads(path.read_text())
    content["higher_is_better"]["t"]["acc"] = False
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="the higher score is better in some of its tasks and the lower one in others"):
        read_lm_eval_samples(folder)


@pytest.mark.slow
def test_the_harness_itself_writes_what_is_read_here(tmp_path: Path) -> None:
    """lm-eval's own writer, with a model that guesses: its averages are those of what is read."""
    lm_eval = pytest.importorskip("lm_eval")
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    rows = [{"q": f"{i} + 1 =", "choices": [str(i + 1), "none", "all"], "gold": 0} for i in range(12)]
    write_log(tmp_path / "rows.jsonl", rows)
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "plus.yaml").write_text(
        f"task: plus\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {tmp_path / 'rows.jsonl'}}}, "
        f"cache_dir: {tmp_path / 'cache'}}}\n"
        "test_split: test\noutput_type: multiple_choice\ndoc_to_text: '{{q}}'\ndoc_to_choice: '{{choices}}'\n"
        "doc_to_target: gold\nmetric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]\n"
    )
    manager = TaskManager(include_path=str(tmp_path / "tasks"))
    results = lm_eval.simple_evaluate(
        model="dummy", tasks=["plus"], task_manager=manager, log_samples=True, bootstrap_iters=0
    )
    samples, tracker = results.pop("samples"), EvaluationTracker(output_path=str(tmp_path / "out"))
    tracker.general_config_tracker.model_name_sanitized = "dummy"
    tracker.save_results_aggregated(results=results, samples=samples)
    tracker.save_results_samples(task_name="plus", samples=samples["plus"])
    found = read_lm_eval_samples(tmp_path / "out")
    assert found.metrics == {"plus": "acc"}
    mean = sum(one.score for one in found.scores.values()) / len(found.scores)
    assert mean == pytest.approx(results["results"]["plus"]["acc,none"])
    assert found.higher_is_better is True
