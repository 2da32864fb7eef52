"""Figures as data: valid Vega-Lite, in colours that follow the theme, of numbers that are in the records."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from report_cases import (
    crowded,
    dossier_of,
    hash_of,
    numbers_of,
    plan_of,
    record_of,
    records,
    rich,
    study_of,
    swept,
)

from balora.report.figures import palette
from balora.report.figures.all_figures import every_figure
from balora.report.figures.figure import Figure
from balora.report.figures.forest import tone, wrapped
from balora.report.figures.heat import shade_step
from balora.report.figures.render import FigureError, file, svg
from balora.report.figures.sweep import axis, sweep_figures
from balora.report.formats import Format
from balora.report.page.inline import dark_style, foreign_colours, inline
from balora.report.records.dossier import Dossier
from balora.report.records.report import Report
from balora.report.records.sweeps import sweeps
from balora.report.tables import answer as tabulated
from balora.report.tables.table import text as cells_text
from balora.statistics import Verdict

SIGNS = {Format.SVG: b"<svg", Format.PNG: b"\x89PNG", Format.PDF: b"%PDF"}


@pytest.fixture(scope="module")
def dossiers() -> dict[str, Dossier]:
    return {"rich": rich(), "swept": swept(), "crowded": crowded(60)}


def values_of(spec: Any) -> Iterator[dict[str, Any]]:
    """Yield every row of data in a specification."""
    if isinstance(spec, dict):
        yield from spec.get("data", {}).get("values", []) if isinstance(spec.get("data"), dict) else []
        for inner in spec.values():
            yield from values_of(inner)
    elif isinstance(spec, list):
        for inner in spec:
            yield from values_of(inner)


def by_name(dossier: Dossier) -> dict[str, Figure]:
    return {figure.name: figure for figure in every_figure(dossier)}


def test_every_figure_is_valid_vega_lite_of_numbers_that_are_in_the_records(dossiers: dict[str, Dossier]) -> None:
    import altair

    kinds = set()
    for dossier in (dossiers["rich"], dossiers["swept"]):
        known = numbers_of(dossier) | {-number for number in numbers_of(dossier)}
        for figure in every_figure(dossier):
            kind = figure.name.partition("-")[0]
            if kind not in kinds:  # each kind once: validation is slow
                altair.Chart.from_dict(figure.spec, validate=True)
                kinds.add(kind)
            drawn = [v for row in values_of(figure.spec) for v in row.values() if isinstance(v, float)]
            assert drawn, figure.name
            assert set(drawn) <= known, figure.name
            assert len(figure.summary) > 20
            assert figure.table.rows
    assert kinds == {"differences", "cells", "effects", "tasks", "training", "cost", "sweep", "noise"}


def test_names_are_there_once_and_fit_file_names(dossiers: dict[str, Dossier]) -> None:
    for dossier in dossiers.values():
        names = [figure.name for figure in every_figure(dossier)]
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[a-z0-9_-]+", name) for name in names)
    assert {"differences-nlu_avg", "cells-nlu_avg", "effects-nlg_avg", "tasks", "training-nlg", "cost"} <= set(
        by_name(dossiers["rich"])
    )


def test_all_colours_follow_the_theme_and_text_can_be_read(dossiers: dict[str, Dossier]) -> None:
    for figure in every_figure(dossiers["rich"]):
        drawn = svg(figure.spec)
        assert foreign_colours(drawn) == set(), figure.name
        assert "id=" not in inline(drawn, "x"), "ids of several figures would meet on one page"
    assert f'[fill="{palette.INK}"] {{ fill: {palette.DARK[palette.INK]}; }}' in dark_style()
    assert foreign_colours('<rect fill="#123456" stroke="#1b1d22"/>') == {"#123456"}
    for shade in (*palette.LOSSES, *palette.GAINS, palette.SAME, palette.PAPER):
        assert contrast(palette.INK, shade) >= 4.5, shade
        assert contrast(palette.DARK[palette.INK], palette.DARK[shade]) >= 4.5, f"dark {shade}"
    for mark in (*palette.ARMS, palette.HELPS, palette.HURTS, palette.OPEN):
        assert contrast(mark, palette.PAPER) >= 3, mark
        assert contrast(palette.DARK[mark], palette.DARK[palette.PAPER]) >= 3, f"dark {mark}"


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("kind", SIGNS)
def test_figures_become_files_without_a_browser(dossiers: dict[str, Dossier], kind: Format) -> None:
    spec = by_name(dossiers["rich"])["differences-nlu_avg"].spec
    drawn = file(spec, kind)
    assert drawn.startswith(SIGNS[kind])
    assert drawn == file(spec, kind), "the same twice"
    with pytest.raises(FigureError, match="cannot be drawn"):
        file({"mark": "no such mark", "data": {"values": []}}, kind)


def test_the_forest_shows_mean_interval_and_verdict_of_each_arm(dossiers: dict[str, Dossier]) -> None:
    report = dossiers["rich"].report
    figure = by_name(dossiers["rich"])["differences-nlu_avg"]
    rows = {row["label"]: row for row in values_of(figure.spec) if "label" in row}
    assert list(rows) == ["standard-initialization", "no-regularizers", "plain-lora"]
    for one in (one for one in report.differences if one.measure == "nlu_avg"):
        row = rows[one.arm]
        assert (row["mean"], row["low"], row["high"]) == (one.paired.mean, one.paired.low, one.paired.high)
        assert row["tone"] == "bad", "every arm is worse by construction"
        assert row["verdict"].startswith("hurts")
        assert one.arm in figure.summary
    drawn = svg(figure.spec)
    assert drawn.count(palette.HURTS) >= 6, "a line and a point each"
    assert [tone(verdict) for verdict in Verdict] == [
        "good",
        "bad",
        "settled",
        "settled",
        "settled",
        "open",
        "settled",
        "open",
        "open",
    ]
    assert wrapped("(a: 1 − 0) × (b: 2 − 0)") == "(a: 1 − 0)\n× (b: 2 − 0)"


def test_the_margin_is_a_band_in_the_unit_of_the_axis(dossiers: dict[str, Dossier]) -> None:
    figures = by_name(dossiers["rich"])
    margin = dossiers["rich"].report.margin
    assert {"low": -margin, "high": margin} in list(values_of(figures["differences-nlu_avg"].spec))
    assert {"low": -margin, "high": margin} in list(values_of(figures["effects-nlg_avg"].spec))
    nats = {"low": -margin / 100, "high": margin / 100}
    assert nats in list(values_of(figures["differences-nlg_answer_loss"].spec))


def test_cells_are_means_of_arms_not_averages_of_cells(dossiers: dict[str, Dossier]) -> None:
    report: Report = dossiers["rich"].report
    rows = [row for row in values_of(by_name(dossiers["rich"])["cells-nlu_avg"].spec) if "level" in row]
    found = {(row["level"], row["line"]): row["mean"] for row in rows}
    assert found == {
        (arm.cell["initialization"], f"regularizers {arm.cell['regularizers']}"): arm.averages["nlu_avg"].mean
        for arm in report.arms
        if arm.cell
    }


def test_the_panels_of_three_factors_have_their_levels_in_one_order() -> None:
    plan = plan_of("regularizers", seeds=2)  # the arms of the second panel come in the other order
    spec = by_name(dossier_of(plan, records(plan, lambda arm, task, seed: len(arm) + seed % 7)))["cells-nlu_avg"].spec
    panels = [panel for panel in spec["hconcat"] if "encoding" in panel]
    assert [panel["title"] for panel in panels] == ["spectral on", "spectral off"]
    assert [panel["encoding"]["x"]["sort"] for panel in panels] == [["on", "off"]] * 2
    assert [sorted((row["level"], row["line"]) for row in panel["data"]["values"]) for panel in panels] == [
        [("off", "diversity off"), ("off", "diversity on"), ("on", "diversity off"), ("on", "diversity on")]
    ] * 2


def test_the_heat_map_holds_paired_differences_by_task(dossiers: dict[str, Dossier]) -> None:
    dossier = dossiers["rich"]
    rows = {(row["arm"], row["task"]): row for row in values_of(by_name(dossier)["tasks"].spec) if "task" in row}
    assert {key: row["mean"] for key, row in rows.items()} == {(o.arm, o.task): o.mean for o in dossier.by_task}
    assert len(rows) == 9
    plan, runs = plan_of(seeds=2), {}
    runs = records(plan, lambda arm, task, seed: 10.0 + (arm == "plain-lora") * (task == "rte") * (-4 + seed % 2))
    lost = next(r.id for r in plan.runs if (r.arm, r.task, r.seed) == ("ba-lora", "rte", plan.seeds[0]))
    del runs[lost]
    one = next(o for o in dossier_of(plan, runs).by_task if (o.arm, o.task) == ("plain-lora", "rte"))
    assert (one.n, one.mean, one.low) == (1, -4 + plan.seeds[1] % 2, None), "only the seed that both have"


@pytest.mark.parametrize(("largest", "step"), [(3.9, 1.0), (4.1, 2.0), (0.4, 0.1), (35.0, 10.0), (0.0, 1.0)])
def test_shades_are_round_and_about_four(largest: float, step: float) -> None:
    assert shade_step(largest) == pytest.approx(step)
    assert largest <= shade_step(largest) * 4


def test_sweeps_are_found_in_what_arms_change_with_the_base_in_its_place(dossiers: dict[str, Dossier]) -> None:
    sweeps = {(sweep.setting, sweep.measure): sweep for sweep in dossiers["swept"].sweeps}
    assert [point.value for point in sweeps["adapter.rank", "nlu_avg"].points] == [2, 4, 8, 32, 64]
    assert [point.arm for point in sweeps["adapter.rank", "nlu_avg"].points][2] == "ba-lora"
    nlu, nlg = (sweeps["objective.consistency.weight", f"{family}_avg"] for family in ("nlu", "nlg"))
    assert [point.value for point in nlu.points] == [0.0, 0.001, 0.01, 0.15, 1.0], "the base's own weight for NLU"
    assert [point.value for point in nlg.points] == [0.0, 0.001, 0.01, 0.025, 1.0], "and for NLG"
    report = dossiers["swept"].report
    means = {arm.name: arm.averages["nlu_avg"].mean for arm in report.arms}
    assert all(point.mean == means[point.arm] for point in nlu.points)
    assert dossiers["rich"].sweeps == ()
    of_blocks = sweep_figures(replace(report, noun="block"), dossiers["swept"].sweeps)[0]
    assert of_blocks.table.head[4] == "blocks"
    assert of_blocks.note.startswith("Differences to ba-lora (the ring), block by block")


def test_a_grid_is_a_line_for_each_value_of_the_other_setting() -> None:
    arms = {
        f"{rank}-{dropout}": {"set": {"adapter.rank": rank, "adapter.dropout": dropout}}
        for rank in (2, 4, 32)
        for dropout in (0.0, 0.1)
    }
    plan = study_of(arms)
    found = dossier_of(plan, records(plan, lambda a, t, s: hash_of(a) + s % 3)).sweeps
    lines = [sweep for sweep in found if (sweep.setting, sweep.measure) == ("adapter.rank", "nlu_avg")]
    assert [sweep.others for sweep in lines] == [(), (("adapter.dropout", 0.1),)]
    assert [point.value for point in lines[0].points] == [2, 4, 8, 32], "the base has dropout 0"
    assert [point.value for point in lines[1].points] == [2, 4, 32]
    assert not [sweep for sweep in found if sweep.setting == "adapter.dropout"], "two values make no curve"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2, 4, 8], "linear"),
        ([1, 4, 128], "log"),
        ([0, 0.01, 1], "symlog"),
        ([0, 1, 2], "linear"),
        ([-1, 5, 900], "linear"),
    ],
)
def test_axes_are_logarithmic_where_values_span_decades(values: list[float], kind: str) -> None:
    assert axis(values)["type"] == kind


def test_what_is_not_drawn_is_said(dossiers: dict[str, Dossier]) -> None:
    figures = by_name(dossiers["crowded"])
    assert "Only the first 24 of 60 lines are drawn" in figures["differences-nlu_avg"].note
    assert "Only the first 24 of 60 arms are drawn" in figures["tasks"].note
    assert "Only the first 48 of 64 arms" in figures["cost"].note
    assert "Only the first 6 of 64 arms" in figures["training-nlu"].note
    assert len([row for row in values_of(figures["differences-nlu_avg"].spec) if "label" in row]) == 24
    assert "Only" not in by_name(dossiers["rich"])["differences-nlu_avg"].note


def test_unfinished_studies_have_the_figures_that_they_can_have() -> None:
    assert every_figure(dossier_of(plan_of(), {}, replace(rich().curves, curves=()))) == ()
    plan = plan_of(seeds=1)
    for figure in every_figure(dossier_of(plan, records(plan, lambda a, t, s: 50.0))):
        svg(figure.spec)


def test_what_is_compared_with_may_be_another_arm_than_the_base() -> None:
    plan = study_of({"other": {"set": {"adapter.init": "standard"}}}, against="other")
    dossier = dossier_of(plan, records(plan, lambda arm, task, seed: 50.0 + (arm == "other") + seed % 3))
    assert {(one.arm, one.mean) for one in dossier.by_task} == {("ba-lora", -1.0)}
    figures = by_name(dossier)
    assert "difference to other" in figures["tasks"].title
    assert "ba-lora −1.00" in figures["differences-nlu_avg"].summary
    assert tabulated.arms(dossier.report).strong == figures["cost"].table.strong == 1
    assert "Differences to other, seed by seed" in tabulated.differences(dossier.report).caption


def test_candidates_are_shown_as_such_and_make_no_curve() -> None:
    plan = study_of({f"rank-{rank}": {"set": {"adapter.rank": rank}} for rank in (2, 4, 32)})
    dossier = dossier_of(plan, records(plan, lambda arm, task, seed: 50.0 + hash_of(arm) + seed % 3))
    base, *candidates = dossier.report.arms
    tuned = replace(
        candidates[0], name="best", changes={}, choices={"nlu_avg": {"rank-2": 2, "rank-4": 1, "rank-32": 0}}
    )
    arms = (base, tuned, *(replace(arm, tuned="best") for arm in candidates))
    report = replace(dossier.report, arms=arms)
    changes = [cells_text(row[1]) for row in tabulated.arms(report).rows]
    assert changes[1] == "the best of its candidates over all other seeds (NLU Avg: rank-2 (2), rank-4 (1))"
    assert "All arms with learning rate 0.001." in tabulated.arms(report).note
    assert changes[2].startswith("candidate of best, not compared: adapter.rank 2")
    record, runs = record_of(plan), {row.id: row.record for row in dossier.runs if row.record}
    assert len(sweeps(dossier.report, record, runs)) == 3
    assert sweeps(report, record, runs) == ()
