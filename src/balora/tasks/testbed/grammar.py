"""Draw sentences: free ones with number agreement, and clauses of four parts that can be compared.

`the dogs of Mila hold a big hammer near the mill .` · `Mila holds the big hammer .`
"""

from random import Random
from typing import NamedTuple

from balora.tasks.testbed.draw import Draw
from balora.tasks.testbed.lexicon import ATTRIBUTES, NOUNS, SCALES, VERBS
from balora.tasks.testbed.world import Person


class Clause(NamedTuple):
    """What a comparable sentence means; synonyms are chosen only when it is written."""

    person: Person
    verb: int
    """Index into VERBS."""
    pole: tuple[int, int] | None
    """Index into SCALES and of the pole; none: no adjective."""
    category: str
    noun: str | None
    """None: the category itself is named."""
    negated: bool = False


class Written(NamedTuple):
    """A clause in words; the parts are None where the clause has none."""

    name: str
    verb: str
    adjective: str | None
    noun: str
    negated: bool

    def text(self) -> str:
        verb = f"does not {self.verb}" if self.negated else self.verb + "s"
        adjective = f"{self.adjective} " if self.adjective else ""
        return f"{self.name} {verb} the {adjective}{self.noun} ."

    def turned(self) -> str:
        """Return the same with its end first: `the big hammer is what Mila holds .`"""
        verb = f"does not {self.verb}" if self.negated else self.verb + "s"
        adjective = f"{self.adjective} " if self.adjective else ""
        return f"the {adjective}{self.noun} is what {self.name} {verb} ."


def draw_clause(draw: Draw, *, person: Person | None = None, adjective: float = 1.0) -> Clause:
    """Draw a meaning; with an adjective at the given rate."""
    rng = draw.rng
    category = rng.choice(list(NOUNS))
    pole = (rng.randrange(len(SCALES)), rng.randrange(2)) if rng.random() < adjective else None
    noun = draw.word(NOUNS[category])
    return Clause(person or draw.person(), rng.randrange(len(VERBS)), pole, category, noun)


def write(clause: Clause, rng: Random) -> Written:
    """Choose words for a meaning."""
    scale, pole = clause.pole or (0, 0)
    return Written(
        clause.person.name,
        _synonym(VERBS[clause.verb], rng),
        _synonym(SCALES[scale][pole], rng) if clause.pole else None,
        clause.noun or clause.category,
        clause.negated,
    )


def _synonym(pair: tuple[str, str], rng: Random) -> str:
    return pair[rng.random() < 0.5]


class Sentence(NamedTuple):
    """A free sentence as parts, so that it can be broken in a known way."""

    subject: list[str]
    verb: str
    plural: bool
    object: list[str]
    rare: bool
    """Whether its subject or object is a rare noun."""
    person: Person

    def words(self) -> list[str]:
        return [*self.subject, self.verb if self.plural else self.verb + "s", *self.object, "."]


def draw_sentence(draw: Draw, *, person: Person | None = None) -> Sentence:
    """Draw a free sentence: person, noun, noun of a person, with adjectives and a place now and then."""
    rng, somebody = draw.rng, person or draw.person()
    plural = rng.random() < 0.5
    noun, rare = _noun(draw)
    subject = ["the", *_adjective(rng), noun + "s" * plural, "of", somebody.name]
    thing, rare_thing = _noun(draw)
    many = rng.random() < 0.5
    place = ["near", "the", rng.choice(ATTRIBUTES["home"])] if rng.random() < 0.3 else []
    verbs = VERBS[rng.randrange(len(VERBS))]
    verb = verbs[0] if draw.taught else rng.choice(verbs)
    named = [*_adjective(rng), thing + "s" * many]
    determiner = rng.choice(("the", "some") if many else ("the", article(named[0])))
    object_ = [determiner, *named, *place]
    return Sentence(subject, verb, plural, object_, rare or rare_thing, somebody)


def article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _noun(draw: Draw) -> tuple[str, bool]:
    words = NOUNS[draw.rng.choice(list(NOUNS))]
    word = draw.word(words)
    return word, words.index(word) >= len(words) // 2


def _adjective(rng: Random) -> list[str]:
    return [rng.choice(rng.choice(rng.choice(SCALES)))] if rng.random() < 0.4 else []


def broken(sentence: Sentence, rng: Random) -> list[str]:
    """Return the sentence with one error of form: agreement, a missing determiner, or two words in the wrong order."""
    kind = rng.randrange(3)
    if kind == 0:
        return sentence._replace(plural=not sentence.plural).words()
    if kind == 1:
        return sentence._replace(object=sentence.object[1:]).words()
    words = sentence.words()
    verb = len(sentence.subject)
    place = rng.choice([verb - 1, verb, verb + 1])  # "of" + name, verb + determiner, determiner + next
    words[place - 1], words[place] = words[place], words[place - 1]
    return words
