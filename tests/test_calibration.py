"""Test which runs the calibration plans, how it reads studies, and which page it makes."""

from pathlib import Path

import pytest
from calibration import dose, noise, page, rates, weights
from calibration.runs import SEEDS, planned
from calibration.study import blocks_for, headroom_of
from scipy.stats import t

from balora.objective.config import TERMS, ObjectiveConfig
from balora.study.plan.rates import RatePoint, choose_rates
from balora.study.plan.testbed_profiles import GRIDS, RATES
from balora.training.record import RunRecord

ROWS = [
    {"dial": "noise", "task": task, "measure": measure, "dose": value, "mean": value * scale, "sd_pretraining": 0.01,
     "sd_fine_tuning": 0.02, "models": [value] * 3}
    for task in ("facts", "code")
    for measure, scale in (("memorised_noise", 1.0), ("score", -1.0))
    for value in (0.0, 0.15, 0.3, 0.45, 0.6)
]  # fmt: skip


def test_runs_take_the_rate_of_their_start_unless_one_is_given() -> None:
    lora, pissa = (planned("facts", method, {}, seed=SEEDS[0], pretraining=2).spec for method in ("lora", "pissa"))
    assert lora.training.learning_rate != pissa.training.learning_rate
    given = planned("facts", "lora", {"training.learning_rate": 0.5}, seed=SEEDS[0], pretraining=2).spec
    assert given.training.learning_rate == 0.5
    assert given.testbed is not None
    assert (given.testbed.seed, given.training.seed) == (2, SEEDS[0])


def test_calibrations_use_no_seed_of_a_study() -> None:
    from balora.study.plan.blocks import seeds

    assert not set(SEEDS) & set(seeds(1000))


def test_studies_use_the_rates_that_the_calibration_chose() -> None:
    import json

    measured = json.loads((page.Path("calibration") / "results" / "rates.json").read_text())
    assert {family: dict(by_start) for family, by_start in RATES.items()} == {
        family: {**by_start, "full": RATES[family]["full"]} for family, by_start in measured["rates"].items()
    }
    points = rates.without_blocks([RatePoint(**point) for point in measured["points"]])
    assert choose_rates(points, {"nlu": "score", "nlg": "score"}) == measured["rates"]


def test_calibrations_of_rates_and_noise_use_no_model_of_a_study() -> None:
    most = 64  # blocks of a study that goes on until it is answered, each on a model of its own
    assert min(*rates.PRETRAININGS, *noise.PRETRAININGS) >= most


def test_what_a_block_does_to_all_rates_is_no_spread_of_a_rate() -> None:
    points = [
        RatePoint(family="nlg", start="pissa", regularized=False, rate=rate, seed=seed, value=level + (rate == 2e-3))
        for seed, level in ((1, 40.0), (2, 60.0))
        for rate in (1e-3, 2e-3)
    ]
    alike = rates.without_blocks(points)
    assert [point.value for point in alike] == pytest.approx([50.0, 51.0, 50.0, 51.0])
    luckless = [*points[:3], points[3].model_copy(update={"value": 50.0})]  # the second block breaks at the higher rate
    values = [point.value for point in rates.without_blocks(luckless)]
    assert values == pytest.approx([47.25, 48.25, 52.75, 42.75])


def test_settings_of_the_training_are_compared_on_the_same_rows() -> None:
    of = {"nlg": "facts", "nlu": "sentiment"}
    specs = [noise._run(setting, 5, of[setting.family], "lora").spec for setting in noise.SETTINGS]
    seen = [spec.training.steps * spec.training.batch_size for spec in specs if spec.training.steps]
    assert seen == [960] * 6 + [480] * 2 + [800] * 3
    assert len({(setting.family, setting.words) for setting in noise.SETTINGS}) == len(noise.SETTINGS)
    assert {spec.testbed.seed for spec in specs if spec.testbed} == {noise.PRETRAININGS[1]}


def test_the_profiles_train_as_one_setting_of_each_family_does() -> None:
    used = [setting for setting in noise.SETTINGS if setting.is_used]
    assert sorted(setting.family for setting in used) == ["nlg", "nlu"]
    for setting in used:
        training = planned(
            {"nlg": "code", "nlu": "paraphrase"}[setting.family], "lora", {}, seed=1, pretraining=0
        ).spec.training
        assert (training.batch_size, training.warmup, training.max_grad_norm) == (setting.rows, setting.warmup, 1)
        assert training.steps is not None
        assert training.steps * training.batch_size == setting.seen


def test_the_spread_of_paired_differences_is_split_by_fine_tunings_of_one_model() -> None:
    setting = noise.SETTINGS[0]
    lora = [10.0, 20, 30, 40, 12, 20, 30, 40]  # the first model differs by 2 between its fine-tunings
    scores = {
        (setting, block, task, method): lora[block] if method == "lora" else 0.0
        for block in range(noise.BLOCKS)
        for task in noise.NLG
        for method in noise.RATES[setting.family]
    }
    row = noise._row(setting, scores)
    assert row["within"] == pytest.approx((2**2 / 2 / 4) ** 0.5)
    assert row["half_width"] == pytest.approx(t.ppf(0.975, 7) * row["spread"] / 8**0.5)


def test_a_dial_is_turned_alone() -> None:
    for dial in dose.DIALS:
        spec = dose._run(dial, dial.doses[-1], dial.tasks[0], 1, SEEDS[0]).spec
        assert spec.testbed is not None
        flaws = {name: getattr(spec.testbed, name) for name in ("noise", "imbalance", "bias")}
        assert flaws == {"noise": 0.0, "imbalance": 0.0, "bias": 0.0} | {dial.name: dial.doses[-1]}
        assert len(dial.doses) >= 5


