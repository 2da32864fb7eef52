"""Define a document of pre-training text, with the ground truth about it."""

from typing import Any, NamedTuple

from balora.tasks.testbed.noise import Hit


class Document(NamedTuple):
    """One document."""

    text: str
    """As a person reads it."""
    kind: str
    """Which kind of document it is, e.g. `fact` or `sentiment`."""
    group: str
    """`minority` or `majority`."""
    corrupted: Hit | None = None
    """Whether its statement is wrong, and of which kind the error is."""
    cue: str = "none"
    """Whether its label goes with the person's clan: `aligned`, `against`, or `none` where there is no label."""
    first: str = ""
    """What the encoder reads; the decoder reads `text`."""
    second: str | None = None
    """The second sentence of a pair."""
    marker: str | None = None
    """The word that the encoder has to find at the start token: a connective, a verdict, a number of shared parts."""
    links: tuple[int, ...] = ()
    """How the words of the second sentence relate to the first (:mod:`balora.tasks.testbed.pairs`)."""

    def tags(self) -> dict[str, Any]:
        """Return the ground truth without the text."""
        return {"kind": self.kind, "group": self.group, "corrupted": self.corrupted, "cue": self.cue}
