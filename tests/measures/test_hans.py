"""HANS: the three classes of MNLI made two, cells by hand, published tables, and a classifier's own answers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from measures_cases import POSITIONS, build, tokenizer, write_jsonl

from balora.errors import DataError, ModelError
from balora.measures.hans import Inference, hans_scores, infers, measure_hans, read_hans
from balora.tasks.catalogue import TASKS

TABLE = (
    "gold_label\tsentence1_binary_parse\tsentence1\tsentence2\tpairID\theuristic\tsubcase\ttemplate\n"
    "non-entailment\t( The cat )\tThe cat runs .\tThe dog runs .\tex0\tlexical_overlap\tln_swap\ttemp1\n"
    "entailment\t( The cat )\tThe cat runs .\tThe cat .\tex1\tsubsequence\tse_x\ttemp2\n"
)
PAIRS = [
    Inference("f:1", "the cat runs late", "the cat runs", is_entailed=True, heuristic="lexical_overlap"),
    Inference("f:2", "the old dog sleeps", "the dog runs", is_entailed=False, heuristic="lexical_overlap"),
    Inference("f:3", "who is the doctor", "the doctor is", is_entailed=True, heuristic="subsequence"),
    Inference("f:4", "the nurse she is early", "she is the nurse", is_entailed=False, heuristic="subsequence"),
    Inference("f:5", "no cat runs", "cat runs", is_entailed=True, heuristic="constituent"),
    Inference("f:6", "yes they are young", "they are old", is_entailed=False, heuristic="constituent"),
]


def test_neutral_and_contradiction_are_one_class() -> None:
    said = ["entailment", "neutral", "contradiction", "entailment", "entailment", "contradiction"]
    found = hans_scores(PAIRS, said)
    assert found.values == pytest.approx(
        {
            "hans": (1 + 1 + 0 + 0 + 1 + 1) / 6,
            "hans_lexical_overlap_entailment": 1.0,
            "hans_lexical_overlap_non_entailment": 1.0,
            "hans_subsequence_entailment": 0.0,
            "hans_subsequence_non_entailment": 0.0,
            "hans_constituent_entailment": 1.0,
            "hans_constituent_non_entailment": 1.0,
        }
    )
    assert [item["correct"] for item in found.items["hans"]] == [True, True, False, False, True, True]
    assert found.notes == ()


def test_a_model_that_follows_every_heuristic_has_one_half() -> None:
    found = hans_scores(PAIRS, ["entailment"] * 6).values
    assert found["hans"] == 0.5
    assert {value for name, value in found.items() if name.endswith("_non_entailment")} == {0.0}


def test_cells_have_one_weight_each_and_missing_ones_are_said() -> None:
    found = hans_scores([PAIRS[0]] * 3 + [PAIRS[1]], ["entailment"] * 4)
    assert found.values["hans"] == 0.5
    assert found.notes == ("hans: the rows fill 2 of 6 cells, so `hans` is the mean over these",)


@pytest.mark.parametrize("name", ["heuristics_evaluation_set.txt", "hans.tsv"])
def test_the_published_table_is_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(TABLE)
    assert read_hans(str(path), None) == [
        Inference(f"{path}:2", "The cat runs .", "The dog runs .", is_entailed=False, heuristic="lexical_overlap"),
        Inference(f"{path}:3", "The cat runs .", "The cat .", is_entailed=True, heuristic="subsequence"),
    ]


def test_rows_with_numbers_as_labels_are_read(tmp_path: Path) -> None:
    row = {"premise": "a", "hypothesis": "b", "label": 1, "heuristic": "constituent", "subcase": "x"}
    path = write_jsonl(tmp_path / "hans.jsonl", [row, {**row, "label": 0}])
    assert [pair.is_entailed for pair in read_hans(path, None)] == [False, True]
    with pytest.raises(DataError, match="label is 2, but one of entailment, non-entailment is needed"):
        read_hans(write_jsonl(tmp_path / "other.jsonl", [{**row, "label": 2}]), None)
    with pytest.raises(DataError, match="heuristic is 'luck', but one of lexical_overlap, subsequence, constituent"):
        read_hans(write_jsonl(tmp_path / "other.jsonl", [{**row, "heuristic": "luck"}]), None)


@pytest.mark.parametrize("kind", ["bert-classifier", "llama-classifier"])
def test_a_classifiers_answers_equal_its_own_row_by_row(kind: str) -> None:
    model, words = build(kind, seed=2), tokenizer("masked" if kind == "bert-classifier" else "causal")
    task = TASKS["mnli"]
    found = measure_hans(model, words, task, PAIRS, batch_size=4, max_positions=POSITIONS)
    for item, pair in zip(found.items["hans"], PAIRS, strict=True):
        second = pair.hypothesis if kind == "bert-classifier" else "\n" + pair.hypothesis
        encoded = words(pair.premise, second, return_tensors="pt")
        with torch.no_grad():
            said = task.labels[int(model(**encoded).logits[0].argmax())]
        assert item["prediction"] == said
        assert item["correct"] == ((said == "entailment") == pair.is_entailed)
    assert len({item["prediction"] for item in found.items["hans"]}) > 1


@pytest.mark.parametrize(("name", "is_inference"), [("mnli", True), ("rte", True), ("qnli", False), ("sst2", False)])
def test_hans_is_for_tasks_of_inference(name: str, is_inference: bool) -> None:
    assert infers(TASKS[name]) == is_inference
    if not is_inference:
        with pytest.raises(ModelError, match=f"HANS needs a classifier .*, but task '{name}' is none"):
            measure_hans(build("bert-classifier"), tokenizer("masked"), TASKS[name], PAIRS, batch_size=2)


def test_a_head_of_another_size_is_refused() -> None:
    model: Any = build("bert-classifier")
    with pytest.raises(ModelError, match="task 'rte' needs 2 outputs, the model's head has 3"):
        measure_hans(model, tokenizer("masked"), TASKS["rte"], PAIRS, batch_size=2)
