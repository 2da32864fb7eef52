"""Measure how far paired fine-tunings differ under several settings of the training: plain LoRA against BA-LoRA."""

from statistics import fmean, stdev
from typing import Any, NamedTuple

from balora.settings import Family
from balora.statistics.student import critical
from balora.study.plan.testbed_profiles import ROWS, TRAINING
from balora.tasks.testbed.testbed_tasks import NLG, NLU
from calibration.runs import SEEDS, Planned, planned, records_of

PRETRAININGS = (101, 102, 103, 104)
"""Seeds of pre-trained models that no study uses; each is fine-tuned with two seeds."""
BLOCKS = 2 * len(PRETRAININGS)
SUITES: dict[Family, tuple[str, ...]] = {"nlu": NLU, "nlg": NLG}
RATES: dict[Family, dict[str, float]] = {
    "nlu": {"lora": 8e-3, "ba-lora": 2e-3},
    "nlg": {"lora": 8e-3, "ba-lora": 4e-3},
}
"""The best with 16 rows a step and a warm-up of 3 %, of which a setting takes a share."""
EVALUATED: dict[Family, int] = {"nlu": 400, "nlg": 300}
SEEN: dict[Family, int] = {"nlu": 800, "nlg": 960}
"""Rows that a fine-tuning sees in all, in the profiles."""


class Setting(NamedTuple):
    """One way of training."""

    family: Family = "nlg"
    rows: int = 16
    """Of a step; fewer rows take more steps."""
    passes: float = 1.0
    """Rows that a fine-tuning sees in all, as a share of those of the profiles."""
    warmup: float = 0.03
    clipping: float = 1.0
    share: float = 1.0
    """Of the rates above."""

    @property
    def words(self) -> str:
        """The setting as a row's heading."""
        clipped = f", gradients clipped at {self.clipping:g}" if self.clipping != 1 else ""
        rates = "" if self.share == 1 else f", {self.share:g} of the rates"
        seen = "" if self.passes == 1 else f", {self.seen} rows in all"
        return f"{self.rows} rows a step, warm-up {100 * self.warmup:g} %{rates}{clipped}{seen}"

    @property
    def seen(self) -> int:
        """Rows that a fine-tuning sees in all."""
        return int(self.passes * SEEN[self.family])

    @property
    def is_used(self) -> bool:
        """Whether the profiles train like this."""
        like = (self.rows, self.warmup) == (ROWS[self.family], TRAINING["warmup"])
        return like and (self.clipping, self.passes) == (1, 1)


SETTINGS = (
    Setting(),
    Setting(share=0.5),
    Setting(clipping=0.2),
    Setting(warmup=0.3),
    Setting(rows=8, share=0.5),
    Setting(rows=8, share=0.5, warmup=0.3),
    Setting(rows=8, share=0.5, warmup=0.3, passes=0.5),
    Setting(rows=4, share=0.5, warmup=0.3, passes=0.5),
    Setting("nlu"),
    Setting("nlu", warmup=0.3),
    Setting("nlu", rows=8, share=0.5, warmup=0.3),
)


def measure() -> dict[str, Any]:
    """Return of each setting both averages, the spread of their paired differences, and that within a model."""
    cells = [
        (setting, block, task, method)
        for setting in SETTINGS
        for block in range(BLOCKS)
        for task in SUITES[setting.family]
        for method in RATES[setting.family]
    ]
    records = records_of([_run(*cell) for cell in cells])
    scores = {cell: record.score or 0.0 for cell, record in zip(cells, records, strict=True)}
    return {"blocks": BLOCKS, "models": len(PRETRAININGS), "rows": [_row(setting, scores) for setting in SETTINGS]}


def _row(setting: Setting, scores: dict[Any, float]) -> dict[str, Any]:
    tasks = SUITES[setting.family]
    lora, ba_lora = (
        [fmean(scores[setting, block, task, method] for task in tasks) for block in range(BLOCKS)]
        for method in RATES[setting.family]
    )
    differences = [one - other for one, other in zip(lora, ba_lora, strict=True)]
    twice = zip(differences, differences[len(PRETRAININGS) :], strict=False)  # the two fine-tunings of each model
    within = fmean((one - other) ** 2 / 2 for one, other in twice) ** 0.5
    spread = stdev(differences)
    return {
        "family": setting.family,
        "setting": setting.words,
        "lora": fmean(lora),
        "ba-lora": fmean(ba_lora),
        "spread": spread,
        "within": within,
        "half_width": critical(BLOCKS - 1, 0.025) * spread / BLOCKS**0.5,
    }


def _run(setting: Setting, block: int, task: str, method: str) -> Planned:
    settings = {
        "training.learning_rate": setting.share * RATES[setting.family][method],
        "training.batch_size": setting.rows,
        "training.steps": setting.seen // setting.rows,
        "training.warmup": setting.warmup,
        "training.max_grad_norm": setting.clipping,
        "data.eval_rows": EVALUATED[setting.family],
    }
    pretraining = PRETRAININGS[block % len(PRETRAININGS)]
    return planned(task, method, settings, seed=SEEDS[block], pretraining=pretraining)
