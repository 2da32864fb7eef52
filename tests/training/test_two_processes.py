"""Two processes train as one does on the same rows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training_cases import adapted, answers, collate, moved, objective, trained_weights
from two_processes import train

from balora.training.loss import ModelLoss

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What both processes saved."""
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
    saved = [torch.load(folder / f"rank{rank}.pt") for rank in (0, 1)]
    assert [one["world"] for one in saved] == [2, 2]
    return [one["results"] for one in saved]


def same(one, other):
    for name in other:
        torch.testing.assert_close(one[name.removeprefix("module.")], other[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["causal", "classification"])
def test_two_processes_are_one_with_the_same_rows(ranks, tmp_path, kind):
    alone, seen, log = train(tmp_path, kind, 8, True, steps=2)
    together = [one[kind, True][1] for one in ranks]
    assert sorted(together[0] + together[1]) == sorted(seen) == list(range(8))
    for one in ranks:
        same(one[kind, True][0], alone)
        assert len(one[kind, True][2]) == len(log) == 2
        for line, expected in zip(one[kind, True][2], log, strict=True):  # means over the rows of both
            assert line["loss"] == pytest.approx(expected["loss"], rel=1e-5)
            for term in ("task", "consistency"):
                assert line[f"balora/{term}"] == pytest.approx(expected[f"balora/{term}"], rel=1e-5, abs=1e-9)


def test_without_averaging_over_devices_each_process_counts_its_own_tokens(ranks):
    config = objective("nlg", consistency=0.5, diversity=0.3)
    model = moved(adapted("llama", dtype=torch.float64))
    loss = ModelLoss(model, config)
    drawn = [one["causal", False][1] for one in ranks]
    parts = [loss(model, collate([answers()[i] for i in mine]))[0].loss for mine in drawn]
    (sum(parts) / 2).backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= 0.05 * parameter.grad
    same(ranks[0]["causal", False][0], trained_weights(model))
    counts = [sum(len(answers()[i]["labels"]) for i in mine) for mine in drawn]
    assert counts[0] != counts[1]  # or a mean over all tokens would be the same
