"""Two processes train as one does on the same rows."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_cases import adapted, answers, collate, moved, objective, trained_weights
from two_processes import KINDS, ROWS, SPLITS, part, settings, train

from balora import resolve
from balora.training.loss import ModelLoss
from balora.training.run_in_folder import run_in_folder

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where both processes have written."""
    folder = tmp_path_factory.mktemp("two")
    environment = {
        **os.environ,
        "ACCELERATE_USE_CPU": "true",
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH")))),
    }
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", str(HERE / "two_processes.py"), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def ranks(folder):
    """What both processes saved."""
    saved = [torch.load(folder / f"rank{rank}.pt", weights_only=False) for rank in (0, 1)]
    assert [one["world"] for one in saved] == [2, 2]
    return saved


def same(one, other):
    for name in other:
        torch.testing.assert_close(one[name.removeprefix("module.")], other[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_are_one_with_the_same_rows(ranks, tmp_path, kind):
    alone, seen, log = train(tmp_path, kind, 8, True, steps=2)
    together = [one["trained"][kind, True] for one in ranks]
    assert sorted(together[0][1] + together[1][1]) == sorted(seen) == list(range(8))
    for weights, _, lines in together:
        same(weights, alone)
        assert len(lines) == len(log) == 2
        for line, expected in zip(lines, log, strict=True):  # means over the rows of both
            assert line["loss"] == pytest.approx(expected["loss"], rel=1e-5)
            for term in ("task", *KINDS[kind][1]):
                assert line[f"balora/{term}"] == pytest.approx(expected[f"balora/{term}"], rel=1e-5, abs=1e-9)


def test_without_averaging_over_devices_each_process_counts_its_own_tokens(ranks):
    config = objective("nlg", consistency=0.5, diversity=0.3)
    model = moved(adapted("llama", dtype=torch.float64))
    loss = ModelLoss(model, config)
    drawn = [one["trained"]["causal", False][1] for one in ranks]
    parts = [loss(model, collate([answers()[i] for i in mine]))[0].loss for mine in drawn]
    (sum(parts) / 2).backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= 0.05 * parameter.grad
    same(ranks[0]["trained"]["causal", False][0], trained_weights(model))
    counts = [sum(len(answers()[i]["labels"]) for i in mine) for mine in drawn]
    assert counts[0] != counts[1]  # or a mean over all tokens would be the same


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("form", ["logits", "hidden"])
def test_with_global_scope_a_step_is_that_of_all_rows_with_its_gradient(ranks, form, split):
    alone = part(form, slice(0, ROWS), 1.0)
    parts, counts = [one["parts"][form, split] for one in ranks], SPLITS[split]
    for one in parts:
        for name in ("diversity", "spectral"):  # the whole matrix: the same on each process
            assert one["values"][name] == pytest.approx(alone["values"][name], rel=1e-12)
            assert name not in one["inactive"]
    for name in ("task", "consistency"):
        mean = sum(one["values"].get(name, 0.0) * count for one, count in zip(parts, counts, strict=True)) / ROWS
        assert mean == pytest.approx(alone["values"][name], rel=1e-12)
    gradient = torch.cat([one["gradient"] for one in parts]) / 2  # which DDP averages over the processes
    torch.testing.assert_close(gradient, alone["gradient"], rtol=1e-10, atol=1e-14)
    for name in ("diversity", "spectral") if form == "hidden" else ():
        compared = torch.cat([one["compared"][name] for one in parts]) / 2
        torch.testing.assert_close(compared, alone["compared"][name], rtol=1e-10, atol=1e-14)


def test_a_run_of_two_processes_is_one_run_with_the_numbers_of_one_process(ranks, folder, tmp_path):
    (record, done), (again, done_again) = ranks[0]["runs"]
    assert (done, done_again) == (False, True)
    assert again == record
    assert ranks[1]["runs"] == ranks[0]["runs"]
    assert {path.name for path in folder.iterdir()} == {"run", "trainer", "rank0.pt", "rank1.pt"}
    assert ranks[0]["written"] == ["adapter", "items.jsonl", "run.json", "series.jsonl"]
    alone, _ = run_in_folder(resolve(settings(8)), tmp_path / "run")
    assert (record.processes, alone.processes) == (2, 1)
    assert record.id != alone.id
    assert record.score == alone.score
    assert record.step_scores == alone.step_scores
    assert (record.inactive.get("scope"), alone.inactive["scope"].split(":")[0]) == (
        None,
        "one process trains the model",
    )
    assert record.correct == alone.correct
    assert record.cost.steps == alone.cost.steps == 3
    files = [at / "run" / "adapter" / "adapter_model.safetensors" for at in (folder, tmp_path)]
    two, one = (load_file(file) for file in files)
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-4, atol=1e-6)
    series = [json.loads(line) for line in (folder / "run" / "series.jsonl").read_text().splitlines()]
    assert [row["step"] for row in series] == [1, 2, 3]
    assert {"diversity", "spectral"} & series[0].keys() == {"diversity"}  # three classes: the nuclear ratio of k = 3
