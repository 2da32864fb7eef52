"""Weights are safetensors inside the model's folder: no pickle is loaded, nothing outside is read."""

import json
import os
import shutil
from types import SimpleNamespace

import pytest
from model_cases import QUICK_WORDS, bomb, copied, edit, small_data
from refusals import refused, run_verb
from safetensors.torch import load_file, save_file

from balora.errors import InputError, ModelError
from balora.tasks.catalogue import find_task
from balora.training.fingerprint import model_fingerprint
from balora.training.loading import load_model
from balora.training.model_folder import INDEX, check_source, weight_files
from balora.training.spec import resolve

TOKENIZER = SimpleNamespace(pad_token_id=0, eos_token_id=2)
BIN_INDEX = "pytorch_model.bin.index.json"


@pytest.fixture
def canary(tmp_path):
    return tmp_path / "canary"


@pytest.fixture
def data(tmp_path):
    return small_data(tmp_path / "data")


@pytest.fixture
def model(checkpoint, tmp_path):
    return copied(checkpoint, tmp_path / "model")


def load(folder):
    spec = resolve({"task": "gsm8k", "model": str(folder), "method": "lora"})
    return load_model(spec, find_task("gsm8k"), TOKENIZER)


def shard(folder, *names, place=""):
    """Cut the weights into as many files as ``names``, and write the index that names them."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    weight_map = {}
    for number, name in enumerate(names):
        part = {key: tensors[key] for key in sorted(tensors)[number :: len(names)]}
        path = folder / place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(part, path, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, name)
    write_index(folder, weight_map)


def write_index(folder, weight_map, name=INDEX):
    (folder / name).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))


def renamed_in_index(folder, old, new):
    text = (folder / INDEX).read_text()
    (folder / INDEX).write_text(text.replace(json.dumps(old), json.dumps(new)))


def index_names(name):
    """Return an attack: the second shard is a pickle, called ``name`` in the index."""

    def attack(folder, canary):
        shard(folder, "one.safetensors", "two.safetensors")
        (folder / "two.safetensors").unlink()
        place = folder / name.replace("OUT", str(folder.parent / "outside"))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(bomb(canary))
        renamed_in_index(folder, "two.safetensors", name.replace("OUT", str(folder.parent / "outside")))

    return attack


def linked_file(folder, canary):
    shard(folder, "one.safetensors", "two.safetensors")
    shutil.move(folder / "two.safetensors", folder.parent / "elsewhere.safetensors")
    (folder / "two.safetensors").symlink_to(folder.parent / "elsewhere.safetensors")


def linked_folder(folder, canary):
    shard(folder, "one.safetensors", "sub/two.safetensors")
    shutil.move(folder / "sub", folder.parent / "elsewhere")
    (folder / "sub").symlink_to(folder.parent / "elsewhere")


def linked_index(folder, canary):
    shard(folder, "one.safetensors", "two.safetensors")
    (folder / INDEX).unlink()
    (folder / INDEX).symlink_to("/dev/zero")


def pipe(folder, canary):
    shard(folder, "one.safetensors", "two.safetensors")
    (folder / "two.safetensors").unlink()
    os.mkfifo(folder / "two.safetensors")


def only_pickled_index(folder, canary):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model-1.bin").write_bytes(bomb(canary))
    write_index(folder, {"model.norm.weight": "pytorch_model-1.bin"}, BIN_INDEX)


def only(name):
    def attack(folder, canary):
        (folder / "model.safetensors").unlink()
        (folder / name).write_bytes(bomb(canary))

    return attack


def pickled_inside_safetensors(folder, canary):
    (folder / "model.safetensors").write_bytes(bomb(canary))


def weights_called(name):
    def attack(folder, canary):
        (folder / "adapter_model.bin").write_bytes(bomb(canary))
        edit(folder / "config.json", transformers_weights=name)

    return attack


def embedded_adapter(folder, canary):
    (folder / "adapter_model.bin").write_bytes(bomb(canary))
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": "x"}))


def distributed(folder, canary):
    (folder / "shard-00000-model-00001-of-00001.safetensors").write_bytes(bomb(canary))


def index_of(content):
    def attack(folder, canary):
        (folder / "model.safetensors").unlink()
        (folder / INDEX).write_text(content if isinstance(content, str) else json.dumps(content))

    return attack


ATTACKS = {
    "pickle inside": (index_names("pytorch_model.bin"), "'pytorch_model.bin'", "no safetensors file"),
    "pickle in a sub-folder": (index_names("sub/weights.pt"), "'sub/weights.pt'", "no safetensors file"),
    "pickle without a suffix": (index_names("weights"), "'weights'", "no safetensors file"),
    "suffix in capitals": (index_names("two.SAFETENSORS"), "no safetensors file"),
    "pickle called safetensors": (index_names("weights.safetensors"), "incomplete or damaged"),
    "pickle outside": (index_names("../outside.bin"), "'../outside.bin'", "no safetensors file"),
    "above": (index_names("../outside.safetensors"), "'../outside.safetensors'", "outside the folder"),
    "above, later": (index_names("sub/../../outside.safetensors"), "outside the folder"),
    "up and back": (index_names("../model/two.safetensors"), "outside the folder"),
    "absolute": (index_names("OUT.safetensors"), "outside the folder"),
    "absolute pickle": (index_names("OUT.bin"), "no safetensors file"),
    "as on Windows": (index_names("..\\outside.safetensors"), "outside the folder"),
    "control characters": (index_names("a\x1b[31m.bin"), "\\x1b[31m"),
    "a linked file": (linked_file, "two.safetensors", "a link that leads outside"),
    "a linked folder": (linked_folder, "sub/two.safetensors", "a link that leads outside"),
    "an endless index": (linked_index, INDEX, "no regular file"),
    "a pipe": (pipe, "two.safetensors", "no regular file"),
    "only a pickled index": (only_pickled_index, "only pickled weights", "pytorch_model-1.bin"),
    "only adapter weights": (only("adapter_model.bin"), "no weights"),
    **{f"only {name}": (only(name), "only pickled weights", name) for name in ("x.pkl", "x.pt", "x.pickle", "x.ckpt")},
    "pickle in the place of weights": (pickled_inside_safetensors, "model.safetensors", "incomplete or damaged"),
    "named pickle": (weights_called("adapter_model.bin"), "transformers_weights", "'adapter_model.bin'"),
    "named outside": (weights_called("../x.safetensors"), "transformers_weights", "outside the folder"),
    "named number": (weights_called(5), "transformers_weights", "no name of a file"),
    "an adapter on top": (embedded_adapter, "holds an adapter too (adapter_config.json)"),
    "a distributed checkpoint": (distributed, "parts of a distributed checkpoint"),
    "index without a map": (index_of({"metadata": {}}), "has no weight_map"),
    "index with an empty map": (index_of({"weight_map": {}}), "has no weight_map"),
    "index with a list": (index_of({"weight_map": ["a"]}), "has no weight_map"),
    "index that is a list": (index_of([1]), "holds list, not settings"),
    "index with numbers": (index_of({"weight_map": {"a": 5}}), "no name of a file"),
    "index with lists": (index_of({"weight_map": {"a": ["b.safetensors"]}}), "no name of a file"),
    "index with nothing": (index_of({"weight_map": {"a": ""}}), "no name of a file"),
    "index with NUL": (index_of({"weight_map": {"a": "a\0.safetensors"}}), "no name of a file"),
    "index of a missing file": (
        index_of({"weight_map": {"a": "a.safetensors"}}),
        "'a.safetensors', which is not there",
    ),
    "index of a folder": (index_of({"weight_map": {"a": "."}}), "no safetensors file"),
    "torn index": (index_of('{"weight_map": {'), "is not JSON"),
    "deep index": (index_of("[" * 200_000), "nested too deep"),
}


@pytest.mark.parametrize(("attack", "says"), [(one[0], one[1:]) for one in ATTACKS.values()], ids=ATTACKS)
def test_weights_that_are_no_safetensors_inside_are_refused(model, canary, attack, says):
    attack(model, canary)
    with pytest.raises(InputError) as caught:
        load(model)
    for words in says:
        assert words in str(caught.value)
    assert str(model) in str(caught.value)
    assert not canary.exists()


@pytest.mark.parametrize("name", ["pickle inside", "an adapter on top", "a pipe"])
def test_every_verb_refuses_them_before_anything_is_written(model, data, canary, tmp_path, name):
    attack, *says = ATTACKS[name]
    attack(model, canary)
    study = "study: s\nquestion: q\nsuites: [nlg]\ntasks: [gsm8k]\nbase: lora\narms: {one: {set: {adapter.rank: 2}}}\n"
    (tmp_path / "s.yaml").write_text(study, encoding="utf-8")
    given = ["--model", model, "--data", data]
    verbs = {
        "train": [*given, "--task", "gsm8k", *QUICK_WORDS, "--output", tmp_path / "out"],
        "evaluate": [*given, "--task", "gsm8k", *QUICK_WORDS],
        "study run": [tmp_path / "s.yaml", *given, "--seeds", 1, "--workers", 1, "--output", tmp_path / "out"],
    }
    for verb, words in verbs.items():
        refused([*verb.split(), *words], *says, watched=[model, data])
        assert not (tmp_path / "out").exists(), verb
    assert not canary.exists()


def test_a_pickle_beside_safetensors_is_never_read(model, data, canary, tmp_path):
    for name in ("pytorch_model.bin", "adapter_model.bin", "training_args.bin", "optimizer.pt", "tokenizer.pkl"):
        (model / name).write_bytes(bomb(canary))
    write_index(model, {"model.norm.weight": "pytorch_model.bin"}, BIN_INDEX)
    words = ["--model", model, "--data", data, "--task", "gsm8k", *QUICK_WORDS]
    assert run_verb("train", *words, "--method", "full+reg", "--output", tmp_path / "out").code == 0
    assert run_verb("evaluate", *words).code == 0
    assert not canary.exists()


GOOD = {
    "shards": ("a.safetensors", "b.safetensors"),
    "a sub-folder": ("a.safetensors", "deep/down/b.safetensors"),
    "one name twice": ("a/x.safetensors", "b/x.safetensors"),
    "dots in names": ("a..b.safetensors", "..c.safetensors"),
    "unusual letters": ("Gewichte – 1.safetensors", "重み.safetensors"),
}


@pytest.mark.parametrize("names", GOOD.values(), ids=GOOD)
def test_sharded_weights_inside_load_as_the_whole_ones(model, names):
    whole = load(model).state_dict()
    shard(model, *names)
    assert {path.relative_to(model).as_posix() for path in weight_files(model)} == set(names)
    loaded = load(model).state_dict()
    assert all(loaded[name].equal(tensor) for name, tensor in whole.items())


def test_a_snapshot_of_the_hubs_cache_loads_through_its_links(model, tmp_path):
    shard(model, "a.safetensors", "b.safetensors")
    snapshot, blobs = tmp_path / "models--some--body" / "snapshots" / "1", tmp_path / "models--some--body" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for number, path in enumerate(sorted(model.iterdir())):
        shutil.move(path, blobs / str(number))
        (snapshot / path.name).symlink_to(f"../../blobs/{number}")
    check_source(str(snapshot), False)
    assert load(snapshot).config.model_type == "llama"


def hub_snapshot(tmp_path, monkeypatch, files):
    """A model on a hub, of which only ``files`` have been downloaded."""
    from huggingface_hub import constants

    root = tmp_path / "hub" / "models--some--body"
    (root / "snapshots" / ("0" * 40)).mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text("0" * 40)
    for name, content in files.items():
        (root / "snapshots" / ("0" * 40) / name).write_text(json.dumps(content))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
HUB = {
    "pickle": ({INDEX: {"weight_map": {"a": "pytorch_model.bin"}}}, "'pytorch_model.bin'", "no safetensors file"),
    "outside": ({INDEX: {"weight_map": {"a": "../a.safetensors"}}}, "outside the folder"),
    "adapter": ({"adapter_config.json": {"base_model_name_or_path": "/x"}}, "holds an adapter"),
    "kernel": ({"config.json": {**LLAMA, "attn_implementation": "some/kernel"}}, "attn_implementation names code"),
    "named": ({"config.json": {**LLAMA, "transformers_weights": "adapter_model.bin"}}, "'adapter_model.bin'"),
}


@pytest.mark.parametrize(("files", "says"), [(one[0], one[1:]) for one in HUB.values()], ids=HUB)
def test_a_repository_on_a_hub_is_checked_before_its_weights_are_loaded(tmp_path, monkeypatch, files, says):
    hub_snapshot(tmp_path, monkeypatch, {"config.json": LLAMA, **files})
    with pytest.raises(ModelError) as caught:
        load("some/body")
    for words in ("some/body", *says):
        assert words in str(caught.value)


# --- identity -----------------------------------------------------------------------------------------------------


def flipped(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


CHANGES = {
    "weights": lambda folder: flipped(folder / "model.safetensors", -1),
    "template": lambda folder: (folder / "chat_template.jinja").write_text("{{ messages }}"),
    "another template": lambda folder: (folder / "additional_chat_templates" / "tools.jinja").write_text("x"),
    "turn's end": lambda folder: edit(folder / "generation_config.json", eos_token_id=[2, 3]),
    "configuration": lambda folder: edit(folder / "config.json", rms_norm_eps=1e-6),
    "tokenizer": lambda folder: edit(folder / "tokenizer_config.json", padding_side="left"),
    "byte pairs": lambda folder: (folder / "merges.txt").write_text("a b"),
    "tiktoken": lambda folder: (folder / "qwen.tiktoken").write_text("YQ== 0"),
    "code": lambda folder: (folder / "modeling_own.py").write_text("x = 1"),
    "code further down": lambda folder: (folder / "own" / "parts" / "layers.py").write_text("x = 1"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_identity_follows_every_file_that_decides_numbers(model, change):
    for name in ("additional_chat_templates", "own/parts"):
        (model / name).mkdir(parents=True)
    before = model_fingerprint(str(model))
    change(model)
    assert model_fingerprint(str(model)) != before


@pytest.mark.parametrize("which", [0, 1])
def test_the_identity_follows_shards_in_sub_folders(model, which):
    names = ("a/x.safetensors", "b/x.safetensors")
    shard(model, *names)
    before = model_fingerprint(str(model))
    flipped(model / names[which], -1)
    assert model_fingerprint(str(model)) != before
    flipped(model / names[which], -1)
    assert model_fingerprint(str(model)) == before


def test_the_identity_knows_which_of_two_shards_of_one_name_is_which(model):
    shard(model, "a/x.safetensors", "b/x.safetensors")
    before = model_fingerprint(str(model))
    (model / "a").rename(model / "c")
    (model / "b").rename(model / "a")
    (model / "c").rename(model / "b")
    assert model_fingerprint(str(model)) != before


def test_a_change_in_place_is_seen_although_size_and_time_are_the_same(model):
    before = model_fingerprint(str(model))
    state = (model / "model.safetensors").stat()
    flipped(model / "model.safetensors", 500_000)
    os.utime(model / "model.safetensors", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert model_fingerprint(str(model)) != before


@pytest.mark.slow
def test_the_middle_of_a_large_file_is_part_of_the_identity(model):
    with (model / "large.safetensors").open("wb") as file:
        file.truncate(300 * 2**20)
    before = model_fingerprint(str(model))
    with (model / "large.safetensors").open("r+b") as file:
        file.seek(150 * 2**20)
        file.write(b"x")
    assert model_fingerprint(str(model)) != before


def test_the_identity_of_a_plain_folder_is_that_of_earlier_versions(tmp_path):
    """Records of models whose weights lie in the folder itself stay valid."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    assert model_fingerprint(str(tmp_path)) == "62c02fbe53f44e54c0b00f98ed192d7bb1a0987585d26aa07b7f3cc7bf30b4d3"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_a_plan_does_not_wait_for_what_is_no_file(model, make):
    (model / "generation_config.json").unlink()
    make(model / "generation_config.json")
    with pytest.raises(ModelError, match=r"generation_config\.json' is no regular file"):
        model_fingerprint(str(model))


def test_a_model_that_changes_while_a_run_reads_it_is_refused(model, data, tmp_path, monkeypatch):
    from balora.training import run

    def prepare_run(*given, **named):
        flipped(model / "model.safetensors", -1)
        return prepare(*given, **named)

    prepare = run.prepare_run
    monkeypatch.setattr(run, "prepare_run", prepare_run)
    words = ["train", "--model", model, "--data", data, "--task", "gsm8k", *QUICK_WORDS, "--output", tmp_path / "out"]
    ended = run_verb(*words)
    assert ended.code == 2
    assert "changed while the run was reading them: run it again" in ended.err
    assert not (tmp_path / "out").exists()
