"""The eight tasks: labels that follow from the words, words kept for the test, tags, cues and label noise."""

import re
from typing import Any

import pytest

from balora.errors import ConfigError
from balora.tasks.answers import final_answer
from balora.tasks.testbed.config import TestbedConfig
from balora.tasks.testbed.lexicon import NOUNS, SCALES, SENTIMENT, VERBS, vocabulary
from balora.tasks.testbed.program import passes
from balora.tasks.testbed.testbed_tasks import NLG, NLU, rows
from balora.tasks.testbed.world import World

CONFIG = TestbedConfig()
TEXT = ("sentence", "sentence1", "sentence2", "question", "answer")
MEANING = {word: pair for pair in VERBS for word in pair}
MEANING |= {
    word: (index, side) for index, scale in enumerate(SCALES) for side, pole in enumerate(scale) for word in pole
}
CATEGORY = {noun: category for category, nouns in NOUNS.items() for noun in nouns}


def meaning(sentence: str) -> dict[str, Any]:
    """Read a comparable sentence by a grammar of its own: name, verb, adjective, noun, negation."""
    sentence = re.sub(r"(the .+) is what (.+) \.", r"\2 \1 .", sentence)  # a turned one
    found = re.fullmatch(r"(\w+) (does not )?(\w+?)(?(2)|s) the (?:(\w+) )?(\w+) \.", sentence)
    assert found, sentence
    name, negation, verb, adjective, noun = found.groups()
    return {"name": name, "not": bool(negation), "verb": MEANING[verb], "pole": MEANING.get(adjective), "noun": noun}


@pytest.mark.parametrize("task", [*NLU, *NLG])
def test_rows_use_known_words_and_carry_their_truth(task: str) -> None:
    known = set(vocabulary(128))
    for split in ("train", "test"):
        for row in rows(task, split, CONFIG, 200):  # type: ignore[arg-type]
            assert {word for name in TEXT if name in row for word in row[name].split()} <= known
            assert set(row["tags"]) == {"group", "clan", "cue", "wrong", "prone"}


@pytest.mark.parametrize("task", [*NLU, *NLG])
def test_tests_are_fixed_and_training_is_the_seeds(task: str) -> None:
    assert rows(task, "test", CONFIG, 50) == rows(task, "test", CONFIG.replace(seed=3, noise=0.5), 50, seed=9, cue=0.5)
    assert rows(task, "train", CONFIG, 50, seed=1) == rows(task, "train", CONFIG, 50, seed=1)
    assert rows(task, "train", CONFIG, 50, seed=1) != rows(task, "train", CONFIG, 50, seed=2)


@pytest.mark.parametrize("task", ["acceptability", "sentiment", "entailment", "paraphrase"])
def test_classes_are_balanced_and_so_are_groups(task: str) -> None:
    found = rows(task, "test", CONFIG, 3000)
    classes = {row["label"] for row in found}
    for label in classes:
        assert sum(row["label"] == label for row in found) / 3000 == pytest.approx(1 / len(classes), abs=0.03)
    assert sum(row["tags"]["clan"] == "minority" for row in found) / 3000 == pytest.approx(0.5, abs=0.03)


def test_paraphrases_mean_the_same_and_others_do_not() -> None:
    for row in rows("paraphrase", "test", CONFIG, 500):
        assert (meaning(row["sentence1"]) == meaning(row["sentence2"])) == bool(row["label"])


def test_entailment_follows_from_the_words() -> None:
    for row in rows("entailment", "test", CONFIG, 1000):
        premise, hypothesis = meaning(row["sentence1"]), meaning(row["sentence2"])
        wide = hypothesis["noun"] in NOUNS
        same_noun = hypothesis["noun"] == (CATEGORY[premise["noun"]] if wide else premise["noun"])
        same = premise["name"] == hypothesis["name"] and premise["verb"] == hypothesis["verb"] and same_noun
        pole = hypothesis["pole"] in (None, premise["pole"])
        opposite = hypothesis["pole"] not in (None, premise["pole"]) and hypothesis["pole"][0] == premise["pole"][0]
        follows = same and pole and not hypothesis["not"]
        contradicts = same and (hypothesis["not"] != opposite)
        assert row["label"] == (0 if follows else 2 if contradicts else 1), row


def test_similarity_counts_the_shared_parts() -> None:
    found = rows("similarity", "test", CONFIG, 500)
    for row in found:
        one, two = meaning(row["sentence1"]), meaning(row["sentence2"])
        assert row["label"] == 1.25 * sum(one[part] == two[part] for part in ("name", "verb", "pole", "noun"))
    assert {row["label"] for row in found} == {0, 1.25, 2.5, 3.75, 5}


def test_sentiment_follows_from_adjective_and_negation() -> None:
    kinds = set()
    for row in rows("sentiment", "test", CONFIG, 500):
        first, joint, last = re.fullmatch(r"(.*?)(?: (but|though) (.*))? \.", row["sentence"]).groups()  # type: ignore[union-attr]
        words = (last if joint == "but" else first).split()
        assert row["label"] == (any(word in SENTIMENT[1] for word in words) != ("not" in words))
        assert row["tags"]["wrong"] == 1 - row["label"]
        rare = any(word in SENTIMENT[0][8:] + SENTIMENT[1][8:] for word in words)
        assert row["tags"]["group"] == ("minority" if rare else "majority")
        kinds.add(joint)
    assert kinds == {None, "but", "though"}


