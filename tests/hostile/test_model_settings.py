"""Settings of a model's folder that make no sense, tokens without an embedding, and weights that are not numbers."""

import json
import os

import pytest
import torch
from model_cases import QUICK_WORDS, copied, edit, small_data
from refusals import check_line, nothing_written, refused, run_verb
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from balora.errors import ModelError, is_printable
from balora.tasks.catalogue import find_task
from balora.tasks.prepared import pad_id_of
from balora.training.loading import load_model, load_tokenizer
from balora.training.spec import resolve


@pytest.fixture
def model(checkpoint, tmp_path):
    return copied(checkpoint, tmp_path / "model")


@pytest.fixture
def data(tmp_path):
    return small_data(tmp_path / "data")


def load(folder, task="gsm8k"):
    spec = resolve({"task": task, "model": str(folder), "method": "lora"})
    tokenizer = load_tokenizer(spec)
    return load_model(spec, find_task(task), tokenizer), tokenizer


def settings(file, **changes):
    return lambda folder: edit(folder / file, **changes)


def text(file, content):
    return lambda folder: (folder / file).write_text(content, encoding="utf-8", errors="surrogateescape")


def config(**changes):
    return settings("config.json", **changes)


def tokenizer(**changes):
    return settings("tokenizer_config.json", **changes)


def tensors(change):
    def spoil(folder):
        path = folder / "model.safetensors"
        changed = load_file(path)
        change(changed)
        save_file(changed, path, metadata={"format": "pt"})

    return spoil


def dropped(*names):
    return tensors(lambda weights: [weights.pop(name) for name in names])


def filled(name, value, position=(0, 0)):
    def change(weights):
        weights[name][position] = value

    return tensors(change)


def special(file, make):
    def spoil(folder):
        (folder / file).unlink(missing_ok=True)
        make(folder / file)

    return spoil


