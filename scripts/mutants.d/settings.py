"""Mutants of `settings`, of the reader of YAML, and of the limits of a study: one line for each."""

# ruff: noqa: E501
# fmt: off
MUTANTS = {
    ("settings.py", "hostile/test_setting_values.py"): [
        ("settings-true-is-a-number", "if isinstance(value, bool):\n        raise ValueError(f\"expected a number", "if False:\n        raise ValueError(f\"expected a number"),
        ("settings-numbers-are-switches", "value is None or (type(value) is kind and kind is not int)", "value is None or kind is bool or (type(value) is kind and kind is not int)"),
        ("settings-octal-is-decimal", '"[-+]?(?:0|[1-9][0-9]*(?:_[0-9]+)*)"', '"[-+]?[0-9]+(?:_[0-9]+)*"'),
        ("settings-no-hints", "if named and usual not in fields:", "if False:"),
    ],
    ("yaml_document.py", "hostile/test_yaml.py"): [
        ("yaml-anchors-pass", "if anchor is not None:", "if False:"),
        ("yaml-tags-pass", "if tag is not None:", "if False:"),
        ("yaml-any-depth", "if depth > DEEPEST:", "if False:"),
        ("yaml-quoted-is-plain", "return event.value if event.style else _plain", "return _plain"),
    ],
    ("study/design/candidates.py", "hostile/test_study_files.py"): [
        ("study-arms-without-end", "if (count := 1 + sum(parts.values())) > MOST_ARMS:", "if (count := 1 + sum(parts.values())) > MOST_ARMS**9:"),
    ],
    ("study/design/study.py", "hostile/test_study_files.py"): [
        ("study-names-may-act", "not text.strip() or not all(map(is_printable, text))", "not text.strip()"),
    ],
}
