"""List the recipes of the paper: what a model is trained on, and the tasks it is then scored on; torch-free.

Every task of the catalogue with both training and evaluation rows is a recipe whose two sides are one; those need no
entry here.
"""

from typing import NamedTuple

from balora.errors import ConfigError, unknown_name


class Recipe(NamedTuple):
    """One fine-tuning of a study, and what its model is scored on."""

    name: str
    train: str
    """The task whose training rows are learnt."""
    score: tuple[str, ...]
    """The tasks whose evaluation rows are scored."""


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("math", "metamathqa", ("gsm8k", "math")),
        Recipe("code", "codefeedback", ("humaneval", "mbpp")),
        Recipe("chat", "wizardlm", ("mt_bench",)),
    )
}
"""BA-LoRA (arXiv 2408.04556), section 4.1: the three sets of instructions, and the benchmarks of NLG Avg."""

RECIPE_SUITES: dict[str, tuple[str, ...]] = {"paper-nlg": ("math", "code", "chat")}
"""Name of a suite → its recipes."""


def find_recipe(name: str) -> Recipe:
    """Return the recipe called ``name``; raise :class:`ConfigError` with the nearest match otherwise."""
    if name not in RECIPES:
        raise ConfigError(unknown_name("recipe", name, RECIPES))
    return RECIPES[name]
