"""Read a number as people and models write it: groups of digits, fractions, powers, currencies, units; torch-free.

:func:`read_number` reads a text whole or not at all; :func:`last_number` finds the last number of running text.
"""

import re
import unicodedata
from fractions import Fraction
from typing import NamedTuple

INTEGER = r"(?:\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})+,\d{3}|\d+)(?!\d)"  # 1,234,567 or 12,34,567 or 1234567
SPACED = r"(?:\d{1,3}(?:[ ']\d{3})+(?!\d))"
DECIMAL = rf"(?:(?:{SPACED}|{INTEGER})(?:\.\d*)?|\.\d+)"
COMMA_DECIMAL = re.compile(r"(\d{1,3}(?:\.\d{3})+|\d{1,3}(?: \d{3})+|\d+),(\d+)")
DOTTED = re.compile(r"\d{1,3}(?:\.\d{3}){2,}")
EXPONENT = r"(?:([-+]?\d+)|\{\s*([-+]?\d+)\s*\}|\(\s*([-+]?\d+)\s*\))"
MIXED = re.compile(rf"({INTEGER})(?: and)? ?(?<!\d)(\d+) ?/ ?(\d+)")
FRACTION = re.compile(rf"({DECIMAL}) ?/ ?({DECIMAL})")
POWER = re.compile(rf"(?:({DECIMAL}) ?(?:[*x×·⋅]|\\times|\\cdot) ?)?({DECIMAL}) ?(?:\^|\*\*) ?{EXPONENT}")
SCIENTIFIC = re.compile(rf"({DECIMAL})[eE]([-+]?\d+)")
PLAIN = re.compile(DECIMAL)
DEEPEST = 20
"""Most fractions within fractions that are rewritten."""
LONGEST = 1000
"""Most digits of a power that is computed: `2^{100}` is, `10^{99999}` stays a text."""

CURRENCY = r"(?:[A-Z]{0,3}\\?\$|[€£¥₹₩]|(?:USD|EUR|GBP|INR|Rs\.?)(?= ?\d))"
VALUE = (
    r"(?P<value>(?:\d|\.\d)(?:[\d.,'/*x×·⋅^{}() ]|\\times|\\cdot|(?<=[\^{(*])[-+]|(?<=[eE])[-+](?=\d)|"
    r"(?<=\d)[eE](?=[-+]?\d)|(?<=\d )and(?= \d))*)"
)
WRITTEN = re.compile(rf"(?P<sign>[-+]?) ?{CURRENCY}? ?(?P<inner>[-+]?) ?{VALUE}(?P<rest>.*)", re.DOTALL)
LEAD = re.compile(
    r"(?:so|thus|hence|therefore|about|approximately|approx\.?|around|roughly|nearly|almost|exactly|only|just|"
    r"a total of|(?:the )?(?:final |correct )?answer(?: is)?|(?:[^\W\d_]++ ?){1,3}+[=:]|"
    r"(?=[^=]*\d)[-\d\s.,+*/×÷()$%]++=|\\approx|[≈~=:])[ ,]*(?!$)",
    re.IGNORECASE,
)
REMARK = re.compile(
    r" \((?=[^()]*[^\W\d_]|[^()]*=)[^()]*\)$|(?:[,;]| [-—]) (?!(?:or|and)\b)[^\W\d_]{3,}\D*$|"
    r",? (?:because|since|which|where)\b.*$"
)

