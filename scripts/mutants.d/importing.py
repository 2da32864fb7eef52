"""Mutants of `importing`: one line for each."""

# ruff: noqa: E501
# fmt: off
MUTANTS = {
    ("importing/concepts.py", "importing/test_import_words.py"): [
        ("import-unknown-words-pass", "unknown.append(token)", "pass"),
        ("import-superscripts-are-digits", '"[⁰¹²³⁴⁵⁶⁷⁸⁹]+"', '"[ⁿ]+"'),
        ("import-fractions-are-numbers", 'tokens[at] in "/+*" and', 'tokens[at] in "+*" and'),
        ("import-phrases-cross-commas", '_BARRIERS = set(",;")', "_BARRIERS = set(';')"),
    ],
    ("importing/recognise.py", "importing/test_import_words.py"): [
        ("import-first-part-wins", "if len(parts) != 1:", "if not parts:"),
        ("import-other-concepts-pass", 'needed <= relevant <= needed | set(besides.split()) | COMMON', 'needed <= relevant'),
        ("import-one-family-for-both", "if len(named) == 1 and set(suites) != named:", "if False:"),
        ("import-first-number-wins", "return len(new.numbers) == 1 and", "return len(new.numbers) >= 1 and"),
        ("import-percent-of-anything", "(not new.percent or key in SHARES)", "True"),
        ("import-removal-needs-no-name", "if needed and not needed & text.concepts:", "if False:"),
        ("import-later-assignment-wins", "if value is None or value.keys() & delta.keys():", "if value is None:"),
    ],
    ("importing/parts.py", "importing/test_import_words.py"): [
        ("import-svd-alone-is-the-term", '"spectral | svd regularizer |', '"spectral | svd | svd regularizer |'),
        ("import-consistency-weight-is-the-term", '"regularizer loss formulation", {', '"regularizer loss formulation weight", {'),
    ],
    ("importing/imported_arms.py", "importing/test_import_study.py"): [
        ("import-base-is-an-arm", "if key == checker.base:", "if False:"),
        ("import-twins-stay", "elif key in arms:", "elif False:"),
        ("import-alpha-of-the-rank-is-new", "spec.adapter.alpha != spec.adapter.rank", "spec.adapter.rank"),
        ("import-refused-settings-are-bound", "except ConfigError as error:", "except ZeroDivisionError as error:"),
    ],
    ("importing/actions.py", "importing/test_import_reading.py"): [
        ("import-brackets-are-split", "elif char in separators and not depth:", "elif char in separators:"),
        ("import-clauses-are-split", 'words[0] in CLAUSES', 'words[0] in ""'),
        ("import-nothing-is-a-replacement", 'not in NOTHING', 'is not None'),
        ("import-remove-ignores-its-replacement", 'if actions == {"remove"} and replaced:', "if False:"),
    ],
    ("importing/ablation_blocks.py", "importing/test_import_reading.py"): [
        ("import-text-after-is-a-value", "return not fresh or empty or deeper or self._in_its_list(line)", "return True"),
        ("import-told-twice-counts-twice", ".setdefault(block.key, block)", ".setdefault((block.key, id(block)), block)"),
        ("import-sections-are-papers", 'return " " not in heading and', "return True or"),
    ],
    ("importing/html_to_markdown.py", "importing/test_import_reading.py"): [
        ("import-unknown-tags-go", 'self.handle_data(self.get_starttag_text() or "")', "pass"),
        ("import-unclosed-style-swallows", "[tag] if tag in self._closed else []", "[tag]"),
        ("import-comments-count", "outside.append(text[at:start])", "outside.append(text[at:end])"),
    ],
    ("importing/yaml_writer.py", "importing/test_import_study.py"): [
        ("import-words-are-yaml", "return written.strip()[1:-1]", "return str(value)"),
        ("import-comments-break", "one_line(text), WIDTH", "text, WIDTH"),
        ("import-holes-are-empty", 'f"  set: {HOLE}"', '"  set: {}"'),
    ],
}
