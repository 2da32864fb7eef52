"""BLiMP and CrowS-Pairs: values by hand, the paper's masked score token by token, and files that are refused."""

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from measures_cases import BLIMP, CROWS, reader, write_jsonl

from balora.errors import DataError
from balora.measures.blimp import MinimalPair, blimp_scores, measure_blimp, read_blimp
from balora.measures.crows_pairs import (
    SentencePair,
    crows_pairs_scores,
    measure_crows_pairs,
    read_crows_pairs,
    shared_tokens,
)
from balora.measures.likelihood import Tokens, log_likelihoods, text_tokens


def minimal_pair(field: str, term: str, paradigm: str) -> MinimalPair:
    return MinimalPair("f:1", "good", "bad", field, term, paradigm)


def test_blimp_is_the_mean_over_paradigms_and_a_tie_is_wrong() -> None:
    pairs = [
        minimal_pair("syntax", "islands", "one"),  # right
        minimal_pair("syntax", "islands", "one"),  # wrong
        minimal_pair("syntax", "islands", "one"),  # a tie
        minimal_pair("syntax", "islands", "two"),  # right
        minimal_pair("syntax/semantics", "s-selection", "three"),  # right
    ]
    found = blimp_scores(pairs, [-1.0, -4.0, -2.0, -9.0, -1.0], [-2.0, -3.0, -2.0, -9.5, -7.0])
    assert found.values == pytest.approx(
        {
            "blimp": (1 / 3 + 1 + 1) / 3,
            "blimp_syntax": (1 / 3 + 1) / 2,
            "blimp_islands": (1 / 3 + 1) / 2,
            "blimp_syntax_semantics": 1.0,
            "blimp_s_selection": 1.0,
        }
    )
    assert [item["correct"] for item in found.items["blimp"]] == [True, False, False, True, True]
    assert found.items["blimp"][4] == {
        "index": 4, "correct": True, "good": -1.0, "bad": -7.0, "field": "syntax_semantics", "term": "s_selection",
        "paradigm": "three",
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["causal", "masked"])
def test_blimp_compares_whole_sentences(kind: str, tmp_path: Path) -> None:
    lm = reader(kind)
    pairs = read_blimp(write_jsonl(tmp_path / "blimp.jsonl", BLIMP), None)
    found = measure_blimp(lm, pairs)
    for item, row in zip(found.items["blimp"], BLIMP, strict=True):
        good, bad = (
            log_likelihoods(lm, [text_tokens(lm, row[name], "")])[0] for name in ("sentence_good", "sentence_bad")
        )
        assert (item["good"], item["bad"]) == (pytest.approx(good, rel=1e-5), pytest.approx(bad, rel=1e-5))
        assert item["correct"] == (good > bad)
    assert 0 <= found.values["blimp"] <= 1


def sentence_pair(direction: str, bias_type: str) -> SentencePair:
    return SentencePair("f:1", "more", "less", direction, bias_type)


def test_crows_pairs_is_the_share_of_stereotyping_sentences_that_are_likelier() -> None:
    pairs = [
        sentence_pair("stereo", "age"),
        sentence_pair("stereo", "gender"),
        sentence_pair("antistereo", "gender"),
        sentence_pair("stereo", "gender"),
    ]
    found = crows_pairs_scores(pairs, [-10.0, -12.0, -3.0, -5.0], [-11.0, -10.0, -3.5, -5.0])
    assert found.values == pytest.approx(
        {
            "crows_pairs": 2 / 4,
            "crows_pairs_stereo": 1 / 3,
            "crows_pairs_antistereo": 1.0,
            "crows_pairs_age": 1.0,
            "crows_pairs_gender": 1 / 3,
            "crows_pairs_difference": (1 + 2 + 0.5 + 0) / 4,
        }
    )
    assert [item["stereotyping"] for item in found.items["crows_pairs"]] == [True, False, True, False]


def test_a_masked_model_is_scored_on_the_unmodified_tokens_only(tmp_path: Path) -> None:
    """Σ over i of log P(u_i | U without u_i, M), written out for the first pair: `old` and `young` are M."""
    lm = reader("masked")
    pairs = read_crows_pairs(write_jsonl(tmp_path / "crows.jsonl", CROWS), None)
    item = measure_crows_pairs(lm, pairs).items["crows_pairs"][0]
    for name, text in (("more", CROWS[0]["sent_more"]), ("less", CROWS[0]["sent_less"])):
        ids, total = lm.tokenizer(text)["input_ids"], 0.0
        for place in (1, 3, 4, 5):  # the, doctor, is, late; 2 is the modified one, 0 and 6 are the marks
            hidden = [*ids[:place], lm.tokenizer.mask_token_id, *ids[place + 1 :]]
            with torch.no_grad():
                total += float(lm.model(torch.tensor([hidden])).logits[0, place].log_softmax(-1)[ids[place]])
        assert item[name] == pytest.approx(total, rel=1e-4)


def test_a_causal_model_is_scored_on_whole_sentences(tmp_path: Path) -> None:
    lm = reader("causal")
    pairs = read_crows_pairs(write_jsonl(tmp_path / "crows.jsonl", CROWS), None)
    item = measure_crows_pairs(lm, pairs).items["crows_pairs"][1]
    assert item["more"] == pytest.approx(log_likelihoods(lm, [text_tokens(lm, CROWS[1]["sent_more"], "")])[0], rel=1e-5)
    assert (item["direction"], item["bias_type"]) == ("antistereo", "race_color")


