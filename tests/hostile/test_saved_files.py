"""Exports and reused runs hold the files that they consist of, whole, and nothing from anywhere else."""

import json
import os
import shutil
from pathlib import Path

import pytest
from model_cases import QUICK_WORDS, bomb, copied, small_data
from refusals import refused, run_verb

from balora.adapters.model_names import shared_name
from balora.study.plan.plan import PlannedRun
from balora.study.store.run_folders import copy_finished
from balora.training.record import read_record, write_record
from balora.training.saved_files import run_files

SECRET = "a secret that nobody asked for"
ADAPTER = {"adapter_config.json", "adapter_model.safetensors"}


@pytest.fixture(scope="module")
def runs(checkpoint, tmp_path_factory):
    """A finished run with an adapter, and one that trained the whole model."""
    root = tmp_path_factory.mktemp("runs")
    base, data = copied(checkpoint, root / "base of mine"), small_data(root / "data")
    for method in ("lora", "full"):
        words = ["--model", base, "--data", data, "--task", "gsm8k", "--method", method, *QUICK_WORDS]
        ended = run_verb("train", *words, "--output", root / method)
        assert ended.code == 0, ended.err
    return root


@pytest.fixture
def run(runs, tmp_path):
    """Return a copy of one of the runs, to be spoilt."""

    def copy(method):
        (tmp_path / "secret.txt").write_text(SECRET)
        (tmp_path / "secrets").mkdir()
        (tmp_path / "secrets" / "key.json").write_text(json.dumps(SECRET))
        return Path(shutil.copytree(runs / method, tmp_path / "run"))

    return copy


def linked(name, target="../../secret.txt"):
    def spoil(folder):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return spoil


def moved_and_linked(name):
    def spoil(folder):
        shutil.move(folder / name, folder.parent.parent / name)
        (folder / name).symlink_to(f"../../{name}")

    return spoil


def written(name, content):
    def spoil(folder):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return spoil


def cut(name, length):
    return lambda folder: os.truncate(folder / name, length)


def longer(folder):
    with (folder / W).open("ab") as file:
        file.write(b"x")


def removed(name):
    return lambda folder: (folder / name).unlink()


def pipe(name):
    def spoil(folder):
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return spoil


W = "adapter_model.safetensors"
HEADER = b"\x02\0\0\0\0\0\0\0{}"
EITHER = {
    "a linked secret": (linked("notes.txt"), "notes.txt", "symbolic link"),
    "an absolute link": (linked("vocab.json", "/etc/hostname"), "vocab.json", "symbolic link"),
    "a linked folder": (linked("more", "../../secrets"), "more", "symbolic link"),
    "a link further down": (linked("more/key.json", "../../../secret.txt"), "more/key.json", "symbolic link"),
    "a link to nothing": (linked("added_tokens.json", "nowhere"), "added_tokens.json", "symbolic link"),
    "a link to itself": (linked("loop.json", "loop.json"), "loop.json", "symbolic link"),
    "a pickle": (written("pytorch_model.bin", bomb(Path("/nowhere"))), "pytorch_model.bin", "pickled"),
    "a pickled adapter": (written("adapter_model.bin", bomb(Path("/nowhere"))), "adapter_model.bin", "pickled"),
    "a pickle below": (written("more/x.pkl", bomb(Path("/nowhere"))), "more/x.pkl", "pickled"),
    "a pipe": (pipe("merges.txt"), "merges.txt", "no regular file"),
    "control characters": (linked("a\x1b[31m.txt"), r"a\x1b[31m.txt", "symbolic link"),
}
ADAPTERS = {
    **EITHER,
    "no weights": (removed(W), W, "missing"),
    "no settings": (removed("adapter_config.json"), "adapter_config.json", "missing"),
    "empty weights": (cut(W, 0), W, "incomplete or damaged"),
    "cut weights": (cut(W, 5000), W, "incomplete or damaged"),
    "weights without tensors": (written(W, HEADER), W, "holds no tensor"),
    "weights that are a pickle": (written(W, bomb(Path("/nowhere"))), W, "incomplete or damaged"),
    "longer weights": (longer, W, "incomplete or damaged"),
    "linked weights": (moved_and_linked(W), W, "symbolic link"),
    "linked settings": (moved_and_linked("adapter_config.json"), "adapter_config.json", "symbolic link"),
    "empty settings": (cut("adapter_config.json", 0), "adapter_config.json", "cannot be read"),
    "settings that are a list": (written("adapter_config.json", "[1]"), "adapter_config.json", "holds no settings"),
    "a pipe for weights": (pipe(W), W, "no regular file"),
}
MODELS = {
    **EITHER,
    "no configuration": (removed("config.json"), "config.json", "cannot be read"),
    "no weights": (removed("model.safetensors"), "no weights"),
    "empty weights": (cut("model.safetensors", 0), "model.safetensors", "incomplete or damaged"),
    "linked weights": (moved_and_linked("model.safetensors"), "model.safetensors", "symbolic link"),
    "linked tokenizer": (moved_and_linked("tokenizer.json"), "tokenizer.json", "symbolic link"),
    "an adapter on top": (written("adapter_config.json", "{}"), "holds an adapter too"),
}