WORD = r"[^\W\d_]+(?:['’-][^\W\d_]+)*\.?(?:\^\{?\d\}?)?"
UNIT = re.compile(rf"{WORD}(?:(?: |/| / |·|, ){WORD})*", re.UNICODE)
SHORT_UNITS = frozenset(
    {
        "mm",
        "cm",
        "dm",
        "km",
        "mi",
        "ft",
        "in",
        "yd",
        "mg",
        "kg",
        "lb",
        "lbs",
        "oz",
        "ml",
        "dl",
        "cl",
        "gal",
        "pt",
        "pts",
        "hr",
        "hrs",
        "min",
        "mins",
        "sec",
        "secs",
        "ms",
        "yr",
        "yrs",
        "am",
        "pm",
        "mph",
        "kph",
        "kmh",
        "kwh",
        "kw",
        "hz",
        "khz",
        "mb",
        "gb",
        "tb",
        "kb",
        "sq",
        "cu",
        "usd",
        "eur",
        "gbp",
        "inr",
    }
)
SPACED_UNITS = frozenset("mghsl")
"""Units of one letter, which after a blank are units and without one the names of unknowns."""
CURRENCIES = frozenset(
    {
        "dollar",
        "dollars",
        "euro",
        "euros",
        "pound",
        "pounds",
        "yen",
        "rupee",
        "rupees",
        "usd",
        "eur",
        "gbp",
        "inr",
        "percent",
    }
)
MULTIPLIERS = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
NOT_FIRST = frozenset(
    {"or", "to", "by", "x", "mod", "modulo", "choose", "squared", "cubed", "factorial", "plus", "minus", "point"}
)
NEVER = frozenset(
    {
        "dozen",
        "dozens",
        "half",
        "halves",
        "third",
        "thirds",
        "quarter",
        "quarters",
        "fourth",
        "fourths",
        "fifth",
        "fifths",
        "sixth",
        "sixths",
        "eighth",
        "eighths",
        "tenth",
        "tenths",
        "hundredth",
        "hundredths",
        "below",
        "negative",
        "pi",
        "sqrt",
        "sin",
        "cos",
        "tan",
        "log",
        "ln",
        "exp",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "twenty",
    }
)
"""Words after a number that change its value, so that it cannot be read with certainty."""

VULGAR = re.compile("[¼-¾⅐-⅞↉]")
RAISED = re.compile("[⁰¹²³⁴-⁹⁺⁻]+")
GROUP_SPACE = re.compile(r"(?<=\d)[\u00a0\u2007\u2009\u202f](?=\d{3}(?!\d))")
MARKDOWN = re.compile(r"(?<![\d)])\*\*|\*\*(?![\d(])|`|<<[^<>\n]*>>|</s>|<\|[^|<>\n]*\|>")
"""Dress: bold and code, the sums that GSM8K writes between `<<` and `>>`, end tokens written out."""
LATEX_SPACE = re.compile(r"(?<!\\)\\[,;: ]|~|\\q?quad\b")
LATEX_NOISE = re.compile(
    r"\\left(?![a-z])|\\right(?![a-z])|\\!\s*|\\displaystyle|\^\s*(?:\\circ|\{\s*\\circ\s*\})|°|\\[()]|\\\[|\\\]"
)
LATEX_TEXT = re.compile(r"\\(?:text|textrm|textbf|textit|mathrm|mathbf|mbox|operatorname)\s*\{([^{}]*)\}")
ARGUMENT = r"(?:\{([^{}]*)\}|([^\s{}\\]))"
LATEX_ROOT = re.compile(r"\\sqrt\s*\{\s*(\w)\s*\}")
LATEX_FRACTION = re.compile(rf"(\d ?)?\\[dtc]?frac\s*{ARGUMENT}\s*{ARGUMENT}")
NUMERATOR = re.compile(r"\s*[-+]?[\w.,\\]+\s*")
DENOMINATOR = re.compile(r"\s*(?:[\d.,]+|[A-Za-z]|\\[A-Za-z]+)\s*")


class Number(NamedTuple):
    """A number that was read whole."""

    written: str
    """In plain digits, as written otherwise: `3.50`; a mixed number or a power is computed: `7/2`."""
    value: Fraction
    unit: str
    """The words after it; a currency and per cent count as none."""


def plain(text: str) -> str:
    """Return ``text`` with plain digits, signs, fractions and spaces, without LaTeX and Markdown dress."""
    text = VULGAR.sub(lambda match: " " + unicodedata.normalize("NFKC", match[0]), text)
    text = RAISED.sub(lambda match: "^" + unicodedata.normalize("NFKC", match[0]), text)
    text = unicodedata.normalize("NFKC", text).translate(SIGNS)
    if not text.isascii():
        text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
    text = LATEX_SPACE.sub(" ", LATEX_NOISE.sub("", text.replace("{,}", ",")))
    text = LATEX_TEXT.sub(lambda match: f" {match[1]} " if match[1][:1].isalpha() else match[1], text)
    text = MARKDOWN.sub("", text.replace("\\%", "%").replace("\\$", "$"))
    text = LATEX_ROOT.sub(r"\\sqrt\1", text)
    for _ in range(DEEPEST):  # from the innermost fraction outwards
        text, count = LATEX_FRACTION.subn(_fraction, text)
        if not count:
            break
    return text


