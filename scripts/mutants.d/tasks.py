"""Wrong versions of the rules that read data files, labels and final answers; one line each."""

# ruff: noqa: E501
# fmt: off
MUTANTS = {
    ("tasks/answers.py", "tasks/test_final_answers.py hostile/test_marked_answers.py"): [
        ("first-mark", "[: -MOST_MARKS - 1 : -1]:", "[:MOST_MARKS]:"),
        ("said-before-box", 'if kind in ("hashes", "box"):', "if True:"),
        ("headings-mark", "elif NOT_BLANK.search(text, end) is None or not HEADING.match(line.lstrip()):", "else:"),
        ("cut-off-box-read", "return None, len(text)", "return text[start + 1 :], len(text)"),
        ("run-on-read", "text = _before_the_next_question(_said_aloud(", "text = str(_said_aloud("),
        ("thought-read", "return text[ends[-1] :] if ends and", "return text if ends and"),
        ("gold-takes-the-last-number", 'only_number(lines[-1].rpartition("=")[2]) if lines', "last_number(solution) if lines"),
        ("units-ignored", "left.value == right.value and _units_agree(left.unit, right.unit)", "left.value == right.value"),
        ("units-needed", "left.value == right.value and _units_agree(left.unit, right.unit)", "left.value == right.value and left.unit == right.unit"),
        ("lists-joined", 'kept = BETWEEN_GROUPS.sub("\\0", kept)', "pass"),
        ("gold-formula-in-part", "return _bare(solution) or only_number", "return only_number"),
        ("formula-in-part", "return _bare(text) or last_number", "return last_number"),
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
    ("tasks/row_checks.py", "tasks/test_data_rows.py hostile/test_tables.py hostile/test_data_values.py"): [
        ("python-reads-scores", "PLAIN_DECIMAL.fullmatch(value.strip()) is not None", 'value.strip() != "" and value.strip().replace("_", "").isdigit()'),
        ("other-scripts-digits", 'r"-?(?:0|[1-9]\\d{0,2})(?:\\.0*)?", re.ASCII', 'r"-?\\d(?:\\.0*)?"'),
        ("true-is-always-1", 'affirming = len(task.labels) == 2 and not task.labels[1].startswith("not_")', "affirming = True"),
        ("numbers-before-names", "return named if named is not None or len(value.names) != len(task.labels) else value.number", "return value.number"),
        ("half-pairs-pass", "    if checked is not None:\n        _refuse_half_pairs(row, checked)\n", ""),
        ("names-by-case", "return plain[plain_name(name)]", "pass"),
    ],
    ("tasks/splits.py", "hostile/test_marked_answers.py"): [
        ("uncertain-rows-scored", 'if row["final"] is not None] if scored else rows', "] if scored else rows"),
        ("uncertain-rows-not-trained-on", 'if row["final"] is not None] if scored else rows', 'if row["final"] is not None]'),
        ("nothing-to-score", "if scored and len(unread) == count:", "if False:"),
    ],
    ("tasks/delimited.py", "tasks/test_data_files.py hostile/test_tables.py"): [
        ("commas-only", "return fitting[0] if len(fitting) == 1", 'return "," if len(fitting) == 1'),
        ("tsv-never-quoted", "    if _is_quoted(text):", "    if False:"),
        ("tsv-quoted-without-need", "return needed or len(cells) >=", "return True or len(cells) >="),
        ("limit-left-open", "        csv.field_size_limit(before)", "        pass"),
        ("opening-line-is-the-records", "opened = number if inside and fresh else opened", "opened = start"),
        ("cells-at-the-end-count", "while len(cells) > len(columns) and not cells[-1].strip():", "while False:"),
        ("blanks-not-skipped", "skipinitialspace=spaced", "skipinitialspace=False"),
    ],
    ("tasks/files.py", "tasks/test_data_files.py hostile/test_tables.py hostile/test_data_values.py"): [
        ("twice-in-json", "if len(values) < len(pairs):", "if False:"),
        ("one-mark-only", 'content.decode(encoding).lstrip("\\ufeff")', 'content.decode(encoding).removeprefix("\\ufeff")'),
    ],
    ("tasks/parquet.py", "hostile/test_data_values.py"): [
        ("whole-column-unreadable", "return [_value(scalar) for scalar in column]", "return [Unreadable(str(column.type))] * len(column)"),
        ("hidden-label-is-the-last", "0 <= value < len(names) else value", "-1 <= value < len(names) else value"),
    ],
}