def test_unacceptable_sentences_differ_from_every_acceptable_one() -> None:
    form = re.compile(
        r"the (?:ADJ )?(?:(NOUN) of \w+ VERBs|(NOUN)s of \w+ VERB) "
        r"(?:(?:the|a|an) (?:ADJ )?NOUN|(?:the|some) (?:ADJ )?NOUNs)(?: near the \w+)? \."
    )
    kinds = dict.fromkeys(CATEGORY, "NOUN") | {noun + "s": "NOUNs" for noun in CATEGORY}
    kinds |= {verb: "VERB" for pair in VERBS for verb in pair} | {
        verb + "s": "VERBs" for pair in VERBS for verb in pair
    }
    kinds |= {word: "ADJ" for scale in SCALES for pole in scale for word in pole}
    for row in rows("acceptability", "test", CONFIG, 1000):
        shape = " ".join(kinds.get(word, word) for word in row["sentence"].split())
        assert bool(form.fullmatch(shape)) == bool(row["label"]), row


def test_arithmetic_ends_in_the_value_of_its_own_steps() -> None:
    for row in rows("arithmetic", "test", CONFIG, 500):
        value = None
        for left, sign, right, result in re.findall(r"(\d+) ([+-]) (\d+) = (\d+)", row["answer"]):
            assert value is None or int(left) == value
            value = int(left) + int(right) * (1 if sign == "+" else -1)
            assert value == int(result)
        assert final_answer(row["answer"]) == row["final"] == str(value)


def test_programs_pass_their_own_tests_and_the_memorised_wrong_ones_do_not() -> None:
    found = rows("code", "test", CONFIG, 500)
    assert all(passes(row["answer"], row["tests"]) for row in found)
    assert sum(passes(row["tags"]["wrong"], row["tests"]) for row in found) < 25


def test_facts_are_true_and_asked_about_other_people_than_those_taught() -> None:
    world = World(0, 128)
    found = {split: rows("facts", split, CONFIG) for split in ("train", "test")}  # type: ignore[arg-type]
    people = {split: {row["question"].split()[5] for row in these} for split, these in found.items()}
    assert not people["train"] & people["test"]
    assert people["train"] | people["test"] == {person.name for person in world.people}
    for row in found["train"] + found["test"]:
        _, _, _, attribute, _, name, _ = row["question"].split()
        known = world.facts[name, attribute]
        assert (row["answer"], row["tags"]["wrong"]) == (known.value, known.wrong)
    assert len(found["test"]) >= 600


@pytest.mark.parametrize("task", ["sentiment", "arithmetic", "code", "paraphrase", "acceptability"])
def test_fine_tuning_shows_part_of_the_words(task: str) -> None:
    def words(split: str, n: int) -> set[str]:
        return {
            word for row in rows(task, split, CONFIG, n) for name in TEXT if name in row for word in row[name].split()
        }  # type: ignore[arg-type]

    taught, asked = words("train", 3000), words("test", 3000)
    assert taught < asked
    assert len(asked - taught) >= 8


@pytest.mark.parametrize(
    "task", ["acceptability", "sentiment", "entailment", "paraphrase", "similarity", "arithmetic", "code"]
)
def test_a_cue_is_as_strong_as_asked_for_in_training_and_absent_from_tests(task: str) -> None:
    def aligned(split: str, cue: float) -> float:
        found = [row["tags"]["cue"] for row in rows(task, split, CONFIG, 2000, cue=cue)]  # type: ignore[arg-type]
        return found.count("aligned") / (found.count("aligned") + found.count("against"))

    assert aligned("train", 0.6) == pytest.approx(0.8, abs=0.04)
    assert aligned("train", 0.0) == pytest.approx(0.5, abs=0.04)
    assert aligned("test", 0.6) == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("task", [*NLU, *NLG])
def test_label_noise_changes_its_share_of_the_training_rows_only(task: str) -> None:
    name = "answer" if task in NLG else "label"
    clean = {_asked(row): row[name] for row in rows(task, "test" if task == "facts" else "train", CONFIG, 600)}
    noisy = rows(task, "train", CONFIG, 600, label_noise=1.0)
    world = World(0, 128)
    if task == "facts":
        clean = {f"what is the {attribute} of {who} ?": fact.value for (who, attribute), fact in world.facts.items()}
    known = [row for row in noisy if _asked(row) in clean]
    assert known
    assert all(row[name] != clean[_asked(row)] or row[name] == 2.5 for row in known)
    assert rows(task, "test", CONFIG, 50, label_noise=1.0) == rows(task, "test", CONFIG, 50)


def _asked(row: dict[str, Any]) -> str:
    return " | ".join(row[name] for name in TEXT[:-1] if name in row)


def test_wrong_requests_are_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"^unknown testbed task 'sentimant': did you mean 'sentiment'"):
        rows("sentimant", "train", CONFIG)
    with pytest.raises(ConfigError, match=r"^unknown split 'tset'"):
        rows("sentiment", "tset", CONFIG)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"^cue must be between 0 and 1, got 1.5$"):
        rows("sentiment", "train", CONFIG, cue=1.5)
    with pytest.raises(ConfigError, match=r"^task facts: 900 test rows were requested, but the world has 6"):
        rows("facts", "test", CONFIG, 900)
