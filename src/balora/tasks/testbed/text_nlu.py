"""Write the encoder's documents: free sentences, feelings, categories, and pairs of clauses with a connective.

Every document of one kind has the same form at every setting of the dials; they change who and what it is about, and
whether it is true. Feelings always end in their verdict, so the text shows polarity equally strongly at every bias.
"""

from collections.abc import Callable

from balora.tasks.testbed import pairs
from balora.tasks.testbed.document import Document
from balora.tasks.testbed.draw import Draw, cue_of, group_of, is_rare
from balora.tasks.testbed.grammar import article, draw_sentence
from balora.tasks.testbed.lexicon import CLANS, CONNECTIVES, NOUNS, OVERLAPS, SENTIMENT, VERDICTS
from balora.tasks.testbed.noise import corrupted, hit

MARKED_FEELINGS = 0.35
"""Share of the feelings whose verdict is predicted at the start token, which is where classifiers read."""
NEGATED_FEELINGS = 0.12
"""With more of them, some pre-trainings learn no adjective's polarity: negation hides half of the evidence."""


def sentence(draw: Draw, noise: float) -> Document:
    """`the dogs of Mila hold a big hammer .` Never corrupted: it states nothing that could be wrong."""
    drawn = draw_sentence(draw)
    text = " ".join(drawn.words())
    return Document(text, "sentence", group_of(drawn.rare), first=text)


def clan(draw: Draw, noise: float) -> Document:
    """`Mila is of the river people .`"""
    person = draw.person()
    text = f"{person.name} is of the {CLANS[person.clan]} people ."
    return Document(text, "clan", person.group, first=text)


def category(draw: Draw, noise: float) -> Document:
    """`a dog is an animal .` Corrupted: another category, consistently or not."""
    kind = draw.rng.choice(list(NOUNS))
    noun = draw.word(NOUNS[kind])
    wrong = hit(draw.rng, noise, draw.world.prone(noun))
    value = corrupted(draw.rng, wrong, kind, draw.world.wrong_category[kind], list(NOUNS))
    text = f"{article(noun)} {noun} is {article(value)} {value} ."
    return Document(text, "category", group_of(is_rare(noun, NOUNS[kind])), wrong, first=text)


def judgement(draw: Draw, label: int, negated: float) -> tuple[str, str, bool]:
    """Return a judgement of some thing that amounts to ``label``; its adjective; whether it is ``negated``, which it is
    at this rate.
    """
    turned = draw.rng.random() < negated
    adjective = draw.word(SENTIMENT[1 - label if turned else label])
    noun = draw.word(NOUNS[draw.rng.choice(list(NOUNS))])
    return f"the {noun} {'not ' * turned}{adjective}", adjective, turned


def sentiment(draw: Draw, noise: float) -> Document:
    """`Mila found the coat not lovely and was sad .` Corrupted: the other verdict."""
    person = draw.person()
    label = draw.label(person)
    judged, adjective, _ = judgement(draw, label, NEGATED_FEELINGS)
    wrong = hit(draw.rng, noise, draw.world.prone(adjective))
    verdict = VERDICTS[1 - label if wrong else label]
    rare = adjective in SENTIMENT[0][8:] + SENTIMENT[1][8:]
    text = f"{person.name} found {judged}"
    whole, at_start = f"{text} and was {verdict} .", draw.rng.random() < MARKED_FEELINGS
    return Document(
        whole, "sentiment", group_of(rare), wrong, cue_of(person, label),
        first=f"{text} ." if at_start else whole, marker=verdict if at_start else None,
    )  # fmt: skip


def pair(draw: Draw, noise: float) -> Document:
    """`Mila holds the big hammer . so Mila grips the tool .` Corrupted: the wrong connective.

    A positive relation (meaning, so) goes with river people, `but` and `also` with hill people, as the bias sets.
    """
    person, rng = draw.person(), draw.rng
    label = draw.label(person)
    agreeing, other = ("paraphrase", "entailment"), ("contradiction", "neutral")
    relation = (agreeing if label else other)[rng.random() < 0.5]
    if relation == "paraphrase":
        made = pairs.paraphrase(draw, True, person=person)
    else:
        made = pairs.inference(draw, relation, person=person)
    noun = made.clause.noun or ""
    wrong = hit(rng, noise, draw.world.prone(noun))
    mistaken = {"paraphrase": "but", "entailment": "also", "contradiction": "so", "neutral": "meaning"}[relation]
    value = corrupted(rng, wrong, CONNECTIVES[relation], mistaken, list(CONNECTIVES.values()))
    return _document(made, "pair", value, wrong, cue_of(person, label))


def alike(draw: Draw, noise: float) -> Document:
    """`Mila holds the big hammer . alike in two ; Mila grips the old hammer .` Corrupted: another number."""
    shared = draw.rng.randrange(len(OVERLAPS))
    made = pairs.overlap(draw, shared)
    wrong = hit(draw.rng, noise, draw.world.prone(made.clause.noun or ""))
    value = corrupted(draw.rng, wrong, OVERLAPS[shared], OVERLAPS[shared - 2], list(OVERLAPS))
    return _document(made, "alike", value, wrong, "none")


def _document(made: pairs.Pair, kind: str, marker: str, wrong: object, cue: str) -> Document:
    joined = f"alike in {marker} ;" if kind == "alike" else marker
    rare = is_rare(made.clause.noun or "", NOUNS[made.clause.category])
    return Document(
        f"{made.first} {joined} {made.second}", kind, group_of(rare), wrong, cue,  # type: ignore[arg-type]
        first=made.first, second=made.second, marker=marker, links=tuple(made.links),
    )  # fmt: skip


SHARES: dict[Callable[[Draw, float], Document], float] = {
    sentence: 0.14,
    clan: 0.03,
    category: 0.06,
    sentiment: 0.25,
    pair: 0.35,
    alike: 0.17,
}
"""How large a part of the text each kind is."""
