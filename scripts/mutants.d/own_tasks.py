"""Wrong versions of how tasks of one's own are read, split, scored and learnt; one line each."""

# ruff: noqa: E501
# fmt: off
MUTANTS = {
    ("tasks/own_splits.py", "tasks/test_own_rows.py"): [
        ("split-by-place", "_hash(own, row) for row in found", "_hash(own, row) + str(id(row)).encode() for row in found"),
        ("seed-ignored", 'f"{own.read.seed}\\n{input_of(own, row)}"', 'f"{input_of(own, row)}"'),
        ("sides-swapped", "(id(row) in scored) == (split == VALIDATION)", "(id(row) in scored) == (split == TRAIN)"),
        ("border-trained-on", "if key <= border}", "if key < border}"),
    ],
    ("tasks/own_rows.py", "tasks/test_own_rows.py tasks/test_own_task_file.py"): [
        ("joined-by-blanks", 'return "\\n".join(text for text in texts', 'return " ".join(text for text in texts'),
        ("gaps-make-other-classes", "if isinstance(value, float) and value.is_integer():", "if False:"),
        ("numbers-by-class", "    if own.regression:\n        return _number(row, name)\n", ""),
        ("lists-learnt", "if isinstance(value, list | tuple) and LABELS in own.score:", "if isinstance(value, list | tuple):"),
    ],
    ("tasks/own_data.py", "tasks/test_own_task_file.py tasks/test_own_rows.py"): [
        ("numbers-sorted-as-words", "if all(NUMBER.fullmatch(label) for label in labels):", "if False:"),
        ("labels-of-both-splits", "if label not in learnt]", "if False]"),
        ("one-class-learnt", "if len(learnt) == 1:", "if len(learnt) == 0:"),
        ("ids-within-a-split-only", "for split in SPLITS for row in rows[split]) if own.id", "for split in SPLITS[:1] for row in rows[split]) if own.id"),
        ("order-of-the-data-set-lost", "if isinstance(value, ClassValue):", "if False:"),
    ],
    ("tasks/own_task.py", "training/test_own_identity.py"): [
        ("places-in-the-id", "if not isinstance(value, str)} if isinstance(read, dict)", "} if isinstance(read, dict)"),
        ("share-not-in-the-id", "if not isinstance(value, str)} if isinstance(read, dict)", "if isinstance(value, list)} if isinstance(read, dict)"),
    ],
    ("tasks/own_scores.py", "tasks/test_own_scores.py"): [
        ("last-score-first", "first, *others = names", "*others, first = names"),
        ("labels-with-case", "(label := normalise_text(part))", "(label := part.strip())"),
        ("sides-of-labels-swapped", "for text in texts] for texts in (predictions, references))\n    numbers", "for text in texts] for texts in (predictions, predictions))\n    numbers"),
        ("verdict-as-number", "if first in RIGHT_OR_WRONG else", "if False else"),
    ],
    ("tasks/learnt_turns.py", "tasks/test_learnt_turns.py"): [
        ("closing-not-learnt", "return len(opened), len(opened) + len(answer)", "return len(opened), len(opened) + len(answer.removesuffix(template.end.closing))"),
        ("header-learnt", "return len(opened), len(opened) + len(answer)", "return 0, len(opened) + len(answer)"),
        ("users-learnt", 'if message["role"] == "assistant"]', 'if message["role"] == "user"]'),
        ("silence-learnt", '.strip() or messages[place].get("tool_calls")]', ".strip() or True]"),
        ("results-learnt", "if next_text is None or next_text[0] < stop:", "if False:"),
    ],
    ("tasks/token_spans.py", "tasks/test_learnt_turns.py"): [
        ("token-over-the-border", "first <= start < end <= last", "first <= end and start < last"),
        ("border-not-checked", "return len(before) if list(ids[: len(before)]) == before else None", "return len(before)"),
    ],
    ("tasks/column_template.py", "tasks/test_own_rows.py tasks/test_own_task_file.py"): [
        ("value-filled-again", 'return "".join(text + (values[name] if name is not None else "") for text, name in pieces(template))', "return template.format_map(values)"),
    ],
    ("tasks/nlg.py", "tasks/test_learnt_turns.py"): [
        ("all-turns-scored", 'data.model_copy(update={"turns": "last"})', "data"),
    ],
    ("training/filled_settings.py", "training/test_own_identity.py"): [
        ("definition-from-anywhere", "if not isinstance(own, list | tuple) or not all(isinstance(one, OwnTask) for one in own):", "if False:"),
    ],
    ("report/records/shareable.py", "training/test_own_identity.py"): [
        ("paths-inside-lists", "return type(value)(map(_without_folders, value)) if isinstance(value, list | tuple) else value", "return value"),
    ],
}
