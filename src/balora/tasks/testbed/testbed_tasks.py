"""Draw the rows of the testbed's eight tasks, with ground truth, on demand; torch-free.

Fine-tuning (`train`) shows every other word of each list, two thirds of the operations and one person in six; the tests
(`test`) use all words with even shares of majority and minority, and ask about the people that fine-tuning left out.
"""

from random import Random
from typing import Literal

from balora.errors import ConfigError, unknown_name
from balora.tasks.testbed import rows_nlg, rows_nlu
from balora.tasks.testbed.config import TestbedConfig
from balora.tasks.testbed.draw import Draw
from balora.tasks.testbed.rows_nlu import Row
from balora.tasks.testbed.world import World

NLU = tuple(rows_nlu.MAKE)
NLG = tuple(rows_nlg.MAKE)
TEST_ROWS = 1000
"""Enough for a standard error of 1.6 points at an accuracy of one half."""


def rows(
    task: str,
    split: Literal["train", "test"],
    config: TestbedConfig,
    n: int | None = None,
    *,
    seed: int = 0,
    cue: float = 0.0,
    label_noise: float = 0.0,
) -> list[Row]:
    """Return ``n`` rows of a task in the shape that :mod:`balora.tasks.row_checks` gives to its format, with `tags`.

    Args:
        task: one of NLU or NLG.
        split: `train` or `test`. Tests are the same for every seed, cue and label noise.
        config: the world that rows are about; its flaws play no part.
        n: how many; none means ``TEST_ROWS`` of a test (all facts that are left to ask about), 256 for training.
        seed: which training rows are drawn.
        cue: P(label | clan) = 0.5 ± 0.5·cue in the training rows. What a bias dial then shows is how far pre-training
            *amplifies* a cue of the fine-tuning data.
        label_noise: share of the training rows whose label is wrong.

    Raises:
        ConfigError: unknown task or split; a share outside 0…1; more facts requested than there are.
    """
    makers = {**rows_nlu.MAKE, **rows_nlg.MAKE}
    if task not in makers:
        raise ConfigError(unknown_name("testbed task", task, makers))
    if split not in ("train", "test"):
        raise ConfigError(unknown_name("split", split, ("train", "test")))
    for name, value in (("cue", cue), ("label_noise", label_noise)):
        if not 0 <= value <= 1:
            raise ConfigError(f"{name} must be between 0 and 1, got {value!r}")
    world = World(config.world, config.people)
    if split == "train":
        rng = Random(f"{task} train {seed} {config.world}")
        draw = Draw(world, rng, bias=cue, taught=True)
        made = [makers[task](draw) for _ in range(256 if n is None else n)]
        return [_mislabelled(row, task, rng) if rng.random() < label_noise else row for row in made]
    if task == "facts":
        return _facts(world, n)
    draw = Draw(world, Random(f"{task} test {config.world}"))
    return [makers[task](draw) for _ in range(TEST_ROWS if n is None else n)]


def _mislabelled(row: Row, task: str, rng: Random) -> Row:
    return rows_nlu.mislabel(row, task, rng) if task in NLU else rows_nlg.mislabel(row, task, rng)


def _facts(world: World, n: int | None) -> list[Row]:
    drawn = [rows_nlg.fact(known) for known in rows_nlg.facts_of(world, taught=False)]
    Random(0).shuffle(drawn)
    if n is not None and n > len(drawn):
        raise ConfigError(
            f"task facts: {n} test rows were requested, but the world has {len(drawn)}: raise `people` or request fewer"
        )
    return drawn[:n]
