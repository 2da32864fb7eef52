"""Programs run in order, report how they end, and leave nothing behind: also when balora itself is killed."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest

from balora.errors import SandboxError
from balora.sandbox.interpreter import Interpreter
from balora.sandbox.limits import Limits
from balora.sandbox.run_programs import Sandbox, run_program, run_programs


@pytest.fixture(params=["bubblewrap", "local"])
def either(request: pytest.FixtureRequest) -> Sandbox:
    fixture = {"bubblewrap": "sandbox", "local": "plain_process"}[request.param]
    return request.getfixturevalue(fixture)  # type: ignore[no-any-return]


def command_lines() -> str:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(lines)


def end_all_with(word: str) -> None:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if word in path.read_bytes().decode(errors="replace"):
                os.kill(int(path.parent.name), signal.SIGKILL)


def until(met: object, seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if met():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False


def test_a_program_ends_in_one_of_five_ways(either: Sandbox) -> None:
    limits = Limits(cpu_seconds=1, wall_seconds=20, output_bytes=1000)
    programs = {
        "ok": "print('hello')",
        "failed": "raise ValueError('no')",
        "timeout": "while True: pass",
        "memory": "bytearray(3 * 10**9)",
        "output": "print('x' * 5000)",
    }
    outcomes = [run_program(program, sandbox=either, limits=limits) for program in programs.values()]
    assert [outcome.status for outcome in outcomes] == list(programs)
    assert [outcome.reason for outcome in outcomes] == ["", "ValueError", "timeout", "MemoryError", "output"]
    assert outcomes[0].stdout == "hello\n"
    assert outcomes[1].stderr.endswith("ValueError: no\n")


def test_the_parts_share_a_module_and_run_one_after_the_other(either: Sandbox) -> None:
    parts = ("x = 1", "def f():\n    return x", "assert f() == 1\nprint(__name__)")
    outcome = run_program(parts, sandbox=either)
    assert (outcome.status, outcome.stdout) == ("ok", "program\n")
    assert run_program(parts[1:], sandbox=either).reason == "NameError"


def test_python_is_the_standard_library_alone_and_ordered_in_every_run(either: Sandbox) -> None:
    program = "import importlib.util\nprint(importlib.util.find_spec('torch'), {f'word {n}' for n in range(9)})"
    first, second = run_programs([program, program + "\n"], sandbox=either)
    assert first.stdout == second.stdout
    assert first.stdout.startswith("None {")


def test_outcomes_keep_the_order_and_progress_counts_up(either: Sandbox) -> None:
    seen: list[tuple[int, int]] = []
    programs = [f"import time\ntime.sleep({0.3 if n == 0 else 0})\nprint({n})" for n in range(5)]
    outcomes = run_programs(programs, sandbox=either, workers=3, on_rows=lambda *done: seen.append(done))
    assert [outcome.stdout for outcome in outcomes] == [f"{n}\n" for n in range(5)]
    assert seen == [(n, 5) for n in range(1, 6)]
    assert run_programs([], sandbox=either) == []


def test_a_large_program_is_passed_whole(either: Sandbox) -> None:
    text = "x" * 3_000_000
    outcome = run_program((f"text = {text!r}", "assert len(text) == 3_000_000"), sandbox=either)
    assert outcome.status == "ok"


def test_no_file_stays_behind(either: Sandbox) -> None:
    before = set(os.listdir(tempfile.gettempdir()))
    run_program("import os\nos.makedirs('a/b')\nopen('a/b/c', 'w').write('x')\nos.chmod('a', 0)", sandbox=either)
    new = set(os.listdir(tempfile.gettempdir())) - before
    assert not [name for name in new if name.startswith("balora-program-")]


def test_a_sandbox_that_breaks_down_is_no_failed_program(sandbox: Sandbox) -> None:
    broken = sandbox._replace(interpreter=Interpreter(Path("/usr/bin/no-python"), "3.11.2", None))
    with pytest.raises(SandboxError, match=r"bubblewrap, Python 3\.11\.2: did not start the program \(exit code 1\)"):
        run_program("pass", sandbox=broken)
    with pytest.raises(SandboxError):
        run_programs(["pass"] * 4, sandbox=broken, workers=2)


def test_an_interruption_ends_the_programs_that_run(sandbox: Sandbox) -> None:
    word = f"word-{os.getpid()}-{time.monotonic_ns()}"
    sleeps = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import time; time.sleep(500)  # {word}'])"
    marked = f"time.sleep(500)  # {word}\0"

    def interrupt(done: int, total: int) -> None:
        assert until(lambda: marked in command_lines())
        raise KeyboardInterrupt

    programs = ["pass", *(f"{sleeps}\n# {n}" for n in range(5))]
    with pytest.raises(KeyboardInterrupt):
        run_programs(programs, sandbox=sandbox, limits=Limits(wall_seconds=600), workers=2, on_rows=interrupt)
    assert marked not in command_lines()


def test_programs_end_when_balora_is_killed(either: Sandbox) -> None:
    word = f"word-{os.getpid()}-{time.monotonic_ns()}"
    inner = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import time; time.sleep(300)  # {word}'])"
    script = (
        "from balora.sandbox.availability import find_sandbox\n"
        "from balora.sandbox.limits import Limits\n"
        "from balora.sandbox.run_programs import run_program\n"
        f"run_program({inner!r}, sandbox=find_sandbox({either.kind == 'local'}), limits=Limits(processes=4096))\n"
    )
    marked = f"time.sleep(300)  # {word}\0"
    with tempfile.TemporaryDirectory() as place:  # a killed balora leaves the folder of a plain process behind
        os.chmod(place, 0o755)
        with subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "TMPDIR": place}) as balora:
            assert until(lambda: marked in command_lines())
            balora.send_signal(signal.SIGKILL)
    if either.kind == "bubblewrap":
        assert until(lambda: marked not in command_lines())
    else:  # no promise for what a plain process has started
        end_all_with(marked)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can act as another user")
def test_an_ordinary_user_has_the_same_sandbox(sandbox: Sandbox) -> None:
    """The other tests ran as root; this one takes the same path as a user without rights."""
    import pydantic

    packages = Path(pydantic.__file__).parents[1]
    source = Path(__file__).resolve().parents[2] / "src"
    script = (
        f"import sys\nsys.path[:0] = [{str(source)!r}, {str(packages)!r}]\n"
        "from balora.sandbox.availability import find_sandbox\n"
        "from balora.sandbox.run_programs import run_programs\n"
        "attack = 'import os\\nfor _ in range(99):\\n    if os.fork() == 0:\\n        import time; time.sleep(99)'\n"
        "box = find_sandbox()\n"
        "ended = run_programs(['pass', 'open(\"/etc/passwd\")', attack, 'x = [0] * 10'], sandbox=box, workers=4)\n"
        "print(box.kind, *[one.reason or one.status for one in ended])\n"
    )
    command = ["/usr/bin/python3", "-s", "-S", "-c", script]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, user=65534, group=65534, extra_groups=[], cwd="/", env={}
        )
    except OSError as error:
        pytest.skip(str(error))
    if "ImportError" in done.stderr or "ModuleNotFoundError" in done.stderr:
        pytest.skip("this user cannot read the checkout, or its Python is another one")
    assert done.stdout.split() == ["bubblewrap", "ok", "FileNotFoundError", "BlockingIOError", "ok"], done.stderr
