"""What a report shows, and so what is shared, names no folder of the machine that made it."""

import shlex
import subprocess
from pathlib import Path

import pytest
from refusals import run_verb

from balora.report.records.shareable import base_name, shareable_command, shareable_settings, without_paths
from balora.study.design.reading import find_study
from balora.study.design.without_testbed import without_own_rates
from balora.study.plan.plan import Choices, make_plan
from balora.study.plan.suites import Tasks
from balora.study.store.study_folder import describe, write_study_record
from balora.training.record import RunError, RunRecord, write_record


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("/home/ann/models/llama-3", "llama-3"),
        ("/home/ann/models/llama-3/", "llama-3"),
        ("/data", "data"),
        ("/", "/"),
        ("~bob/models/x", "x"),
        ("C:\\Users\\Ann\\models\\x", "x"),
        ("C:/Users/Ann/x", "x"),
        ("\\\\server\\share\\x", "x"),
        ("file:///home/ann/x", "x"),
        ("/home/ann/my models/a b", "a b"),
        ("meta-llama/Llama-3", "meta-llama/Llama-3"),
        ("models/llama", "models/llama"),
        ("../shared/models/x", "../shared/models/x"),
        ("testbed", "testbed"),
        ("~/models/x", "~/models/x"),
        ("", ""),
    ],
)
def test_a_model_is_shown_by_its_name(name: str, shown: str) -> None:
    assert base_name(name) == shown


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("balora study run x --output /home/ann/runs/x", "balora study run x --output x"),
        ("balora study run /home/ann/a.yaml --output runs/a", "balora study run a.yaml --output runs/a"),
        ("balora study run x --model /home/ann/m --data /mnt/d/", "balora study run x --model m --data d"),
        ("balora study run x --output='/home/ann/my runs'", "balora study run x '--output=my runs'"),
        ("balora study run x --set data.folder=/home/ann/d", "balora study run x --set data.folder=d"),
        ("balora study run x --set 'a=[/home/ann/d, 1]'", "balora study run x --set 'a=[d, 1]'"),
        ("balora study run x --set objective.k=1/2", "balora study run x --set objective.k=1/2"),
        ("balora study run x --model org/name --output o", "balora study run x --model org/name --output o"),
        ("balora study run x --set 'data.prompt=a\nb'", "balora study run x --set $'data.prompt=a\\x0ab'"),
        ("balora run '/home/ann/open", "balora run 'open"),
        ("", ""),
    ],
)
def test_a_command_keeps_everything_but_folders(command: str, shown: str) -> None:
    assert shareable_command(command) == shown
    assert "$'" in shown or shareable_command(shown) == shown


@pytest.mark.parametrize(
    "word", ["a\nb", "tab\there", "it's\x1b[31m", "back\\slash\n", "bidi\u202eé", "plain 'quoted'", "$(x) `y`"]
)
def test_a_shown_command_gives_a_shell_the_same_words(word: str) -> None:
    shown = shareable_command(shlex.join(["printf", "%s", word]))
    assert shown.isprintable()
    done = subprocess.run(
        ["bash", "-c", shown], capture_output=True, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}
    )
    assert done.stdout.decode() == word


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("model folder /home/ann/m: has no config.json", "model folder m: has no config.json"),
        ("'/home/ann/m' is a file", "'m' is a file"),
        ("(/home/ann/x.jsonl:3)", "(x.jsonl:3)"),
        ("open file:///home/ann/x now", "open x now"),
        ("C:\\Users\\Ann\\x is gone", "x is gone"),
        ("see https://huggingface.co/org/name/tree", "see https://huggingface.co/org/name/tree"),
        ("3 nats/token and 1/2", "3 nats/token and 1/2"),
        ("org/name and ./a/b and ../c/d", "org/name and ./a/b and ../c/d"),
        ("at /s or / alone", "at /s or / alone"),
    ],
)
def test_a_text_keeps_everything_but_folders(text: str, shown: str) -> None:
    assert without_paths(text) == shown


