"""Extract the program from a model's answer: a fenced block, bare code, or a completion that continues the prompt."""

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator
from itertools import chain

STOP_WORDS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
"""What ends a completion: HumanEval's five stop sequences (Chen et al. 2021, section 3.1)."""
PYTHON = ("", "python", "python3", "py", "py3")
"""Languages of a fenced block that is read; "" is a block that names none."""
LONGEST = 50_000
"""Most characters of an answer that is parsed here; a longer one is run as it is."""
MOST_TRIES = 200
"""Most cuts that are tried to free bare code from the sentences around it."""
FENCE = re.compile(r"^([ \t]*)(```+|~~~+)[ \t]*([\w+-]*)[^\n]*$", re.MULTILINE)
CODE_START = re.compile(r"(?:import|from|def|class|async def)\s|@\w|[A-Za-z_]\w*\s*(?::[^=]+)?=[^=]")


def program_of(answer: str, *, prompt: str = "", entry_point: str = "") -> tuple[str, ...]:
    """Return the parts of the program that an answer stands for.

    Args:
        answer: the generated text.
        prompt: code that the answer may continue, as HumanEval has it; empty if the answer is the whole program.
        entry_point: the function or class that the tests call; empty if unknown.

    Returns:
        With a prompt, the prompt and the answer's code where that defines ``entry_point``, and else one completed text.
        Without one, the answer's code.
    """
    text = answer.replace("\r\n", "\n").partition("[DONE]")[0].rpartition("[BEGIN]")[2]  # MBPP's own marks
    marks = list(FENCE.finditer(text))
    block = None if _starts_with_code(text, marks, entry_point) else _block(text, marks, entry_point)
    code = _before_first_fence(text, marks) if block is None else block
    if prompt and not defines(code, entry_point):
        return (_completed(prompt, code),)
    if block is None:
        code = _longest_code(code, entry_point)
    code = _without_asserts(code)
    return (prompt, code) if prompt else (code,)


def defines(code: str, name: str) -> bool:
    """Return whether ``code`` defines a function or a class, or assigns a value, of this name at its left edge."""
    if not name:
        return False
    word = re.escape(name)
    found = re.search(rf"^(?:(?:async[ \t]+)?def|class)[ \t]+{word}\b|^{word}[ \t]*(?::[^=\n]+)?=[^=]", code, re.M)
    return found is not None


def _block(text: str, marks: list[re.Match[str]], entry_point: str) -> str | None:
    """Return the first fenced Python block that defines ``entry_point``, else the first one; None without any."""
    blocks = list(_blocks(text, marks))
    return next((block for block in blocks if defines(block, entry_point)), blocks[0] if blocks else None)


def _blocks(text: str, marks: list[re.Match[str]]) -> Iterator[str]:
    """Yield the fenced blocks of Python; one that the limit of tokens has cut off runs to the end of the text."""
    position = 0
    while position < len(marks):
        opening = marks[position]
        end, after = _closing(text, marks, position)
        if opening[3].casefold() in PYTHON:
            block = text[opening.end() + 1 : end]
            yield textwrap.dedent(block) if opening[1] else block
        position = after


def _closing(text: str, marks: list[re.Match[str]], position: int) -> tuple[int, int]:
    """Return where the block that opens at ``marks[position]`` ends, and the mark to go on with.

    As in Markdown, a mark indented by four blanks more than the opening, as in a docstring of the code, closes a block
    only if nothing else does.
    """
    opening, later = marks[position], range(position + 1, len(marks))
    closing = (place for place in later if marks[place][2].startswith(opening[2]) and not marks[place][3])
    first = next(closing, None)
    if first is None:
        return len(text), len(marks)
    deepest = _width(opening) + 3
    chosen = next((place for place in chain((first,), closing) if _width(marks[place]) <= deepest), first)
    return marks[chosen].start(), chosen + 1


def _width(mark: re.Match[str]) -> int:
    return len(mark[1].expandtabs(4))