NAN, INF = float("nan"), float("inf")
K = "model.layers.1.self_attn.k_proj.weight"
SPOILT = {
    # config.json
    "hidden_size text": (config(hidden_size="64"), "config.json"),
    "hidden_size list": (config(hidden_size=[64]), "config.json"),
    "hidden_size null": (config(hidden_size=None), "config.json"),
    "hidden_size zero": (config(hidden_size=0), "hidden_size 0"),
    "hidden_size negative": (config(hidden_size=-64), "hidden_size -64"),
    "hidden_size huge": (config(hidden_size=10**30), "hidden_size 1000000000000000000000000000000"),
    "hidden_size fraction": (config(hidden_size=64.5), "config.json"),
    "hidden_size group": (config(hidden_size={"a": {"b": 1}}), "config.json"),
    "vocabulary of a million": (config(vocab_size=10**6), "vocab_size is 1000000"),
    "vocabulary smaller": (config(vocab_size=500), "embed_tokens.weight is (512, 64) in its files"),
    "layers huge": (config(num_hidden_layers=10**12), "num_hidden_layers is 1000000000000"),
    "layers zero": (config(num_hidden_layers=0), "num_hidden_layers is 0"),
    "layers too few": (config(num_hidden_layers=4), "have no place in the model", "model.layers.4."),
    "layers too many": (config(num_hidden_layers=6), "weights are not in its files", "model.layers.5."),
    "heads zero": (config(num_attention_heads=0), "cannot be loaded"),
    "heads text": (config(num_attention_heads="8"), "config.json"),
    "intermediate_size": (config(intermediate_size=173), "down_proj.weight is (64, 172) in its files"),
    "activation": (config(hidden_act="sulu"), "sulu"),
    "activation number": (config(hidden_act=5), "config.json"),
    "epsilon": (config(rms_norm_eps="small"), "config.json"),
    "positions": (config(max_position_embeddings="512"), "config.json"),
    "dropout above one": (config(attention_dropout=1.5), "attention_dropout must be a number from 0 to 1, got 1.5"),
    "dropout infinite": (config(attention_dropout=INF), "attention_dropout", "got inf"),
    "dropout null": (config(attention_dropout=None), "attention_dropout", "got None"),
    "window text": (config(sliding_window="5"), "sliding_window must be a whole number, got '5'"),
    "window huge": (config(sliding_window=10**30), "sliding_window must be a whole number"),
    "rope": (config(rope_parameters=[1]), "config.json"),
    "quantization text": (config(quantization_config="int4"), "cannot be loaded"),
    "attention": (config(attn_implementation="quick"), "quick"),
    "no type": (config(model_type=None), "config.json"),
    "type number": (config(model_type=5), "config.json"),
    "type list": (config(model_type=["llama"]), "config.json"),
    "unknown type": (config(model_type="lama"), "lama"),
    "another type": (config(model_type="mamba"), "of its weights are not in its files"),
    "config list": (text("config.json", "[1]"), "config.json holds list, not settings"),
    "config null": (text("config.json", "null"), "config.json holds NoneType, not settings"),
    "config empty": (text("config.json", ""), "config.json is not JSON"),
    "config deep": (text("config.json", '{"a":' * 100_000), "config.json is nested too deep"),
    "config bytes": (text("config.json", "\udcff"), "config.json is not JSON"),
    "config digits": (text("config.json", '{"vocab_size": ' + "9" * 5000 + "}"), "config.json is not JSON"),
    "config huge": (text("config.json", " " * (5 * 2**20)), "config.json cannot be read (it is larger than 4 MiB)"),
    "config pipe": (special("config.json", os.mkfifo), "config.json' is no regular file"),
    "config endless": (special("config.json", lambda path: path.symlink_to("/dev/zero")), "no regular file"),
    "config folder": (special("config.json", os.mkdir), "config.json' is no regular file"),
    "config of a part": (config(text_config={"vocab_size": 5}), "cannot be loaded: config.json"),
    "encoder and decoder": (config(is_encoder_decoder=True), "('llama') has an encoder and a decoder"),
    "encoder and decoder in one": (config(model_type="t5"), "('t5') has an encoder and a decoder"),
    # the tokenizer
    "tokenizer class": (tokenizer(tokenizer_class=5), "its tokenizer cannot be loaded"),
    "tokenizer length": (tokenizer(model_max_length="5"), "model_max_length must be a number, got '5'"),
    "tokenizer length list": (tokenizer(model_max_length=[1]), "model_max_length must be a number"),
    "tokenizer list": (text("tokenizer_config.json", "[1]"), "tokenizer_config.json holds list, not settings"),
    "tokenizer torn": (text("tokenizer_config.json", '{"a": '), "tokenizer_config.json is not JSON"),
    "tokenizer.json list": (text("tokenizer.json", "[1]"), "its tokenizer cannot be loaded"),
    "tokenizer.json empty": (text("tokenizer.json", "{}"), "its tokenizer cannot be loaded"),
    "tokenizer.json types": (text("tokenizer.json", '{"version": 1, "model": 5}'), "its tokenizer cannot be loaded"),
    "tokenizer.json pipe": (special("tokenizer.json", os.mkfifo), "tokenizer.json' is no regular file"),
    "vocabulary endless": (special("vocab.json", lambda path: path.symlink_to("/dev/zero")), "vocab.json"),
    "templates pipe": (special("chat_template.jinja", os.mkfifo), "chat_template.jinja' is no regular file"),
    # generation_config.json
    "generation list": (text("generation_config.json", "[1]"), "generation_config.json holds list, not settings"),
    "generation torn": (text("generation_config.json", "{"), "generation_config.json is not JSON"),
    "generation pipe": (special("generation_config.json", os.mkfifo), "generation_config.json' is no regular file"),
    # weights
    "NaN": (filled(K, NAN), f"weight {K} has 1 of 2,048 numbers that are NaN or infinite"),
    "infinity": (filled("model.norm.weight", -INF, 3), "weight model.norm.weight has 1 of 64 numbers"),
    "all NaN": (filled("model.embed_tokens.weight", NAN, ...), "embed_tokens.weight has 32,768 of 32,768 numbers"),
    "two": (tensors(lambda w: (w[K].fill_(NAN), w["model.norm.weight"].fill_(NAN))), f"weight {K}"),
    "one missing": (dropped("model.norm.weight"), "1 of its weights are not in its files (model.norm.weight)"),
    "shape": (tensors(lambda w: w.update({K: w[K][:-1].clone()})), f"{K} is (31, 64) in its files"),
    "an adapter within": (tensors(lambda w: w.update({"x.lora_A.weight": torch.ones(1)})), "no place in the model"),
    "none": (tensors(lambda weights: weights.clear()), "its files hold 0 weights"),
    "other names": (tensors(lambda w: [w.update({f"x.{n}": w.pop(n)}) for n in list(w)]), "not in its files"),
    "header": (text("model.safetensors", "\x08\0\0\0\0\0\0\0{\"a\": 1}"), "model.safetensors is incomplete or damaged"),
    "header length": (text("model.safetensors", "\x7f" * 8), "its header is longer than the file"),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "says"), [(one[0], one[1:]) for one in SPOILT.values()], ids=SPOILT)
def test_a_folder_that_makes_no_sense_is_one_line(model, spoil, says):
    spoil(model)
    with pytest.raises(ModelError) as caught:
        load(model)
    line = str(caught.value)
    for words in says:
        assert words in line
    assert str(model) in line
    assert len(line) < 1000
    assert all(map(is_printable, line))


@pytest.mark.parametrize("name", ["layers too few", "NaN", "tokenizer length", "dropout above one", "window text"])
@pytest.mark.parametrize("verb", ["train", "evaluate"])
def test_the_command_line_refuses_it_and_writes_nothing(model, data, tmp_path, name, verb):
    spoil, *says = SPOILT[name]
    spoil(model)
    words = [verb, "--model", model, "--data", data, "--task", "cola" if verb == "train" else "gsm8k", *QUICK_WORDS]
    words += ["--output", tmp_path / "out"]
    if name == "layers too few" or verb == "train":
        refused(words, *says, watched=tmp_path)
    else:
        with nothing_written(tmp_path):
            check_line(run_verb(*words), *says)


