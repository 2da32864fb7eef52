"""Draw a comparison as Markdown and as one HTML page, with the tables, figures and style of a study's report."""

from collections.abc import Iterator
from importlib.metadata import version

from balora.comparing.compared import Compared, PairResult, SystemMean
from balora.comparing.comparison_words import INTERVAL, answers, counted, facts, methods, verdict
from balora.report.figures.all_figures import SectionFigures
from balora.report.figures.figure import Figure
from balora.report.figures.forest import Line, Scale, forest_on
from balora.report.markdown import draw_sections
from balora.report.page.html import Page, render
from balora.report.tables.sections import Section
from balora.report.tables.table import NOTHING, Cell, Table, count, interval, measured, plain, words

TITLE = "Comparison"
POINTS = "points"
HIGHER = "Higher, lower, equal: scores of single items"


def draw_page(compared: Compared) -> str:
    """Return the page."""
    pictures = {"differences": SectionFigures(_figures(compared), _reading(compared))}
    page = Page(
        f"balora compare: {', '.join(one.name for one in compared.systems)}",
        _question(compared),
        " ".join(answers(compared)),
        facts(compared),
        list(_sections(compared)),
        {section: found for section, found in pictures.items() if found.figures},
        {"balora": version("balora")},
        footer="Made by `balora compare` from the scores of single items; compare.json holds every number in full.",
        every_row="compare.md",
        every_number="compare.md and compare.json",
    )
    return render(page)


def draw_markdown(compared: Compared) -> str:
    """Return the comparison as Markdown."""
    opening = (" ".join(answers(compared)), " · ".join(facts(compared)))
    return draw_sections(_question(compared), opening, _sections(compared))


def _question(compared: Compared) -> str:
    first, *others = (one.name for one in compared.systems)
    if len(others) == 1:
        return f"Is {others[0]} better than {first}?"
    if len({one.against for one in compared.results}) > 1:
        return f"Which of {len(others) + 1} systems is better than another?"
    return f"Which of {len(others)} systems is better than {first}?"


def _reading(compared: Compared) -> str:
    both = f"; thin ones are over {compared.noun}s and items" if any(one.joint for one in compared.results) else ""
    lines = "Thick lines" if both else "Lines"
    return f"{lines} are {INTERVAL}s of the mean difference over {compared.noun}s{both}. The band is the margin."


def _figures(compared: Compared) -> tuple[Figure, ...]:
    scale = Scale("Difference", POINTS, compared.noun, compared.margin, compared.higher_is_better)
    lines = [Line(_label(one), one.paired, one.joint, verdict(one.paired, compared.noun)) for one in compared.results]
    figure = forest_on(scale, lines, _differences(compared))
    return (figure,) if figure else ()


def _label(one: PairResult) -> str:
    return f"{one.system} − {one.against}"


def _sections(compared: Compared) -> Iterator[Section]:
    intro = f"Each row is the mean of one system minus the other. The margin is {compared.margin:g} of 100 points."
    yield Section(
        "differences", "Differences", intro, tables=(_differences(compared), _counts(compared), _strengths(compared))
    )
    yield Section("systems", "Systems", tables=(_systems(compared), *_by_task(compared)))
    if compared.notes:
        yield Section("notes", "Notes", lists=(("", compared.notes),))
    yield Section("methods", "How every number is computed", lists=(("", tuple(methods(compared))),))


def _differences(compared: Compared) -> Table:
    joint = any(one.joint for one in compared.results)
    rows = tuple(
        (
            words(_label(one)),
            words(verdict(one.paired, compared.noun)),
            measured(one.paired.mean, POINTS, sign=True),
            interval(one.paired.low, one.paired.high, POINTS),
            *((interval(*one.joint, POINTS) if one.joint else NOTHING,) if joint else ()),
            plain(one.paired.p, 2),
            plain(one.paired.adjusted_p, 2),
            count(one.paired.n),
        )
        for one in compared.results
    )
    both = (f"over {compared.noun}s and items",) if joint else ()
    head = ("systems", "verdict", "difference", INTERVAL, *both, "p", "corrected p", f"{compared.noun}s")
    note = f"Corrected p: Holm over the family of {counted(len(rows), 'comparison')}."
    return Table("differences", "Differences, points of 100", head, rows, texts=2, note=note)


def _counts(compared: Compared) -> Table:
    rows = tuple(
        (words(_label(one)), count(one.higher), count(one.lower), count(one.equal)) for one in compared.results
    )
    return Table("counts", HIGHER, ("systems", "higher", "lower", "equal"), rows)


def _strengths(compared: Compared) -> Table:
    rows = tuple(
        (
            words(_label(one)),
            measured(one.paired.effect_size, "sd", sign=True),
            measured(one.paired.detectable, POINTS),
            NOTHING if one.paired.needed is None else count(one.paired.needed),
        )
        for one in compared.results
    )
    head = ("systems", "effect size", "detectable", f"{compared.noun}s needed")
    note = "Effect size: mean over standard deviation of the differences (d_z), with Hedges' correction."
    return Table("strengths", "How strong the comparisons are", head, rows, note=note)


def _systems(compared: Compared) -> Table:
    names = [task.name or "score" for task in compared.tasks]
    several = len(names) > 1
    rows = tuple(
        (words(one.name), words(one.source), measured(one.mean, POINTS), *(_means(one) if several else ()))
        for one in compared.systems
    )
    head = ("system", "read from", "mean", *(names if several else ()))
    return Table("systems", "Means, points of 100", head, rows, texts=2, strong=0)


def _means(system: SystemMean) -> list[Cell]:
    return [measured(mean, POINTS) for mean in system.tasks.values()]


def _by_task(compared: Compared) -> Iterator[Table]:
    """Yield what the tasks are, and the differences in each where there are several."""
    clustered = any(task.clusters is not None for task in compared.tasks)
    rows = tuple(
        (
            words(task.name or "–"),
            words(task.metric),
            count(task.items),
            *((NOTHING if task.clusters is None else count(task.clusters),) if clustered else ()),
        )
        for task in compared.tasks
    )
    yield Table("tasks", "Tasks", ("task", "score", "items", *(("clusters",) if clustered else ())), rows, texts=2)
    differences = tuple(
        (
            words(task.task),
            words(_label(one)),
            measured(task.difference, POINTS, sign=True),
            interval(task.low, task.high, POINTS),
            plain(task.p, 2),
        )
        for one in compared.results
        for task in one.tasks
    )
    if differences:
        head = ("task", "systems", "difference", INTERVAL, "p")
        note = "Descriptive: in no family, not corrected, without a verdict."
        yield Table(
            "task-differences", "Differences in each task, points of 100", head, differences, texts=2, note=note
        )
