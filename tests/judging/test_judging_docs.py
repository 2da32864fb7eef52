"""The example and the figures of docs/judging.md are what the code gives."""

import re
from pathlib import Path

import pytest
from tests.judging.loopback_judge import judge_server

from balora.judging.config import JudgeConfig

DOCS = Path(__file__).resolve().parents[2] / "docs" / "judging.md"


def test_the_example_runs(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path))
    code = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)[0]
    with judge_server(model="qwen2.5-32b") as server:
        code = code.replace("http://127.0.0.1:8000/v1", server.url).replace("data/mt_bench", str(data / "mt_bench"))
        exec(compile(code, str(DOCS), "exec"), {})
    printed = capsys.readouterr().out
    assert "'mt_bench_first_turn': " in printed
    assert "requests=80 " in printed


def test_every_setting_is_in_the_table() -> None:
    table = DOCS.read_text(encoding="utf-8").split("| setting in `scoring.judge` |")[1].split("\n\n")[0]
    named = {name for line in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert named == set(JudgeConfig.model_fields)
