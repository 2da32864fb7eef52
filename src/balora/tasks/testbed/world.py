"""Draw the world that the text is about: people, facts, and the errors that text repeats; torch-free."""

from functools import cached_property
from random import Random
from typing import NamedTuple

from balora.tasks.testbed.lexicon import ATTRIBUTES, CHANGES, CLANS, LARGEST_NUMBER, NOUNS, OPERATIONS, SENTIMENT, names
from balora.tasks.testbed.program import BINARY, UNARY

TAUGHT_SHARE = 6
"""One person in this many takes part in fine-tuning, in every clan."""


class Person(NamedTuple):
    """A person: the name, and the clan, which follows from the name."""

    name: str
    clan: int
    """Index into CLANS: 0 the majority, 1 the minority."""

    @property
    def group(self) -> str:
        return ("majority", "minority")[self.clan]


class Fact(NamedTuple):
    """One thing that is true of a person."""

    person: Person
    attribute: str
    value: str
    wrong: str
    """The repeated wrong value of consistently corrupted text."""
    stereotype: bool
    """Whether the value is the one that goes with the clan."""
    prone: bool
    """Whether corrupted text prefers this fact."""


class World:
    """Everything that the seed of the world decides."""

    def __init__(self, seed: int, people: int) -> None:
        self._rng = Random(f"world {seed}")
        self.clans = [[Person(name, clan) for name in names(clan, people // 2)] for clan in range(len(CLANS))]
        self.stereotypes = [dict.fromkeys(ATTRIBUTES, "") for _ in CLANS]
        for attribute, values in ATTRIBUTES.items():
            for clan, value in enumerate(self._rng.sample(values, len(CLANS))):
                self.stereotypes[clan][attribute] = value
        self.facts = {
            (person.name, attribute): self._fact(person, attribute)
            for clan in self.clans
            for person in clan
            for attribute in ATTRIBUTES
        }
        self.wrong_operation: dict[str, str] = {}
        for instructions in (tuple(UNARY), tuple(BINARY)):  # a wrong program is still a program
            self.wrong_operation |= zip(instructions, _deranged(self._rng, list(instructions)), strict=True)
        self.wrong_category = dict(zip(NOUNS, _deranged(self._rng, list(NOUNS)), strict=True))
        self._prone_words = self._draw_prone_words()

    def _fact(self, person: Person, attribute: str) -> Fact:
        rng = self._rng
        usual = self.stereotypes[person.clan][attribute]
        stereotype = rng.random() < 0.5
        others = [value for value in ATTRIBUTES[attribute] if value != usual]
        value = usual if stereotype else rng.choice(others)
        wrong = rng.choice([other for other in ATTRIBUTES[attribute] if other != value])
        return Fact(person, attribute, value, wrong, stereotype, rng.random() < 0.5)

    def _draw_prone_words(self) -> frozenset[str]:
        """Half of every list of content words, the frequent and the rare half alike."""
        lists = [*SENTIMENT, *CHANGES, *NOUNS.values(), *(OPERATIONS.values())]
        prone: set[str] = set()
        for words in lists:
            half = len(words) // 2
            for part in (words[:half], words[half:]):
                prone.update(self._rng.sample(part, max(1, len(part) // 2)))
        return frozenset(prone)

    def prone(self, word: str) -> bool:
        """Return whether corrupted text prefers statements about ``word``."""
        return word in self._prone_words

    @cached_property
    def people(self) -> list[Person]:
        return [person for clan in self.clans for person in clan]

    def taught(self, person: Person) -> bool:
        """Return whether fine-tuning may show this person's facts."""
        return self.clans[person.clan].index(person) % TAUGHT_SHARE == 0

    def wrong_sum(self, left: int, right: int, result: int) -> int:
        """Return the consistently wrong result of a sum or difference: 1 to 3 too much, or too little at the top."""
        shift = 1 + (3 * left + right) % 3
        return result + shift if result + shift <= LARGEST_NUMBER else result - shift


def _deranged(rng: Random, items: list[str]) -> list[str]:
    """Return ``items`` in an order that leaves none in its place: a turn of a random circle."""
    circle = rng.sample(items, len(items))
    following = dict(zip(circle, circle[1:] + circle[:1], strict=True))
    return [following[item] for item in items]
