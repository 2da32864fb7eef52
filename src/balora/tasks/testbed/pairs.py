"""Draw pairs of clauses whose relation is known: paraphrase, entailment, contradiction, neutral, graded overlap."""

from typing import NamedTuple

from balora.tasks.testbed.draw import Draw
from balora.tasks.testbed.grammar import Clause, Written, draw_clause, write
from balora.tasks.testbed.lexicon import NOUNS, SCALES, VERBS
from balora.tasks.testbed.world import Person

RELATIONS = ("entailment", "neutral", "contradiction")
PARTS = ("person", "verb", "pole", "noun")
SAME, OPPOSITE, WIDER, OTHER = range(4)
"""How a word of the second sentence relates to its counterpart in the first."""


class Pair(NamedTuple):
    """Two sentences; `links` holds for every word of the second how it relates to the first (-1: it does not).

    They are empty where the second sentence is turned.
    """

    first: str
    second: str
    links: list[int]
    clause: Clause
    """What the first one means."""


def paraphrase(draw: Draw, equal: bool, *, person: Person | None = None, turned: bool = False) -> Pair:
    """Draw two sentences that mean the same in other words, or that differ in the meaning of one part.

    ``turned``: the second one is written the other way round (`the hammer is what Mila holds .`).
    """
    clause = draw_clause(draw, person=person)
    return _pair(draw, clause, clause if equal else change(draw, clause, draw.rng.choice(PARTS)), turned)


def inference(draw: Draw, relation: str, *, person: Person | None = None) -> Pair:
    """Draw a premise and a hypothesis that follows from it, contradicts it, or does neither.

    In all three relations the hypothesis may name the category in place of the noun, leave the adjective out, use other
    words, and be negated, so that no word of the hypothesis alone gives the relation away.
    """
    rng = draw.rng
    clause = draw_clause(draw, person=person)
    second = clause
    if relation == "neutral":
        second = change(draw, clause, rng.choice(("person", "verb", "noun")), near=False)
        second = second._replace(negated=rng.random() < 0.3)
    opposed = relation == "contradiction" and rng.random() < 0.6
    if opposed:
        second = change(draw, second, "pole", near=True)
    elif rng.random() < 0.4:
        second = second._replace(pole=None)
    if rng.random() < 0.6 or (relation == "entailment" and second.pole):
        second = second._replace(noun=None)
    if relation == "contradiction" and not opposed:
        second = second._replace(negated=True)
    return _pair(draw, clause, second)


def overlap(draw: Draw, shared: int, *, person: Person | None = None, turned: bool = False) -> Pair:
    """Draw two sentences of which ``shared`` parts out of four mean the same."""
    clause = draw_clause(draw, person=person)
    second = clause
    for part in draw.rng.sample(PARTS, len(PARTS) - shared):
        second = change(draw, second, part)
    return _pair(draw, clause, second, turned)


def change(draw: Draw, clause: Clause, part: str, near: bool | None = None) -> Clause:
    """Return the clause with another meaning in one part; ``near``: the opposite adjective, a noun of the category."""
    rng = draw.rng
    near = rng.random() < 0.5 if near is None else near
    if part == "person":
        person = clause.person
        while person == clause.person:
            person = draw.person()
        return clause._replace(person=person)
    if part == "verb":
        return clause._replace(verb=rng.choice([verb for verb in range(len(VERBS)) if verb != clause.verb]))
    if part == "pole":
        scale, pole = clause.pole or (0, 0)
        if near:
            return clause._replace(pole=(scale, 1 - pole))
        return clause._replace(
            pole=(rng.choice([other for other in range(len(SCALES)) if other != scale]), rng.randrange(2))
        )
    categories = [clause.category] if near else [other for other in NOUNS if other != clause.category]
    category = rng.choice(categories)
    noun = clause.noun
    while noun == clause.noun:
        noun = draw.word(NOUNS[category])
    return clause._replace(category=category, noun=noun)


def _pair(draw: Draw, clause: Clause, second: Clause, turned: bool = False) -> Pair:
    one, two = write(clause, draw.rng), write(second, draw.rng)
    if turned:
        return Pair(one.text(), two.turned(), [], clause)
    return Pair(one.text(), two.text(), _links(clause, second, two), clause)


def _links(first: Clause, second: Clause, written: Written) -> list[int]:
    """Return one relation for every word of the second sentence, in its order."""
    verb = SAME if first.verb == second.verb else OTHER
    noun = SAME if (first.noun, first.category) == (second.noun, second.category) else OTHER
    if second.noun is None:
        noun = WIDER if first.category == second.category else OTHER
    links = [SAME if first.person == second.person else OTHER]
    links += [-1, OPPOSITE, verb] if written.negated else [verb]
    links += [-1]
    if second.pole and first.pole:
        opposite = first.pole[0] == second.pole[0] and first.pole != second.pole
        links += [SAME if first.pole == second.pole else OPPOSITE if opposite else OTHER]
    elif second.pole:
        links += [OTHER]
    return [*links, noun, -1]