SIGNS = str.maketrans({"−": "-", "–": "-", "﹣": "-", "⁄": "/", "٫": ".", "٬": ",", "\u200b": None, "\ufeff": None})


def read_number(text: str, *, comma_decimals: bool = False) -> Number | None:
    """Return the number that ``text`` is, or None where it is not one number for certain.

    A number may have a currency, `x =` or `about` before it, and a unit and a remark after it. `5:30`, `2x+3` and
    `1,2,3` are no numbers. With ``comma_decimals``, `3,5` is 3.5; without, it is a list.
    """
    if len(text) > LONGEST:
        return None
    body = REMARK.sub("", " ".join(plain(text).split()).strip("*_ ").rstrip(".,:; ").strip("*_ "))
    body = _without_dollars(body)
    for _ in range(4):
        found = _read(body, comma_decimals)
        lead = LEAD.match(body)
        if found or not lead:
            return found
        body = body[lead.end() :].strip()
    return None


def last_number(text: str) -> str | None:
    """Return the last number of running text, or None where it does not stand alone (`2x+3`, `5:30`, `10-3`)."""
    body = plain(GROUP_SPACE.sub(",", text))
    matches = list(IN_TEXT.finditer(body))
    return _alone(body, matches[-1]) if matches else None


def only_number(text: str) -> str | None:
    """Return the one number that stands in ``text``, or None where there are none or several."""
    body = plain(GROUP_SPACE.sub(",", text))
    found = {_alone(body, match) for match in IN_TEXT.finditer(body)}
    return found.pop() if len(found) == 1 else None


IN_TEXT = re.compile(
    rf"(?:(?<![\w)}}\]])-)?(?:[$€£¥₹] ?-?)?(?:\d+ \d+/\d+|{INTEGER}(?:\.\d+)? ?/ ?\d+(?:\.\d+)?|"
    rf"(?:{INTEGER} ?[*x×·⋅] ?)?\d+(?:\.\d+)?\^(?:\d+|\{{[-+]?\d+\}})|"
    rf"(?:{INTEGER}(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?)"
)
NOT_BEFORE = re.compile(
    r"[^\W_]\Z|[\^_]\Z|\d[.,:]\Z|(?:\d|(?<![^\W\d_])[^\W\d_]|[)}\]])[ \t]*[-+*/^×÷][ \t]*\Z|"
    r"\b(?:minus|negative)[ \t]+\Z|\\[A-Za-z]+\{\Z|\\(?:sqrt|cdot|times|div|pm)\s*\Z"
)
NOT_AFTER = re.compile(r"[^\W_]|[\^_]|[:.,]\d|[ \t]*[+*/^×÷][ \t]*[\w(]| and (?:a|one|two|three) |,?[ \t]*\\[A-Za-z]")
LIST_MARK, LISTED = re.compile(r"(?:\A|\n)[#*> \t]*\Z"), re.compile(r"[.)][ \t]+[^\W\d_]")
GLUED_UNIT = re.compile(r"[^\W\d_]+(?![\w^])")
MULTIPLIED = re.compile(rf" (?:{'|'.join(MULTIPLIERS)})\b")


def _alone(text: str, match: re.Match[str]) -> str | None:
    """Return the number if it is no part of an expression, a time or a word."""
    unit = GLUED_UNIT.match(text, match.end())
    glued = unit is not None and unit[0].casefold() in SHORT_UNITS
    before = text[max(0, match.start() - 20) : match.start()]
    listed = LIST_MARK.search(before) and LISTED.match(text, match.end())
    if listed or NOT_BEFORE.search(before) or (NOT_AFTER.match(text, match.end()) and not glued):
        return None
    multiplied = MULTIPLIED.match(text, match.end())
    number = read_number(match[0] + (multiplied[0] if multiplied else ""))
    return number.written if number else None


