"""The reference's outputs on disk: read by other runs, made anew when torn or strange, done without when disks fill."""

import json
import logging
import os
import resource
import time
from pathlib import Path

import pytest
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from training_cases import adapted, answers, arguments, build, collate, examples, losses, moved, objective, trainer

from balora.adapters import frozen_copy
from balora.training.loss import ModelLoss
from balora.training.reference import reference_cache as caching
from balora.training.reference.reference_cache import ReferenceCache, ReferenceFolder
from balora.training.reference.reference_identity import reference_identity, weights_digest
from balora.training.reference.shards import Entry
from balora.training.trainer import BALoraTrainer

CAUSAL, NLU = objective("nlg", consistency=0.5, diversity=0.2, spectral=0.1), objective("nlu", consistency=0.5)
IDENTITY = {"weights": "w", "scope": ""}


@pytest.fixture
def passes(monkeypatch):
    """Gets longer by one with every forward pass of the reference."""
    made = []
    true = ModelLoss.frozen

    def frozen(self):
        made.append(self)
        return true(self)

    monkeypatch.setattr(ModelLoss, "frozen", frozen)
    return made


def train(folder, model, rows, config=CAUSAL, **changes):
    made = untrained(folder, model, rows, config, **changes)
    made.train()
    return made


def untrained(folder, model, rows, config=CAUSAL, *, cache=None, reference=None, collator=collate, **changes):
    return BALoraTrainer(
        model,
        arguments(folder, **{"max_steps": 3, **changes}),
        objective=config,
        reference=reference,
        telemetry_every=0,
        reference_cache=cache or ReferenceFolder(folder / "cache"),
        train_dataset=rows,
        data_collator=collator,
    )


def files(folder: Path) -> list[Path]:
    return sorted((folder / "cache").glob("*/*.safetensors"))


def warned(caplog) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("family", ["nlg", "nlu"])
def test_a_second_run_computes_nothing_and_trains_alike(tmp_path, passes, family):
    name, rows, config = ("llama", answers(10), CAUSAL) if family == "nlg" else ("classifier", examples(10), NLU)
    live = trainer(adapted(name), config, rows, tmp_path, max_steps=4)
    live.model_loss.reference_cache = None
    live.train()
    passes.clear()
    first = train(tmp_path, adapted(name), rows, config, max_steps=4)
    assert len(passes) == 3, "three batches an epoch"
    again = train(tmp_path, adapted(name), rows, config, max_steps=4)
    other = train(tmp_path, adapted(name, init="standard"), rows, config, max_steps=2)
    assert len(passes) == 3, "another arm on the same base reads what the first one kept"
    assert losses(first) == losses(again)
    assert losses(first)[:3] == losses(live)[:3], "to the bit while batches are the same"
    assert losses(first) == pytest.approx(losses(live), rel=1e-4)
    assert live.telemetry.series()[-1]["consistency"] > 1e-5
    assert losses(other)[1] != losses(first)[1]
    assert len(files(tmp_path)) == 1


def test_full_fine_tuning_reads_the_same_entry(tmp_path, passes):
    train(tmp_path, adapted("llama"), answers(), max_steps=2)
    model = build("llama")
    model.lm_head.weight.requires_grad_(False)
    train(tmp_path, moved(model), answers(), reference=frozen_copy(build("llama")), max_steps=2)
    assert len(passes) == 2


