"""Scores by name: against the libraries called directly, values worked out by hand, and what is refused."""

import math
import random
from statistics import fmean

import pytest

from balora.errors import ConfigError, InputError
from balora.tasks import score_registry
from balora.tasks.score_registry import SCORES, Scored, find_score, score_rows

# Three classes, eight rows. Class 0: TP 2, FP 1, FN 1; class 1: TP 1, FP 1, FN 1; class 2: TP 2, FP 1, FN 1.
LABELS = [0, 0, 0, 1, 1, 2, 2, 2]
CLASSES = [0, 0, 1, 1, 2, 2, 2, 0]
TRUE_SETS = [{0, 1}, {2}, set(), {1}, {0, 2}]
SETS = [{0}, {2, 1}, set(), {2}, {0, 2}]
TEXTS = ["The cat sat on the mat.", "a cat", "So it is 6 * 7 = 42.", "", "naïve café"]
REFERENCES = ["the  CAT sat on the mat.", "the cat is here", "42", "never", "naïve café au lait"]


def test_every_score_says_what_it_is() -> None:
    for name, score in SCORES.items():
        assert score.range[0] < score.range[1]
        assert score.higher_is_better
        assert (score.kind == "rows") == (score.item is not None or score.whole is not None), name
        assert (score.usable is None) == (score.otherwise == "")
    assert {name for name, score in SCORES.items() if score.family == "nlu"} == {
        "accuracy", "macro_f1", "matthews_correlation", "pearson", "spearman", "micro_f1"
    }  # fmt: skip


def test_scores_of_classes_equal_their_formulas() -> None:
    assert score_rows("accuracy", CLASSES, LABELS) == (5 / 8, [1, 1, 0, 1, 0, 1, 1, 0], ())
    macro = score_rows("macro_f1", CLASSES, LABELS)
    assert macro.value == pytest.approx((4 / 6 + 2 / 4 + 4 / 6) / 3)  # F1 = 2·TP / (2·TP + FP + FN) of each class
    assert macro.items is None
    two = score_rows("matthews_correlation", [1, 1, 1, 0, 0, 1, 0, 0], [1, 1, 1, 1, 1, 0, 0, 0])
    assert two.value == pytest.approx((3 * 2 - 1 * 2) / (4 * 5 * 3 * 4) ** 0.5)


def test_macro_f1_counts_each_class_alike_and_those_only_predicted_too() -> None:
    assert score_rows("macro_f1", [0] * 9 + [0], [0] * 9 + [1]).value == pytest.approx((18 / 19 + 0) / 2)
    assert score_rows("macro_f1", [0, 2], [0, 0]).value == pytest.approx((2 / 3 + 0) / 2)


def test_correlations_equal_their_formulas() -> None:
    assert score_rows("pearson", [1.0, 2.0, 9.0], [0.0, 1.0, 2.0]).value == pytest.approx(8 / 76**0.5)
    assert score_rows("spearman", [1.0, 2.0, 9.0], [0.0, 1.0, 2.0]) == Scored(pytest.approx(1.0), None)


def test_micro_f1_counts_all_labels_of_all_rows_at_once() -> None:
    # pairs: true {00, 01, 12, 31, 40, 42}, predicted {00, 12, 11, 32, 40, 42}; four are both
    result = score_rows("micro_f1", SETS, TRUE_SETS)
    assert result.value == pytest.approx(2 * 4 / (6 + 6))
    assert result.items == pytest.approx([2 / 3, 2 / 3, 1.0, 0.0, 1.0])
    assert result.notes == ()
    assert score_rows("micro_f1", [{0}, set(), {0}], [{0}, {0}, set()]).value == pytest.approx(2 / 4)  # a single label


def test_scores_of_labels_equal_those_of_scikit_learn_and_scipy() -> None:
    from scipy.stats import pearsonr, spearmanr
    from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

    draw = random.Random(7)
    labels, classes = ([draw.randrange(5) for _ in range(200)] for _ in range(2))
    numbers, guesses = ([draw.gauss(0, 1) for _ in range(200)] for _ in range(2))
    truth, given = ([[draw.randrange(2) for _ in range(4)] for _ in range(200)] for _ in range(2))
    as_sets = [[{i for i, has in enumerate(row) if has} for row in rows] for rows in (given, truth)]
    oracle = {
        "accuracy": accuracy_score(labels, classes),
        "macro_f1": f1_score(labels, classes, average="macro"),
        "matthews_correlation": matthews_corrcoef(labels, classes),
        "pearson": pearsonr(guesses, numbers).statistic,
        "spearman": spearmanr(guesses, numbers).statistic,
        "micro_f1": f1_score(truth, given, average="micro"),
    }
    rows = {"label": (classes, labels), "number": (guesses, numbers), "labels": as_sets}
    found = {name: score_rows(name, *rows[SCORES[name].needs]).value for name in oracle}
    assert found == pytest.approx(oracle, rel=1e-12)


def test_text_scores_by_hand() -> None:
    assert score_rows("exact_match", TEXTS, REFERENCES) == (1 / 5, [1, 0, 0, 0, 0], ())
    assert score_rows("contains", TEXTS, REFERENCES) == (2 / 5, [1, 0, 1, 0, 0], ())
    references = ["6*7 = 42", "42", "many", "from 3 to 5"]  # the last holds two numbers: none of them for certain
    assert score_rows("final_answer", ["So 42.", "#### 41", "x", "5"], references) == (
        1 / 4,
        [1, 0, 0, 0],
        (
            "final_answer: 2 of 4 references have no final answer that can be read with certainty: no answer to them "
            "is right",
        ),
    )


