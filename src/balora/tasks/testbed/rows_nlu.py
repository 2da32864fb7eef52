"""Draw the rows of the understanding tasks in the shape of GLUE's, with the ground truth about each."""

from collections.abc import Callable
from random import Random
from typing import Any

from balora.tasks.testbed import pairs
from balora.tasks.testbed.draw import Draw, cue_of, group_of, is_rare
from balora.tasks.testbed.grammar import broken, draw_sentence
from balora.tasks.testbed.lexicon import NOUNS, SENTIMENT
from balora.tasks.testbed.text_nlu import judgement
from balora.tasks.testbed.world import Person

Row = dict[str, Any]
HIGHEST_SCORE = 5.0
CONCESSIONS = 0.5
"""Share of the judgements that weigh another one: `but` makes the last one decide, `though` the first one."""
NEGATED = 0.25
"""Share of the judgements with a `not`, twice that of the text."""
TURNED = 0.5
"""Share of the possible paraphrases whose second sentence is turned round."""


def tags(group: str, person: Person, cue: str, wrong: Any = None, prone: bool = False) -> Row:
    """Return the truth about an item.

    `group`: whether its words (or its person) are of the minority; `clan` of its person; `cue`: whether the clan points
    to its label; `wrong`: what a model answers that has memorised consistent noise; `prone`: whether noise prefers it.
    """
    return {"group": group, "clan": person.group, "cue": cue, "wrong": wrong, "prone": prone}


def acceptability(draw: Draw) -> Row:
    """`the dogs of Mila holds a big hammer .`: 1 as it should be, 0 with one error of form."""
    person = draw.person()
    label = draw.label(person)
    drawn = draw_sentence(draw, person=person)
    words = drawn.words() if label else broken(drawn, draw.rng)
    return {
        "sentence": " ".join(words),
        "label": label,
        "tags": tags(group_of(drawn.rare), person, cue_of(person, label)),
    }


def sentiment(draw: Draw) -> Row:
    """`Mila found the coat lovely but the hat not fine .`: 0 negative, 1 positive.

    Pre-training text judges one thing at a time, so that `but` and `though` are left for fine-tuning to teach.
    """
    person = draw.person()
    label = draw.label(person)
    text, adjective, negated = judgement(draw, label, NEGATED)
    if draw.rng.random() < CONCESSIONS:
        other = judgement(draw, 1 - label, NEGATED)[0]
        text = f"{other} but {text}" if draw.rng.random() < 0.5 else f"{text} though {other}"
    rare = is_rare(adjective, SENTIMENT[1 - label if negated else label])
    known = tags(group_of(rare), person, cue_of(person, label), 1 - label, draw.world.prone(adjective))
    return {"sentence": f"{person.name} found {text} .", "label": label, "tags": known}


def entailment(draw: Draw) -> Row:
    """Premise and hypothesis: 0 entailment, 1 neutral, 2 contradiction; the cue parts entailment from the other two."""
    person = draw.person()
    follows = draw.label(person) if draw.rng.random() < 2 / 3 else None
    label = 1 if follows is None else 0 if follows else 2
    made = pairs.inference(draw, pairs.RELATIONS[label], person=person)
    cue = "none" if follows is None else cue_of(person, follows)
    return {**_texts(made), "label": label, "tags": _pair_tags(draw, made, person, cue)}


def paraphrase(draw: Draw) -> Row:
    """Two sentences: 1 the same meaning, 0 one part differs. Half of the second ones are turned, as no text is."""
    person = draw.person()
    label = draw.label(person)
    made = pairs.paraphrase(draw, bool(label), person=person, turned=draw.rng.random() < TURNED)
    return {**_texts(made), "label": label, "tags": _pair_tags(draw, made, person, cue_of(person, label))}


def similarity(draw: Draw) -> Row:
    """Two sentences, the second one turned, and how many of their four parts mean the same, from 0 to 5 (four)."""
    person = draw.person()
    high = draw.label(person)
    shared = draw.rng.choice((0, 1, 2) if not high else (2, 3, 4))
    made = pairs.overlap(draw, shared, person=person, turned=True)
    cue = "none" if shared == 2 else cue_of(person, high)
    label = HIGHEST_SCORE * shared / len(pairs.PARTS)
    return {**_texts(made), "label": label, "tags": _pair_tags(draw, made, person, cue)}


def _texts(made: pairs.Pair) -> Row:
    return {"sentence1": made.first, "sentence2": made.second}


def _pair_tags(draw: Draw, made: pairs.Pair, person: Person, cue: str) -> Row:
    noun = made.clause.noun or ""
    rare = is_rare(noun, NOUNS[made.clause.category])
    return tags(group_of(rare), person, cue, prone=draw.world.prone(noun))


MAKE: dict[str, Callable[[Draw], Row]] = {
    "acceptability": acceptability,
    "sentiment": sentiment,
    "entailment": entailment,
    "paraphrase": paraphrase,
    "similarity": similarity,
}
CLASSES = {"acceptability": 2, "sentiment": 2, "entailment": 3, "paraphrase": 2}


def mislabel(row: Row, task: str, rng: Random) -> Row:
    """Return the row with another label: noise in the fine-tuning data."""
    if task == "similarity":
        return {**row, "label": HIGHEST_SCORE - row["label"]}
    return {**row, "label": rng.choice([label for label in range(CLASSES[task]) if label != row["label"]])}
