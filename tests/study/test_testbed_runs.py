"""Studies on the testbed, carried out: models first, each once; then the runs; nothing half-written."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import fakes
import pytest
from study_cases import go

from balora.errors import InputError
from balora.progress import Progress
from balora.study.engine.display import announcement, describe
from balora.study.engine.execute import Outcome
from balora.study.engine.pretraining import missing_models
from balora.study.plan.plan import Plan
from balora.study.plan.prepare import prepare
from balora.study.plan.testbed_profiles import RATES
from balora.tasks.testbed.config import TestbedConfig
from balora.tasks.testbed.model_cache import NAMES, find_model, store
from balora.tasks.testbed.pretrain import pretrain

TINY = {"encoder_steps": 2, "decoder_steps": 2, "batch_size": 4, "people": 16}
Make = Callable[[int], None]


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """An empty cache, and what puts the tiny models of a seed into it, unprobed."""
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path / "cache"))

    def make(seed: int) -> None:
        config = TestbedConfig(**TINY, seed=seed)
        for family, name in NAMES.items():
            store(
                pretrain(config, family, checked=False), config, tmp_path / "cache/testbed" / f"{name}-{config.key()}"
            )

    return make


def plan_of(blocks: int = 1, **testbed: object) -> Plan:
    settings = {f"testbed.{key}": value for key, value in {**TINY, **testbed}.items()}
    return prepare(
        "pissa-initialization", profile="glance", seeds=blocks, settings=settings, fingerprints=fakes.fingerprints
    )


def test_models_that_are_there_are_not_made_and_records_keep_their_blocks(cached: Make, tmp_path: Path) -> None:
    cached(0)
    cached(1)
    outcome, lines = go(plan_of(2), tmp_path / "s", fakes.quick)
    assert outcome == Outcome(planned=20, skipped=0, ok=20, failed=0, failed_before=0)
    assert not [line for line in lines if "pretrain" in line]
    record = json.loads((tmp_path / "s" / "study.json").read_text())
    assert (record["seeds"], record["pretrainings"], record["model"]) == ([42, 1024], [0, 1], "testbed")


@pytest.mark.slow
def test_a_model_that_fails_its_probes_stops_the_study_before_any_run(cached: Make, tmp_path: Path) -> None:
    """Two steps teach nothing: the block's seed is named, and no run was started."""
    cached(0)
    with pytest.raises(InputError, match=r"pretrain (en|de)coder 1, .*probes right.*\(no run was started\)"):
        go(plan_of(2), tmp_path / "s", fakes.quick, workers=2)
    assert not (tmp_path / "s").exists()
    assert len(list((tmp_path / "cache/testbed").iterdir())) == 2


def test_what_is_said_while_models_are_made(cached: Make) -> None:
    model = missing_models(plan_of(noise=0.5).runs)[1]
    tiny = "noise 0.5, people 16, encoder_steps 2, decoder_steps 2, batch_size 4"
    assert describe(model, Progress("pretrain", 120, 600, 1.5)) == f"pretrain decoder 0, {tiny}: 120/600 · loss 1.500"
    assert announcement(1, 1).startswith("1 of the testbed's models has to be pre-trained first")


def balora(*words: object) -> list[str]:
    code = "import sys; from balora.cli.main import main; sys.exit(main())"
    return [sys.executable, "-c", code, *map(str, words)]


ASSIGNED = [word for key, value in TINY.items() for word in ("--set", f"testbed.{key}={value}")]


@pytest.mark.slow
def test_a_study_from_the_command_line_to_its_answer(cached: Make, tmp_path: Path) -> None:
    cached(0)
    sizes = ("training.steps=1", "data.train_rows=16", "data.eval_rows=12")
    words = [*ASSIGNED, *(word for size in sizes for word in ("--set", size))]
    line = balora(
        "study", "run", "pissa-initialization", "--seeds", 1, "--workers", 1, *words, "--output", tmp_path / "s"
    )
    done = subprocess.run([*line, "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["counts"] == {"planned": 10, "ok": 10, "failed": 0, "unreadable": 0, "missing": 0}
    assert report["blocks"] == "1 block: fine-tuning seed 42, on one pre-trained model (pre-training seed 0)"
    assert report["arms"][1]["rates"] == {family: [RATES[family]["standard"]] for family in ("nlu", "nlg")}
    assert "leaked" not in done.stderr
    shown = subprocess.run(balora("study", "report", tmp_path / "s", "--answer"), capture_output=True, text=True)
    assert "cannot tell from one model" in shown.stdout
    assert str(tmp_path / "s" / "report.md") in shown.stdout.splitlines()


@pytest.mark.slow
def test_an_interrupted_pretraining_leaves_nothing_and_says_how_to_go_on(cached: Make, tmp_path: Path) -> None:
    """Ctrl-C while the encoder is under way."""
    steps = 100_000
    words = ["people=16", f"encoder_steps={steps}", f"decoder_steps={steps}"]
    given = [part for word in words for part in ("--set", f"testbed.{word}")]
    line = balora("study", "run", "formulation-swap", "--workers", 1, *given, "--output", tmp_path / "s")
    heard = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "  # a child may inherit none
    with subprocess.Popen([line[0], "-c", heard + line[2], *line[3:]], stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        while "pretrain encoder 0" not in (said := child.stderr.readline()):
            assert said, "it ended by itself"
        os.kill(child.pid, signal.SIGINT)
        rest = child.stderr.read()
    assert child.returncode == 130
    assert "to go on: balora study run formulation-swap" in rest
    assert list((tmp_path / "cache" / "testbed").iterdir()) == []
    assert find_model(TestbedConfig(people=16, encoder_steps=steps, decoder_steps=steps), "nlu") is None
