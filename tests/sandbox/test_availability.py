"""Without a sandbox that works, programs are refused in one line that names the ways on."""

import os
import sys
from pathlib import Path

import pytest

from balora.errors import ConfigError
from balora.sandbox import availability, interpreter
from balora.sandbox.availability import find_sandbox
from balora.sandbox.interpreter import Interpreter, find_interpreter
from balora.sandbox.run_programs import Sandbox, run_program


def refusal(unsafe: bool = False) -> str:
    with pytest.raises(ConfigError) as caught:
        find_sandbox(unsafe)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole search path."""
    monkeypatch.setenv("PATH", str(tmp_path))
    tmp_path.chmod(0o755)
    return tmp_path


def test_a_missing_bubblewrap_is_refused_with_both_ways_on(commands: Path) -> None:
    text = refusal()
    assert "bubblewrap (the command `bwrap`) is not installed" in text
    assert "apt-get install bubblewrap" in text
    assert "--unsafe-local-execution" in text


def test_a_forbidden_bubblewrap_is_refused_with_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for a container without user namespaces, where bwrap ends so."""
    message = "bwrap: No permissions to create new namespace"
    script = ["/bin/sh", "-c", f"echo '{message}' >&2; exit 1"]
    monkeypatch.setattr(availability.shutil, "which", lambda name: "/usr/bin/bwrap")
    monkeypatch.setattr("balora.sandbox.run_programs.bubblewrap_command", lambda *given: script)
    text = refusal()
    assert message in text
    assert "allow user namespaces" in text
    assert "--unsafe-local-execution" in text


def test_a_plain_process_is_never_taken_without_the_flag(commands: Path) -> None:
    refusal()
    found = find_sandbox(unsafe=True)
    assert found.kind == "local"
    assert "without isolation" in found.description


def test_a_working_sandbox_names_itself(sandbox: Sandbox) -> None:
    assert sandbox.kind == "bubblewrap"
    assert sandbox.description == f"bubblewrap, Python {sandbox.interpreter.version}"


def test_the_systems_python_goes_first() -> None:
    found = find_interpreter()
    if Path("/usr/bin/python3").exists():
        assert found.path == Path("/usr/bin/python3").resolve()
        assert found.folder is None
    assert tuple(map(int, found.version.split("."))) >= interpreter.OLDEST


def test_a_system_python_that_is_a_link_out_of_usr_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreter, "_others_can_read", lambda folder: True)
    (tmp_path / "python3").symlink_to(sys.executable)
    assert find_interpreter([tmp_path / "python3"]) == find_interpreter([])


def test_without_the_systems_python_balora_shows_its_own_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "_others_can_read", lambda folder: True)
    found = find_interpreter([Path("/usr/bin/no-python")])
    assert found.path.resolve() == Path(sys.base_prefix).resolve() / "bin" / f"python3.{sys.version_info[1]}"
    assert found.version == ".".join(map(str, sys.version_info[:3]))
    assert ".venv" not in str(found.path)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs programs as itself")
def test_root_refuses_an_installation_that_others_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    tmp_path.chmod(0o700)
    with pytest.raises(ConfigError, match=r"which other users cannot read.*install the system's python3"):
        find_interpreter([])


@pytest.mark.parametrize("folder", ["/", "~"])
def test_a_home_is_never_shown(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "base_prefix", os.path.expanduser(folder))
    with pytest.raises(ConfigError, match="must not be shown to generated programs"):
        find_interpreter([])


@pytest.mark.skipif(not Path("/usr/lib/python3.11/os.py").exists(), reason="needs Debian's Python 3.11 to copy from")
def test_an_interpreter_outside_usr_runs_and_only_its_folder_is_shown(sandbox: Sandbox) -> None:
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory(dir="/opt" if os.access("/opt", os.W_OK) else None) as name:
        folder = Path(name)
        (folder / "python" / "bin").mkdir(parents=True)
        (folder / "python" / "lib").mkdir()
        shutil.copy("/usr/bin/python3.11", folder / "python" / "bin" / "python3.11")
        (folder / "python" / "lib" / "python3.11").symlink_to("/usr/lib/python3.11")
        (folder / "secret").write_text("secret")
        folder.chmod(0o755)
        own = Interpreter(folder / "python" / "bin" / "python3.11", "3.11.2", folder / "python")
        program = f"import os, sys\nprint(sys.prefix)\nassert os.listdir({name!r}) == ['python']"
        outcome = run_program(program, sandbox=sandbox._replace(interpreter=own))
        assert (outcome.status, outcome.stdout) == ("ok", f"{folder / 'python'}\n"), outcome.stderr
        writing = f"open({name!r} + '/python/written', 'w')"
        assert run_program(writing, sandbox=sandbox._replace(interpreter=own)).status == "failed"
