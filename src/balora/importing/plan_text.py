"""From a plan's text to its blocks, whatever it is written in."""

from balora.errors import DataError
from balora.importing.ablation_blocks import Block, Paper, read_blocks
from balora.importing.clean_text import plain
from balora.importing.json_plans import json_plans
from balora.importing.lines import read_lines
from balora.importing.markup import to_markdown

SHOWN = 8


def blocks_of(text: str, source: str, paper: str | None = None) -> Paper:
    """Return the plan in ``text``: the only one, or that of the paper asked for.

    Raises:
        DataError: no block with an ablated part and an action is there; there are several papers and none, or more
            than one, is asked for; the paper asked for is not among them.
    """
    found, rest = json_plans(text)
    papers = {plan.name: plan for plan in found}
    for plan in read_blocks(read_lines(to_markdown(rest))):
        before = papers.get(plan.name, Paper(plan.name, ())).blocks
        keys = {block.key for block in before}
        papers[plan.name] = Paper(plan.name, before + tuple(block for block in plan.blocks if block.key not in keys))
    if not papers:
        raise DataError(
            f"{source}: no block of an ablation plan found: each needs an *Ablated Part* and an *Action* (REMOVE, "
            "REPLACE or ADD), see docs/importing.md"
        )
    return _chosen(list(papers.values()), source, paper)


def _chosen(papers: list[Paper], source: str, wanted: str | None) -> Paper:
    if wanted is None:
        if len(papers) == 1:
            return papers[0]
        raise DataError(f"{source}: plans of {len(papers)} papers: choose one with --paper: {_names(papers)}")
    exact = [paper for paper in papers if paper.name == wanted]
    close = exact or [paper for paper in papers if plain(wanted) in plain(paper.name)]
    if len(close) == 1:
        return close[0]
    if not close:
        raise DataError(f"{source}: no plan of a paper called {wanted!r}: there are {_names(papers)}")
    raise DataError(f"{source}: --paper {wanted!r} fits {len(close)} papers: {_names(close)}")


def _names(papers: list[Paper]) -> str:
    names = [paper.name or "(without a name)" for paper in papers]
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


__all__ = ["Block", "Paper", "blocks_of"]
