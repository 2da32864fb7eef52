"""Standard streams as they come: in any encoding, closed, full, or left by their reader."""

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from hostile_studies import ATTACKS

from balora.cli import main
from balora.cli.output import json_text, print_lines
from balora.cli.streams import LOOKALIKES, safe_streams

ENCODINGS = ["ascii", "cp1252", "cp437", "gbk", "shift_jis", "utf-16"]
VERBS = [
    ["study", "list"],
    ["study", "list", "--json"],
    ["study", "plan", "regularizers"],
    ["study", "plan", "pissa-initialization", "--json"],
    ["--help"],
    ["study", "run", "--help"],
    ["--version"],
    ["testbed", "text", "--count", "1"],
    ["study", "report", "/no/such"],
    ["train", "--set", "Ελλάς=−1", "--output", "x"],
]


class Printed(NamedTuple):
    code: int
    out: bytes
    err: bytes


def printed(folder: Path, words: list[str], encoding: str, patch: pytest.MonkeyPatch) -> Printed:
    """Run a verb in this process, with streams of its own into files, in an encoding that refuses what it lacks."""
    folder.mkdir(exist_ok=True)
    with (
        open(folder / "out", "w", encoding=encoding, errors="strict") as out,
        open(folder / "err", "w", encoding=encoding, errors="strict") as err,
        patch.context() as inner,
    ):
        for name, stream in (("stdout", out), ("stderr", err)):
            inner.setattr(sys, name, stream)
            inner.setattr(sys, f"__{name}__", stream)
        code = main(words)
    return Printed(code, (folder / "out").read_bytes(), (folder / "err").read_bytes())


@pytest.fixture(scope="module")
def in_utf8(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Printed]:
    """What each verb prints in UTF-8."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "100")
        return {str(words): printed(tmp_path_factory.mktemp("x"), words, "utf-8", patch) for words in VERBS}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("words", VERBS, ids=lambda words: "_".join(words[:3]).replace("/", ""))
def test_a_verb_ends_alike_in_every_encoding(
    words: list[str], encoding: str, in_utf8: dict[str, Printed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    usual = in_utf8[str(words)]
    found = printed(tmp_path / "other", words, encoding, monkeypatch)
    assert found.code == usual.code
    for there, here in ((found.out, usual.out), (found.err, usual.err)):
        text = there.decode(encoding)
        assert "Traceback" not in text
        assert len(text.splitlines()) == len(here.decode().splitlines())
    assert len(found.err.decode(encoding).splitlines()) == (usual.code != 0)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "gbk"])
@pytest.mark.parametrize("error", [False, True])
def test_what_an_encoding_lacks_is_printed_alike_or_as_its_escape(
    encoding: str, error: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(tmp_path / "x", "w", encoding=encoding) as file:
        name = "stderr" if error else "stdout"
        monkeypatch.setattr(sys, name, file)
        monkeypatch.setattr(sys, f"__{name}__", file)
        with safe_streams():
            print_lines(["a − b … “c” → 中 🙂 é"], error=error)
    text = (tmp_path / "x").read_text(encoding=encoding)
    expected = {
        "ascii": 'a - b ... "c" -> \\u4e2d \\U0001f642 \\xe9',
        "cp1252": "a - b … “c” -> \\u4e2d \\U0001f642 é",
        "gbk": "a - b … “c” → 中 \\U0001f642 é",
    }[encoding]
    assert text == f"{expected}\n"


def test_lookalikes_are_plain() -> None:
    assert all(plain.isascii() for plain in LOOKALIKES.values())


@pytest.mark.parametrize("chosen", ["replace", "ignore", "namereplace"])
def test_another_way_that_was_asked_for_stays(chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(tmp_path / "x", "w", encoding="ascii", errors=chosen) as file:
        monkeypatch.setattr(sys, "stdout", file)
        monkeypatch.setattr(sys, "__stdout__", file)
        with safe_streams():
            print("−")
    expected = {"replace": "?\n", "ignore": "\n", "namereplace": "\\N{MINUS SIGN}\n"}[chosen]
    assert (tmp_path / "x").read_text() == expected


@pytest.mark.parametrize("kind", ATTACKS)
def test_a_printed_line_is_one_line_that_shows_itself(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_lines([ATTACKS[kind]])
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "\x1b" not in out
    assert json_text({"x": ATTACKS[kind]}).encode(), "no half of a pair is left"


def test_streams_of_a_caller_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = io.StringIO()
    monkeypatch.setattr(sys, "stdout", ours)
    with safe_streams():
        assert sys.stdout is ours
    assert sys.stdout is ours


SCRIPT = "import sys; from balora.cli import main; sys.exit(main())"


def shell(redirection: str, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
    line = f'"$PYTHON" -c "$SCRIPT" {" ".join(words)} {redirection}; echo "exit $?" >&3'
    variables = {**os.environ, "PYTHON": sys.executable, "SCRIPT": SCRIPT, **env}
    reading, writing = os.pipe()
    done = subprocess.run(
        ["bash", "-c", f"exec 3>&{writing}; {line}"],
        capture_output=True, text=True, env=variables, pass_fds=[writing], encoding="utf-8",
    )  # fmt: skip
    os.close(writing)
    with open(reading, encoding="utf-8") as codes:
        return subprocess.CompletedProcess(done.args, int(codes.read().split()[-1]), done.stdout, done.stderr)


FULL = "balora: error: standard output: cannot be written (No space left on device): free some space or redirect it"


@pytest.mark.parametrize(
    ("redirection", "code", "err"),
    [
        (">/dev/full", 2, FULL),
        (">&-", 0, ""),
        ("2>&-", 0, ""),
        (">&- 2>&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
        (">/dev/full 2>/dev/full", 2, ""),
        ("2>/dev/full", 0, ""),
        ("> >(exec 1>&-; true)", 0, ""),
    ],
)
def test_streams_that_cannot_be_written(redirection: str, code: int, err: str) -> None:
    done = shell(redirection, "study", "plan", "lambdas", "--seeds", "50")
    assert done.returncode == code
    assert done.stderr.startswith(err)
    assert len(done.stderr.splitlines()) == bool(err)


@pytest.mark.parametrize(
    "words", [("study", "plan", "lambdas", "--seeds", "200"), ("--help",), ("study", "list", "--json")]
)
def test_a_reader_that_leaves_ends_the_output_quietly(words: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", SCRIPT, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", ">&- 2>&-", "2> >(true)"])
def test_an_error_keeps_its_code_where_it_cannot_be_printed(redirection: str) -> None:
    done = shell(redirection, "trian")
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-"])
def test_no_file_of_a_verb_takes_the_place_of_a_closed_stream(redirection: str, tmp_path: Path) -> None:
    """The next file that is opened gets the number of a closed stream, and with it what libraries print there."""
    plan = tmp_path / "plan.json"
    script = (
        "import os, sys; from balora.cli.streams import safe_streams\n"
        "with safe_streams():\n"
        f"    file = os.open({str(plan)!r}, os.O_WRONLY | os.O_CREAT)\n"
        "    os.system('echo noise; echo noise >&2')\n"
        "    sys.exit(file < 3)\n"
    )
    done = shell(redirection, SCRIPT=script)
    assert done.returncode == 0
    assert plan.read_bytes() == b""


@pytest.mark.parametrize(
    "variables", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
)
@pytest.mark.slow
def test_a_locale_without_unicode_ends_a_verb_as_any_other(variables: dict[str, str]) -> None:
    done = shell("", "study", "list", **variables)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "lambda" in done.stdout