def _read(text: str, comma_decimals: bool) -> Number | None:
    match = WRITTEN.fullmatch(text)
    if not match or (match["sign"] and match["inner"]):
        return None
    written = match["value"].rstrip(" ,x*×·⋅.(")
    rest = match["value"][len(written) :].rstrip(".") + match["rest"]
    found = _value(written) or (_comma_decimal(written) if comma_decimals else None)
    unit = _unit(rest)
    if found is None or unit is None:
        return None
    digits, value = found
    first, _, others = unit.partition(" ")
    if first in MULTIPLIERS:
        value, unit = value * MULTIPLIERS[first], others
        digits = str(value)
    if unit.split(" ")[0] in CURRENCIES | {"per"}:
        unit = ""
    negative = "-" in match["sign"] + match["inner"]
    return Number("-" + digits if negative else digits, -value if negative else value, unit)


def _unit(rest: str) -> str | None:
    """Return the words of a unit; the empty text for none; None where they are something else."""
    glued = bool(rest) and not rest[0].isspace() and rest[0].isalpha()
    rest = re.sub(r"^\s*(?:%|[€£¥₹₩$])\s*", "", rest).strip().rstrip(".").strip()
    if not rest:
        return ""
    words = re.split(r"[ /·,]+", rest.casefold())
    first = words[0].split("^")[0].rstrip(".")
    short = len(first) < 3 and first not in (SHORT_UNITS if glued else SHORT_UNITS | SPACED_UNITS)
    odd = short or first in NOT_FIRST or not NEVER.isdisjoint(words)
    if odd or (glued and first not in SHORT_UNITS | CURRENCIES) or not UNIT.fullmatch(rest):
        return None
    return " ".join(words)


def _value(text: str) -> tuple[str, Fraction] | None:
    """Return the plain digits and the value of an unsigned number."""
    try:
        if match := MIXED.fullmatch(text):
            whole, part = _decimal(match[1]), Fraction(int(match[2]), int(match[3]))
            return _computed(whole + part) if part < 1 else None
        if match := FRACTION.fullmatch(text):
            over, under = _digits(match[1]), _digits(match[2])
            return f"{over}/{under}", Fraction(over) / Fraction(under)
        if match := POWER.fullmatch(text):
            factor = _decimal(match[1]) if match[1] else Fraction(1)
            return _power(factor, match[2], int(match[3] or match[4] or match[5]))
        if match := SCIENTIFIC.fullmatch(text):
            return _power(_decimal(match[1]), "10", int(match[2]))
        if PLAIN.fullmatch(text):
            return _digits(text), _decimal(text)
        if DOTTED.fullmatch(text):
            return text.replace(".", ""), Fraction(text.replace(".", ""))
    except (ValueError, ZeroDivisionError):  # more digits than Python converts, or x/0
        return None
    return None


def _comma_decimal(text: str) -> tuple[str, Fraction] | None:
    """Return `3,5` as 3.5, `1.234,56` as 1234.56, `0,125` as 0.125; `12,3456` is none for certain."""
    match = COMMA_DECIMAL.fullmatch(text)
    if not match or (len(match[2]) > 2 and match[1] != "0" and not re.search(r"[. ]", match[1])):
        return None
    whole, part = match.groups()
    digits = f"{re.sub('[. ]', '', whole)}.{part}"
    return digits, Fraction(digits)


def _power(factor: Fraction, base: str, exponent: int) -> tuple[str, Fraction] | None:
    if abs(exponent) * len(_digits(base)) > LONGEST:
        return None
    return _computed(factor * _decimal(base) ** exponent)


def _computed(value: Fraction) -> tuple[str, Fraction]:
    return str(value), value


def _digits(text: str) -> str:
    return re.sub(r"[, ']", "", text)


def _decimal(text: str) -> Fraction:
    return Fraction(_digits(text))


def _fraction(match: re.Match[str]) -> str:
    """Return `a/b` for `\\frac{a}{b}`, in brackets where needed; after a digit it is part of a mixed number."""
    over, under = (match[2] or match[3] or "").strip(), (match[4] or match[5] or "").strip()
    over = over if NUMERATOR.fullmatch(over) else f"({over})"
    under = under if DENOMINATOR.fullmatch(under) else f"({under})"
    return f"{match[1].strip()} {over}/{under}" if match[1] else f"{over}/{under}"


def _without_dollars(text: str) -> str:
    """Take off the dollar signs around a formula (`$12$`), not the one of a price (`$12`)."""
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] == "$" else text