def test_what_is_stored_is_the_hidden_states_of_the_counted_positions(tmp_path):
    rows = answers(6)
    model = adapted("llama")
    train(tmp_path, model, rows, max_steps=3)
    [path] = files(tmp_path)
    kept = load_file(path)
    assert kept["values"].shape == (sum(sum(label != -100 for label in row["labels"]) for row in rows), 16)
    assert kept["values"].dtype == torch.float32
    with model.disable_adapter():
        logits = model(**{name: collate(rows)[name] for name in ("input_ids", "attention_mask")}).logits
    counted = collate(rows)["labels"][:, 1:] != -100
    made = model.get_base_model().lm_head(kept["values"])
    expected = logits[:, :-1][counted]
    assert torch.allclose(made.sum(0), expected.sum(0), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("change", ["none", "weights", "head", "precision", "scope"])
def test_whatever_changes_the_numbers_is_another_reference(tmp_path, change):
    name, rows, config = ("classifier", examples(8), NLU) if change == "head" else ("llama", answers(8), CAUSAL)
    first = untrained(tmp_path, adapted(name), rows, config)
    model, cache, changes = adapted(name), None, {}
    if change in ("weights", "head"):
        base = model.get_base_model()
        with torch.no_grad():
            changed = base.score.original_module if change == "head" else base.model.layers[1].mlp.up_proj.base_layer
            changed.weight[0, 0] += 1e-3
    elif change == "precision":
        changes["bf16"] = True
    elif change == "scope":
        cache = ReferenceFolder(tmp_path / "cache", scope="another")
    other = untrained(tmp_path, model, rows, config, cache=cache, **changes)
    folders = [made.model_loss.reference_cache.entry.folder for made in (first, other)]
    assert (folders[0] == folders[1]) == (change == "none")


def test_the_identity_is_of_the_base_whatever_adapter_is_on_it():
    identities = [
        reference_identity(model, outputs="logits", precision="no", device="cpu")
        for model in (build("classifier"), adapted("classifier"), adapted("classifier", rank=4, init="standard"))
    ]
    assert identities[0] == identities[1] == identities[2]
    assert weights_digest(build("classifier", seed=1)) != identities[0]["weights"]
    assert weights_digest(build("classifier", dtype=torch.bfloat16)) != identities[0]["weights"]
    assert (
        reference_identity(build("still-bert"), outputs="", precision="", device="")["architecture"]
        != (reference_identity(build("bert"), outputs="", precision="", device="")["architecture"])
    )


def entry(folder: Path, count: int = 3) -> Entry:
    made = Entry(folder, IDENTITY)
    made.write({b"%016d" % number: torch.full((number, 2), float(number)) for number in range(count)})
    return made


def test_rows_come_back_as_they_were_written(tmp_path):
    entry(tmp_path)
    rows = dict(Entry(tmp_path, IDENTITY).new_rows())
    assert {key: part.tolist() for key, part in rows.items()} == {
        b"%016d" % number: [[float(number)] * 2] * number for number in range(3)
    }
    assert not dict(Entry(tmp_path, {**IDENTITY, "scope": "x"}).new_rows())
    assert not list(tmp_path.glob("*/.partial*"))


def test_half_precision_is_kept_as_it_is(tmp_path):
    Entry(tmp_path, IDENTITY).write({b"0" * 16: torch.ones(2, 3, dtype=torch.bfloat16)})
    [(_, part)] = Entry(tmp_path, IDENTITY).new_rows()
    assert part.dtype == torch.bfloat16


@pytest.mark.parametrize("fault", ["torn", "empty", "foreign", "marks", "keys", "ends"])
def test_a_file_that_cannot_be_used_is_named_set_aside_and_made_anew(tmp_path, caplog, fault):
    made = entry(tmp_path)
    [path] = made.folder.iterdir()
    content, header = load_file(path), {"marks": json.dumps(IDENTITY, sort_keys=True)}
    whole = path.read_bytes()
    if fault in ("torn", "empty"):
        path.write_bytes(whole[: -8 if fault == "torn" else 0])
    elif fault == "foreign":
        save_file(content, path)
    elif fault == "marks":
        save_file(content, path, metadata={"marks": json.dumps({**IDENTITY, "weights": "others"})})
    elif fault == "keys":
        save_file({**content, "keys": content["keys"][:2]}, path, metadata=header)
    else:
        save_file({**content, "ends": content["ends"] + 1}, path, metadata=header)
    assert not dict(Entry(tmp_path, IDENTITY).new_rows())
    [line] = warned(caplog)
    assert str(path) in line
    assert ("`weights` differs" in line) == (fault in ("foreign", "marks"))
    assert path.with_name(path.name + ".aside").exists()
    entry(tmp_path)
    assert path.read_bytes() == whole
    assert len(dict(Entry(tmp_path, IDENTITY).new_rows())) == 3


def test_a_torn_file_costs_a_run_nothing_but_the_passes(tmp_path, passes, caplog):
    first = train(tmp_path, adapted("llama"), answers())
    [path] = files(tmp_path)
    os.truncate(path, path.stat().st_size - 100)
    passes.clear()
    again = train(tmp_path, adapted("llama"), answers())
    assert losses(again) == losses(first)
    assert len(passes) == 2
    assert len(warned(caplog)) == 1
    assert [one.name for one in files(tmp_path)] == [path.name]
    assert len(load_file(path)["ends"]) == 8


def test_two_that_fill_at_once_do_no_harm(tmp_path):
    one, other = (ReferenceCache(Entry(tmp_path, IDENTITY), examples=3) for _ in range(2))
    keys = tuple((bytes([number]) * 16, 1) for number in range(3))
    one.keep(keys[:2], torch.ones(2, 4))
    other.keep(keys, torch.ones(3, 4))
    one.flush()
    other.flush()
    shapes = sorted(len(load_file(path)["ends"]) for path in tmp_path.glob("*/*.safetensors"))
    assert shapes == [1, 2], "the second wrote what the first had not"
    assert other.of(keys, torch.device("cpu")).tolist() == [[1.0] * 4] * 3
    assert len(ReferenceCache(Entry(tmp_path, IDENTITY))) == 3
    entry(tmp_path / "same")
    entry(tmp_path / "same")
    assert len(list(tmp_path.glob("same/*/*"))) == 1


def test_many_rows_are_written_as_they_come(tmp_path, monkeypatch):
    monkeypatch.setattr(caching, "SHARD", 64)
    kept = ReferenceCache(Entry(tmp_path, IDENTITY), examples=4)
    for number in range(4):
        kept.keep(((bytes([number]) * 16, 1),), torch.full((1, 8), float(number)))
    assert len(list(tmp_path.glob("*/*.safetensors"))) == 2
    assert kept.of(((bytes([0]) * 16, 1), (bytes([3]) * 16, 1)), torch.device("cpu"))[:, 0].tolist() == [0.0, 3.0]


def test_the_size_is_announced_before_anything_is_written(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="balora")
    kept = ReferenceCache(Entry(tmp_path, IDENTITY), examples=1000)
    kept.keep(((b"a" * 16, 3), (b"b" * 16, 1)), torch.zeros(4, 1024))
    [line] = [record.message for record in caplog.records]
    assert "about 7.8 MiB of outputs of 1000 rows" in line
    assert str(kept.entry.folder) in line
    assert not list(tmp_path.iterdir())


def test_over_the_budget_it_is_live_and_that_is_said_once(tmp_path, passes, caplog):
    train(tmp_path, adapted("llama"), answers(), cache=ReferenceFolder(tmp_path / "cache", budget_mib=0))
    assert len(passes) == 3
    [line] = warned(caplog)
    assert "over the budget of 0 MiB" in line
    assert not files(tmp_path)


def test_what_was_used_longest_ago_makes_way_if_that_helps(tmp_path):
    entries = [Entry(tmp_path, {"number": str(number)}) for number in range(3)]
    for age, made in enumerate(entries):
        made.write({b"0" * 16: torch.zeros(1000, dtype=torch.uint8)})
        os.utime(made.folder, (0, time.time() - 100 * age))
    dict(Entry(tmp_path, {"number": "2"}).new_rows())  # used now
    size = sum(path.stat().st_size for path in tmp_path.glob("*/*"))
    new = Entry(tmp_path, IDENTITY)
    assert new.room(size + 1, size) == 0, "nothing goes where that is not enough"
    assert [made.folder.exists() for made in entries] == [True] * 3
    assert new.room(1000, size) >= 1000
    assert [made.folder.exists() for made in entries] == [True, False, True]


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    folder = entry(tmp_path).folder
    for name, age in ((".partial-old", 4000), (".partial-new", 10)):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (0, time.time() - age))
    ReferenceCache(Entry(tmp_path, IDENTITY))
    assert sorted(path.name for path in folder.glob(".partial*")) == [".partial-new"]