@pytest.mark.parametrize(("spoil", "says"), [(one[0], one[1:]) for one in ADAPTERS.values()], ids=ADAPTERS)
@pytest.mark.parametrize("words", [[], ["--merged"]], ids=["plain", "merged"])
def test_an_adapter_is_exported_whole_and_alone_or_not_at_all(run, tmp_path, spoil, says, words):
    folder = run("lora")
    spoil(folder / "adapter")
    refused(["export", folder, "--output", tmp_path / "out", *words], *says, watched=tmp_path / "secrets")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("spoil", "says"), [(one[0], one[1:]) for one in MODELS.values()], ids=MODELS)
def test_a_trained_model_is_exported_whole_and_alone_or_not_at_all(run, tmp_path, spoil, says):
    folder = run("full")
    spoil(folder / "model")
    refused(["export", folder, "--output", tmp_path / "out", "--merged"], *says, watched=tmp_path / "secrets")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("method", "name"), [("lora", "adapter"), ("full", "model")])
def test_a_result_that_is_itself_a_link_is_refused(run, tmp_path, method, name):
    folder = run(method)
    shutil.move(folder / name, tmp_path / "elsewhere")
    (folder / name).symlink_to("../elsewhere")
    words = ["export", folder, "--output", tmp_path / "out", *(["--merged"] if method == "full" else [])]
    refused(words, name, "symbolic link", watched=tmp_path)


def test_what_is_no_part_of_the_result_is_left_out_and_said(run, tmp_path):
    folder = run("lora")
    (folder / "adapter" / "README.md").write_text(SECRET)
    (folder / "adapter" / "checkpoint-1").mkdir()
    (folder / "adapter" / "checkpoint-1" / "state.json").write_text(SECRET)
    ended = run_verb("export", folder, "--output", tmp_path / "out")
    assert ended.code == 0, ended.err
    assert "left out, since it is no part of the adapter: 'README.md', 'checkpoint-1'" in ended.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == ADAPTER


def test_a_trained_model_is_exported_with_its_templates_and_without_the_rest(run, tmp_path):
    folder = run("full")
    (folder / "model" / "additional_chat_templates").mkdir()
    for name in ("chat_template.jinja", "additional_chat_templates/tools.jinja", "notes.md"):
        (folder / "model" / name).write_text("x")
    write_record(read_record(folder), folder)  # as if the run had written them
    ended = run_verb("export", folder, "--output", tmp_path / "out", "--merged")
    assert ended.code == 0, ended.err
    assert "'notes.md'" in ended.err
    exported = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")}
    assert exported >= {"config.json", "model.safetensors", "tokenizer.json", "additional_chat_templates/tools.jinja"}
    assert "notes.md" not in exported


# --- paths of this machine ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "words"), [("lora", []), ("lora", ["--merged"]), ("full", ["--merged"])])
def test_an_export_names_its_base_and_holds_no_path_of_this_machine(runs, tmp_path, method, words):
    ended = run_verb("export", runs / method, "--output", tmp_path / "out", *words)
    assert ended.code == 0, ended.err
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            assert str(runs).encode() not in path.read_bytes(), path
            assert str(tmp_path).encode() not in path.read_bytes(), path
    if not words:
        settings = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
        assert settings["base_model_name_or_path"] == "base of mine"


