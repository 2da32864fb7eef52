"""Import an ablation plan: read a file, find its blocks, and return the study with the text of its study file."""

from pathlib import Path

from balora.errors import ConfigError, DataError, printable, shortened, shown
from balora.importing.ablation_blocks import Paper, read_blocks
from balora.importing.clean_text import one_line, plain, read_plan_text
from balora.importing.html_to_markdown import to_markdown
from balora.importing.imported_arms import Imported, import_blocks
from balora.importing.json_plans import json_plans
from balora.importing.markdown_lines import read_lines
from balora.importing.yaml_writer import study_text
from balora.study.design.reading import read_study

LISTED = 8
"""Papers that an error names."""


def import_plan(path: Path, paper: str | None = None) -> tuple[Imported, str]:
    """Return the study that the plan in a file describes, and the text of its study file, which is valid.

    Raises:
        DataError: the file cannot be read, holds no plan, or holds several and none is chosen; or no arm differs.
    """
    return import_text(read_plan_text(path), one_line(str(path)), paper)


def import_text(text: str, source: str, paper: str | None = None) -> tuple[Imported, str]:
    """Do the same for a plan's cleaned text; errors name ``source``."""
    plan = import_blocks(read_paper(text, source, paper), source)
    written = study_text(plan)
    try:
        read_study(written, f"the study made of {source}")
    except ConfigError as error:
        raise DataError(f"{source}: the study file made from the plan is not valid: {error}") from None
    return plan, written


def read_paper(text: str, source: str, paper: str | None = None) -> Paper:
    """Return the plan in ``text``: the only one, or that of the chosen ``paper``.

    Raises:
        DataError: there is no block with an ablated part and an action, or not exactly one paper fits ``paper``.
    """
    from_json, rest = json_plans(text)
    papers = {plan.name: plan for plan in from_json}
    for plan in read_blocks(read_lines(to_markdown(rest))):
        before = papers.get(plan.name, Paper(plan.name, ())).blocks
        keys = {block.key for block in before}
        papers[plan.name] = Paper(plan.name, before + tuple(block for block in plan.blocks if block.key not in keys))
    if not papers:
        raise DataError(
            f"{source}: no block of an ablation plan found: each block needs an *Ablated Part* and an *Action* "
            "(REMOVE, REPLACE or ADD), see docs/importing.md"
        )
    return _chosen(list(papers.values()), source, paper)


def _chosen(papers: list[Paper], source: str, wanted: str | None) -> Paper:
    if wanted is None:
        if len(papers) == 1:
            return papers[0]
        raise DataError(f"{source}: it holds plans of {len(papers)} papers: choose one with --paper: {_names(papers)}")
    exact = [paper for paper in papers if paper.name == wanted]
    close = exact or [paper for paper in papers if plain(wanted) in plain(paper.name)]
    if len(close) == 1:
        return close[0]
    if not close:
        raise DataError(f"{source}: no paper in the file is called {shown(wanted)}: it holds {_names(papers)}")
    raise DataError(f"{source}: --paper {shown(wanted)} fits {len(close)} papers: {_names(close)}")


def _names(papers: list[Paper]) -> str:
    names = [printable(shortened(paper.name, 80)) or "(without a name)" for paper in papers]
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
