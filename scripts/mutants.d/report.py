"""Wrong versions of the page, its figures, its curves and the exports of a report; one line each."""

# ruff: noqa: E501
# fmt: off
MUTANTS = {
    ("report/model_card.py", "report/test_model_card.py"): [
        ("terms-that-cannot-act", 'term not in (TASK, *record.inactive)', 'term != TASK'),
        ("path-as-base", "base_model=base if is_hub_name(record.spec.model) else None", "base_model=base"),
        ("server-for-a-classifier", "    if heads:\n", "    if False:\n"),
        ("rank-below", "one for one in SERVED_RANKS if one >= rank", "one for one in SERVED_RANKS if one > rank"),
        ("paths-in-notes", "printable(without_paths(note))", "printable(note)"),
        ("served-whatever-it-is", 'if config.get("use_dora") or config.get("modules_to_save"):', "if False:"),
        ("name-as-it-is", "_page(record, folder, printable(name), licence, is_whole)", "_page(record, folder, name, licence, is_whole)"),
    ],
    ("report/records/rate_sheets.py", "report/test_rate_sheets.py"): [
        ("equal-own-rates-are-no-answer", "if start in own and base in own:", "if start in own and base in own and own[start] != own[base]:"),
        ("never-corrected", "return one.at_own_rates and not self.secondary", "return False"),
        ("losses-are-corrected-too", "return one.at_own_rates and not self.secondary", "return one.at_own_rates"),
        ("the-base-minus-the-other", "differences(here, there)", "differences(there, here)"),
        ("ahead-is-behind", '{"helps": "ahead", "hurts": "behind"}', '{"helps": "behind", "hurts": "ahead"}'),
        ("no-rate-is-chosen", "own.get(point[0]) == point[2]", "False"),
    ],
    ("report/records/rate_sentences.py", "report/test_rate_sheets.py"): [
        ("a-search-is-one-rate", " and record.rate_search is None", ""),
        ("one-rate-goes-unsaid", "if len(starts) > 1 and shared", "if False and shared"),
        ("ends-go-unsaid", "    if search.at_the_end:", "    if False:"),
    ],
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
    ("report/tables/answer.py", "report/test_every_format.py"): [
        ("base-in-bold", "if arm == report.against), None)", "if arm == report.base), None)"),
        ("caption-names-the-base", 'caption = f"Differences to {report.against}', 'caption = f"Differences to {report.base}'),
        ("seeds-of-blocks", '"corrected p", f"{report.noun}s")', '"corrected p", "seeds")'),
        ("loss-is-the-score", "spread(arm.task_losses.get(task)", "spread(arm.tasks.get(task)"),
    ],
    ("report/markdown.py", "report/test_every_format.py"): [
        ("first-row-in-bold", "if place == table.strong else row[0]", "if place == 0 else row[0]"),
        ("last-row-lost", "for row in table.rows]", "for row in table.rows[:3]]"),
        ("pipe-splits-a-cell", "<>|#~&", "<>#~&"),
    ],
    ("report/page/page.html", "report/test_every_format.py"): [
        ("first-row-in-bold", "loop.index0 == content.strong", "loop.index0 == 0"),
    ],
    ("report/latex.py", "report/test_every_format.py"): [
        ("first-row-in-bold", "if place == table.strong else first", "if place == 0 else first"),
        ("only-the-first-table", "for table in section.tables)", "for table in section.tables[:1])"),
    ],
    ("report/tables/table.py", "report/test_every_format.py"): [
        ("heading-lost", "shown = (table.head, *(", "shown = (table.head[:0], *("),
    ],
    ("report/numbers.py", "report/test_every_format.py"): [
        ("base-for-reference", '"against": dossier.report.against', '"against": dossier.report.base'),
        ("loss-is-the-score", '"answer_loss": loss.mean', '"answer_loss": summary.mean'),
    ],
    ("report/records/wording.py", "report/test_every_format.py"): [
        ("seeds-of-blocks", '"noun": noun,', '"noun": "seed",'),
    ],
    ("report/records/cautions.py", "report/test_every_format.py"): [
        ("seeds-of-blocks", "without a result: only {noun}s", "without a result: only seeds"),
        ("blocks-of-seeds", "design_warning(n, size, noun)", "design_warning(n, size)"),
    ],
    ("report/tables/sections.py", "report/test_every_format.py"): [
        ("losses-nowhere", "tables=_filled(answer.tasks(report), answer.task_losses(report))", "tables=_filled(answer.tasks(report))"),
    ],
    ("report/figures/cost.py", "report/test_figures.py"): [
        ("base-in-bold", "strong=reference_row(", "strong=0 and reference_row("),
    ],
    ("report/records/dossier.py", "report/test_figures.py"): [
        ("base-minus-arm", "paired = differences(values, against)", "paired = differences(against, values)"),
    ],
    ("report/records/curves.py", "report/test_page.py"): [
        ("steps-of-some-runs", "if len(values) == len(having)}", "if values}"),
        ("damaged-steps-used", "text = read_beside(run, place, SERIES)", "text = (place / SERIES).read_text()"),
        ("all-runs-read", "chosen = group[:RUNS]", "chosen = group[:]"),
    ],
    ("report/records/sweeps.py", "report/test_figures.py"): [
        ("base-left-out", "value, score = delta.pop(setting, base.get(setting))", "value, score = delta.pop(setting, None)"),
        ("base-of-other-family", "and record.study.find(entry.task).family == family:", "and record.study.find(entry.task).family != family:"),
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
        ("seeds-of-blocks", 'f"{report.noun}s", "difference"', '"seeds", "difference"'),
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
        ("figures-without-title", '"title": titled(figure.title)', '"name": titled(figure.title)'),
    ],
    ("progress.py", "study/test_watch.py"): [
        ("time-spent-counts-again", "max(0.0, work - spent)", "max(0.0, work + spent)"),
        ("one-worker-for-all", "/ max(1, workers)", "/ 1"),
    ],
    ("report/records/answer_sentences.py", "report/test_answer_sentences.py"): [
        ("uncorrected-is-certain", "if one.paired.family is None else CERTAIN", "if False else CERTAIN"),
        ("removal-turned", '("what was removed hurts", "what was removed helps")', '("what was removed helps", "what was removed hurts")'),
        ("small-is-unsaid", 'if farthest < one.margin else ""', 'if False else ""'),
        ("margin-is-small", "if farthest < one.margin", "if farthest <= one.margin"),
        ("nearest-end", "farthest = max(abs(", "farthest = min(abs("),
        ("p-never-said", "if not (paired.low or 0.0) <= 0 <= (paired.high or 0.0):", "if False:"),
        ("p-not-corrected", "p = paired.p if paired.adjusted_p is None else paired.adjusted_p", "p = paired.p"),
        ("hopeless-is-hidden", "if paired.needed is None:", "if False:"),
        ("direction-turned", "'raised' if mean > 0 else 'lowered'", "'raised' if mean < 0 else 'lowered'"),
        ("undecided-has-a-direction", "DIRECTED = (Verdict.HELPS,", "DIRECTED = (Verdict.UNDECIDED, Verdict.HELPS,"),
        ("secondary-unsaid", '" (secondary)" * one.measure.secondary', '" (secondary)" * False'),
        ("loss-beside-scores", "if is_loss == (measure.family in unsolved) and is_loss == measure.secondary:", "if is_loss == measure.secondary:"),
        ("zeros-have-sentences", "if is_loss == (measure.family in unsolved) and", "if"),
        ("some-zeros-are-all", "return bool(values) and not any(values)", "return bool(values) and not all(values)"),
        ("blocks-of-the-study", "zip(record.seeds, record.pretrainings, strict=False) if seed in seeds}", "zip(record.seeds, record.pretrainings, strict=False)}"),
        ("blocks-are-models", "if models == count > 0:", "if count > 0:"),
        ("family-last", "return paired.family is None, paired.verdict", "return paired.family is not None, paired.verdict"),
        ("smallest-first", "-abs(paired.mean or 0.0) / one.margin", "abs(paired.mean or 0.0) / one.margin"),
        ("unconfirmed-first", "paired.verdict not in DIRECTED, -abs", "paired.verdict in DIRECTED, -abs"),
        ("every-arm-a-sentence", "> FEW_ARMS:", "> 99 * FEW_ARMS:"),
        ("others-uncounted", "ranked[:MOST], ranked[MOST:]", "ranked[:MOST], []"),
        ("ablation-beside-another-reference", "if reference(record) != record.study.base_name:", "if False:"),
        ("action-beside-another-reference", 'arm.ablation and reference(record) == record.study.base_name else ""', 'arm.ablation else ""'),
        ("brackets-left", 'plain = BRACKETS.sub("", whole)', "plain = whole"),
        ("half-a-bracket", ' and not set("()") & set(plain)', ''),
        ("comma-open", 'return f"{text}," if comma', 'return f"{text}," if False and comma'),
        ("list-closed", ' and " and " not in last else text', " else text"),
        ("twins", "if counts[found[arm.name]] > 1]", "if counts[found[arm.name]] > 9]"),
        ("folders-shown", "import one_line, shareable_settings", "import one_line\nfrom balora.settings import dotted as shareable_settings"),
        ("prose-without-end", 'return shortened(one_line(text).rstrip(" ."), LONGEST)', 'return one_line(text).rstrip(" .")'),
        ("names-without-end", "return shortened(name, LONGEST)", "return name"),
        ("loss-margin-in-points", "margin = measure.margin(record.study.margin)", "margin = record.study.margin"),
        ("always-points", "point{'s' * (points != 1)}", "points"),
    ],
    ("report/markdown.py", "report/test_answer_sentences.py"): [
        ("sentences-nowhere", "yield _listed(report.sentences)", "yield _listed(report.sentences[:1])"),
    ],
    ("report/page/page.html", "report/test_answer_sentences.py"): [
        ("one-sentence-lost", '<p class="brief">{{ page.answer }}</p>', ""),
    ],
    ("report/screen.py", "report/test_screen.py"): [
        ("sentences-nowhere", "for sentence in report.sentences)", "for sentence in report.sentences[:1])"),
        ("every-arm-is-shown", "if arm.name != report.against))[:MOST_ARMS]", "if arm.name != report.against))"),
        ("reference-may-be-cut", "shown = (*first, *(arm for arm in report.arms if arm.name != report.against))", "shown = (*report.arms,)"),
        ("missing-runs-unsaid", "if report.counts.ok < report.counts.planned:", "if False:"),
    ],
    ("cli/study_report.py", "report/test_exports.py"): [
        ("formats-ignored", "chosen = list(Format) if every else formats", "chosen = list(Format) if every else None"),
        ("elsewhere-ignored", "save(dossier, to or folder, chosen)", "save(dossier, folder, chosen)"),
        ("usual-elsewhere-ignored", "save(dossier, to or folder, USUAL)", "save(dossier, folder, USUAL)"),
    ],
    ("report/markdown.py", "hostile/test_report_texts.py"): [
        ("names-act", "printable(content))", "content)"),
        ("fence-too-short", "max(3, longest + 1)", "3"),
    ],
    ("report/latex.py", "hostile/test_report_texts.py"): [
        ("names-act", "found[0]), printable(content))", "found[0]), content)"),
    ],
    ("report/page/html.py", "hostile/test_report_texts.py"): [
        ("names-act", "printable(value) if type(value) is str else value", "value"),
    ],
    ("report/numbers.py", "hostile/test_report_texts.py"): [
        ("names-act", "else printable(str(value))", "else str(value)"),
        ("formulas-pass", "is_formula = isinstance(value, str) and", "is_formula = False and"),
        ("numbers-guarded", " and not NUMBER.fullmatch(value)", ""),
    ],
    ("report/figures/render.py", "hostile/test_report_texts.py"): [
        ("names-act", "vegalite_to_svg(shown(spec))", "vegalite_to_svg(spec)"),
    ],
    ("report/figures/figure.py", "hostile/test_report_texts.py"): [
        ("titles-without-end", "return shortened(text, LONGEST_TITLE)", "return text"),
        ("files-collide", 'return plain if is_usual else', 'return plain if True else'),
    ],
    ("report/records/shareable.py", "hostile/test_local_paths.py"): [
        ("paths-shown", "return PATH.sub(lambda found: base_name(found[0]), text)", "return text"),
        ("command-shown", "if WHOLE.match(word):\n        return base_name(word)", "if WHOLE.match(word):\n        return word"),
    ],
    ("report/records/report.py", "hostile/test_local_paths.py"): [
        ("command-as-typed", "command=shareable_command(record.command)", "command=record.command"),
        ("model-as-typed", "model=base_name(record.model)", "model=record.model"),
    ],
    ("report/saving.py", "hostile/test_local_paths.py"): [
        ("links-followed", "path.parent.is_symlink()", "False"),
    ],
    ("report/records/measures.py", "report/test_paper_averages.py"): [
        ("ratings-in-points", '"nlg", judged=0.1)', '"nlg", judged=0.2)'),
        ("every-task-is-judged", "run.score is None or task not in JUDGED else", "run.score is None else"),
        ("one-task-of-a-recipe", "for task in run.spec.scored:", "for task in run.spec.scored[:1]:"),
        ("first-score-for-all", "[entry.seed] = run.of_task(task)", "[entry.seed] = run"),
        ("loss-of-tasks-without", 'own = [task for task in own if "answer_loss" in task.metrics]', "own = list(own)"),
    ],
    ("report/records/arm_rows.py", "report/test_paper_averages.py"): [
        ("points-as-the-paper", 'not one.measure.secondary if what', "one.measure.higher_is_better if what"),
    ],
}
