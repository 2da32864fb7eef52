"""Wrong versions of the page, its figures, its curves and the exports of a report; one line each."""

# ruff: noqa: E501
# fmt: off
MUTANTS = {
    ("report/tables/table.py", "report/test_page.py"): [
        ("rows-cut-in-silence", "left = f\"The first", "left = \"\" and f\"The first"),
        ("never-cut", "if len(self.rows) <= rows:", "if True:"),
    ],
    ("report/tables/table.py", "report/test_page_browser.py"): [
        ("share-shown-as-is", "f\"{100 * value:.2g} %\"", "f\"{value:.2g} %\""),
        ("sd-is-mean", "*measured(summary.sd, unit))", "*measured(summary.mean, unit))"),
    ],
    ("report/tables/answer.py", "report/test_page_browser.py"): [
        ("interval-turned", "interval(paired.low, paired.high, unit)", "interval(paired.high, paired.low, unit)"),
    ],
    ("report/records/dossier.py", "report/test_figures.py"): [
        ("base-minus-arm", "paired = differences(values, against)", "paired = differences(against, values)"),
    ],
    ("report/records/curves.py", "report/test_page.py"): [
        ("steps-of-some-runs", "if len(values) == len(having)}", "if values}"),
        ("damaged-steps-used", 'text = read_beside(run, folder / "runs" / run.id, "series.jsonl")', 'text = (folder / "runs" / run.id / "series.jsonl").read_text()'),
        ("all-runs-read", "chosen = group[:RUNS]", "chosen = group[:]"),
    ],
    ("report/records/sweeps.py", "report/test_figures.py"): [
        ("base-left-out", "value, score = delta.pop(setting, base.get(setting))", "value, score = delta.pop(setting, None)"),
        ("base-of-other-family", "and find_task(entry.task).family == family:", "and find_task(entry.task).family != family:"),
        ("grid-is-one-line", "groups.setdefault(tuple(sorted(delta.items(), key=str)), [])", "groups.setdefault((), [])"),
    ],
    ("report/figures/forest.py", "report/test_figures.py"): [
        ("margin-in-points", "measure.margin(report.margin)", "report.margin"),
        ("whiskers-swapped", 'row |= {"low": paired.low, "high": paired.high}', 'row |= {"low": paired.high, "high": paired.low}'),
        ("good-is-bad", '{Verdict.HELPS: "good", Verdict.HURTS: "bad"}', '{Verdict.HELPS: "bad", Verdict.HURTS: "good"}'),
    ],
    ("report/records/report.py", "report/test_report.py"): [
        ("processor-unsaid", "record.versions | _processors(runs)", "record.versions"),
        ("last-processor-only", '" and ".join(sorted(found - {""}))', 'sorted(found - {""})[-1]'),
    ],
    ("report/figures/heat.py", "report/test_figures.py"): [
        ("shades-too-fine", "if factor * power * 4 >= largest)", "if factor * power * 2 >= largest)"),
    ],
    ("report/figures/sweep.py", "report/test_figures.py"): [
        ("log-of-nothing", "if len(positive) == len(values):", "if positive:"),
    ],
    ("report/figures/render.py", "report/test_figures.py"): [
        ("pdf-is-svg", "if kind is Format.PDF else", "if False else"),
    ],
    ("report/page/inline.py", "report/test_page_browser.py"): [
        ("charts-stay-dark-on-dark", "figure svg [fill=", "figure svg [colour="),
        ("charts-without-words", 'aria-labelledby="{described_by}"', 'aria-labelledby="nothing"'),
    ],
    ("report/page/html.py", "report/test_page.py"): [
        ("nothing-escaped", "autoescape=True", "autoescape=False"),
        ("style-not-sealed", "sha256(style.encode())", "sha256(b'')"),
    ],
    ("report/latex.py", "report/test_exports.py"): [
        ("percent-starts-a-comment", '"%": r"\\%"', '"%": "%"'),
        ("brackets-are-options", '"{}" + cell if', "cell if"),
        ("numbers-as-paragraphs", "if place >= table.texts:", "if place > table.texts:"),
    ],
    ("report/numbers.py", "report/test_exports.py"): [
        ("missing-runs-left-out", 'return {**found, "status": "missing"}', 'return {}'),
        ("kinds-mixed", "return values if len(kinds) < 2 else", "return values if True else"),
    ],
    ("report/saving.py", "report/test_exports.py"): [
        ("figures-without-title", '"title": figure.title', '"name": figure.title'),
    ],
    ("progress.py", "study/test_watch.py"): [
        ("time-spent-counts-again", "max(0.0, work - spent)", "max(0.0, work + spent)"),
        ("one-worker-for-all", "/ max(1, workers)", "/ 1"),
    ],
    ("cli/study_report.py", "report/test_exports.py"): [
        ("formats-ignored", "chosen = list(Format) if every else formats", "chosen = list(Format) if every else None"),
        ("elsewhere-ignored", "save(dossier, to or folder, chosen or USUAL)", "save(dossier, folder, chosen or USUAL)"),
    ],
}