def test_rouge_l_is_f1_of_the_longest_common_subsequence() -> None:
    # police killed the gunman / police kill the gunman: 3 of 4 words (Lin 2004, section 3.1)
    result = score_rows(
        "rouge_l", ["police kill the gunman", "the gunman kill police"], ["police killed the gunman"] * 2
    )
    assert result.items == pytest.approx([3 / 4, 2 / 4])
    assert result.value == pytest.approx(5 / 8)
    assert score_rows("rouge_l", ["x", "日本"], ["x", "日本"]) == (
        0.5,
        [1, 0],
        ("rouge_l: 1 of 2 references have no letter a to z and no digit, and rouge_l reads nothing else: they count "
         "as 0; use chrf",),
    )  # fmt: skip


def test_chrf_by_hand_and_the_score_of_all_texts_is_not_the_mean_of_the_rows() -> None:
    # one character each: unigrams only, precision and recall 1, or 0
    assert score_rows("chrf", ["a", "b"], ["a", "c"]) == (pytest.approx(0.5), pytest.approx([1.0, 0.0]), ())
    result = score_rows("chrf", ["ab", "cdefghij"], ["xy", "cdefghij"])
    assert result.items == pytest.approx([0.0, 1.0])
    assert result.value > 0.85  # the longer text has more n-grams


def test_text_scores_equal_those_of_rouge_score_and_sacrebleu() -> None:
    import sacrebleu
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"])
    pairs = list(zip(TEXTS, REFERENCES, strict=True))
    rouge, chrf = score_rows("rouge_l", TEXTS, REFERENCES), score_rows("chrf", TEXTS, REFERENCES)
    assert rouge.items == [scorer.score(reference, text)["rougeL"].fmeasure for text, reference in pairs]
    assert rouge.value == pytest.approx(fmean(rouge.items))
    assert chrf.items == [sacrebleu.sentence_chrf(text, [reference]).score / 100 for text, reference in pairs]
    assert chrf.value == sacrebleu.corpus_chrf(TEXTS, [REFERENCES]).score / 100


def test_a_text_that_could_not_be_generated_counts_as_an_empty_one() -> None:
    for name in ("exact_match", "contains", "final_answer", "rouge_l", "chrf"):
        assert score_rows(name, ["4", None], ["4", "4"]).items == pytest.approx([1.0, 0.0]), name


@pytest.mark.parametrize("name", [name for name, score in SCORES.items() if score.kind == "rows"])
def test_values_lie_in_the_range_that_the_score_states(name: str) -> None:
    rows = {"label": (CLASSES, LABELS), "number": (CLASSES, LABELS), "labels": (SETS, TRUE_SETS)}
    score = SCORES[name]
    result = score_rows(name, *rows.get(score.needs, (TEXTS, REFERENCES)))
    assert score.range[0] <= result.value <= score.range[1]
    assert result.items is None or all(0.0 <= item <= 1.0 for item in result.items)
    if score.whole is None:
        assert result.items is not None
        assert result.value == math.fsum(result.items) / len(result.items)


def test_undefined_scores_count_as_nothing_with_a_note() -> None:
    assert score_rows("matthews_correlation", [1, 1, 1], [0, 1, 1]) == (
        0.0, None, ("matthews_correlation is undefined (all 3 predictions are 1) and counts as 0",)
    )  # fmt: skip
    assert score_rows("pearson", [1.0, 2.0], [3.0, 3.0]).notes == (
        "pearson is undefined (all 2 labels are 3) and counts as 0",
    )
    assert score_rows("micro_f1", [set(), set()], [set(), set()]) == (
        0.0, [1.0, 1.0], ("micro_f1 is undefined (no row has a label, and none is predicted) and counts as 0",)
    )  # fmt: skip


def test_unknown_scores_and_those_of_the_other_family_are_refused_with_those_that_fit() -> None:
    with pytest.raises(ConfigError, match=r"^unknown score 'macrof1': did you mean 'macro_f1'\?"):
        find_score("macrof1")
    with pytest.raises(ConfigError) as caught:
        find_score("rouge_l", "nlu")
    assert str(caught.value) == (
        "score 'rouge_l' is for nlg tasks, and the task is nlu: choose from accuracy, macro_f1, matthews_correlation, "
        "pearson, spearman, micro_f1"
    )
    assert find_score("rouge_l", "nlg") is SCORES["rouge_l"]


@pytest.mark.parametrize(("name", "package"), [("rouge_l", "rouge-score"), ("chrf", "sacrebleu")])
def test_a_missing_package_is_named_with_its_extra(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_registry, "find_spec", lambda module: None)
    with pytest.raises(ConfigError) as caught:
        find_score(name, "nlg")
    assert str(caught.value) == (
        f"score '{name}' needs the package {package}, which is not installed: pip install 'balora[text-scores]'"
    )
    assert caught.value.exit_code == 2
    assert find_score("contains").package is None


@pytest.mark.parametrize(("name", "what"), [("pass_at_1", "sandbox"), ("judge", "judge")])
def test_scores_that_others_compute_are_listed_and_not_computed_here(name: str, what: str) -> None:
    assert find_score(name, "nlg").kind == what
    with pytest.raises(InputError, match=rf"^score '{name}' is not computed from texts alone: it needs a {what}$"):
        score_rows(name, ["a"], ["b"])


def test_no_row_is_refused_and_unequal_numbers_are_an_error() -> None:
    with pytest.raises(InputError, match=r"^score 'accuracy' needs at least one row, got none$"):
        score_rows("accuracy", [], [])
    with pytest.raises(ValueError, match="zip"):
        score_rows("accuracy", [1, 2], [1])


def test_a_row_without_an_answer_is_an_empty_text_and_not_the_word_none() -> None:
    for name in ("exact_match", "contains"):
        assert score_rows(name, [None, "None"], ["none", "none"]).items == [0, 1], name
