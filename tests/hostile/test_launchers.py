"""A launcher of several processes: the verbs refuse on each of them, before anything is written."""

import os
import re
import subprocess
import sys
from itertools import product

import pytest
from refusals import nothing_written, refused, run_verb

from balora import ConfigError, resolve, run
from balora.cli.start_processes import refuse_missing_devices
from balora.study.design.deltas import checked
from balora.training import launchers
from balora.training.identity import payload, run_id
from balora.training.launch_config import LaunchConfig
from balora.training.launchers import launched_processes, refuse_several_processes, refuse_strategy
from balora.training.run_in_folder import run_in_folder

LAUNCHERS = {
    "torchrun": {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"},
    "torchrun, the other rank": {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"},
    "accelerate launch": {"WORLD_SIZE": "16", "RANK": "9", "ACCELERATE_MIXED_PRECISION": "no"},
    "mpirun": {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3"},
    "mpich": {"PMI_SIZE": "2", "PMI_RANK": "1"},
}
VERBS = {
    "evaluate": ("evaluate", "--model", "testbed", "--task", "facts", "--output"),
    "export": ("export", "no-run", "--output"),
    "study run": ("study", "run", "pissa-initialization", "--output"),
    "testbed pretrain": ("testbed", "pretrain", "--set"),
}


@pytest.fixture
def environment(monkeypatch, tmp_path):
    for name in (*launchers.COUNTS, "RANK", "LOCAL_RANK", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(launchers, "find_spec", lambda name: None)  # nothing is installed beside balora
    return lambda **given: [monkeypatch.setenv(name, value) for name, value in given.items()]


@pytest.mark.parametrize(("launcher", "verb"), [*product(LAUNCHERS, VERBS)])
def test_every_verb_that_works_refuses_on_every_rank(launcher, verb, environment, tmp_path):
    environment(**LAUNCHERS[launcher])
    last = "noise=0.3" if verb == "testbed pretrain" else tmp_path / "out"
    count = next(LAUNCHERS[launcher][name] for name in launchers.COUNTS if name in LAUNCHERS[launcher])
    refused([*VERBS[verb], last], f"balora {verb} works in one process, but {count} were started", watched=tmp_path)


WRONG = {
    "mpirun": (LAUNCHERS["mpirun"], {}, "not by torchrun or accelerate launch: RANK is not set: start them with"),
    "no place to meet": (LAUNCHERS["torchrun, the other rank"], {}, "MASTER_ADDR is not set"),
    "another number": (
        LAUNCHERS["torchrun"],
        {"launch.processes": 3},
        "launch.processes = 3, but 2 processes were started together: leave launch.processes out",
    ),
    "accelerate with FSDP": (
        {**LAUNCHERS["torchrun"], "ACCELERATE_USE_FSDP": "true"},
        {},
        "accelerate launch was told to use FSDP, but a run takes this from its settings: choose DDP",
    ),
    "fsdp2 alone": (
        {},
        {"launch.strategy": "fsdp2", "launch.processes": 1},
        "launch.strategy = 'fsdp2': several processes share a model, but this run has one: set launch.processes to 2",
    ),
    "zero2 without DeepSpeed": (
        LAUNCHERS["torchrun"],
        {"launch.strategy": "zero2"},
        "launch.strategy = 'zero2': DeepSpeed is not installed: `pip install setuptools wheel`, then `pip install",
    ),
    "checkpoints of parts": (
        LAUNCHERS["torchrun"],
        {"launch.strategy": "fsdp2", "training.checkpoint_every": 5},
        "training.checkpoint_every = 5: checkpoints hold whole weights and optimizers, so it does not go with",
    ),
    "an unknown strategy": (LAUNCHERS["torchrun"], {"launch.strategy": "fsdp"}, "launch.strategy: "),
}
TRAIN = {"model": "testbed", "task": "facts", "training.steps": 1}


@pytest.mark.parametrize("function", [run, run_in_folder])
@pytest.mark.parametrize("case", WRONG)
def test_a_run_that_its_processes_cannot_share_is_refused(case, function, environment, tmp_path):
    variables, settings, message = WRONG[case]
    environment(**variables)
    with nothing_written(tmp_path), pytest.raises(ConfigError, match=re.escape(message)):
        function(resolve({**TRAIN, **settings}), tmp_path / "out")


@pytest.mark.parametrize("case", WRONG)
def test_so_does_the_verb(case, environment, tmp_path):
    variables, settings, message = WRONG[case]
    environment(**variables)
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    refused(["train", "--model", "testbed", "--task", "facts", *words, "--output", tmp_path / "out"], message,
            watched=tmp_path)  # fmt: skip


@pytest.mark.parametrize("function", [run, run_in_folder])
def test_a_function_starts_no_processes(function, environment, tmp_path):
    with nothing_written(tmp_path), pytest.raises(ConfigError, match=r"launch\.processes = 2, but this is one process"):
        function(resolve({**TRAIN, "launch.processes": 2}), tmp_path / "out")


def test_more_processes_than_cores_or_gpus_are_refused(environment, tmp_path):
    given = ["train", "--model", "testbed", "--task", "facts", "--set", "launch.processes=4096", "--output"]
    refused([*given, tmp_path / "out"], "launch.processes = 4096, but this machine has", watched=tmp_path)


def test_more_processes_than_gpus_are_refused_by_their_number(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    refuse_missing_devices(2)
    with pytest.raises(ConfigError, match=re.escape("launch.processes = 3, but this machine has 2 GPU(s): lower it")):
        refuse_missing_devices(3)


def test_deepspeed_is_missed_before_processes_start(environment, tmp_path):
    refuse_strategy(LaunchConfig(strategy="fsdp2"), 2)
    given = ["train", "--model", "testbed", "--task", "facts", "--set", "launch.processes=2"]
    given += ["--set", "launch.strategy=zero3", "--output", tmp_path / "out"]
    refused(given, "launch.strategy = 'zero3': DeepSpeed is not installed", watched=tmp_path)


def test_a_study_has_no_processes_to_set():
    with pytest.raises(ConfigError, match=r"launch\.processes: a run of a study is one process: use --workers"):
        checked({"launch.processes": 2})


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ({}, 1),
        ({"WORLD_SIZE": "1"}, 1),
        ({"WORLD_SIZE": ""}, 1),
        ({"SLURM_NTASKS": "8"}, 1),
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "3", "SLURM_JOB_ID": "1"}, 1),
        ({"WORLD_SIZE": " 3 "}, 3),
        ({"WORLD_SIZE": "1", "PMI_SIZE": "2"}, 2),
        ({"WORLD_SIZE": "0"}, 1),
    ],
)
def test_the_number_of_processes(given, count):
    assert launched_processes(given) == count


@pytest.mark.parametrize("text", ["two", "-1", "1e3", "²", "\x1b[2J", "9" * 5000])
def test_a_number_that_is_none_is_refused(text, environment, tmp_path, monkeypatch):
    monkeypatch.setattr(launchers, "launched_processes", lambda: launched_processes({"WORLD_SIZE": text}))
    refused(["export", "no-run", "--output", tmp_path / "out"], "WORLD_SIZE = ", watched=tmp_path)


def test_a_process_group_without_a_launcher_is_seen(monkeypatch):
    import torch.distributed as distributed

    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 3)
    with pytest.raises(ConfigError, match="but 3 were started together"):
        refuse_several_processes("a run")


