"""Draw words and people: how rare the minority is, and how strongly a clan goes with a label."""

from collections.abc import Sequence
from random import Random

from balora.tasks.testbed.world import Person, World


class Draw:
    """Draws people and words for text (flawed) or for tasks (even shares).

    Args:
        world: the people.
        rng: where chance comes from.
        imbalance: the minority's share is 0.5·(1 − imbalance).
        bias: P(label | clan) = 0.5 ± 0.5·bias; river people (clan 0) go with label 1, hill people with label 0.
        taught: only the words and people that fine-tuning may show.
    """

    def __init__(
        self, world: World, rng: Random, *, imbalance: float = 0.0, bias: float = 0.0, taught: bool = False
    ) -> None:
        self.world, self.rng, self.bias, self.taught = world, rng, bias, taught
        self._minority = 0.5 * (1 - imbalance)

    def minority(self) -> bool:
        return self.rng.random() < self._minority

    def person(self) -> Person:
        return self.rng.choice(self.world.clans[self.minority()])

    def word(self, words: Sequence[str]) -> str:
        """Draw one of a list whose second half is rare; fine-tuning knows every other word of both halves."""
        half = len(words) // 2
        part = words[half:] if self.minority() else words[:half]
        return self.rng.choice(part[::2] if self.taught else part)

    def label(self, person: Person) -> int:
        """Draw a label that goes with the person's clan as strongly as the bias sets; its overall share stays 0.5."""
        goes_with_clan = self.rng.random() < 0.5 + 0.5 * self.bias
        return (1 - person.clan) if goes_with_clan else person.clan


def is_rare(word: str, words: Sequence[str]) -> bool:
    """Return whether ``word`` stands in the rare half of its list."""
    return words.index(word) >= len(words) // 2


def group_of(rare: bool) -> str:
    return "minority" if rare else "majority"


def cue_of(person: Person, label: int) -> str:
    """Return whether the clan points to this label (`aligned`) or to the other one (`against`)."""
    return "aligned" if label == 1 - person.clan else "against"
