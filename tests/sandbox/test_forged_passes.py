"""Programs that try to pass without passing their tests."""

import pytest

from balora.sandbox import supervision
from balora.sandbox.limits import Limits
from balora.sandbox.run_programs import Sandbox, run_program

TESTS = "assert answer() == 42"
FORGERIES = {
    "sys.exit": "import sys\nsys.exit(0)",
    "raise SystemExit": "raise SystemExit(0)",
    "os._exit": "import os\nos._exit(0)",
    "os._exit in the tests": "import os\ndef answer():\n    os._exit(0)",
    "quit by signal": "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)",
    "exec of true": "import os\nos.execv('/usr/bin/true', ['true'])",
    "exit at the end": "import atexit, os\natexit.register(os._exit, 0)\ndef answer(): return 0",
    "thread that exits": "import os, threading\ndef answer():\n"
    "    threading.Thread(target=os._exit, args=(0,)).start()\n    while True: pass",
    "a child goes on": "import os\ndef answer():\n    if os.fork():\n        os.wait()\n        os._exit(0)\n"
    "    return 42",
    "AssertionError is no error": "import builtins\nbuiltins.AssertionError = BaseException\ndef answer(): return 0",
    "exec is replaced": "import builtins\nbuiltins.exec = builtins.compile = lambda *a, **k: None\n"
    "def answer(): return 0",
    "type is replaced": "import builtins\nclass Named:\n    __name__ = ''\nbuiltins.type = lambda e: Named\n"
    "def answer(): return 0",
    "write is replaced": "import os\nos.write = lambda *a: 0\nos.read = lambda *a: b''\ndef answer(): return 0",
    "hook of exceptions": "import sys\nsys.excepthook = lambda *a: None\ndef answer(): return 0",
    "no debugging": "__debug__ if False else None\nimport sys\ndef answer(): return 0",
    "prints what passes": "print('ready')\nprint('ok')\nprint('passed')\ndef answer(): return 0",
    "writes to every descriptor": "import os\nfor number in range(3, 64):\n    try:\n"
    "        os.write(number, b'passed')\n    except OSError:\n        pass\nos._exit(0)",
    "the tests are commented out": "def answer(): return 0\nif False:\n    '''",
    "line goes on": "def answer(): return 0\nx = 1 \\",
    "generator": "def answer():\n    yield 42",
    "nothing": "",
    "only a name": "answer",
    "a zero byte": "def answer(): return 42\0",
    "half a character": "def answer(): return '\ud800' and 42",
}


@pytest.mark.parametrize("code", FORGERIES.values(), ids=FORGERIES.keys())
def test_only_a_program_that_passes_its_tests_passes(sandbox: Sandbox, code: str) -> None:
    outcome = run_program((code, TESTS), sandbox=sandbox, limits=Limits(cpu_seconds=2))
    assert outcome.status != "ok", outcome
    assert outcome.reason


@pytest.mark.parametrize(
    "code",
    [
        "def answer(): return 42",
        "from __future__ import annotations\ndef answer() -> Unknown: return 42",
        "import os, sys\ndef answer():\n    try:\n        sys.exit(0)\n    except SystemExit:\n        return 42",
        "if __name__ == '__main__':\n    raise SystemExit\nanswer = lambda: 42",
        "import sys\nsys.stdout.close()\nanswer = lambda: 42",
        "import dataclasses\n@dataclasses.dataclass\nclass P:\n    x: 'int' = 42\nanswer = lambda: P().x",
        "import pickle\nclass P: pass\npickle.loads(pickle.dumps(P()))\nanswer = lambda: 42",
        "import os\nanswer = lambda: 42\nos.chdir('/')\ndel os",
    ],
)
def test_a_right_program_passes_whatever_else_it_does(sandbox: Sandbox, code: str) -> None:
    outcome = run_program((code, TESTS), sandbox=sandbox)
    assert (outcome.status, outcome.reason) == ("ok", ""), outcome


def test_no_object_of_the_program_holds_the_token(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    token = "0123456789abcdef" * 2
    monkeypatch.setattr(supervision.secrets, "token_hex", lambda size: token)
    search = (
        "import gc, os, sys\n"
        "texts = [' '.join(sys.argv), str(os.environ)]\n"
        "frame = sys._getframe()\n"
        "while frame:\n    texts.append(repr(frame.f_locals)); frame = frame.f_back\n"
        "texts += [repr(one) for one in gc.get_objects() if isinstance(one, (dict, list, tuple))][:20000]\n"
        f"hidden = {token[:16]!r}\n"
        "assert not any(hidden * 2 in text for text in texts)\n"
    )
    outcome = run_program(search, sandbox=sandbox)
    assert outcome.status == "ok", outcome.stderr[-500:]
    assert run_program(search.replace("hidden * 2", "'ready'"), sandbox=sandbox).status == "failed"  # the search works


def test_tests_of_a_failing_program_name_the_exception(sandbox: Sandbox) -> None:
    reasons = {
        "AssertionError": "def answer(): return 41",
        "NameError": "",
        "SyntaxError": "def answer(:",
        "RecursionError": "def answer(): return answer()",
        "ModuleNotFoundError": "import torch",
        "EOFError": "input()",
    }
    for reason, code in reasons.items():
        assert run_program((code, TESTS), sandbox=sandbox).reason == reason
    named = "class Passed(Exception):\n    pass\nPassed.__name__ = 'ok\\nready\\n'\nraise Passed"
    assert run_program(named, sandbox=sandbox).reason == "ended early (exit code 1)"
