"""Scores of the harness: equal to its own on its own way of loading, equal for adapter and merged model, as items."""

import json
from pathlib import Path
from typing import Any

import pytest
from harness_cases import (
    CHOICE,
    CHOICES,
    GSM8K,
    NAMES,
    PERPLEXITY,
    define,
    evaluate,
    read_items,
    read_scores,
    run_balora,
    write_rows,
)

lm_eval = pytest.importorskip("lm_eval")
BOTH = "stories_choice,stories_name"


@pytest.fixture(scope="module")
def scored(checkpoint: Path, stories: Path, run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The output folders of base, run, adapter and merged model, on both tasks."""
    folder = tmp_path_factory.mktemp("scored")
    assert run_balora("export", run, "--output", folder / "merged", "--merged").code == 0
    sources: dict[str, tuple[Path, tuple[object, ...]]] = {
        "base": (checkpoint, ()),
        "run": (run, ()),
        "adapter": (checkpoint, ("--adapter", run / "adapter")),
        "merged": (folder / "merged", ()),
    }
    for name, (model, more) in sources.items():
        ended = evaluate(model, BOTH, stories, folder / f"{name}-scores", *more, "--json")
        assert ended.code == 0, ended.err
        assert json.loads(ended.out)["tasks"] == read_scores(folder / f"{name}-scores")["tasks"]
    return {name: folder / f"{name}-scores" for name in sources}


def by_hand(checkpoint: Path, stories: Path, adapter: Path) -> dict[str, Any]:
    """Return the results of the harness' own call, which loads base and adapter itself."""
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(stories), include_defaults=False)
    found = lm_eval.simple_evaluate(
        model="hf",
        model_args={"pretrained": str(checkpoint), "peft": str(adapter), "dtype": "float32"},
        tasks=BOTH.split(","),
        batch_size=64,
        device="cpu",
        task_manager=manager,
    )
    assert found is not None
    return found


@pytest.mark.filterwarnings("ignore")  # of the harness itself
def test_scores_and_items_equal_those_of_the_harness_own_call(
    scored: dict[str, Path], checkpoint: Path, stories: Path, run: Path
) -> None:
    theirs, ours, items = by_hand(checkpoint, stories, run / "adapter"), read_scores(scored["run"]), None
    items = {(item["task"], item["index"]): item for item in read_items(scored["run"])}
    assert len(items) == len(CHOICES) + len(NAMES)
    for task, scores in ours["tasks"].items():
        for name, value in scores["metrics"].items():
            metric, chosen = name.split(",")
            assert value == theirs["results"][task][name]
            assert scores["stderr"][name] == theirs["results"][task][f"{metric}_stderr,{chosen}"]
        for sample in theirs["samples"][task]:
            item = items[task, sample["doc_id"]]
            assert {key: item[key] for key in ("doc_hash", "prompt_hash", "target_hash")}.items() <= sample.items()
            for metric in sample["metrics"]:
                assert item["metrics"][f"{metric},{sample['filter']}"] == sample[metric]
            if task == "stories_choice":
                assert item["loglikelihoods"] == pytest.approx([one for one, _ in sample["filtered_resps"]], abs=1e-4)
            else:
                assert item["text"] == sample["resps"][0][0]


def test_the_mean_over_the_items_is_the_task_s_main_metric(scored: dict[str, Path]) -> None:
    scores = read_scores(scored["base"])["tasks"]
    assert {name: one["metric"] for name, one in scores.items()} == {
        "stories_choice": "acc,none",
        "stories_name": "exact_match,first-word",
    }
    for name, one in scores.items():
        right = [item["correct"] for item in read_items(scored["base"]) if item["task"] == name]
        assert sum(right) / len(right) == pytest.approx(one["metrics"][one["metric"]])
        assert one["rows"] == one["rows_in_all"] == len(right)
    assert scores["stories_name"]["metrics"]["exact_match,first-word"] > 0
    assert scores["stories_choice"]["version"] == "1.5"


def test_adapter_run_and_merged_model_give_equal_items_and_the_base_gives_others(scored: dict[str, Path]) -> None:
    items = {name: read_items(folder) for name, folder in scored.items()}
    assert items["run"] == items["adapter"]
    for merged, adapted, base in zip(items["merged"], items["adapter"], items["base"], strict=True):
        likelihoods = adapted.pop("loglikelihoods", None), merged.pop("loglikelihoods", None)
        assert merged == adapted
        if likelihoods[0] is not None:
            assert likelihoods[1] == pytest.approx(likelihoods[0], abs=1e-3)
            assert max(abs(a - b) for a, b in zip(likelihoods[0], base["loglikelihoods"], strict=True)) > 0.1


