"""Arms that share a base: the records of separate runs, one base in memory, one pass of the reference for all."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn
from training_cases import build

from balora.adapters.offset import lora_layers
from balora.training import probe
from balora.training import run as run_module
from balora.training.loss import ModelLoss
from balora.training.record import RunRecord
from balora.training.reference.reference_cache import ReferenceCache
from balora.training.run import run
from balora.training.shared_base import base_of_run, sharing_base
from balora.training.spec import RunSpec, resolve
from balora.training.turns import take_turns

STEPS = 4
ARMS: list[dict[str, Any]] = [
    {"method": "ba-lora"},
    {"method": "lora+reg", "adapter.rank": 4, "adapter.dropout": 0.3, "training.learning_rate": 4e-3},
    {"method": "pissa", "training.l2_start": 0.1, "adapter.dropout": 0.1},
]
TASKS = ["sentiment", "facts"]


def spec_of(task: str, **changes: Any) -> RunSpec:
    settings = {
        "model": "testbed",
        "training.steps": STEPS,
        "training.batch_size": 4,
        "training.learning_rate": 2e-3,
        "training.telemetry_every": 1,
        "training.reference_cache_mib": 0,
        "data.train_rows": 32,
        "data.eval_rows": 12,
    }
    return resolve({**settings, "task": task, **changes})


def together(specs: list[RunSpec], folder: Path) -> list[RunRecord]:
    """Carry out runs that share a base; return their records in the order of ``specs``."""
    records: dict[int, RunRecord] = {}

    def carry_out(place: int) -> None:
        records[place] = run(specs[place], folder / str(place), has_siblings=True)

    with sharing_base():
        take_turns([lambda place=place: carry_out(place) for place in range(len(specs))])  # type: ignore[misc]
    return [records[place] for place in range(len(specs))]


class Both(NamedTuple):
    """The same arms, each run by itself and all together."""

    alone: list[RunRecord]
    together: list[RunRecord]
    folder: Path
    trainers: list[Any]
    """Of the arms together."""
    passes: int
    """Of the reference, for all arms together."""


@pytest.fixture(scope="module", params=TASKS)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder = tmp_path_factory.mktemp(request.param)
    specs = [spec_of(request.param, **arm) for arm in ARMS]
    trainers: list[Any] = []
    passes: list[int] = []
    true_trainer, true_frozen = run_module.BALoraTrainer, ModelLoss.frozen

    def watched(*args: Any, **kwargs: Any) -> Any:
        trainers.append(true_trainer(*args, **kwargs))
        return trainers[-1]

    @contextmanager
    def counted(self: ModelLoss) -> Iterator[nn.Module]:
        passes.append(1)
        with true_frozen(self) as frozen:
            yield frozen

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BALORA_CACHE", str(folder / "cache"))
        alone = [run(spec, folder / "alone" / str(place)) for place, spec in enumerate(specs)]
        patch.setattr(run_module, "BALoraTrainer", watched)
        patch.setattr(ModelLoss, "frozen", counted)
        records = together(specs, folder / "together")
    return Both(alone, records, folder, trainers, len(passes))


def test_the_last_rows_are_held_beyond_the_budget() -> None:
    """The third batch makes the first one's rows go, and only rows that are all known are given."""
    cache = ReferenceCache(budget=0, examples=100, recent=4)
    device = torch.device("cpu")
    rows = {name: [(name + b"0", 1), (name + b"1", 2)] for name in (b"a", b"b", b"c")}
    for number, keys in enumerate(rows.values()):
        cache.keep(keys, torch.full((3, 2), float(number)))
    assert cache.of(rows[b"a"], device) is None
    assert cache.of([*rows[b"c"], *rows[b"a"]], device) is None
    found = cache.of([rows[b"c"][1], rows[b"b"][0]], device)
    assert found is not None
    assert found.tolist() == [[2.0, 2.0], [2.0, 2.0], [1.0, 1.0]]
    assert len(cache) == 0


def series(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "series.jsonl").read_text().splitlines()]


def test_the_records_are_those_of_separate_runs(both: Both) -> None:
    """The arms drop out, so that one that drew another's random numbers would show."""
    apart = {"started", "cost", "digest", "files", "terms", "score", "metrics", "behaviour", "inheritance"}
    for one, other in zip(both.alone, both.together, strict=True):
        assert one.status == other.status == "ok"
        assert other.model_dump(exclude=apart) == one.model_dump(exclude=apart)
        assert other.score == pytest.approx(one.score, abs=1e-4)
        for name in ("metrics", "behaviour", "inheritance"):
            assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-5, abs=1e-6)
        assert other.terms.keys() == one.terms.keys()
        assert (other.cost.steps, other.cost.trained_parameters) == (one.cost.steps, one.cost.trained_parameters)
    assert len({record.id for record in both.together}) == len(ARMS)


def test_the_losses_of_every_step_are_those_of_separate_runs(both: Both) -> None:
    for place in range(len(ARMS)):
        alone, shared = (series(both.folder / name / str(place)) for name in ("alone", "together"))
        assert len(shared) == STEPS
        for one, other in zip(alone, shared, strict=True):
            assert other == pytest.approx(one, rel=1e-5, abs=1e-7)


