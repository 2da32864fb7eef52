"""Check the rows of HumanEval, of MBPP and of tasks with tests of their own, and write their questions; torch-free.

A checked row holds `question` (the instruction), `answer` (a right program), `prompt` (code that an answer may
continue; empty if there is none), `tests` (texts that run after the program), `entry_point` (what the tests call) and
`name`.
"""

import ast
import re
import warnings
from collections.abc import Sequence
from typing import Any

from balora.errors import DataError, printable, shortened, shown
from balora.tasks.files import Row, SourceRow

COLUMNS = {
    "HumanEval": ("task_id", "prompt", "canonical_solution", "test", "entry_point"),
    "MBPP": ("task_id", "code", "test_list"),
    "MT-Bench": ("question_id", "turns"),
    "GSM8K": ("question", "answer"),
    "MATH": ("problem", "solution"),
}
"""The columns that mark a row of each benchmark."""
MBPP_TEST = range(11, 511)
"""The problems of MBPP's test split, by `task_id` (Austin et al. 2021); 1 to 10 are for few-shot prompts."""
HUMANEVAL_QUESTION = (
    "Complete the following Python function. Answer with the whole function in one fenced code block.\n\n"
    "```python\n{prompt}\n```"
)
MBPP_QUESTION = (
    "You are an expert Python programmer, and here is your task: {text} Your code should pass these tests:\n\n{tests}"
)
"""The prompt of Austin et al. 2021 (figure 1), up to the mark at which the code begins."""
DEFINED = re.compile(r"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)", re.MULTILINE)
CALLED = re.compile(r"\b([A-Za-z_]\w*)[ \t]*\(")


def check_humaneval(row: SourceRow) -> Row:
    """Return a row of HumanEval, whose tests are `check(entry_point)` after the published text.

    Raises:
        DataError: the row is of another benchmark, lacks a column, or holds a value of another type.
    """
    _refuse_others(row, "HumanEval")
    prompt, solution, test, name = (
        _text(row, column) for column in ("prompt", "canonical_solution", "test", "entry_point")
    )
    if not name.isidentifier():
        raise DataError(f"{row.where}: entry_point is {shown(name)}, but the name of a function is needed")
    return {
        "question": HUMANEVAL_QUESTION.format(prompt=prompt.strip()), "answer": prompt + solution, "prompt": prompt,
        "tests": [test, f"check({name})"], "entry_point": name, "name": _name(row),
    }  # fmt: skip


def check_mbpp(row: SourceRow) -> Row:
    """Return a row of MBPP, of the full file or of the `sanitized` one; the challenge tests are not used.

    The set-up runs after the program, since it may build objects of the program's classes.

    Raises:
        DataError: as :func:`check_humaneval`.
    """
    _refuse_others(row, "MBPP")
    text = _text(row, "text" if "text" in row.values else "prompt")
    code = _text(row, "code")
    setup = _texts(row, "test_imports") if "test_imports" in row.values else []
    if row.values.get("test_setup_code"):
        setup = [*setup, _text(row, "test_setup_code")]
    tests = _texts(row, "test_list")
    if not tests:
        raise DataError(f"{row.where}: test_list is empty: leave the row out, or write at least one assert")
    return {
        "question": MBPP_QUESTION.format(text=text.strip(), tests="\n".join(tests)), "answer": code, "prompt": "",
        "tests": ["\n".join(setup), *tests] if setup else tests, "entry_point": find_entry_point(tests, code),
        "name": _name(row),
    }  # fmt: skip


def mbpp_test_rows(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """Return the rows of MBPP's test split and a note; all rows where the file holds none of that split."""
    chosen = [row for row in rows if row["name"].isdigit() and int(row["name"]) in MBPP_TEST]
    if not chosen:
        return list(rows), ["no row has a task_id from 11 to 510, MBPP's test split: all are scored"]
    left_out = len(rows) - len(chosen)
    note = f"MBPP's test split (task_id 11 to 510) is scored: {left_out:,} of {len(rows):,} rows are left out"
    return chosen, [note] if left_out else []


def own_tests(where: str, column: str, value: Any) -> list[str]:
    """Return the tests of a row of a task of one's own: one text or a list of texts.

    Raises:
        DataError: another type, no Python, or tests that cannot fail: no assert, no call and no `raise` in any.
    """
    tests = [value] if isinstance(value, str) else list(value) if isinstance(value, list | tuple) else None
    if tests is None or not all(isinstance(test, str) for test in tests):
        raise DataError(f"{where}: {column} is {shown(value, 60)}, but a text or a list of texts is needed")
    tests = [test for test in tests if test.strip()]
    if not any(map(_can_fail, (_parsed(where, column, test) for test in tests))):
        raise DataError(f"{where}: {column} holds no assert, no call and no `raise`: every program would pass")
    return tests


def find_entry_point(tests: Sequence[str], code: str) -> str:
    """Return what the tests call: the first called name that ``code`` defines; empty if there is none."""
    defined = set(DEFINED.findall(code))
    return next((name for test in tests for name in CALLED.findall(test) if name in defined), "")


def _parsed(where: str, column: str, test: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(test)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{where}: {column} holds a test that is no Python ({printable(shortened(reason))})") from None


def _can_fail(test: ast.Module) -> bool:
    return any(isinstance(node, ast.Assert | ast.Call | ast.Raise) for node in ast.walk(test))


def _refuse_others(row: SourceRow, benchmark: str) -> None:
    """Refuse a row that lacks a column of ``benchmark``, and name the benchmark that it seems to be of."""
    missing = [name for name in COLUMNS[benchmark] if name not in row.values]
    if not missing:
        return
    other = next((name for name, columns in COLUMNS.items() if all(column in row.values for column in columns)), None)
    found = printable(shortened(", ".join(row.values), 1000)) or "none"
    hint = f"these are {other}'s columns" if other else "give the published file"
    raise DataError(
        f"{row.where}: a row of {benchmark} needs the columns {', '.join(COLUMNS[benchmark])}; missing: "
        f"{', '.join(missing)}; found: {found}: {hint}"
    )


def _name(row: SourceRow) -> str:
    value = row.values["task_id"]
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise DataError(f"{row.where}: task_id is {shown(value, 60)}, but a number or a text is needed")
    return str(value)


def _text(row: SourceRow, column: str) -> str:
    value = row.values.get(column)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{row.where}: {column} is {shown(value, 60)}, but a text is needed")
    return value


def _texts(row: SourceRow, column: str) -> list[str]:
    value = row.values[column]
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
        raise DataError(f"{row.where}: {column} is {shown(value, 60)}, but a list of texts is needed")
    return list(value)
