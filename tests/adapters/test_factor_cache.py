"""The cache of PiSSA's factors: what it gives is what would be computed, whatever happened to its files."""

import errno
import hashlib
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Generator, Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from balora.adapters import AdapterConfig, attach, factor_cache
from balora.adapters.factor_cache import CACHED_FROM, SWITCH, FactorCache
from balora.adapters.offset import lora_layers
from balora.adapters.ranks import largest_rank, ranks_up_to
from balora.errors import AdapterError, ConfigError
from balora.folders import CACHE_VARIABLE
from balora.maths import pissa_factors
from balora.maths.pissa import VERSION
from balora.maths.starts import minor_factors

# PEFT asks a transformers model for a property that transformers is about to rename
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache's folder, empty; small weights are kept too."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.delenv(SWITCH, raising=False)
    monkeypatch.setattr(factor_cache, "CACHED_FROM", 20)
    return tmp_path / "pissa"


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rank of every decomposition."""
    ranks: list[int] = []

    def counted(weight: Tensor, rank: int, *arguments: Any, **named: Any) -> Any:
        ranks.append(rank)
        return pissa_factors(weight, rank, *arguments, **named)

    def counted_minor(weight: Tensor, rank: int, scaling: float) -> Any:
        ranks.append(rank)
        return minor_factors(weight, rank, scaling)

    monkeypatch.setattr(factor_cache, "pissa_factors", counted)
    monkeypatch.setattr(factor_cache, "minor_factors", counted_minor)
    return ranks


def weight(seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(30, 24, generator=generator(seed)).to(dtype)


def generator(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def factors(W: Tensor, rank: int = 4, scaling: float = 1.0, method: Any = "exact", seed: int = 0) -> Any:
    return FactorCache().factors(W, rank, scaling, method, generator(seed))


def same(one: Any, other: Any) -> bool:
    return all(torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(one, other, strict=True))


# --- what is read is what would be computed ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["exact", "randomized"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_what_is_read_is_to_the_bit_what_is_computed(computed: list[int], dtype: torch.dtype, method: str) -> None:
    W = weight(dtype=dtype)
    for scaling in (1.0, 0.3):
        expected = pissa_factors(W, 4, scaling, method, generator())  # type: ignore[arg-type]
        assert same(factors(W, scaling=scaling, method=method), expected)
    assert computed == [4]  # and the other scaling came from the same file
    if method == "exact":
        factors(W, seed=1)  # a layer of another name, or a run of another seed
        assert computed == [4]


CHANGES: dict[str, Callable[[], Any]] = {
    "weight": lambda: factors(weight(1)),
    "one bit of the weight": lambda: factors(torch.nextafter(weight(), torch.tensor(torch.inf))),
    "shape": lambda: factors(weight().reshape(24, 30)),
    "dtype": lambda: factors(weight().to(torch.float64)),
    "rank": lambda: factors(weight(), rank=5),
    "method": lambda: factors(weight(), method="randomized"),
    "start": lambda: factors(weight(), method="minor"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_decides_the_factors_is_in_the_key(computed: list[int], change: str) -> None:
    factors(weight())
    CHANGES[change]()
    assert len(computed) == 2


def test_the_same_bytes_in_another_precision_are_another_weight(computed: list[int]) -> None:
    half = weight(dtype=torch.float16)
    factors(half)
    factors(half.view(torch.bfloat16))
    assert len(computed) == 2


def test_randomized_factors_belong_to_their_seed_and_their_rank(computed: list[int]) -> None:
    first = factors(weight(), method="randomized")
    assert not same(factors(weight(), method="randomized", seed=1), first)
    with ranks_up_to(8):  # of 8 columns the first 4 would be nearer to the truth
        assert same(factors(weight(), method="randomized"), first)
    assert computed == [4, 4]


def test_another_version_of_the_computation_is_another_key(
    computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    factors(weight())
    monkeypatch.setattr(factor_cache, "VERSION", factor_cache.VERSION + 1)
    factors(weight())
    assert len(computed) == 2


def test_a_transposed_view_is_the_matrix_it_shows(computed: list[int]) -> None:
    W = weight()
    assert same(factors(W.T.contiguous().T), factors(W))  # GPT-2's Conv1D stores the transpose
    assert computed == [4]


# --- ranks ------------------------------------------------------------------------------------------------------------


def test_a_sweep_over_ranks_decomposes_each_weight_once(computed: list[int], folder: Path) -> None:
    W = weight()
    with ranks_up_to(16):
        swept = {rank: factors(W, rank, scaling=0.5) for rank in (2, 16, 7)}
    assert computed == [16]
    assert len(list(folder.iterdir())) == 1
    for rank, (A, B) in swept.items():
        expected = pissa_factors(W, rank, 0.5)
        torch.testing.assert_close(A, expected[0], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(B, expected[1], rtol=1e-5, atol=1e-6)
        assert A.is_contiguous()
        assert B.is_contiguous()


def test_which_rank_is_computed_depends_on_no_file(computed: list[int]) -> None:
    with ranks_up_to(16):
        factors(weight())
    factors(weight())  # its own rank: what lies there from a study would differ by rounding
    assert computed == [16, 4]
    assert largest_rank() == 0


def test_a_rank_beyond_a_small_weight_is_cut_to_it(computed: list[int]) -> None:
    with ranks_up_to(100):
        assert factors(weight())[0].shape == (4, 24)
    assert computed == [24]


# --- the smallest components ------------------------------------------------------------------------------------------


def test_the_smallest_components_are_read_as_computed_and_cut_for_smaller_ranks(computed: list[int]) -> None:
    with ranks_up_to(16):
        for rank, scaling in ((16, 0.5), (3, 1.0), (3, 1.0)):
            assert same(factors(weight(), rank, scaling, "minor"), minor_factors(weight(), rank, scaling))
    assert computed == [16]


def test_both_kinds_of_components_of_a_weight_lie_side_by_side(computed: list[int], folder: Path) -> None:
    for _ in range(2):
        assert same(factors(weight()), pissa_factors(weight(), 4))
        assert same(factors(weight(), method="minor"), minor_factors(weight(), 4))
    assert computed == [4, 4]
    assert len(list(folder.iterdir())) == 2


def test_another_version_of_the_smallest_is_another_key_for_them_alone(
    computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    factors(weight())
    factors(weight(), method="minor")
    monkeypatch.setattr(factor_cache, "MINOR_VERSION", factor_cache.MINOR_VERSION + 1)
    factors(weight())
    assert len(computed) == 2
    factors(weight(), method="minor")
    assert len(computed) == 3


def test_the_names_of_entries_do_not_change() -> None:
    """A study that was begun with another release goes on with the files that lie there."""
    identity = factor_cache._identity_of(torch.eye(2), 1, "exact", generator())
    assert identity.pop("threads") >= 1
    assert identity.pop("weight") == hashlib.sha256(bytes.fromhex("0000803f00000000000000000000803f")).hexdigest()
    assert identity.pop("version") == VERSION
    assert identity == {
        "method": "exact", "random state": "", "rank": 1, "shape": "2×2", "dtype": "torch.float32", "device": "cpu",
    }  # fmt: skip


# --- small weights, and the switch ------------------------------------------------------------------------------------


def test_small_weights_are_neither_read_nor_kept(
    computed: list[int], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(factor_cache, "CACHED_FROM", CACHED_FROM)
    with ranks_up_to(16):
        assert same(factors(weight()), pissa_factors(weight(), 4))
    assert computed == [4]
    assert not folder.exists()


def test_the_cache_can_be_switched_off(computed: list[int], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "off")
    factors(weight())
    factors(weight())
    assert computed == [4, 4]
    assert not folder.exists()
    monkeypatch.setenv(SWITCH, "no")
    with pytest.raises(ConfigError, match=r"^BALORA_PISSA_CACHE must be 'on' or 'off', got 'no'$"):
        FactorCache()


# --- trouble ----------------------------------------------------------------------------------------------------------


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def swap(path: Path) -> None:
    """Put the entry of another weight there, whole and with its own checksum."""
    factors(weight(1))
    (other,) = (entry for entry in path.parent.iterdir() if entry != path)
    other.replace(path)


@pytest.mark.parametrize(
    ("harm", "reason"),
    [(tear, ""), (empty, ""), (flip, "its checksum is wrong"), (swap, "it was computed from other input")],
)
def test_a_damaged_file_is_named_and_made_anew(
    harm: Callable[[Path], None], reason: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = factors(weight())
    (entry,) = folder.iterdir()
    harm(entry)
    assert same(factors(weight()), expected)
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith(f"balora: factor cache: {entry} cannot be used ({reason}")
    assert line.endswith("): computed again")
    caplog.clear()
    assert same(factors(weight()), expected)
    assert not caplog.records


def test_a_full_disk_costs_the_cache_and_is_said_once(
    computed: list[int], folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*arguments: Any, **named: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(factor_cache, "write_atomic", full)
    cache = FactorCache()
    for seed in (0, 1):
        assert same(cache.factors(weight(seed), 4, 1.0, "exact", generator()), pissa_factors(weight(seed), 4))
    (line,) = (record.getMessage() for record in caplog.records)
    assert line == (
        f"balora: factors cannot be cached in {folder} (No space left on device): each run computes them; "
        "BALORA_PISSA_CACHE=off disables the cache"
    )


def test_a_cache_that_is_a_file_costs_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    assert same(factors(weight()), pissa_factors(weight(), 4))
    assert len(caplog.records) == 1


def test_what_killed_processes_left_is_removed(folder: Path) -> None:
    folder.mkdir()
    (folder / ".partial-old").write_text("half")
    os.utime(folder / ".partial-old", (0, 0))
    factors(weight())
    assert not (folder / ".partial-old").exists()


def test_many_at_once_do_no_harm(folder: Path) -> None:
    expected = [pissa_factors(weight(seed), 4) for seed in range(4)]

    def work(number: int) -> bool:
        return all(same(factors(weight(seed)), expected[seed]) for _ in range(5) for seed in range(4))

    with ThreadPoolExecutor(8) as pool:  # to the files threads are what processes are
        assert all(pool.map(work, range(8)))
    assert len(list(folder.iterdir())) == 4
    for entry in folder.iterdir():
        assert set(load_file(entry)) == {"A", "B"}


# --- attach -----------------------------------------------------------------------------------------------------------


def tiny_llama() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=61, hidden_size=24, intermediate_size=40, num_hidden_layers=1, num_attention_heads=4
        )
        return LlamaForCausalLM(config).eval()


def starts(model: nn.Module) -> dict[str, Tensor]:
    return {
        f"{name} {side}": getattr(layer, side)["default"].trained.detach()
        for name, layer in lora_layers(model).items()
        for side in ("lora_A", "lora_B")
    }


ATTACHED = [
    ("pissa", "exact"), ("pissa", "randomized"), ("random-matched", "exact"), ("random-matched", "randomized"),
    ("minor", "exact"),
]  # fmt: skip


@pytest.mark.parametrize(("init", "svd"), ATTACHED)
def test_attach_reads_what_it_kept(init: Any, svd: Any, computed: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    config = AdapterConfig(rank=3, alpha=6, init=init, svd=svd)
    made = starts(attach(tiny_llama(), config).get_base_model())
    read = starts(attach(tiny_llama(), config).get_base_model())
    assert computed == [3] * 7  # q, k, v, o, gate, up, down
    monkeypatch.setenv(SWITCH, "off")
    plain = starts(attach(tiny_llama(), config).get_base_model())
    for name, start in plain.items():
        assert torch.equal(made[name], start)
        assert torch.equal(read[name], start)


def test_a_random_start_shares_the_entries_of_pissa(computed: list[int]) -> None:
    for svd in ("exact", "randomized"):
        attach(tiny_llama(), AdapterConfig(rank=3, svd=svd))
        attach(tiny_llama(), AdapterConfig(rank=3, svd=svd, init="random-matched"))
    assert computed == [3] * 14


def test_a_start_that_could_never_move_is_refused_whatever_rank_is_cached() -> None:
    model = nn.Sequential(nn.Linear(24, 30))
    model[0].weight.data[:] = weight() * (torch.arange(24) < 18)  # of rank 18
    with ranks_up_to(8), pytest.raises(AdapterError, match="the 3 smallest singular values of layer 0 are zero"):
        attach(model, AdapterConfig(rank=3, init="minor"))


def test_the_standard_start_needs_no_cache(folder: Path, computed: list[int]) -> None:
    attach(tiny_llama(), AdapterConfig(rank=3, init="standard"))
    assert not computed
    assert not folder.exists()


def test_nothing_is_said_when_all_is_well(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        factors(weight())
        factors(weight())
    assert not caplog.records