def test_the_base_is_in_memory_once_and_every_arm_has_an_adapter_of_its_own(both: Both) -> None:
    models = [trainer.model for trainer in both.trainers]
    base = [base_weights(model.get_base_model()) for model in models]
    assert len(base[0]) > 10
    assert base[0] == base[1] == base[2]
    trained = [{p.data_ptr() for p in model.parameters() if p.requires_grad} for model in models]
    assert sum(map(len, trained)) == len(set().union(*trained))


def base_weights(model: Any) -> set[int]:
    """Return where the pre-trained weights lie: of all layers with an adapter, the embeddings, a decoder's head."""
    layers = [layer.get_base_layer() for layer in lora_layers(model).values()]
    others = [model.get_input_embeddings(), model.get_output_embeddings()]
    return {one.weight.data_ptr() for one in (*layers, *others) if one is not None}


def test_the_reference_is_computed_once_for_all(both: Both) -> None:
    """Two of the arms compare with it, and no cache on disk is allowed: one pass a step."""
    assert sum(record.spec.objective.needs_reference for record in both.together) == 2
    assert both.passes == STEPS
    first, second = (
        made.model_loss.reference_cache for made in both.trainers if made.model_loss.config.needs_reference
    )
    assert first is second
    if both.alone[0].spec.task == "facts":
        assert len(first) == 0, "hidden states would fill the memory"


def test_an_arm_that_fails_fails_alone(both: Both, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALORA_CACHE", str(both.folder / "cache"))
    specs = [record.spec for record in both.alone]
    wild = spec_of(specs[0].task, **{"training.learning_rate": 1e30, "training.max_grad_norm": 1e30})
    records = together([wild, specs[0], specs[1]], tmp_path)
    assert [record.status for record in records] == ["failed", "ok", "ok"]
    assert records[0].error is not None
    assert "not finite" in records[0].error.message
    for one, other in zip(both.alone, records[1:], strict=False):
        assert (other.id, other.metrics) == (one.id, pytest.approx(one.metrics, rel=1e-5, abs=1e-6))


def test_an_arm_goes_on_from_its_checkpoint_beside_one_that_begins(
    both: Both, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path / "cache"))
    specs = [spec_of(both.alone[0].spec.task, **arm, **{"training.checkpoint_every": 1}) for arm in ARMS[:2]]
    true_scores = run_module.train_or_take

    def killed(trainer: Any, *rest: Any) -> Any:
        true = trainer.training_step

        def step(*args: Any, **kwargs: Any) -> Any:
            if trainer.state.global_step == 2:
                raise KeyboardInterrupt
            return true(*args, **kwargs)

        trainer.training_step = step
        return true_scores(trainer, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "train_or_take", killed)
        with pytest.raises(KeyboardInterrupt):
            run(specs[1], tmp_path / "killed")
    records = together(specs, tmp_path / "together")
    assert [record.cost.resumed for record in records] == [0, 1]
    for place, (one, other) in enumerate(zip(both.alone, records, strict=False)):
        assert (other.id, other.metrics) == (one.id, pytest.approx(one.metrics, rel=1e-5, abs=1e-6))
        alone, shared = series(both.folder / "alone" / str(place)), series(tmp_path / "together" / str(place))
        assert [row["loss"] for row in shared] == pytest.approx([row["loss"] for row in alone], rel=1e-5)


@pytest.mark.parametrize("head", ["initial", "probe"])
def test_the_head_of_a_classifier_is_each_arms_own(head: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe fits the head in place: a second arm that began with the fitted one would begin elsewhere."""
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(probe, "STEPS", 10)
    changes = {"objective.reference_head": head, "training.steps": 1}
    specs = [spec_of("sentiment", **arm, **changes) for arm in ARMS[:2]]
    alone = [run(spec, tmp_path / "alone" / str(place)) for place, spec in enumerate(specs)]
    for one, other in zip(alone, together(specs, tmp_path / "together"), strict=True):
        assert (other.notes, other.metrics) == (one.notes, pytest.approx(one.metrics, rel=1e-5, abs=1e-6))


@pytest.mark.parametrize("name", ["tied", "llama", "bert"])
def test_the_first_arm_that_moves_the_base_moves_it_for_all(name: str) -> None:
    """Another number format stands for another device, which torch treats alike: no copy stays behind."""
    with sharing_base():
        first, second = (base_of_run(lambda: build(name), is_classifier=name == "bert") for _ in range(2))
        assert first is not second
        first.to(torch.float64)
        third = base_of_run(lambda: build(name), is_classifier=name == "bert").to(torch.float64)
    weights = [dict(model.base_model.named_parameters()) for model in (first, second, third)]
    assert {one.dtype for one in weights[1].values()} == {torch.float64}
    for key, one in weights[0].items():
        assert one.data_ptr() == weights[1][key].data_ptr() == weights[2][key].data_ptr()
    heads = {model.get_output_embeddings().weight.data_ptr() for model in (first, third)} if name != "bert" else {0}
    assert len(heads) == 1
