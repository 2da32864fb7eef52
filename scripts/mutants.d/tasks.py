"""Wrong versions of the rules that read data files, labels and final answers; one line each."""

# ruff: noqa: E501
# fmt: off
MUTANTS = {
    ("tasks/answers.py", "tasks/test_final_answers.py hostile/test_marked_answers.py"): [
        ("first-mark", "[: -MOST_MARKS - 1 : -1]:", "[:MOST_MARKS]:"),
        ("said-before-box", 'if kind in ("hashes", "box"):', "if True:"),
        ("headings-mark", "elif NOT_BLANK.search(text, end) is None or not HEADING.match(line.lstrip()):", "else:"),
        ("cut-off-box-read", "return None, len(text)", "return text[start + 1 :], len(text)"),
        ("run-on-read", "text = _before_the_next_question(text)", "text = str(text)"),
        ("gold-takes-the-last-number", 'return only_number(lines[-1].rpartition("=")[2]) if lines else None', "return last_number(solution)"),
        ("units-ignored", "left.value == right.value and _units_agree(left.unit, right.unit)", "left.value == right.value"),
        ("units-needed", "left.value == right.value and _units_agree(left.unit, right.unit)", "left.value == right.value and left.unit == right.unit"),
        ("lists-joined", 'kept = BETWEEN_GROUPS.sub("\\0", kept)', "pass"),
        ("hedged-number-read", "None if HEDGED.search(said) else only_number(said)", "only_number(said)"),
        ("line-break-ends-the-mark", "        yield _below(text, end)\n    elif number := read_number(line", "        yield Marked(None, end)\n    elif number := read_number(line"),
    ],
    ("tasks/written_numbers.py", "tasks/test_final_answers.py hostile/test_marked_answers.py"): [
        ("mixed-number-joined", 'return f"{match[1].strip()} {over}/{under}" if match[1]', 'return f"{match[1].strip()}{over}/{under}" if match[1]'),
        ("mixed-subtracted", "_computed(whole + part) if part < 1 else None", "_computed(whole - part) if part < 1 else None"),
        ("superscript-as-digit", '"^" + unicodedata.normalize("NFKC", match[0])', 'unicodedata.normalize("NFKC", match[0])'),
        ("decimal-comma-everywhere", "if comma_decimals else None)", "if True else None)"),
        ("million-ignored", "value * MULTIPLIERS[first], others", "value, others"),
        ("sign-lost", "-value if negative else value", "value"),
        ("any-word-a-unit", "if odd or (glued and first", "if (glued and first"),
        ("expression-read", "if listed or NOT_BEFORE.search(before) or", "if listed or"),
        ("time-read", "(NOT_AFTER.match(text, match.end()) and not glued)", "False"),
        ("list-mark-read", "if listed or NOT_BEFORE", "if NOT_BEFORE"),
        ("fraction-without-brackets", 'under if DENOMINATOR.fullmatch(under) else f"({under})"', "under"),
        ("several-are-one", "return found.pop() if len(found) == 1 else None", "return found.pop() if found else None"),
    ],
}