@pytest.mark.parametrize("words", [("study", "list"), ("doctor",), ("--help",)])
def test_what_only_prints_goes_on(words, environment):
    environment(WORLD_SIZE="2", RANK="0")
    assert run_verb(*words).code == 0


def test_the_number_of_processes_is_in_the_identity():
    spec = resolve({"model": "testbed", "task": "facts"})
    ids = {run_id(spec, {}, count) for count in (1, 2, 3)}
    assert len(ids) == 3
    assert payload(spec, {}) == payload(spec, {}, 1)
    assert '"processes": 2' in payload(spec, {}, 2)


@pytest.mark.slow
def test_torchrun_itself_ends_with_one_line_a_rank_and_writes_nothing(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    script = tmp_path / "start.py"
    script.write_text("from balora.cli import main\n\nraise SystemExit(main())\n", encoding="utf-8")
    command += ["--rdzv-endpoint", "localhost:0", str(script)]
    environment = {**os.environ, "BALORA_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    with nothing_written(tmp_path):
        done = subprocess.run(
            [*command, *VERBS["evaluate"], str(tmp_path / "out")], capture_output=True, text=True, env=environment
        )
    assert done.returncode != 0
    assert "balora: error: balora evaluate works in one process, but 2 were started" in done.stderr
    assert "exitcode  : 2" in done.stderr