def test_the_adapter_of_a_run_names_its_base_too_and_the_run_can_still_be_exported(runs):
    text = (runs / "lora" / "adapter" / "adapter_config.json").read_text()
    assert json.loads(text)["base_model_name_or_path"] == "base of mine"
    assert str(runs) not in text
    assert read_record(runs / "lora").spec.model == str(runs / "base of mine")  # `export --merged` loads it from there


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt2", "gpt2"),
        ("meta-llama/Llama-3.2-1B", "meta-llama/Llama-3.2-1B"),
        ("testbed", "testbed"),
        ("/home/me/models/llama", "llama"),
        ("/home/me/models/llama/", "llama"),
        ("./models/llama", "llama"),
        ("../llama", "llama"),
        ("~/llama", "llama"),
        ("/home/me/.cache/huggingface/hub/models--some--body/snapshots/0a1b", "some/body"),
        ("/home/me/.cache/huggingface/hub/models--gpt2/snapshots/0a1b", "gpt2"),
        ("/", "model"),
    ],
)
def test_the_public_name_of_a_base(model, name):
    assert shared_name(model) == name


def test_a_folder_below_this_one_has_its_last_name(tmp_path, monkeypatch):
    (tmp_path / "models" / "llama").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert shared_name("models/llama") == "llama"
    assert shared_name("models/other") == "models/other"  # not there: a name on a hub


# --- reused runs --------------------------------------------------------------------------------------------------


class Study:
    """A study's folder with one finished run, and another that wants to reuse it."""

    def __init__(self, run, root):
        self.record = read_record(run)
        self.source, self.output = root / "earlier", root / "later"
        (self.source / "runs").mkdir(parents=True)
        (self.output / "runs").mkdir(parents=True)
        self.run = self.source / "runs" / self.record.id
        shutil.move(run, self.run)
        self.lines = []

    def reuse(self):
        wanted = PlannedRun("one", self.record.spec.task, None, self.record.spec, self.record.id)
        copied = copy_finished([self.source], self.output, [wanted], self.lines.append)
        return copied, self.output / "runs" / self.record.id


@pytest.mark.parametrize(("spoil", "says"), [(one[0], one[1:]) for one in ADAPTERS.values()], ids=ADAPTERS)
def test_a_run_with_a_damaged_adapter_or_a_link_is_not_reused(run, tmp_path, spoil, says):
    study = Study(run("lora"), tmp_path)
    spoil(study.run / "adapter")
    assert study.reuse()[0] == {}
    assert list((study.output / "runs").iterdir()) == []
    (line,) = study.lines
    assert line.startswith("not reused: ")
    assert says[0] in line


def test_only_the_files_of_a_run_are_reused(run, tmp_path):
    study = Study(run("full"), tmp_path)
    for name in ("notes.txt", "model/notes.md"):
        (study.run / name).write_text(SECRET)
    copied, folder = study.reuse()
    assert copied == {study.record.id: study.record}
    assert study.lines == []
    assert {path.name for path in folder.iterdir()} == {"run.json", "series.jsonl", "items.jsonl", "model"}
    assert not (folder / "model" / "notes.md").exists()
    assert read_record(folder) == study.record
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (folder / "model" / name).read_bytes() == (study.run / "model" / name).read_bytes()


def test_a_run_whose_adapter_was_deleted_is_not_reused(run, tmp_path):
    study = Study(run("lora"), tmp_path)
    shutil.rmtree(study.run / "adapter")
    assert study.reuse()[0] == {}
    (line,) = study.lines
    assert "not there" in line


@pytest.mark.parametrize("name", ["run.json", "series.jsonl", "items.jsonl"])
def test_a_run_with_a_linked_file_is_not_reused(run, tmp_path, name):
    study = Study(run("lora"), tmp_path)
    moved_and_linked(name)(study.run)
    assert study.reuse()[0] == {}
    assert not (study.output / "runs" / study.record.id).exists()


def test_a_run_that_went_wrong_is_no_run_to_reuse(run, tmp_path):
    study = Study(run("lora"), tmp_path)
    write_record(study.record.model_copy(update={"status": "failed"}), study.run)
    assert study.reuse()[0] == {}
    assert study.lines == []


def test_the_record_is_copied_last(run):
    folder = run("lora")
    assert run_files(folder)[-1] == folder / "run.json"
