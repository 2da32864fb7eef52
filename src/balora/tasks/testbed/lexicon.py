"""List the words of the language. In every list of content words the second half is *rare*: the minority.

Synonyms stand side by side. Nothing here is drawn: the same words make every world.
"""

from itertools import product
from random import Random

NOUNS = {
    "animal": ("dog", "cat", "horse", "goat", "hen", "badger", "owl", "hare", "toad", "crow"),
    "tool": ("hammer", "rake", "saw", "spade", "axe", "chisel", "drill", "wedge", "clamp", "lathe"),
    "fruit": ("apple", "pear", "melon", "lemon", "plum", "fig", "date", "quince", "lime", "grape"),
    "garment": ("coat", "hat", "boot", "scarf", "glove", "cloak", "vest", "sock", "belt", "shawl"),
}
"""Category -> its nouns; the plural adds an s."""

VERBS = (("hold", "grip"), ("find", "spot"), ("want", "need"), ("mend", "repair"), ("sell", "vend"), ("clean", "scrub"))
"""Pairs of synonyms; the third person adds an s."""

SCALES = (
    (("big", "large"), ("small", "little")),
    (("old", "aged"), ("new", "recent")),
    (("heavy", "weighty"), ("light", "slight")),
    (("hot", "heated"), ("cold", "chilly")),
)
"""Scale -> two opposite poles -> two synonyms."""

POSITIVE = (
    "lovely", "fine", "pleasant", "superb", "splendid", "charming", "great", "sweet",
    "delightful", "graceful", "noble", "perfect", "cheerful", "brilliant", "worthy", "radiant",
)  # fmt: skip
NEGATIVE = (
    "awful", "ugly", "nasty", "dreadful", "horrid", "poor", "vile", "foul",
    "dismal", "shabby", "wretched", "grim", "rotten", "dire", "clumsy", "hideous",
)  # fmt: skip
SENTIMENT = (NEGATIVE, POSITIVE)
"""By label."""
VERDICTS = ("sad", "glad")
"""By label."""

ATTRIBUTES = {
    "home": ("mill", "harbour", "castle", "farm", "market", "chapel", "bridge", "tower"),
    "trade": ("smith", "baker", "weaver", "potter", "fisher", "miner", "tailor", "scribe"),
    "food": ("soup", "bread", "cheese", "rice", "stew", "honey", "porridge", "pie"),
    "colour": ("red", "blue", "green", "yellow", "white", "black", "purple", "brown"),
    "pet": ("parrot", "rabbit", "turtle", "pony", "lizard", "finch", "ferret", "otter"),
    "game": ("chess", "dice", "tennis", "cards", "bowls", "darts", "quoits", "skittles"),
}
"""What the world knows about every person, and the values it may have."""

CLANS = ("river", "hill")
"""The majority and the minority."""

GAINS = ("finds", "gets", "buys", "earns", "wins", "gathers", "collects", "receives")
LOSSES = ("loses", "gives", "sells", "drops", "spends", "breaks", "wastes", "forgets")
CHANGES = (LOSSES, GAINS)
"""By whether the number grows."""
THINGS = ("beads", "coins", "shells", "stones", "nails", "stamps")

OPERATIONS = {
    "add": ("raise", "increase", "lift"),
    "dbl": ("double", "duplicate", "twin"),
    "inc": ("bump", "nudge", "advance"),
    "sub": ("lower", "reduce", "cut"),
    "hlf": ("halve", "split", "divide"),
    "mul": ("multiply", "scale", "amplify"),
    "sqr": ("square", "power", "exponentiate"),
    "dec": ("dip", "retreat", "trim"),
    "neg": ("negate", "flip", "invert"),
    "clr": ("clear", "reset", "erase"),
}
"""Instruction -> the words that ask for it; the second half of the instructions is rare."""

LARGEST_NUMBER = 20
"""Numbers are words from 0 to this one."""

CONNECTIVES = {"paraphrase": "meaning", "entailment": "so", "neutral": "also", "contradiction": "but"}
OVERLAPS = ("none", "one", "two", "three", "four")
"""How many of a pair's four parts agree, as words."""

FUNCTION_WORDS = (
    "the", "a", "an", "some", "of", "is", "are", "was", "does", "not", "and", "then", "near", "it", "by", "has", "how",
    "many", "what", "who", "people", "to", "writes", "found", "alike", "in", "though",
    ".", ",", ";", "?", ":", "+", "-", "=", "####", "Question:", "Answer:", "Instruction:", "Response:",
)  # fmt: skip


def names(clan: int, count: int) -> tuple[str, ...]:
    """Return ``count`` names of a clan; a larger count only adds names."""
    ending = ("a", "un")[clan]
    found = [first + vowel + middle + ending for first, vowel, middle in product("BDFGKLMNPRSTV", "aeio", "lmnrst")]
    Random(clan).shuffle(found)
    return tuple(found[:count])


MOST_NAMES = len(names(0, 10_000))


def vocabulary(people: int) -> list[str]:
    """Return every word that text or tasks can hold, with ``people`` names in all, each once, in a fixed order."""
    nouns = [word for words in NOUNS.values() for word in words]
    words = [*FUNCTION_WORDS, *NOUNS, *nouns, *(noun + "s" for noun in nouns)]
    words += [verb + ending for pair in VERBS for verb in pair for ending in ("", "s")]
    words += [word for scale in SCALES for pole in scale for word in pole]
    words += [*POSITIVE, *NEGATIVE, *VERDICTS, *CLANS, *GAINS, *LOSSES, *THINGS]
    words += [*ATTRIBUTES, *(value for values in ATTRIBUTES.values() for value in values)]
    words += [*OPERATIONS, *(word for group in OPERATIONS.values() for word in group)]
    words += [*CONNECTIVES.values(), *OVERLAPS, *map(str, range(LARGEST_NUMBER + 1))]
    words += [name for clan in (0, 1) for name in names(clan, people // 2)]
    return list(dict.fromkeys(words))
