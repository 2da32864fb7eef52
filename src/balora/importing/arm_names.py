"""Names of a plan's arms: short, of plain letters, and each once."""

import re
import unicodedata

LONGEST = 40
_LEAD = re.compile(
    r"^(?:[\s#*]*(?:\d+(?:\.\d+)*|[A-Za-z])[.):]\s+)?(?:(?:the\s+)?(?:ablation|experiment|study)(?:\s+study)?s?"
    r"(?:\s*(?:#\s*)?\d+\b|\s+[A-Z]\b)?(?:\s*(?::|-|–|—)\s*|\s+(?:of|on|for|about)\s+(?:the\s+)?|\s*$))?",
    re.I,
)
_TAIL = re.compile(r"\s+(?:ablation|ablation study|study|experiment)s?$", re.I)


def slug(text: str, longest: int = LONGEST) -> str:
    """Return ``text`` in small ASCII letters, digits, points and hyphens, cut at a word's end."""
    folded = unicodedata.normalize("NFKD", text.replace("λ", "lambda")).encode("ascii", "ignore").decode().lower()
    words = [word.strip(".") for word in re.findall(r"[a-z0-9.]+", folded)]
    kept = ""
    for word in filter(None, words):
        longer = f"{kept}-{word}" if kept else word[:longest]
        if len(longer) > longest:
            break
        kept = longer
    return kept


def arm_name(title: str, part: str, action: str | None, replacement: str | None, taken: set[str]) -> str:
    """Return a name for an arm that is not ``taken``: what stands in the part's place, or `no-` and the title."""
    title = slug(_TAIL.sub("", _LEAD.sub("", title, count=1))) or slug(part) or "arm"
    new = slug(re.split(r"[(\[{]", replacement, maxsplit=1)[0] or replacement) if replacement else ""
    if action == "remove" and not replacement:
        name = title if re.match(r"(?:no|without|remov\w*|drop\w*)-", title) else f"no-{title}"
    elif "-" in new and re.search(r"[a-z]{3}", new):
        name = new
    else:
        name = f"{title}-{new}" if new else title
    if name in taken and new and title not in name:
        name = f"{title}-{new}"
    free, count = name, 2
    while free in taken:
        free, count = f"{name}-{count}", count + 1
    return free
