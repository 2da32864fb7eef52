"""Define a testbed: its planted flaws (noise, imbalance, bias), its world, the length of pre-training; torch-free."""

import hashlib
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, field_validator

from balora.settings import Settings
from balora.tasks.testbed.lexicon import MOST_NAMES

RECIPE = 3
"""Raised whenever text or training change, so that cached models of an older recipe are not taken for new ones."""


def _share(value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"must be between 0 (no flaw) and 1, got {value!r}")
    return value


Share = Annotated[float, AfterValidator(_share)]


class TestbedConfig(Settings):
    """One world, the text about it, and the pre-training on that text; flawed by default, as text is."""

    __test__ = False  # pytest takes classes called Test… for tests
    other_names: ClassVar = {}

    seed: int = Field(default=0, ge=0, lt=2**32)
    """Decides the text that is drawn, its order and the initial weights (the luck of pre-training)."""
    world: int = Field(default=0, ge=0, lt=2**32)
    """Decides the facts of the world; models of one world can be scored on the same tests."""
    noise: Share = 0.2
    """Share of the statements that are corrupted; 7 in 10 of them repeat one wrong value every time."""
    imbalance: Share = 0.6
    """How rare the minority (hill people, rare words and operations) is: its share is 0.5·(1 − imbalance)."""
    bias: Share = 0.3
    """How strongly a person's clan goes with a label: P(label | clan) = 0.5 ± 0.5·bias."""
    people: int = 128
    """How many people there are, half of them river people, half hill people."""
    encoder_steps: int = Field(default=800, ge=1)
    """Optimizer steps of the encoder's pre-training."""
    decoder_steps: int = Field(default=700, ge=1)
    """Optimizer steps of the decoder's pre-training."""
    batch_size: int = Field(default=32, ge=2)
    """Documents per step."""

    @field_validator("people")
    @classmethod
    def _people_fill_both_clans(cls, people: int) -> int:
        if people % 2 or not 16 <= people <= 2 * MOST_NAMES:
            raise ValueError(f"must be an even number from 16 to {2 * MOST_NAMES} (the names there are), got {people}")
        return people

    def key(self) -> str:
        """Return a short hash of everything that decides the pre-trained models."""
        return hashlib.sha256(f"{RECIPE} {self.model_dump_json()}".encode()).hexdigest()[:16]

    def clean(self) -> "TestbedConfig":
        """Return the same testbed without flaws."""
        return self.replace(noise=0.0, imbalance=0.0, bias=0.0)