@pytest.mark.parametrize(("kind", "task"), [("mamba", "cola"), ("t5", "gsm8k"), ("vit", "gsm8k")])
def test_a_kind_without_the_needed_head_is_one_short_line(model, kind, task):
    edit(model / "config.json", model_type=kind)
    with pytest.raises(ModelError, match=rf"\({kind!r}\) has .*: give an?(other)? .*model for task {task!r}$"):
        load(model, task)


@pytest.mark.parametrize("task", ["cola", "gsm8k"])
def test_bare_tuples_are_not_asked_for(model, data, tmp_path, task):
    usual = scores(copied(model, tmp_path / "usual"), data, task)
    edit(model / "config.json", return_dict=False)
    assert scores(model, data, task) == usual


def test_sums_that_are_too_large_are_not_taken_for_infinity(model):
    filled("model.norm.weight", 3e38, ...)(model)
    assert load(model)[0].model.norm.weight.min() > 1e38


FINE = {
    "a classifier's dropout that is null": config(classifier_dropout=None),
    "tokens that nothing uses": config(bos_token_id=10**6),
    "an unknown setting": config(own_setting={"a": [1, 2]}),
    "more than one end": settings("generation_config.json", eos_token_id=[2, 5]),
    "no generation settings": lambda folder: (folder / "generation_config.json").unlink(),
    "an extra head": tensors(lambda weights: weights.update({"score.weight": torch.zeros(3, 64)})),
}


@pytest.mark.parametrize("change", FINE.values(), ids=FINE)
def test_what_makes_sense_still_loads(model, change):
    change(model)
    assert load(model)[0].config.hidden_size == 64


# --- tokens without an embedding ----------------------------------------------------------------------------------


def with_tokens(folder, config_pad=None, **special_tokens):
    """Add special tokens to the tokenizer in ``folder``; the model keeps its 512 embeddings."""
    changed = AutoTokenizer.from_pretrained(folder)
    changed.add_special_tokens(special_tokens)
    changed.save_pretrained(folder)
    if config_pad is not None:
        edit(folder / "config.json", pad_token_id=config_pad)
    return changed


def scores(folder, data, task):
    """Return every score of one short run with the model in ``folder``."""
    output = folder.parent / f"run-{folder.name}-{task}"
    ended = run_verb("train", "--model", folder, "--data", data, "--task", task, *QUICK_WORDS, "--output", output)
    assert ended.code == 0, ended.err
    record = json.loads((output / "run.json").read_text())
    items = (output / "items.jsonl").read_text()
    return record["metrics"], record["terms"], items


@pytest.mark.slow
@pytest.mark.parametrize("task", ["cola", "gsm8k"])
@pytest.mark.parametrize("config_pad", [None, 512])
def test_padding_beyond_the_embeddings_changes_nothing(model, checkpoint, data, tmp_path, task, config_pad):
    twin = copied(checkpoint, tmp_path / "twin")
    edit(twin / "tokenizer_config.json", pad_token="</s>")  # what takes its place
    with_tokens(model, config_pad, pad_token="[PAD]")
    assert scores(model, data, task) == scores(twin, data, task)


@pytest.mark.parametrize(("token", "id"), [("[END]", 512), ("[A]", 515)])
def test_any_other_token_beyond_the_embeddings_is_named(model, data, tmp_path, token, id):
    extra = [f"<{number}>" for number in range(id - 512)]
    with_tokens(model, additional_special_tokens=extra) if extra else None
    with_tokens(model, eos_token=token)
    words = ["--model", model, "--data", data, "--task", "gsm8k", *QUICK_WORDS]
    says = ("row 1", f"token {token!r} has the id {id}", "embeddings for 512 tokens only")
    refused(["train", *words, "--output", tmp_path / "out"], *says, watched=tmp_path)


@pytest.mark.parametrize(("task", "field"), [("cola", "sentence"), ("gsm8k", "question")])
def test_a_token_in_the_text_beyond_the_embeddings_is_named_with_its_row(model, data, tmp_path, task, field):
    with_tokens(model, additional_special_tokens=["<tool>"])
    (path,) = (data / ("CoLA" if task == "cola" else task)).glob("train.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[2][field] += " <tool>"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["--model", model, "--data", data, "--task", task, *QUICK_WORDS]
    says = ("training row 3", "token '<tool>' has the id 512")
    refused(["train", *words, "--output", tmp_path / "out"], *says, watched=tmp_path)
    assert run_verb("evaluate", *words[:4], "--task", "gsm8k", *QUICK_WORDS).code == 0  # no row of it has the token


@pytest.mark.parametrize(
    ("pad", "end", "tokens", "chosen"),
    [(0, 2, 9, 0), (9, 2, 9, 2), (8, 2, 9, 8), (9, 9, 9, 0), (None, 2, 9, 2), (None, None, 9, 0), (9, 2, None, 9)],
)
def test_the_padding_token_is_one_that_can_be_looked_up(pad, end, tokens, chosen):
    class Tokens:
        pad_token_id, eos_token_id = pad, end

    assert pad_id_of(Tokens(), tokens) == chosen
