"""Read a block's action (remove, replace or add), and split its replacements into single ones."""

import re
from typing import Literal

from balora.importing.ablation_blocks import Block
from balora.importing.clean_text import plain
from balora.importing.json_plans import unpacked

Action = Literal["remove", "replace", "add"]
VERB_STEMS: dict[Action, tuple[str, ...]] = {
    "remove": ("remov", "delet", "drop", "disabl", "eliminat", "exclud", "omit", "ablat", "without",
               "turn off", "switch off"),
    "replace": ("replac", "substitut", "swap", "chang", "vary", "vari", "modif", "alter", "exchang"),
    "add": ("add", "includ", "introduc", "insert", "append"),
}  # fmt: skip
"""Beginnings of the words that mean each action."""
NOTHING = {"", "none", "n/a", "na", "not applicable", "-", "null", "nil", "empty"}
"""What plans write where there is no replacement."""
MOST_WORDS = 5
"""Words that each of several replacements on a line may have; longer pieces are clauses of one sentence."""
CLAUSES = {"A", "B", "with", "while", "but", "vice", "i.e.", "e.g."}
"""First words of a clause that explains the replacement before it: `LoRA's start, A scaled normal, B zero`."""
_NUMBER = r"-?(?:\d+(?:\.\d+)?|\.\d+)(?:e[+-]?\d+)?%?"
_AND = r"\s*(?:[,;/]|,?\s*\band\b|,?\s*\bor\b)\s*"
_NUMBERS = re.compile(
    rf"(?P<lead>[^\d,;]*?)\s*[\[({{]?\s*(?P<list>{_NUMBER}(?:{_AND}{_NUMBER})+)\s*[\])}}]?\s*\.?", re.I
)
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
"""`1,000`: one number or two, which only its author knows."""
_ONE_OF = re.compile(
    r"^(?:(?:any |either )?one of|either|e\.?g\.?,?|such as|for example,?|options?|values?)\b\s*:?\s*", re.I
)


def action_of(block: Block) -> Action | None:
    """Return the block's action; if its words are unclear, replace where it names a replacement, else None."""
    words = plain(block.action)
    actions = {action for action, stems in VERB_STEMS.items() if re.search(rf"\b(?:{'|'.join(stems)})", words)}
    replaced = bool(replacements(block, together=True))
    if actions == {"remove"} and replaced:
        return "replace"
    if len(actions) == 1:
        return actions.pop()
    return "replace" if replaced and "add" not in actions else None


def replacements(block: Block, together: bool = False) -> list[str]:
    """Return each replacement that the block names, once; ``together``: do not split a line of names."""
    entries = [text for entry in block.replacements for text in unpacked(entry)]
    alone = len(block.replacements) == 1
    texts = [text for entry in entries for text in ([entry] if together else _split(entry, alone))]
    distinct: dict[str, str] = {}
    for text in texts:
        if plain(text).strip(" .'") not in NOTHING:
            distinct.setdefault(plain(text), text.strip())
    return list(distinct.values())


def _split(text: str, alone: bool) -> list[str]:
    """Split numbers always (`rank: 4, 8`), words only where one line is the whole list (`a, b or c`)."""
    text = _ONE_OF.sub("", text.strip())
    if _THOUSANDS.search(text):
        return [text]
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
    """Whether a text between commas can be a replacement of its own: short, no clause, no assignment."""
    words = piece.split()
    clause = len(words) > 1 and words[0] in CLAUSES
    balanced = piece.count("(") == piece.count(")")
    return 0 < len(words) <= MOST_WORDS and not clause and balanced and "=" not in piece and words[-1] != "with"


def outside_brackets(text: str, separators: str) -> list[str]:
    """Split ``text`` at any of ``separators`` outside brackets, which may be unclosed."""
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
