"""Questions, a clock that does not wait, and judges: shared by the tests of judging."""

from pathlib import Path
from typing import Any

from tests.judging.loopback_judge import MODEL

from balora.judging.config import JudgeConfig
from balora.judging.judge import Judge
from balora.judging.judge_prompts import Prompt
from balora.judging.questions import Question

PLAIN = Question(81, "writing", ("Write a post.", "Now in rhyme."))
SUM = Question(111, "math", ("What is 2 + 3?", "And doubled?"), ("5", "10"))
PROMPT = Prompt("You are a judge.", "Rate this.")


class FakeClock:
    """A clock whose pauses pass at once, and are recorded."""

    def __init__(self) -> None:
        self.time = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


def config(url: str, **settings: Any) -> JudgeConfig:
    """Return settings for a judge on loopback: short timeouts, one request at a time."""
    usual = {"model": MODEL, "key_variable": "LOOPBACK_API_KEY", "timeout": 10, "retries": 3, "concurrency": 1}
    return JudgeConfig(**{"url": url, **usual, **settings})


def judge(url: str, cache: Path, clock: FakeClock | None = None, **settings: Any) -> Judge:
    """Return a judge on loopback whose pauses pass at once."""
    return Judge(config(url, **settings), cache=cache, clock=clock or FakeClock())
