"""Measure how far paired fine-tunings differ under several settings of the training: plain LoRA against BA-LoRA."""

from statistics import fmean, stdev
from typing import Any, NamedTuple

from balora.statistics.student import critical
from balora.tasks.testbed.testbed_tasks import NLG
from calibration.runs import SEEDS, Planned, planned, records_of

PRETRAININGS = (101, 102, 103, 104)
"""Seeds of pre-trained models that no study uses; each is fine-tuned with two seeds."""
BLOCKS = 2 * len(PRETRAININGS)
RATES = {"lora": 8e-3, "ba-lora": 4e-3}
EVALUATED = 300


class Setting(NamedTuple):
    """One way of training."""

    rows: int = 16
    """Of a step; fewer rows take more steps."""
    seen: int = 960
    """Rows that a fine-tuning sees in all."""
    warmup: float = 0.03
    clipping: float = 1.0
    share: float = 1.0
    """Of the rates above."""

    @property
    def words(self) -> str:
        """The setting as a row's heading."""
        clipped = f", gradients clipped at {self.clipping:g}" if self.clipping != 1 else ""
        rates = "" if self.share == 1 else f", {self.share:g} of the rates"
        seen = "" if self.seen == 960 else f", {self.seen} rows in all"
        return f"{self.rows} rows a step, warm-up {100 * self.warmup:g} %{rates}{clipped}{seen}"


SETTINGS = (
    Setting(),
    Setting(share=0.5),
    Setting(clipping=0.2),
    Setting(warmup=0.3),
    Setting(rows=8, share=0.5),
    Setting(rows=8, share=0.5, warmup=0.3),
    Setting(rows=8, share=0.5, warmup=0.3, seen=480),
    Setting(rows=4, share=0.5, warmup=0.3, seen=480),
)


def measure() -> dict[str, Any]:
    """Return of each setting both averages, the spread of their paired differences, and that within a model."""
    cells = [
        (setting, block, task, method)
        for setting in SETTINGS
        for block in range(BLOCKS)
        for task in NLG
        for method in RATES
    ]
    records = records_of([_run(*cell) for cell in cells])
    scores = {cell: record.score or 0.0 for cell, record in zip(cells, records, strict=True)}
    return {"blocks": BLOCKS, "models": len(PRETRAININGS), "rows": [_row(setting, scores) for setting in SETTINGS]}


def _row(setting: Setting, scores: dict[Any, float]) -> dict[str, Any]:
    lora, ba_lora = (
        [fmean(scores[setting, block, task, method] for task in NLG) for block in range(BLOCKS)] for method in RATES
    )
    differences = [one - other for one, other in zip(lora, ba_lora, strict=True)]
    twice = zip(differences, differences[len(PRETRAININGS) :], strict=False)  # the two fine-tunings of each model
    within = fmean((one - other) ** 2 / 2 for one, other in twice) ** 0.5
    spread = stdev(differences)
    return {
        "setting": setting.words,
        "lora": fmean(lora),
        "ba-lora": fmean(ba_lora),
        "spread": spread,
        "within": within,
        "half_width": critical(BLOCKS - 1, 0.025) * spread / BLOCKS**0.5,
    }


def _run(setting: Setting, block: int, task: str, method: str) -> Planned:
    settings = {
        "training.learning_rate": setting.share * RATES[method],
        "training.batch_size": setting.rows,
        "training.steps": setting.seen // setting.rows,
        "training.warmup": setting.warmup,
        "training.max_grad_norm": setting.clipping,
        "data.eval_rows": EVALUATED,
    }
    pretraining = PRETRAININGS[block % len(PRETRAININGS)]
    return planned(task, method, settings, seed=SEEDS[block], pretraining=pretraining)
