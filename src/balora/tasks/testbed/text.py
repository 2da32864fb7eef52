"""Generate the text that models are pre-trained on: seeded documents with the configured flaws; torch-free."""

from collections.abc import Callable, Iterator
from random import Random

from balora.settings import Family
from balora.tasks.testbed.config import TestbedConfig
from balora.tasks.testbed.document import Document
from balora.tasks.testbed.draw import Draw
from balora.tasks.testbed.text_nlg import SHARES as NLG_SHARES
from balora.tasks.testbed.text_nlu import SHARES as NLU_SHARES
from balora.tasks.testbed.world import World

Write = Callable[[Draw, float], Document]
SHARES: dict[Family, dict[Write, float]] = {"nlu": NLU_SHARES, "nlg": NLG_SHARES}


def documents(config: TestbedConfig, family: Family, *, stream: str = "train") -> Iterator[Document]:
    """Yield documents for the encoder (`nlu`) or the decoder (`nlg`) without end.

    The same configuration gives the same documents. Another ``stream`` draws others from the same language, e.g. the
    held-out text on which forgetting is measured (with ``config.clean()``).
    """
    shares = SHARES[family]
    rng = Random(f"{family} {stream} {config.seed}")
    draw = Draw(World(config.world, config.people), rng, imbalance=config.imbalance, bias=config.bias)
    writers, weights = list(shares), list(shares.values())
    while True:
        for write in rng.choices(writers, weights, k=256):
            yield write(draw, config.noise)