def test_weights_are_the_published_ones_times_a_factor() -> None:
    published = ObjectiveConfig.preset("ba-lora", family="nlg")
    for factor in (0, 1, 100):
        objective = weights._run(5, "facts", factor).spec.objective
        for term in TERMS:
            assert getattr(objective, term).weight == pytest.approx(factor * getattr(published, term).weight)


@pytest.mark.parametrize(("half", "blocks"), [(2.0, 8), (0.4, 8), (5.0, 3), (1.0, 16)])
def test_blocks_for_a_point_is_the_smallest_number_that_does(half: float, blocks: int) -> None:
    sd = half * blocks**0.5 / t.ppf(0.975, blocks - 1)

    def width(n: int) -> float:
        return float(t.ppf(0.975, n - 1) * sd / n**0.5)

    n = blocks_for(half, blocks, 1.0)
    assert width(n) <= 1.0 + 1e-9
    assert n == 2 or width(n - 1) > 1.0


def test_a_dose_row_names_its_order_and_the_way_against_the_spread() -> None:
    rising = page._dose_row([row for row in ROWS if (row["task"], row["measure"]) == ("facts", "memorised_noise")])
    assert rising[-2:] == ["rises", "+60.0"]
    falling = page._dose_row([row for row in ROWS if (row["task"], row["measure"]) == ("code", "score")])
    assert falling[-2:] == ["falls", "-60.0"]
    bent = [*ROWS[:4], {**ROWS[4], "mean": 0.0}]
    assert page._dose_row(bent)[-2] == "not monotone"


TESTBED = [task for suite in page.SUITES.values() for task in suite]


def test_the_way_goes_from_a_guess_to_the_best() -> None:
    assert headroom_of("facts", 56.25, None, 2)["way"] == pytest.approx(0.5)
    assert headroom_of("entailment", 100.0, 1.0, 8)["way"] == 1.0
    assert headroom_of("acceptability", 0.0, 1.0, 8)["way"] == 0.0
    assert headroom_of("code", 40.0, 1.0, 8)["chance"] == 0


def test_tasks_that_no_study_ran_take_the_grids_score_at_the_rate_of_plain_lora() -> None:
    lora = {
        task: {f"{rate:g}": 1000 * rate for rate in GRIDS[family]} for family, of in page.SUITES.items() for task in of
    }
    shown = [{"task": task} for task in TESTBED if task not in ("arithmetic", "similarity")]
    left = page._headroom_from_grid(shown, {"lora": lora, "blocks": 2})
    wanted = {"similarity": 1000 * RATES["nlu"]["standard"], "arithmetic": 1000 * RATES["nlg"]["standard"]}
    assert {row["task"]: row["score"] for row in left} == pytest.approx(wanted)


def test_a_measure_is_averaged_over_the_tasks_that_have_it() -> None:
    def record(score: float, **inheritance: float) -> RunRecord:
        spec = planned("facts", "lora", {}, seed=SEEDS[0], pretraining=0).spec
        return RunRecord(id="x", spec=spec, status="ok", score=score, inheritance=inheritance)

    records = [record(10, drift=0.1, memorised_noise=0.5), record(30, drift=0.3)]
    assert weights._average(records, "score") == 20
    assert weights._average(records, "drift") == pytest.approx(0.2)
    assert weights._average(records, "memorised_noise") == 0.5


@pytest.mark.parametrize(("low", "high", "clear"), [(-2.0, -1.0, True), (-1.0, 2.0, False), (0.5, 2.0, True)])
def test_a_difference_is_bold_where_its_interval_leaves_out_zero(low: float, high: float, clear: bool) -> None:
    paired = {"mean": (low + high) / 2, "low": low, "high": high}
    cell = page._weight_cell({"measure": "score", "mean": 50.0, "paired": paired})
    assert ("**" in cell) == clear
    assert page._weight_cell({"measure": "score", "mean": 50.0, "paired": None}) == "50.0"


def test_the_page_holds_what_was_measured_and_says_what_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    monkeypatch.setattr(page, "DOCS", tmp_path)
    monkeypatch.setattr(page, "FIGURES", tmp_path / "figures")
    points = [
        {"family": family, "start": start, "regularized": regularized, "rate": rate, "seed": seed,
         "value": 50.0 + (rate == 4e-3) + regularized + seed % 2}
        for family in page.SUITES for start in rates.STARTS for regularized in (False, True)
        for rate in GRIDS[family]
        for seed in SEEDS[:2]
    ]  # fmt: skip
    chosen = {family: dict.fromkeys(rates.STARTS, 4e-3) for family in page.SUITES}
    figures = {"grids": GRIDS, "blocks": 2, "points": points, "rates": chosen, "lora": {}}
    results = tmp_path / "results"
    results.mkdir()
    (results / "rates.json").write_text(json.dumps(figures))
    (results / "dose.json").write_text(json.dumps({"rows": ROWS}))
    page.write(results)
    text = (tmp_path / "calibration.md").read_text()
    assert "| NLU Avg | standard | 51.0 ± 0.0 | 51.0 ± 0.0 | **52.0 ± 0.0** | 51.0 ± 0.0 | 51.0 ± 0.0 |" in text
    assert "| facts | memorised_noise | 0.000 ± 0.010 (0.020) |" in text
    assert text.count("Not measured yet.") == 5
    for figure in (tmp_path / "figures").iterdir():
        drawn = figure.read_text()
        assert drawn.startswith("<svg")
        assert "href" not in drawn
    assert {figure.name for figure in (tmp_path / "figures").iterdir()} == {"rates.svg", "dose-noise.svg"}