def _starts_with_code(text: str, marks: list[re.Match[str]], entry_point: str) -> bool:
    """Return whether the first fence ends the answer's code: the prompt, or a habit, has opened it before."""
    if len(marks) % 2 == 0 or marks[0][3]:
        return False
    before, after = text[: marks[0].start()], text[marks[0].end() :]
    if not before.strip() or defines(after, entry_point):
        return False
    return not after.strip() or _compiles("def body():\n" + textwrap.indent(textwrap.dedent(before), "    "))


def _before_first_fence(text: str, marks: list[re.Match[str]]) -> str:
    return text[: marks[0].start()] if marks and text[: marks[0].start()].strip() else text


def _completed(prompt: str, text: str) -> str:
    """Return the prompt continued by ``text`` up to the first stop word.

    If that is no Python, the first line may have lost its indentation, or all lines, or sentences may stand before the
    indented code: the first mended form that is Python counts. Else sentences after the code are dropped, and the text
    stays as it came if that does not help either.
    """
    kept = text[: min((found for word in STOP_WORDS if (found := text.find(word)) >= 0), default=len(text))]
    dedented = textwrap.dedent(kept)
    indented = _from_first_indented(kept)
    forms = (kept, "    " + kept.lstrip(" \n"), textwrap.indent(dedented, "    "), indented)
    whole = (prompt + form for form in forms if _compiles(prompt + form))
    begun = (prompt + part for form in (kept, indented) if (part := _longest_beginning(prompt, form)))
    return next(chain(whole, begun), prompt + kept)


def _from_first_indented(text: str) -> str:
    lines = text.split("\n")
    first = next((number for number, line in enumerate(lines) if line[:1] in (" ", "\t") and line.strip()), 0)
    return "\n".join(lines[first:])


def _longest_beginning(prompt: str, text: str) -> str:
    """Return the most lines from the start of ``text`` with which ``prompt`` is Python; nothing if there are none."""
    lines, before = text.split("\n"), prompt.count("\n")
    for _ in range(MOST_TRIES):
        part = "\n".join(lines)
        wrong = _wrong_line(prompt + part)
        if wrong is None or not part.strip():
            return part.rstrip()
        lines = lines[: min(len(lines) - 1, wrong - 1 - before) if wrong > before + 1 else len(lines) - 1]
    return ""


def _longest_code(text: str, entry_point: str) -> str:
    """Return bare code without the sentences before and after it; the text as it is if no part of it is Python."""
    if _compiles(text):
        return text
    lines, tries = text.split("\n"), 0
    for start in (number for number, line in enumerate(lines) if CODE_START.match(line)):
        end = len(lines)
        while end > start and tries < MOST_TRIES:
            part = "\n".join(lines[start:end])
            if entry_point and not defines(part, entry_point):
                break
            wrong = _wrong_line(part)
            if wrong is None:
                return part
            tries, end = tries + 1, min(end - 1, start + wrong - 1) if wrong > 1 else end - 1
    return text


def _without_asserts(code: str) -> str:
    """Return the code without the model's own asserts at the left edge: tests of its own are no part of the answer."""
    if len(code) > LONGEST or "assert" not in code or not _compiles(code):
        return code
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nodes = ast.parse(code).body
    own = {line for node in nodes if isinstance(node, ast.Assert) for line in _lines(node)}
    others = {line for node in nodes if not isinstance(node, ast.Assert) for line in _lines(node)}
    lines = code.split("\n")
    return "\n".join("" if number in own - others else line for number, line in enumerate(lines, 1))


def _lines(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _compiles(code: str) -> bool:
    return _wrong_line(code) is None


def _wrong_line(code: str) -> int | None:
    """Return the line on which ``code`` stops being Python (0 if that is unknown), or None if it is Python."""
    if len(code) > LONGEST:
        return 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escapes and comparisons in what the model wrote
            compile(code, "<answer>", "exec", flags=0, dont_inherit=True)
    except SyntaxError as error:
        return error.lineno or 0
    except (ValueError, RecursionError, MemoryError, OverflowError):  # a zero byte, half a character, deep nesting
        return 0
    return None