def test_a_full_disk_stops_caching_and_nothing_else(tmp_path, monkeypatch, caplog):
    true, limits = Entry.write, resource.getrlimit(resource.RLIMIT_FSIZE)

    def on_a_full_disk(self, rows):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            true(self, rows)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    monkeypatch.setattr(Entry, "write", on_a_full_disk)
    monkeypatch.setattr(caching, "SHARD", 1000)
    made = train(tmp_path, adapted("llama"), answers())
    [line] = [line for line in warned(caplog) if "cannot be written" in line]
    assert "File too large" in line
    assert line.endswith("the reference of further rows is computed at each step")
    assert not [path for path in tmp_path.glob("cache/*/*") if path.is_file()]
    monkeypatch.undo()
    assert losses(train(tmp_path / "there", adapted("llama"), answers())) == losses(made)


def test_without_a_folder_a_run_warns_and_goes_on(tmp_path, caplog):
    (tmp_path / "cache").write_text("a file")
    made = train(tmp_path, adapted("llama"), answers())
    assert len(made.model_loss.reference_cache) == 8
    assert "cannot be written (Not a directory)" in warned(caplog)[0]


def test_packed_rows_are_live_and_that_is_said_once(tmp_path, passes, caplog):
    def packed(rows):
        batch = collate(rows)
        return {**batch, "position_ids": torch.arange(batch["input_ids"].shape[1]).expand_as(batch["input_ids"])}

    train(tmp_path, adapted("llama"), answers(), collator=packed)
    assert len(passes) == 3
    assert len(warned(caplog)) == 1
    assert "packed rows" in warned(caplog)[0]


def test_evaluation_gets_no_keys(tmp_path, monkeypatch):
    made = BALoraTrainer(
        adapted("llama"),
        arguments(tmp_path, max_steps=1),
        objective=CAUSAL,
        reference_cache=ReferenceFolder(tmp_path / "cache"),
        train_dataset=answers(),
        eval_dataset=answers(),
        data_collator=collate,
    )
    fed, true = [], transformers.Trainer.compute_loss

    def compute_loss(self, model, inputs, *args):
        fed.append(set(inputs))
        return true(self, model, inputs, *args)

    monkeypatch.setattr(transformers.Trainer, "compute_loss", compute_loss)
    assert made.evaluate()["eval_loss"] > 0
    assert fed == [{"input_ids", "attention_mask", "labels"}]


def test_files_are_mapped_and_not_read(tmp_path):
    made = entry(tmp_path)
    [path] = made.folder.iterdir()
    with safe_open(path, framework="pt") as file:
        stored = file.get_tensor("values")
    [*_, (_, part)] = Entry(tmp_path, IDENTITY).new_rows()
    assert torch.equal(part, stored[1:])
    mapped = Path("/proc/self/maps")
    if not mapped.exists():
        pytest.skip("no /proc here")
    assert str(path) in mapped.read_text()
