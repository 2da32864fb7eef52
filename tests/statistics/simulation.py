"""Simulated studies with known effects: do intervals, corrections and powers hold? Also writes docs/statistics.md.

    .venv/bin/python tests/statistics/simulation.py   the figures, and the table between the marks in docs/statistics.md

Every study goes through the functions that a report uses. Seeded: the same numpy gives the same figures.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from balora.statistics import (
    DECIDED,
    LEVEL,
    Comparison,
    Paired,
    Stages,
    compare,
    compare_family,
    detectable,
    heterogeneity,
    holm,
    joint_interval,
    judge_stages,
    leave_one_out,
    needed,
    t_interval,
    widening,
)

STUDIES = 2000
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "statistics.md"
BEGIN, END = "<!-- simulated: begin -->", "<!-- simulated: end -->"


class Figure(NamedTuple):
    """One figure of the simulation, in per cent unless the claim says otherwise."""

    claim: str
    setting: str
    found: float
    low: float
    high: float
    """Within which it must lie."""
    decimals: int = 1


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def share(hits: Iterator[bool] | list[bool]) -> float:
    return 100 * float(np.mean(list(hits)))


def coverage() -> Iterator[Figure]:
    """A block is luck that both arms share, and luck of each arm; items make scores coarse."""
    for n, items in ((2, 250), (3, 250), (8, 250), (8, 40), (32, 250)):
        draw, true = rng(n + items), 1.5
        luck = draw.normal(0, 2, (STUDIES, n))
        base = 60 + 5 * luck + draw.normal(0, 1, (STUDIES, n))
        arm = base + true + draw.normal(0, 2, (STUDIES, n))
        rounded = [np.round(scores * items / 100) * 100 / items for scores in (arm, base)]
        hits = (low <= true <= high for low, high in map(t_interval, rounded[0] - rounded[1]))
        yield Figure(
            "t-interval covers the true difference", f"{n} blocks, scores of {items} items", share(hits), 93, 97
        )


def studies(draw: np.random.Generator, n: int, effects: list[float], measures: int = 2) -> Iterator[list[Comparison]]:
    """Yield studies of arms against one base, which makes comparisons dependent; σ of differences is 1."""
    for _ in range(STUDIES):
        base = draw.normal(0, np.sqrt(0.5), (measures, 1, n))
        arms = draw.normal(0, np.sqrt(0.5), (measures, len(effects), n)) + np.array(effects)[:, None]
        yield compare_family([Paired(row, 1.0) for row in (arms - base).reshape(-1, n)])


def errors() -> Iterator[Figure]:
    claim = "a verdict *helps* or *hurts* that is wrong, anywhere in the family"
    wrong = (any(one.verdict in ("helps", "hurts") for one in study) for study in studies(rng(8), 8, [0.0] * 3))
    yield Figure(claim, "8 blocks, family of 6, no true effect", share(wrong), 0, 6)
    mixed = studies(rng(99), 12, [2.0, 0.0, 0.0])
    wrong = (any(study[k].verdict in ("helps", "hurts") for k in (1, 2, 4, 5)) for study in mixed)
    yield Figure(claim, "12 blocks, family of 6, two true effects", share(wrong), 0, 6)
    for true in (0.5, 1.0):
        found = [compare(Paired(row, 1.2, None)) for row in rng(7).normal(true, 1, (STUDIES, 12))]
        wrong = (one.bound is not None and one.bound < true for one in found)
        setting = f"12 blocks, margin 1.2 σ, true {true:g} σ"
        yield Figure("*no difference larger than x* where it is larger", setting, share(wrong), 0, 5)


def powers() -> Iterator[Figure]:
    for n in (4, 8, 32):
        true = detectable(n, 1.0)
        found = (_leaves_out_0(row) for row in rng(n).normal(true, 1, (STUDIES, n)))
        yield Figure("power at the `detectable` difference", f"{n} blocks: {true:.2f} σ", share(found), 75, 85)
    for size, family in ((0.5, 1), (1.0, 1), (1.0, 6)):
        n = needed(size, 1.0, LEVEL / family)
        found = (_leaves_out_0(row, LEVEL / family) for row in rng(n).normal(size, 1, (STUDIES, n)))
        setting = f"{size:g} σ, family of {family}: {n} blocks"
        yield Figure("power with the `needed` blocks, t-test", setting, share(found), 75, 85)
    n = needed(1.0, 1.0, LEVEL / 6)
    first = (study[0].verdict == "helps" for study in studies(rng(5), n, [1.0, 0.0, 0.0]))
    yield Figure("power with the `needed` blocks, whole verdict", f"1 σ, family of 6: {n} blocks", share(first), 75, 90)
    claim = "`needed` as a first study of 8 blocks estimates it, median over studies"
    told = [compare(Paired(row, 1.0)).needed or 0 for row in rng(6).normal(0, 1, (STUDIES, 8))]
    yield Figure(claim, f"1 σ: {needed(1.0, 1.0)} are right", float(np.median(told)), 8, 12, 0)


def _leaves_out_0(row: np.ndarray, level: float = LEVEL) -> bool:
    low, high = t_interval(row, 1 - level)
    return not low <= 0 <= high


class Spread(NamedTuple):
    """Standard deviations, in probits."""

    blocks: float
    """How much blocks differ in what the arm changes."""
    items: float
    """How much items differ in what the arm changes."""


def item_differences(draw: np.random.Generator, n: int, m: int, spread: Spread) -> tuple[np.ndarray, float]:
    """Return blocks × items of arm − base, and the true mean difference over all blocks and items."""
    from scipy.special import ndtr

    difficulty, shift = draw.normal(0, 1, m), draw.normal(0.3, spread.items, m) + draw.normal(0, spread.blocks, (n, 1))
    base = difficulty + draw.normal(0, 1, (n, m)) > 0
    arm = difficulty + shift + draw.normal(0, 1, (n, m)) > 0
    true = float(ndtr(0.3 / np.sqrt(2 + spread.blocks**2 + spread.items**2)) - 0.5)
    return arm.astype(np.int8) - base, true


def joint() -> Iterator[Figure]:
    settings = [
        (8, 100, Spread(0.2, 0.8)),
        (8, 250, Spread(0.0, 0.0)),
        (8, 250, Spread(0.5, 0.0)),
        (8, 250, Spread(0.2, 0.6)),
        (3, 250, Spread(0.2, 0.6)),
        (24, 60, Spread(0.1, 0.8)),
    ]
    for seed, (n, m, spread) in enumerate(settings):
        draw, hits, alone = rng(seed), [], []
        for _ in range(STUDIES):
            tasks = [item_differences(draw, n, m, spread) for _ in range(2)]
            true = 100 * tasks[0][1]
            blocks = 100 * np.mean([items.mean(axis=1) for items, _ in tasks], axis=0)
            low, high = joint_interval(blocks, [items for items, _ in tasks], 2) or (np.nan, np.nan)
            hits.append(low <= true <= high)
            low, high = t_interval(blocks)
            alone.append(low <= true <= high)
        setting = f"{n} blocks, 2 tasks of {m} items, σ of effects {spread.blocks:g} (blocks), {spread.items:g} (items)"
        setting += f"; the t-interval alone: {share(alone):.1f}"
        yield Figure("joint interval covers the difference over all blocks and items", setting, share(hits), 93, 98)


def tuned() -> Iterator[Figure]:
    """The candidates that get chosen are equally good, the others far behind: whatever is chosen, its truth is 0."""
    n = 8
    for equal, behind in ((8, 0), (1, 3)):
        draw = rng(11)
        own, best, hits, alone, wrong = [], [], [], [], []
        for _ in range(STUDIES):
            table = draw.normal(0, 1, (equal + behind, n)) - 8 * (np.arange(equal + behind) >= equal)[:, None]
            scores = {str(k): dict(enumerate(row)) for k, row in enumerate(table)}
            chosen = np.array([scores[name][block] for block, name in leave_one_out(scores).items()])
            own.append(chosen.mean())
            best.append(table.mean(axis=1).max())
            base = draw.normal(0, 1, n)
            found = compare(Paired(chosen - base, 1.0, True, widening(table - base)))
            hits.append((found.low or 0) <= 0 <= (found.high or 0))
            wrong.append(found.verdict in ("helps", "hurts"))
            low, high = t_interval(chosen - base)
            alone.append(low <= 0 <= high)
        setting = f"{n} blocks, {equal} equal candidates, {behind} far behind"
        note = f"; the best candidate's own mean: {np.mean(best):+.3f} σ"
        yield Figure("tuned arm: mean score minus the truth, in σ", setting + note, float(np.mean(own)), -0.03, 0.03, 3)
        note = f"; without widening: {share(alone):.1f}"
        yield Figure("tuned arm: interval of its difference covers the truth", setting + note, share(hits), 93, 98)
        yield Figure("tuned arm: a verdict *helps* or *hurts* that is wrong", setting, share(wrong), 0, 6)


MEASURED = (3.5, 1.2, 3.3, 3.3, 1.1, 3.3)
"""Standard deviations of the differences of `pissa-initialization` at `standard`: three arms, two averages; points."""
FOUND = (-2.1, 0.4, -1.7, -0.5, -0.75, -1.4)
"""The differences found there."""
LOOKS = (8, 16, 24, 32, 48, 64)


def collapsing(draw: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """Return noise of variance 1 in which one block in twelve collapses."""
    noise = draw.normal(0, 1, size) - 6 * (draw.random(size) < 1 / 12)
    return (noise + 0.5) / np.sqrt(1 + 36 * 11 / 144)


def sequential_studies(
    draw: np.random.Generator, effects: Sequence[float], noise: Callable[..., np.ndarray], count: int
) -> Iterator[np.ndarray]:
    """Yield the differences of studies, comparisons × blocks; those of one average share half of their variance."""
    sizes = np.array(MEASURED)[:, None]
    for _ in range(count):
        own, common = noise(draw, (6, LOOKS[-1])), noise(draw, (2, LOOKS[-1])).repeat(3, axis=0)
        yield np.array(effects)[:, None] + sizes * (own + common) / np.sqrt(2)


def normal(draw: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    return draw.normal(0, 1, size)


def stopped(differences: np.ndarray) -> list[Comparison]:
    """Judge a study look by look until each of its comparisons is decided; every one has all blocks at hand."""
    by_look = [tuple(tuple(row[:look]) for look in LOOKS) for row in differences]
    return judge_stages([Stages(one, Paired(one[-1], 1.0)) for one in by_look], LOOKS)


def answered_anytime(studies: np.ndarray) -> tuple[float, float]:
    """Return the share answered and the mean blocks with intervals that hold at every number of blocks: the rival.

    The t-test's mixture over effects with a standard deviation of σ (Lai 1976; Wang and Ramdas 2025): its e is
    (1 + n)^−½·((1 + t²/m)/(1 + t²/(m·(1 + n))))^((m + 1)/2) with m = n − 1, its p is 1/e. Looks after every block.
    """
    largest = np.zeros(studies.shape[:2])
    answered = np.full(studies.shape[:2], LOOKS[-1])
    for n in range(LOOKS[0], LOOKS[-1]):
        first = studies[:, :, :n]
        mean, error = first.mean(axis=2), first.std(axis=2, ddof=1) / np.sqrt(n)
        t, m = (mean / error) ** 2, n - 1
        e = ((1 + t / m) / (1 + t / (m * (1 + n)))) ** ((m + 1) / 2) / np.sqrt(1 + n)
        largest = np.where(answered < LOOKS[-1], largest, np.maximum(largest, e))
        adjusted = np.array([holm(list(ps)) for ps in np.minimum(1, 1 / largest)])
        q = (np.sqrt(1 + n) / LEVEL) ** (2 / n)
        half = np.sqrt(m * (q - 1) / (1 - q / (1 + n))) * error if q < 1 + n else np.inf
        now = ((adjusted <= LEVEL) & (abs(mean) > half)) | (abs(mean) + half <= 1)
        answered = np.where(now & (answered == LOOKS[-1]), n, answered)
    return share(list((answered < LOOKS[-1]).flat)), float(answered.mean())


def sequential() -> Iterator[Figure]:
    """Studies that go on until they are answered, at looks after 8, 16, 24, 32, 48 and 64 blocks; margin 1 point."""
    settings = (
        ("no effect", (0.0,) * 6, normal),
        ("no effect, one block in twelve collapses", (0.0,) * 6, collapsing),
        ("effects as measured", FOUND, normal),
        ("every effect is the margin", (1.0,) * 6, normal),
        ("every effect is 3 points", (3.0,) * 6, normal),
    )
    for seed, (setting, effects, noise) in enumerate(settings):
        studies = list(sequential_studies(rng(100 + seed), effects, noise, STUDIES))
        found = [stopped(study) for study in studies]
        pairs = [[(one, true) for one, true in zip(study, effects, strict=True)] for study in found]
        wrong = (any(true == 0 and one.verdict in ("helps", "hurts") for one, true in study) for study in pairs)
        skewed = noise is collapsing  # no test of a mean over few blocks withstands rare collapses
        if 0.0 in effects:
            most, note = (20, _wrong_when_fixed(studies)) if skewed else (6, "")
            yield Figure(
                "until answered: a wrong *helps* or *hurts* in the family", setting + note, share(wrong), 0, most
            )
        covered = [share((o.low or 0) <= t <= (o.high or 0) for o, t in column) for column in zip(*pairs, strict=True)]
        yield Figure(
            "until answered: interval covers, worst comparison", setting, min(covered), 88 if skewed else 94, 100
        )
        if max(map(abs, effects)) >= 1:
            missed = [
                share(o.bound is not None and abs(t) >= 1 for o, t in column) for column in zip(*pairs, strict=True)
            ]
            yield Figure("until answered: *no difference* at the margin, worst comparison", setting, max(missed), 0, 5)
        decided = share(one.look is not None for study in found for one in study)
        fixed = share(one.verdict in DECIDED for study in studies for one in compare_family(_whole(study)))
        blocks = np.mean([one.look or LOOKS[-1] for study in found for one in study])
        also, later = answered_anytime(np.array(studies))
        note = f"; {decided:.0f} % answered, {fixed:.0f} % with 64 blocks"
        note += f"; anytime-valid intervals, a look after every block: {also:.0f} % in {later:.1f}"
        yield Figure("until answered: mean blocks of a comparison (fixed: 64)", setting + note, float(blocks), 8, 64)


def _wrong_when_fixed(studies: list[np.ndarray]) -> str:
    """Return how often fixed studies of 8 and of 64 blocks are wrong under the same noise."""
    found = [
        share(
            any(one.verdict in ("helps", "hurts") for one in compare_family(_whole(study[:, :n]))) for study in studies
        )
        for n in (8, 64)
    ]
    return "; fixed studies of 8 and of 64 blocks: " + " and ".join(f"{one:.1f}" for one in found)


def _whole(study: np.ndarray) -> list[Paired]:
    return [Paired(row, 1.0) for row in study]


def between_models() -> Iterator[Figure]:
    """Pre-trained models differ by τ and fine-tuning seeds by σ = 1; a new model is drawn beside each study."""
    for sizes, tau in (((2,) * 4, 0.5), ((2,) * 4, 3.0), ((2,) * 16, 0.0), ((2,) * 16, 0.5), ((3, 2, 2, 1, 1), 1.0)):
        draw, models = rng(len(sizes)), np.repeat(np.arange(len(sizes)), sizes)
        hits = []
        for _ in range(STUDIES):
            values = 1.5 + draw.normal(0, tau, len(sizes))[models] + draw.normal(0, 1, len(models))
            found, new = heterogeneity(values, models), 1.5 + draw.normal(0, tau)
            assert found is not None
            predicted = (found.new_low or 0.0) <= new <= (found.new_high or 0.0)
            hits.append([found.low <= 1.5 <= found.high, predicted, found.tau_low <= tau <= found.tau_high])
        setting = f"{len(sizes)} models with {' or '.join(map(str, sorted(set(sizes))))} blocks each, τ = {tau:g} σ"
        claims = ("interval of the mean over models covers it", "prediction interval covers a new model's mean",
                  "interval of τ covers it")  # fmt: skip
        for claim, column, high in zip(claims, zip(*hits, strict=True), (97, 99.5, 99.5), strict=True):
            yield Figure(claim, setting, share(list(column)), 93, high)


PARTS = (coverage, errors, powers, joint, tuned, sequential, between_models)


def table() -> str:
    rows = [
        f"| {one.claim} | {one.setting} | {one.found:.{one.decimals}f} | {one.low:g} to {one.high:g} |"
        for part in PARTS
        for one in part()
    ]
    return "\n".join(["| claim | setting | found | must be |", "| --- | --- | ---: | ---: |", *rows])


def main() -> None:
    made = table()  # takes minutes, in which somebody may edit the document
    before, rest = DOCUMENT.read_text(encoding="utf-8").split(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{made}\n{END}{rest.split(END)[1]}", encoding="utf-8")
    print(made)


if __name__ == "__main__":
    sys.exit(main())
