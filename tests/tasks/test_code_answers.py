"""The program of an answer, whatever form the model gives it: fenced, bare, cut off, or a completion."""

import pytest

from balora.tasks.code_answers import defines, program_of

PROMPT = 'import math\n\ndef area(r):\n    """ Area of a circle. """\n'
BODY = "    return math.pi * r * r\n"
WHOLE = "def area(r):\n    return math.pi * r * r\n"


def joined(answer: str, prompt: str = PROMPT, entry_point: str = "area") -> str:
    return "\n".join(program_of(answer, prompt=prompt, entry_point=entry_point))


def works(program: str, name: str = "area") -> bool:
    names: dict[str, object] = {}
    exec(program, names)
    return round(names[name](1), 4) == 3.1416  # type: ignore[operator]


WRITTEN = {
    "a completion": BODY,
    "a completion and what models write after it": BODY + "\n\ndef other():\n    return 1\n",
    "a completion and a test": BODY + "\nprint(area(2))\n",
    "a completion and its end": BODY + "\nif __name__ == '__main__':\n    main(\n",
    "a completion whose first line lost its blanks": "return math.pi * r * r\n",
    "a completion of two lines whose first line lost its blanks": "x = r * r\n    return math.pi * x\n",
    "a completion without any indentation": "x = r * r\nreturn math.pi * x\n",
    "a completion and a closing fence": BODY + "```\n\nThis computes the area.",
    "a completion, a closing fence and an example": BODY + "```\nFor example:\n```python\nprint(area(2))\n```\n",
    "the whole function": WHOLE,
    "the prompt again, and the rest": PROMPT + BODY,
    "the whole function, in a sentence": "Sure! Here it is:\n\n" + WHOLE + "\nIt multiplies the square by pi.",
    "a fenced block": "Here it is:\n```python\n" + WHOLE + "```\nIt uses pi.",
    "a fenced block of no language": "```\n" + WHOLE + "```",
    "a fenced block with tildes": "~~~python\n" + WHOLE + "~~~",
    "a fenced block that is cut off": "```python\n" + WHOLE,
    "a fenced block that is cut off after a word": "Sure\n```\n" + WHOLE,
    "a fenced block of capitals": "```Python\n" + WHOLE + "```",
    "an indented fenced block": "1. Write:\n   ```python\n   def area(r):\n       return math.pi * r * r\n   ```\n",
    "a fenced body": "```python\n" + BODY + "```",
    "a block of a shell first": "```bash\npip install math\n```\n```python\n" + WHOLE + "```",
    "an example first": "```python\nx = 1\n```\nand\n```python\n" + WHOLE + "```",
    "a closing fence alone": WHOLE + "```\nThat is all.",
    "lines that end in CR LF": WHOLE.replace("\n", "\r\n"),
    "a wrong test of its own": WHOLE + "\nassert area(1) == 3\n",
    "a completion after a sentence": "Here is the code:\n\n" + BODY,
    "a completion before a sentence": BODY + "\nThis multiplies the square of the radius by pi.",
    "a completion between sentences": "Here is the code:\n\n" + BODY + "\nThat's all: it's pi r r.",
    "a completion and the mark of a turn": BODY + "<|im_end|>",
    "a fence in a docstring": "```python\ndef area(r):\n    '''As\n    ```\n    area(2)\n    ```\n    '''\n"
    + BODY
    + "```\nDone.",
    "a closing fence indented too far": "```python\n" + WHOLE + "    ```\nIt uses pi.",
    "an assigned function": "area = lambda r: math.pi * r * r",
}


@pytest.mark.parametrize("answer", WRITTEN.values(), ids=WRITTEN.keys())
def test_the_program_is_found(answer: str) -> None:
    assert works(joined(answer))


@pytest.mark.parametrize(
    "answer", ["", "I cannot do that.", "```\n```", "```bash\nls\n```", "def other(): return 1", "{" * 99]
)
def test_other_answers_give_a_program_that_does_not_work(answer: str) -> None:
    try:
        right = works(joined(answer))
    except (SyntaxError, TypeError, KeyError):
        right = False
    assert not right


def test_a_whole_function_runs_after_the_prompt_whose_helpers_it_may_use() -> None:
    assert program_of(WHOLE, prompt=PROMPT, entry_point="area") == (PROMPT, WHOLE)


def test_without_a_prompt_the_answer_is_the_program() -> None:
    for language in ("python", "Python", "py", "python3 title=x", ""):
        assert program_of(f"```{language}\nx = 1\n```") == ("x = 1\n",)
    assert program_of("[BEGIN]\nx = 1\n[DONE]\nnext task") == ("\nx = 1\n",)
    assert program_of("Text.\nimport math\n\ndef f():\n    return 1\nThat is it.", entry_point="f") == (
        "import math\n\ndef f():\n    return 1",
    )


def test_the_models_asserts_are_dropped_and_those_of_functions_stay() -> None:
    code = "def f(x):\n    assert x\n    return x\nassert f(1) == 2\nassert (f(1) ==\n        2)\nx = 1; assert x == 2"
    (kept,) = program_of(code, entry_point="f")
    assert kept == "def f(x):\n    assert x\n    return x\n\n\n\nx = 1; assert x == 2"  # a line with other code stays


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("def f(x): pass", True),
        ("async def f(x): pass", True),
        ("class f:", True),
        ("f = 1", True),
        ("f: int = 1", True),
        ("f == 1", False),
        ("  def f(x): pass", False),
        ("def ff(x): pass", False),
        ("# def f(x)", False),
    ],
)
def test_what_defines_a_name(code: str, found: bool) -> None:
    assert defines(code, "f") is found
    assert not defines(code, "")


def test_a_hostile_answer_is_returned_in_little_time() -> None:
    for answer in ("def f():\n" * 3000, "```\n" * 5000, "x = (" + "(1,)," * 60_000, "\0", "\ud800", "from a\n" * 4000):
        program_of(answer, prompt=PROMPT, entry_point="area")
        program_of(answer, entry_point="f")
