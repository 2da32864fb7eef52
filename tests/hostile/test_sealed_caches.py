"""A bit that flips in a cache changes no number: the file is named, left unused, and made anew."""

import json
import logging
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from refusals import contents
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from balora.adapters import factor_cache
from balora.adapters.factor_cache import FactorCache
from balora.errors import ModelError
from balora.folders import CACHE_VARIABLE
from balora.maths.pissa import pissa_factors
from balora.tasks.testbed import model_cache
from balora.tasks.testbed.config import TestbedConfig
from balora.tasks.testbed.model_cache import CARD, SHIPPED, WEIGHTS, damaged_file, find_model
from balora.training.reference.shards import Entry

IDENTITY = {"weights": "0" * 64, "outputs": "hidden"}
ROWS = {b"%016d" % number: torch.full((2, 3), float(number)) for number in range(4)}


def header_bytes(path: Path) -> int:
    """Return where the values of a safetensors file begin."""
    return 8 + int.from_bytes(path.read_bytes()[:8], "little")


def flip(path: Path, place: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


def change(path: Path, name: str, edit: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Edit one tensor of a file; its header, with the digest, stays."""
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    content = load_file(path)
    save_file({**content, name: edit(content[name]).contiguous()}, path, metadata=header)


def other_kind(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage


def reheaded(path: Path, **changes: str | None) -> None:
    """Write the same tensors with another header."""
    with safe_open(path, framework="pt") as file:
        header = {**file.metadata(), **changes}
    save_file(load_file(path), path, metadata={name: text for name, text in header.items() if text is not None})


def marks_of(path: Path) -> str:
    with safe_open(path, framework="pt") as file:
        return str(file.metadata()["marks"])


SHARDS: dict[str, Callable[[Path], object]] = {
    "first value": lambda path: flip(path, header_bytes(path)),
    "last byte": lambda path: flip(path, -1),
    "a sign": lambda path: flip(path, -1, 7),
    "a value": lambda path: change(path, "values", lambda values: values + 1e-6),
    "a NaN": lambda path: change(path, "values", lambda values: values * torch.nan),
    "other type": lambda path: change(path, "values", lambda values: values.half()),
    "integers": lambda path: change(path, "values", lambda values: values.view(torch.int32)),
    "other shape": lambda path: change(path, "values", lambda values: values.reshape(8, 1, 3)),
    "rows exchanged": lambda path: change(path, "values", lambda values: values.flip(0)),
    "keys exchanged": lambda path: change(path, "keys", lambda keys: keys.flip(0)),
    "another key": lambda path: change(path, "keys", lambda keys: keys ^ 1),
    "borders moved": lambda path: change(path, "ends", lambda ends: ends + torch.tensor([1, 1, 1, 0])),
    "no digest": lambda path: reheaded(path, marks=json.dumps(IDENTITY)),
    "another digest": lambda path: reheaded(path, marks=json.dumps({**IDENTITY, "content": "0" * 64})),
    "another identity": lambda path: reheaded(path, marks=marks_of(path).replace("0" * 64, "1" * 64)),
    "a deep identity": lambda path: reheaded(path, marks="[" * 100_000),
    "an identity in numbers": lambda path: reheaded(path, marks="1" * 5000),
    "a length beyond the file": lambda path: flip(path, 6, 5),
    "no header": lambda path: path.write_bytes(bytes(64)),
    "a fifo": other_kind(os.mkfifo),
    "a folder": other_kind(Path.mkdir),
    "a link": other_kind(lambda path: path.symlink_to("/etc/hostname")),
    "a link to nothing": other_kind(lambda path: path.symlink_to("nowhere")),
}


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    return lambda: [one.message for one in caplog.records if one.levelno == logging.WARNING]


@pytest.mark.parametrize("damage", SHARDS.values(), ids=SHARDS)
def test_a_changed_file_of_reference_outputs_is_named_and_not_used(damage, tmp_path: Path, warned) -> None:
    Entry(tmp_path, IDENTITY).write(ROWS)
    [path] = tmp_path.glob("*/*.safetensors")
    whole = path.read_bytes()
    damage(path)
    assert dict(Entry(tmp_path, IDENTITY).new_rows()) == {}
    [line] = warned()
    assert str(path) in line
    assert "computed again" in line
    assert not os.path.lexists(path)
    assert os.path.lexists(f"{path}.aside")
    Entry(tmp_path, IDENTITY).write(ROWS)
    assert path.read_bytes() == whole
    rows = dict(Entry(tmp_path, IDENTITY).new_rows())
    assert all(torch.equal(rows[key], part) for key, part in ROWS.items())


@pytest.mark.parametrize("seed", range(8))
def test_no_flipped_bit_of_reference_outputs_changes_a_value(seed: int, tmp_path: Path, warned) -> None:
    draw = random.Random(seed)
    for number in range(8):
        folder = tmp_path / str(number)
        Entry(folder, IDENTITY).write(ROWS)
        [path] = folder.glob("*/*.safetensors")
        flip(path, draw.randrange(path.stat().st_size), draw.randrange(8))
        rows = dict(Entry(folder, IDENTITY).new_rows())
        named = any(str(path) in line for line in warned())
        assert named or (rows.keys() == ROWS.keys() and all(torch.equal(rows[key], ROWS[key]) for key in ROWS))
        assert not (named and rows)


def test_a_link_among_the_entries_of_the_cache_is_not_removed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis").write_text("years of work")
    root = tmp_path / "cache"
    root.mkdir()
    (root / "old").symlink_to(precious)
    assert Entry(root, IDENTITY).room(10, 10) == 10
    assert (precious / "thesis").exists()


@pytest.fixture
def weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(factor_cache, "CACHED_FROM", 8)
    return torch.randn(16, 24, generator=torch.Generator().manual_seed(0))


def factors_of(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    A, B = FactorCache().factors(weight, 4, 1.0, "exact", torch.Generator())
    return A.clone(), B.clone()


FACTORS: dict[str, Callable[[Path], object]] = {
    "last byte": lambda path: flip(path, -1),
    "a value": lambda path: change(path, "A", lambda A: A + 1e-6),
    "a transposed factor": lambda path: change(path, "A", lambda A: A.reshape(A.shape[1], A.shape[0])),
    "another digest": lambda path: reheaded(path, sha256="0" * 64),
    "no digest": lambda path: reheaded(path, sha256=None),
    "another origin": lambda path: reheaded(path, marks="{}"),
    "no header": lambda path: path.write_bytes(bytes(64)),
    "a fifo": other_kind(os.mkfifo),
    "a link": other_kind(lambda path: path.symlink_to("/etc/hostname")),
    "a link to nothing": other_kind(lambda path: path.symlink_to("nowhere")),
}


@pytest.mark.parametrize("damage", FACTORS.values(), ids=FACTORS)
def test_changed_factors_are_named_and_computed_again(damage, weight: torch.Tensor, tmp_path: Path, warned) -> None:
    before = factors_of(weight)
    [path] = (tmp_path / "cache" / "pissa").iterdir()
    damage(path)
    after = factors_of(weight)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert torch.equal(after[0], pissa_factors(weight, 4)[0])
    [line] = warned()
    assert str(path) in line
    assert path.is_file()
    assert not path.is_symlink()
    factors_of(weight)
    assert len(warned()) == 1, "the new file is used"


CONFIG = TestbedConfig()


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shipped model as an entry of an otherwise empty cache."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(model_cache, "SHIPPED", tmp_path / "none")
    folder = tmp_path / "cache" / "testbed" / f"decoder-{CONFIG.key()}"
    return Path(shutil.copytree(SHIPPED / "decoder-0", folder))


MODELS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "weights": (WEIGHTS, lambda folder: flip(folder / WEIGHTS, -1)),
    "no weights": (WEIGHTS, lambda folder: (folder / WEIGHTS).unlink()),
    "weights that are a fifo": (WEIGHTS, lambda folder: other_kind(os.mkfifo)(folder / WEIGHTS)),
    "weights that are a link": (
        WEIGHTS,
        lambda folder: other_kind(lambda p: p.symlink_to("/dev/zero"))(folder / WEIGHTS),
    ),
    "tokenizer": ("tokenizer.json", lambda folder: flip(folder / "tokenizer.json", 5000)),
    "tokenizer configuration": ("tokenizer_config.json", lambda folder: flip(folder / "tokenizer_config.json", 20)),
    "configuration": ("config.json", lambda folder: flip(folder / "config.json", 100)),
    "generation": ("generation_config.json", lambda folder: (folder / "generation_config.json").unlink()),
    "a template more": ("chat_template.jinja", lambda folder: (folder / "chat_template.jinja").touch()),
    "an adapter more": ("adapter_config.json", lambda folder: (folder / "adapter_config.json").write_text("{}")),
    "card": (CARD, lambda folder: flip(folder / CARD, 12)),
    "no card": (CARD, lambda folder: (folder / CARD).unlink()),
    "a deep card": (CARD, lambda folder: (folder / CARD).write_text("[" * 100_000)),
    "a card that is a fifo": (CARD, lambda folder: other_kind(os.mkfifo)(folder / CARD)),
    "a card of lists": (
        CARD,
        lambda folder: (folder / CARD).write_text(json.dumps({"key": CONFIG.key(), "files": []})),
    ),
}


@pytest.mark.parametrize(("name", "damage"), MODELS.values(), ids=MODELS)
def test_a_changed_model_of_the_testbed_is_named_and_not_used(name: str, damage, cached: Path, warned) -> None:
    assert find_model(CONFIG, "nlg") == cached
    damage(cached)
    assert find_model(CONFIG, "nlg") is None
    [line] = warned()
    assert str(cached / name) in line
    assert "pre-trained again" in line


@pytest.mark.parametrize(("name", "damage"), MODELS.values(), ids=MODELS)
def test_a_changed_shipped_model_is_refused(name: str, damage, cached: Path, tmp_path: Path) -> None:
    cached.rename(tmp_path / "decoder-0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_cache, "SHIPPED", tmp_path)
        damage(tmp_path / "decoder-0")
        with pytest.raises(ModelError, match=f"{name} is damaged: install balora again"):
            find_model(CONFIG, "nlg")


def test_every_shipped_model_agrees_with_its_card() -> None:
    before = contents(SHIPPED)
    for family in ("nlu", "nlg"):
        for seed in range(4):
            assert find_model(TestbedConfig(seed=seed), family) is not None  # type: ignore[arg-type]
            assert damaged_file(SHIPPED / f"{model_cache.NAMES[family]}-{seed}", TestbedConfig(seed=seed)) is None  # type: ignore[index]
    assert contents(SHIPPED) == before