def test_settings_name_no_folder() -> None:
    nested = {"model": "/home/ann/m", "data": {"folder": "/home/ann/d", "rows": 3}, "task": "cola"}
    assert shareable_settings(nested) == {"model": "m", "data.folder": "d", "data.rows": 3, "task": "cola"}


HOME = "/home/secret-user"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of a model and data in somebody's home, with a failed run, a note and a torn record."""
    folder: Path = tmp_path_factory.mktemp("secret-folder") / "study"
    tasks = Tasks(("cola", "gsm8k"), ("mnli",))
    choices = Choices(f"{HOME}/models/tiny", data=f"{HOME}/data", seeds=3)
    plan = make_plan(
        without_own_rates(find_study("pissa-initialization"))[0], choices, tasks, lambda spec: {"model": "m"}
    )
    (folder / "runs").mkdir(parents=True)
    command = f"balora study run pissa-initialization --model {HOME}/models/tiny --data {HOME}/data --output {folder}"
    write_study_record(folder, describe(plan, command))
    for place, run in enumerate(plan.runs):
        fields = {"id": run.id, "spec": run.spec, "fingerprints": {"model": "m"}, "notes": [f"read {HOME}/data/x.tsv"]}
        record = RunRecord(status="ok", score=50.0 + place % 7, **fields)
        if place == 1:
            error = RunError(kind="DataError", message=f"{HOME}/data/x.tsv: torn")
            record = record.replace(status="failed", score=None, error=error)
        write_record(record, folder / run.folder)
    (folder / plan.runs[2].folder / "run.json").write_text("{", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "words",
    [("report",), ("report", "--json"), ("watch", "--once"), ("watch", "--json"), ("watch", "--once", "--page")],
    ids="_".join,
)
def test_no_verb_shows_the_folders_of_a_study(study: Path, words: tuple[str, ...]) -> None:
    ended = run_verb("study", words[0], study, *words[1:])
    assert ended.code == 0, ended.err
    for secret in ("secret-user", "secret-folder"):
        assert secret not in ended.out


def test_no_file_of_a_report_names_a_folder(study: Path, tmp_path: Path) -> None:
    assert run_verb("study", "report", study, "--all", "--to", tmp_path / "out").code == 0
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".md", ".html", ".tex", ".csv", ".parquet", ".svg", ".png", ".pdf"}
    for path in files:
        content = path.read_bytes()
        for secret in (b"secret-user", b"secret-folder", b"/home/", b"/tmp/", str(Path.cwd()).encode()):
            assert secret not in content, path.name
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "balora study run pissa-initialization --model tiny --data data --output study" in text
    assert "model tiny, profile" in text
    assert "DataError: x.tsv: torn" in text
    assert "Not found under data" in text
    assert "- runs/" in text


@pytest.mark.parametrize("place", ["tables", "figures"])
def test_a_report_is_not_written_through_a_link(study: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / place).symlink_to(tmp_path / "elsewhere")
    ended = run_verb("study", "report", study, "--format", "csv", "--format", "svg", "--to", tmp_path / "out")
    assert ended.code == 2
    assert f"{place}: is a symbolic link" in ended.err
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "gbk"])
@pytest.mark.parametrize(
    "words",
    [("report", "--format", "markdown"), ("watch", "--once"), ("report", "--format", "csv", "--json")],
    ids="_".join,
)
def test_a_finished_study_is_printed_in_every_encoding_and_written_in_utf8(
    study: Path, words: tuple[str, ...], encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from balora.cli import main

    to = ["--to", str(tmp_path / "to")] if words[0] == "report" else []
    with open(tmp_path / "out", "w", encoding=encoding) as out:
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "__stdout__", out)
        assert main(["study", words[0], str(study), *words[1:], *to]) == 0
    assert (tmp_path / "out").read_text(encoding=encoding)
    for path in (tmp_path / "to").rglob("*.*"):
        assert path.read_bytes().decode("utf-8")


def test_the_records_themselves_still_hold_what_was_run(study: Path) -> None:
    assert f"--model {HOME}/models/tiny" in (study / "study.json").read_text(encoding="utf-8")
