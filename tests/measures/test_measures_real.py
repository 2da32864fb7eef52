"""The real data and the real checkpoint; and lm-evaluation-harness' own likelihoods and scores as an oracle."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measures_cases import bbq_row, write_jsonl
from transformers import AutoModelForCausalLM, AutoTokenizer

from balora.measures.bbq import bbq_scores, read_bbq
from balora.measures.blimp import measure_blimp, read_blimp
from balora.measures.crows_pairs import crows_pairs_scores, measure_crows_pairs, read_crows_pairs
from balora.measures.held_out_text import measure_held_out, read_documents
from balora.measures.likelihood import LanguageModel, answer_tokens, log_likelihoods, text_tokens
from balora.measures.winogender import measure_winogender, prompt, read_winogender


@pytest.fixture(scope="module")
def lm(checkpoint: Path) -> LanguageModel:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(checkpoint), AutoTokenizer.from_pretrained(checkpoint)
    return LanguageModel(model, tokenizer, is_masked=False, batch_size=64, max_positions=512)


@pytest.fixture(scope="module")
def harness(lm: LanguageModel) -> Any:
    """The harness' own wrapper of the same model."""
    pytest.importorskip("lm_eval")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the harness' own
        from lm_eval.models.huggingface import HFLM

        return HFLM(pretrained=lm.model, tokenizer=lm.tokenizer, batch_size=8, device="cpu")


def requests(pairs: list[tuple[str, str]]) -> list[Any]:
    from lm_eval.api.instance import Instance

    return [Instance("loglikelihood", {}, pair, index) for index, pair in enumerate(pairs)]


def test_every_published_row_is_read(data: Path) -> None:
    blimp = read_blimp(str(data / "blimp"), None)
    assert (len(blimp), len({pair.paradigm for pair in blimp})) == (804, 67)
    crows = read_crows_pairs(str(data / "crows_pairs"), None)
    assert (len(crows), sum(pair.direction == "stereo" for pair in crows)) == (1508, 1290)
    winogender = read_winogender(str(data / "winogender"), None)
    assert (len(winogender), len({schema.template for schema in winogender})) == (720, 240)
    assert len({schema.occupation for schema in winogender}) == 60


def test_a_genuine_model_knows_some_grammar(data: Path, lm: LanguageModel) -> None:
    """On all 804 pairs it is right in 56.1 %; here on those of 17 paradigms."""
    pairs = [pair for pair in read_blimp(str(data / "blimp"), None) if pair.field == "morphology"]
    found = measure_blimp(lm, pairs)
    assert len(pairs) == 216
    assert found.values["blimp"] == pytest.approx(0.6019, abs=0.01)


def test_a_genuine_model_predicts_the_text_it_was_trained_on(data: Path, lm: LanguageModel) -> None:
    stories = read_documents(str(data / "tinystories" / "tinystories_sample.txt"))[:20]
    shakespeare = read_documents(str(data / "tinyshakespeare" / "input.txt"))[0][:8000]
    known, other = (measure_held_out(lm, documents).values for documents in (stories, [shakespeare]))
    assert known["held_out_loss"] == pytest.approx(1.29, abs=0.03)
    assert known["held_out_bits_per_byte"] < 1.1
    assert other["held_out_loss"] > known["held_out_loss"] + 1


def test_likelihoods_are_the_harness_own(data: Path, lm: LanguageModel, harness: Any) -> None:
    """Sentences of BLiMP and CrowS-Pairs, and the questions of WinoGender with both answers."""
    texts = [pair.good for pair in read_blimp(str(data / "blimp"), 8)]
    texts += [pair.more for pair in read_crows_pairs(str(data / "crows_pairs"), 8)]
    schemas = read_winogender(str(data / "winogender"), 4)
    asked = [(prompt(s), f" {noun}") for s in schemas for noun in (s.occupation, s.participant)]
    ours = log_likelihoods(lm, [text_tokens(lm, text, "") for text in texts])
    ours += log_likelihoods(lm, [answer_tokens(lm, question, answer, "") for question, answer in asked])
    theirs = harness.loglikelihood(requests([*(("", text) for text in texts), *asked]), disable_tqdm=True)
    assert ours == pytest.approx([value for value, _ in theirs], rel=1e-4)


def test_crows_pairs_equals_the_harness_scores(data: Path, lm: LanguageModel) -> None:
    utils = pytest.importorskip("lm_eval.tasks.crows_pairs.utils")
    pairs = read_crows_pairs(str(data / "crows_pairs"), 40)
    found = measure_crows_pairs(lm, pairs)
    theirs = [utils.process_results({}, [(i["more"], False), (i["less"], False)]) for i in found.items["crows_pairs"]]
    assert found.values["crows_pairs"] == pytest.approx(np.mean([each["pct_stereotype"] for each in theirs]))
    assert found.values["crows_pairs_difference"] == pytest.approx(
        np.mean([each["likelihood_diff"] for each in theirs])
    )
    stereo = [pair for pair in pairs if pair.direction == "stereo"]
    of_stereo = [i for i in found.items["crows_pairs"] if i["direction"] == "stereo"]
    alone = crows_pairs_scores(stereo, [i["more"] for i in of_stereo], [i["less"] for i in of_stereo])
    assert alone.values["crows_pairs"] == found.values["crows_pairs_stereo"]


def test_bbq_equals_the_harness_scores(tmp_path: Path) -> None:
    """The same answers to 200 questions, scored by the harness' own functions."""
    utils = pytest.importorskip("lm_eval.tasks.bbq.utils")
    rng = np.random.default_rng(0)
    rows = [
        bbq_row(
            context_condition=str(rng.choice(["ambig", "disambig"])),
            question_polarity=str(rng.choice(["neg", "nonneg"])),
            label=int(rng.integers(3)),
        )
        for _ in range(200)
    ]
    chosen = [int(answer) for answer in rng.integers(3, size=200)]
    ours = bbq_scores(read_bbq(write_jsonl(tmp_path / "Age.jsonl", rows), None), chosen).values

    class Mapped:
        """What the harness asks of a data set."""

        def map(self, function: Any) -> list[Any]:
            return [function(json.loads(json.dumps(row))) for row in rows]

    results = []
    for doc, answer in zip(utils.process_docs(Mapped()), chosen, strict=True):
        choices = utils.doc_to_choice(doc)
        said = choices.index(doc[f"ans{answer}"])
        results.append(
            utils.process_results_multiple_choice(doc, [(float(i == said), False) for i in range(len(choices))])
        )
    columns = {name: [result[name] for result in results] for name in results[0]}
    assert ours == pytest.approx(
        {
            "bbq_ambiguous": utils.agg_accuracy_amb(columns["accuracy_amb"]),
            "bbq_disambiguated": utils.agg_accuracy_disamb(columns["accuracy_disamb"]),
            "bbq_bias_ambiguous": utils.agg_amb_bias_scores(columns["amb_bias_score"]),
            "bbq_bias_disambiguated": utils.agg_disamb_bias_scores(columns["disamb_bias_score"]),
        }
    )


def test_winogender_is_measured_on_published_sentences(data: Path, lm: LanguageModel) -> None:
    found = measure_winogender(lm, read_winogender(str(data / "winogender"), 48))
    assert 0 <= found.values["winogender_mismatch"] <= 0.25, "this small model hardly reads the pronoun"
    assert {"winogender", "winogender_male", "winogender_female", "winogender_neutral"} < set(found.values)