@pytest.mark.parametrize(
    ("more", "less", "scored"),
    [
        ([1, 5, 6, 7, 2], [1, 5, 8, 7, 2], ([1, 3], [1, 3])),
        ([1, 5, 6, 2], [1, 5, 8, 9, 6, 2], ([1, 2], [1, 4])),  # of unequal length
        ([1, 5, 6, 2], [1, 7, 8, 2], ([], [])),  # nothing in common
        ([1, 5, 2], [1, 5, 2], ([1], [1])),
    ],
)
def test_shared_tokens_are_those_of_the_equal_spans(more: Any, less: Any, scored: Any) -> None:
    one, two = (Tokens("", ids, list(range(1, len(ids) - 1))) for ids in (more, less))
    found = shared_tokens(one, two)
    assert (found[0].scored, found[1].scored) == scored
    assert [found[0].ids[i] for i in found[0].scored] == [found[1].ids[i] for i in found[1].scored]


def test_a_folder_is_read_file_by_file_and_rows_are_the_first_of_each(tmp_path: Path) -> None:
    for number in (2, 1):
        write_jsonl(tmp_path / f"p{number}.jsonl", [{**row, "UID": f"p{number}"} for row in BLIMP])
    (tmp_path / "SOURCE.txt").write_text("where it comes from")
    assert [pair.paradigm for pair in read_blimp(str(tmp_path), 2)] == ["p1", "p1", "p2", "p2"]
    assert len(read_blimp(str(tmp_path), None)) == 8


def test_columns_are_found_without_regard_to_case_and_in_tables(tmp_path: Path) -> None:
    table = tmp_path / "crows.csv"
    table.write_text(
        ",Sent_More,sent_less,STEREO_ANTISTEREO,bias_type,annotations\n"
        '0,"one, two",three,stereo,gender,"[[\'gender\'], []]"\n'
    )
    assert read_crows_pairs(str(table), None) == [(f"{table}:2", "one, two", "three", "stereo", "gender")]


TABLE = "sentence_good,sentence_bad,field,linguistics_term,UID\n"
OTHERS = '"sentence_bad": "b", "field": "c", "linguistics_term": "d", "UID": "e"}'
HOSTILE = [
    ("rows.jsonl", '{"a": 1, "b": 2}', "{path}:1: measures.blimp needs the column 'sentence_good'; columns found: a, "
     "b: give it the data set's published file"),
    ("rows.jsonl", "", "{path}: the file is empty: fetch it again"),
    ("rows.jsonl", '{"sentence_good": "a', "{path}:1: not a whole JSON object"),
    ("rows.csv", TABLE, "{path}: holds no row under its header: give measures.blimp the published file"),
    ("rows.csv", TABLE + "a,b\n", "{path}:2: has 2 cells, but the file has 5 columns: fetch it again"),
    ("rows.csv", TABLE + "a, ,c,d,e\n", "{path}:2: bad is empty"),
    ("rows.jsonl", '{"sentence_good": 5, ' + OTHERS, "{path}:1: good is 5, but a text is needed"),
    ("rows.jsonl", '{"sentence_good": "\\ud800", ' + OTHERS, "{path}:1: good holds half of a character"),
    ("rows.pkl", "x", "measures.blimp: {path} must end in .jsonl, .json, .csv, .tsv, .parquet or .txt"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "said"), HOSTILE)
def test_a_wrong_file_is_refused_in_one_line(name: str, content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        read_blimp(str(path), None)
    assert str(caught.value).startswith(said.format(path=path))
    assert "\n" not in str(caught.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "none.jsonl"
    with pytest.raises(
        DataError, match=r"measures.blimp: '.*none.jsonl' does not exist: name the data set's file or its"
    ):
        read_blimp(str(missing), None)
    with pytest.raises(DataError, match="holds no data file"):
        read_blimp(str(tmp_path), None)
    with pytest.raises(DataError, match="direction is 'sideways', but one of stereo, antistereo is needed"):
        read_crows_pairs(write_jsonl(tmp_path / "c.jsonl", [{**CROWS[0], "stereo_antistereo": "sideways"}]), None)
    device = tmp_path / "d.jsonl"
    device.symlink_to("/dev/zero")
    with pytest.raises(DataError, match="cannot be read"):
        read_blimp(str(device), None)


def test_every_order_of_likelihoods_gives_shares_that_add_up() -> None:
    """Swapping both sentences of every pair gives one minus the share, where there is no tie."""
    numbers = [-1.5, -2.25, -3.0, -4.75]
    for more in combinations(numbers, 2):
        less = [value - 0.5 if i else value + 0.5 for i, value in enumerate(more)]
        pairs = [sentence_pair("stereo", "age"), sentence_pair("antistereo", "age")]
        one, two = (crows_pairs_scores(pairs, a, b).values for a, b in ((more, less), (less, more)))
        assert one["crows_pairs"] + two["crows_pairs"] == 1
        assert one["crows_pairs_difference"] == two["crows_pairs_difference"]