def test_a_loglikelihood_is_the_sum_that_the_model_itself_gives(scored: dict[str, Path], checkpoint: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    row, item = CHOICES[0], read_items(scored["base"])[0]
    for end, likelihood in zip(row["ends"], item["loglikelihoods"], strict=True):
        context, whole = tokenizer(row["story"])["input_ids"], tokenizer(row["story"] + end)["input_ids"]
        with torch.no_grad():
            logs = model(torch.tensor([whole])).logits[0].log_softmax(-1)
        wanted = sum(float(logs[at - 1, whole[at]]) for at in range(len(context), len(whole)))
        assert likelihood == pytest.approx(wanted, abs=1e-3)
    assert item["prediction"] == max(range(3), key=item["loglikelihoods"].__getitem__)


def test_the_record_names_what_was_scored(scored: dict[str, Path], checkpoint: Path, run: Path) -> None:
    from balora.training.fingerprint import adapter_fingerprint, model_fingerprint

    base, adapted, merged = (read_scores(scored[name]) for name in ("base", "run", "merged"))
    assert base["fingerprints"] == {"model": model_fingerprint(str(checkpoint))}
    assert adapted["fingerprints"] == {**base["fingerprints"], "adapter": adapter_fingerprint(run / "adapter")}
    assert merged["fingerprints"]["model"] != base["fingerprints"]["model"]
    assert adapted["adapter"] == str(run / "adapter")
    assert adapted["versions"]["lm_eval"] == lm_eval.__version__
    assert (adapted["dtype"], adapted["decoding"], adapted["limit"], adapted["batch_size"]) == (
        "float32",
        "greedy",
        None,
        64,
    )
    same = [[one["fingerprint"] for one in record["tasks"].values()] for record in (base, adapted, merged)]
    assert same[0] == same[1] == same[2]


def test_the_harness_own_files_are_written_as_other_tools_read_them(scored: dict[str, Path]) -> None:
    folder = next((scored["run"] / "lm-eval").iterdir())
    assert folder.name == "gsm8k-adapter"
    results = json.loads(next(folder.glob("results_*.json")).read_text())
    assert (
        results["results"]["stories_choice"]["acc,none"]
        == (read_scores(scored["run"])["tasks"]["stories_choice"]["metrics"]["acc,none"])
    )
    samples = [json.loads(line) for line in next(folder.glob("samples_stories_name_*.jsonl")).read_text().splitlines()]
    assert len(samples) == 2 * len(NAMES)
    assert {"doc_id", "filter", "exact_match", "doc_hash"} <= samples[0].keys()


def test_rows_examples_and_a_sampling_definition_follow_the_options(
    checkpoint: Path, data: Path, tmp_path: Path
) -> None:
    tasks = define(tmp_path / "tasks", GSM8K, train=data / "gsm8k" / "train.jsonl", test=data / "gsm8k" / "test.jsonl")
    given = ("--limit", 3, "--num-fewshot", 2, "--set", "training.eval_batch_size=2")
    texts = []
    for name in ("first", "second"):
        ended = evaluate(checkpoint, "gsm8k_local", tasks, tmp_path / name, *given)
        assert ended.code == 0, ended.err
        texts.append([item["text"] for item in read_items(tmp_path / name)])
    assert texts[0] == texts[1]
    assert len(texts[0]) == 3
    scores = read_scores(tmp_path / "first")
    task = scores["tasks"]["gsm8k_local"]
    assert (task["num_fewshot"], task["rows"], task["rows_in_all"]) == (2, 3, 1319)
    assert (scores["limit"], scores["num_fewshot"], scores["batch_size"]) == (3, 2, 2)
    assert any("temperature 0.7: decoded greedily here" in note for note in task["notes"])
    assert any("Left truncation applied" in note for note in scores["notes"])
    assert "note on gsm8k_local" in ended.out
    assert "Left truncation applied" in ended.out


def test_a_perplexity_has_items_without_a_score_and_says_so(checkpoint: Path, tmp_path: Path) -> None:
    tasks = define(tmp_path / "tasks", PERPLEXITY, test=write_rows(tmp_path / "rows.jsonl", NAMES))
    ended = evaluate(checkpoint, "stories_perplexity", tasks, tmp_path / "out")
    assert ended.code == 0, ended.err
    task = read_scores(tmp_path / "out")["tasks"]["stories_perplexity"]
    assert task["metric"] is None
    assert task["metrics"]["word_perplexity,none"] > 1
    assert "none of its metrics is a mean over items" in task["notes"][0]
    assert {item["score"] for item in read_items(tmp_path / "out")} == {None}


def test_groups_are_scored_with_their_tasks_and_their_average(checkpoint: Path, tmp_path: Path) -> None:
    tasks = tmp_path / "tasks"
    for name in ("one", "two"):
        rows = write_rows(tmp_path / f"{name}.jsonl", CHOICES[:3] if name == "one" else CHOICES)
        define(tasks, {**CHOICE, "task": f"stories_{name}"}, test=rows)
    average = "aggregate_metric_list: [{metric: acc, weight_by_size: true}]"
    (tasks / "group.yaml").write_text(f"group: stories\ntask: [stories_one, stories_two]\n{average}\n")
    ended = evaluate(checkpoint, "stories", tasks, tmp_path / "out")
    assert ended.code == 0, ended.err
    scores, items = read_scores(tmp_path / "out"), read_items(tmp_path / "out")
    assert set(scores["tasks"]) == {"stories_one", "stories_two"}
    assert scores["groups"]["stories"]["acc,none"] == pytest.approx(sum(item["correct"] for item in items) / 11)


def test_nothing_but_the_table_is_printed(checkpoint: Path, stories: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)  # outside a repository, where the harness' own call complains of git
    ended = evaluate(checkpoint, "stories_choice", stories, tmp_path / "out")
    assert ended.out.splitlines()[0].split() == ["task", "metric,filter", "value", "standard", "error", "rows"]
    assert ended.out.splitlines()[1].startswith("stories_choice  acc,none")
    assert ended.err.splitlines() == ["evaluate 0/24", "evaluate 24/24"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
