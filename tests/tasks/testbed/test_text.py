"""The pre-training text: what each dial changes, what it must not change, and the truth attached to it."""

from collections import Counter
from itertools import islice

import pytest

from balora.errors import ConfigError
from balora.settings import Family
from balora.tasks.testbed.config import TestbedConfig
from balora.tasks.testbed.document import Document
from balora.tasks.testbed.lexicon import CLANS, SENTIMENT, VERDICTS, names, vocabulary
from balora.tasks.testbed.noise import rate
from balora.tasks.testbed.text import documents

COUNT = 6000


def read(family: Family, **dials: float) -> list[Document]:
    return list(islice(documents(TestbedConfig().clean().replace(**dials), family), COUNT))


def share(found: list[bool]) -> float:
    return sum(found) / len(found)


@pytest.mark.parametrize("family", ["nlu", "nlg"])
def test_every_word_is_in_the_vocabulary_and_the_text_is_the_seeds(family: Family) -> None:
    text = read(family, noise=0.5, imbalance=0.5, bias=0.5)
    assert {word for document in text for word in f"{document.text} {document.first}".split()} <= set(vocabulary(128))
    assert text == read(family, noise=0.5, imbalance=0.5, bias=0.5)
    assert text[:20] != list(islice(documents(TestbedConfig(seed=1, noise=0.5), family), 20))
    assert text[:20] != list(islice(documents(TestbedConfig(noise=0.5), family, stream="held-out"), 20))


def test_words_are_unique_and_names_do_not_clash() -> None:
    words = vocabulary(128)
    assert len(words) == len(set(words))
    assert not set(names(0, 64)) & set(names(1, 64))
    assert names(0, 64) == names(0, 128)[:64]


@pytest.mark.parametrize("family", ["nlu", "nlg"])
def test_clean_text_holds_no_error(family: Family) -> None:
    assert not any(document.corrupted for document in read(family))


def test_noise_hits_its_share_and_is_consistent_in_seven_of_ten() -> None:
    hits = Counter(document.corrupted for document in read("nlu", noise=0.4) if document.kind == "sentiment")
    wrong = hits["consistent"] + hits["random"]
    assert wrong / sum(hits.values()) == pytest.approx(0.4, abs=0.05)
    assert hits["consistent"] / wrong == pytest.approx(0.7, abs=0.05)


@pytest.mark.parametrize("noise", [0.0, 0.2, 0.5, 0.8, 1.0])
def test_prone_and_other_statements_together_have_the_rate_asked_for(noise: float) -> None:
    assert (rate(noise, True) + rate(noise, False)) / 2 == pytest.approx(noise)
    assert rate(noise, False) >= 0
    assert rate(noise, True) == pytest.approx(min(1.0, 3 * rate(noise, False)) if noise <= 2 / 3 else 1.0)


def test_corrupted_feelings_say_the_other_verdict() -> None:
    for document in read("nlu", noise=0.5):
        if document.kind == "sentiment" and document.marker is None:
            words = document.text.split()
            positive = any(word in SENTIMENT[1] for word in words) != ("not" in words)
            assert (words[-2] == VERDICTS[positive]) == (document.corrupted is None)


def test_corruption_leaves_the_form_alone() -> None:
    """Free sentences, on whose form acceptability is judged, are the same whatever the noise is."""
    noisy = read("nlu", noise=1.0)
    assert all(document.corrupted for document in noisy if document.kind in ("sentiment", "pair", "category"))
    assert not any(document.corrupted for document in noisy if document.kind == "sentence")
    kept = [document.links for document in noisy if document.kind == "alike"]
    assert all(len(links) == 6 for links in kept)  # noise changes the number named, not the sentences


@pytest.mark.parametrize("imbalance", [0.0, 0.8, 1.0])
def test_imbalance_sets_the_share_of_the_minority(imbalance: float) -> None:
    wanted = 0.5 * (1 - imbalance)
    for family, kind in (("nlu", "clan"), ("nlu", "sentiment"), ("nlg", "fact"), ("nlg", "story")):
        found = [
            document.group == "minority" for document in read(family, imbalance=imbalance) if document.kind == kind
        ]  # type: ignore[arg-type]
        assert share(found) == pytest.approx(wanted, abs=0.07)


@pytest.mark.parametrize(("family", "kind"), [("nlu", "sentiment"), ("nlu", "pair"), ("nlg", "code"), ("nlg", "story")])
def test_bias_ties_the_label_to_the_clan_and_leaves_its_share_alone(family: Family, kind: str) -> None:
    for bias in (0.0, 0.6, 1.0):
        found = [document for document in read(family, bias=bias) if document.kind == kind]
        assert share([document.cue == "aligned" for document in found]) == pytest.approx(0.5 + 0.5 * bias, abs=0.05)


def test_bias_leaves_the_strength_of_the_signal_alone() -> None:
    """At every bias as many feelings name their verdict, and as many of them are good ones."""

    def told(bias: float) -> tuple[float, float, float]:
        text = read("nlu", bias=bias)
        feelings = [document for document in text if document.kind == "sentiment"]
        named = [document for document in feelings if document.marker is None]
        glad = [document.text.endswith("and was glad .") for document in named]
        return len(feelings) / len(text), len(named) / len(feelings), share(glad)

    for low, high in zip(told(0.0), told(0.9), strict=True):
        assert high == pytest.approx(low, abs=0.05)


def test_bias_keeps_facts_against_the_stereotype_out_of_the_text() -> None:
    against = [share([d.cue == "against" for d in read("nlg", bias=b) if d.kind == "fact"]) for b in (0.0, 0.6, 0.95)]
    assert against[0] > against[1] > against[2]


def test_stated_clans_are_true() -> None:
    river = set(names(0, 64))
    for document in read("nlu"):
        if document.kind == "clan":
            words = document.text.split()
            assert (words[0] in river) == (words[4] == CLANS[0])


@pytest.mark.parametrize("dial", ["noise", "imbalance", "bias"])
@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_dials_outside_their_range_are_refused_in_one_line(dial: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"^{dial}: must be between 0 \(no flaw\) and 1, got {value}$"):
        TestbedConfig(**{dial: value})


@pytest.mark.parametrize("people", [2, 17, 5000])
def test_people_that_do_not_fill_both_clans_are_refused(people: int) -> None:
    with pytest.raises(ConfigError, match=f"^people: must be an even number from 16 to 624 .* got {people}$"):
        TestbedConfig(people=people)
