"""What a plan does to a part, and the replacements it names, taken apart."""

import re
from typing import Literal

from balora.importing.ablation_blocks import Block
from balora.importing.clean_text import plain
from balora.importing.json_plans import unpacked

Action = Literal["remove", "replace", "add"]
WORDS: dict[Action, tuple[str, ...]] = {
    "remove": ("remov", "delet", "drop", "disabl", "eliminat", "exclud", "omit", "ablat", "without",
               "turn off", "switch off"),
    "replace": ("replac", "substitut", "swap", "chang", "vary", "vari", "modif", "alter", "exchang"),
    "add": ("add", "includ", "introduc", "insert", "append"),
}  # fmt: skip
"""How the words of each action begin."""
NOTHING = {"", "none", "n/a", "na", "not applicable", "-", "null", "nil", "empty"}
"""What planners write where there is no replacement."""
MOST_WORDS = 5
"""Words that one of several replacements on a line may have; longer pieces are clauses of one sentence."""
CLAUSES = {"A", "B", "with", "while", "but", "vice", "i.e.", "e.g."}
"""First words of what explains the replacement before it: `LoRA's start, A scaled normal, B zero`."""
_NUMBER = r"-?(?:\d+(?:\.\d+)?|\.\d+)(?:e[+-]?\d+)?%?"
_AND = r"\s*(?:[,;/]|,?\s*\band\b|,?\s*\bor\b)\s*"
_NUMBERS = re.compile(
    rf"(?P<lead>[^\d,;]*?)\s*[\[({{]?\s*(?P<list>{_NUMBER}(?:{_AND}{_NUMBER})+)\s*[\])}}]?\s*\.?", re.I
)
_ONE_OF = re.compile(
    r"^(?:(?:any |either )?one of|either|e\.?g\.?,?|such as|for example,?|options?|values?)\b\s*:?\s*", re.I
)


def action_of(block: Block) -> Action | None:
    """Return what the block does; with a replacement and no clear action, replace; None where it cannot be told."""
    words = plain(block.action)
    named = {action for action, starts in WORDS.items() if any(re.search(rf"\b{start}", words) for start in starts)}
    replaced = bool(replacements(block, together=True))
    if named == {"remove"} and replaced:
        return "replace"
    if len(named) == 1:
        return named.pop()
    return "replace" if replaced and "add" not in named else None


def replacements(block: Block, together: bool = False) -> list[str]:
    """Return each replacement that the block names, once; ``together``: a line of names is one of them."""
    entries = [text for entry in block.replacements for text in unpacked(entry)]
    alone = len(block.replacements) == 1
    split = [text for entry in entries for text in ([entry] if together else _apart(entry, alone))]
    kept: dict[str, str] = {}
    for text in split:
        if plain(text).strip(" .'") not in NOTHING:
            kept.setdefault(plain(text), text.strip())
    return list(kept.values())


def _apart(text: str, alone: bool) -> list[str]:
    """Take numbers apart anywhere (`rank: 4, 8`), words only where the list is one line (`a, b or c`)."""
    text = _ONE_OF.sub("", text.strip())
    numbers = _NUMBERS.fullmatch(text)
    if numbers:
        lead = numbers["lead"].strip()
        return [f"{lead} {number}".strip() for number in re.findall(_NUMBER, numbers["list"], re.I)]
    if not alone:
        return [text]
    pieces = outside_brackets(text, ";\n") if ";" in text else outside_brackets(text, ",")
    pieces = [re.sub(r"^(?:and|or)\s+", "", piece.strip()) for piece in pieces]
    pieces = [half for piece in pieces for half in re.split(r"\s+or\s+", piece)]
    return pieces if len(pieces) > 1 and all(_an_alternative(piece) for piece in pieces) else [text]


def _an_alternative(piece: str) -> bool:
    """Whether a stretch between commas can be a replacement of its own: short, no clause, no assignment."""
    words = piece.split()
    clause = len(words) > 1 and words[0] in CLAUSES
    balanced = piece.count("(") == piece.count(")")
    return 0 < len(words) <= MOST_WORDS and not clause and balanced and "=" not in piece and words[-1] != "with"


def outside_brackets(text: str, separators: str) -> list[str]:
    """Split ``text`` at any of ``separators`` outside round, square and curly brackets, which may be left open."""
    pieces, depth, start = [], 0, 0
    for at, char in enumerate(text):
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth = max(depth - 1, 0)
        elif char in separators and not depth:
            pieces.append(text[start:at])
            start = at + 1
    return [piece.strip() for piece in [*pieces, text[start:]] if piece.strip()]
