"""Check that two systems were scored on the same items, and refuse with the number of items that do not pair up."""

from collections.abc import Callable, Iterable, Sequence

from balora.comparing.score_table import ItemScore, Key, ScoreTable, SystemScores, described
from balora.errors import InputError, shown

OURS = {"correct", "score"}
"""What our items call whatever the task is scored by."""
FEW = 3
"""Items that a complaint names."""
CONTENT = (
    "are not the same ones in both: their documents or right answers differ",
    "score both on one version of the data",
)
CLUSTER = ("lie in other clusters", "give every item one cluster, the same one for all systems")
PROMPT = (
    "had another prompt (another number of examples, another template)",
    "score both alike, or pass --other-prompts if the prompt belongs to what is compared",
)
"""What is wrong with items that do not pair up, and the way out."""


def check_pairs(table: ScoreTable, *, other_prompts: bool = False) -> tuple[str, ...]:
    """Check that every system has exactly the items of the first; return notes on what else differs.

    Args:
        table: the systems.
        other_prompts: whether systems may have been given different prompts for the same item.

    Raises:
        InputError: the tasks, the items, the seeds, what the items hold, their clusters or prompts do not agree.
    """
    notes = []
    first = table.systems[0]
    for other in table.systems[1:]:
        _check_tasks(first, other)
        _check_keys(first, other)
        _check_metrics(first, other)
        for differ, what, way in ((_other_content, *CONTENT), (_other_cluster, *CLUSTER)):
            _refuse(first, other, _differing(first, other, differ), what, way)
        prompts = _differing(first, other, _other_prompt)
        if prompts and other_prompts:
            notes.append(
                f"{first.name} and {other.name} were given different prompts for {len(prompts):,} items, so their "
                "difference is one of system and prompt together"
            )
        else:
            _refuse(first, other, prompts, *PROMPT)
    return tuple(notes)


def _check_tasks(first: SystemScores, other: SystemScores) -> None:
    ours, theirs = (dict.fromkeys(key.task for key in one.scores) for one in (first, other))
    if ours.keys() == theirs.keys():
        return
    shared = [task for task in ours if task in theirs]
    only = [f"{_names([task for task in a if task not in b])} only in {shown(one.name)}"
            for one, a, b in ((first, ours, theirs), (other, theirs, ours)) if set(a) - set(b)]  # fmt: skip
    way = " ".join(f"--task {task}" for task in shared[:5]) if shared else "logs of the same tasks"
    raise InputError(f"{shown(first.name)} and {shown(other.name)} do not have the same tasks ({'; '.join(only)}): "
                     f"compare them with {way}")  # fmt: skip


def _check_keys(first: SystemScores, other: SystemScores) -> None:
    lacking = [key for key in first.scores if key not in other.scores]
    extra = [key for key in other.scores if key not in first.scores]
    if not lacking and not extra:
        return
    pair = f"{shown(first.name)} ({len(first.scores):,} scores) and {shown(other.name)} ({len(other.scores):,})"
    if len(lacking) == len(first.scores):
        ends = f"{described(next(iter(first.scores)))} in the one, {described(next(iter(other.scores)))} in the other"
        raise InputError(f"{pair} have no item in common ({ends}): score both on the same items, called alike")
    seeds = [{key.seed for key in one.scores} for one in (first, other)]
    if seeds[0] != seeds[1]:
        odd = _names(sorted(seeds[0] ^ seeds[1]))
        raise InputError(
            f"{pair} do not have the same seeds ({odd} in one alone): leave those out, or pass --over items to compare "
            "the mean of each item over its seeds"
        )
    parts = [
        f"{len(found):,} {'is' if len(found) == 1 else 'are'} only in {shown(one.name)} ({_listed(found)})"
        for one, found in ((first, lacking), (other, extra))
        if found
    ]
    raise InputError(f"{pair} do not pair up: {' and '.join(parts)}: leave these out, or score both on the same items")


def _check_metrics(first: SystemScores, other: SystemScores) -> None:
    for task, metric in first.metrics.items():
        theirs = other.metrics.get(task, metric)
        if theirs != metric and not OURS & {metric, theirs}:
            place = f" in task {shown(task)}" if task else ""
            raise InputError(
                f"{shown(first.name)} is scored by {shown(metric)} and {shown(other.name)} by "
                f"{shown(other.metrics[task])}{place}: choose one score of both with --metric"
            )


def _other_content(a: ItemScore, b: ItemScore) -> bool:
    return a.content[0] == b.content[0] and a.content[1] != b.content[1]


def _other_cluster(a: ItemScore, b: ItemScore) -> bool:
    return a.cluster != b.cluster


def _other_prompt(a: ItemScore, b: ItemScore) -> bool:
    return a.prompt != b.prompt and bool(a.prompt and b.prompt)


def _differing(first: SystemScores, other: SystemScores, differ: Callable[[ItemScore, ItemScore], bool]) -> list[Key]:
    return [key for key, score in first.scores.items() if differ(score, other.scores[key])]


def _refuse(first: SystemScores, other: SystemScores, keys: Sequence[Key], what: str, way: str) -> None:
    if keys:
        raise InputError(
            f"{len(keys):,} of {len(first.scores):,} items of {shown(first.name)} and {shown(other.name)} {what} "
            f"({_listed(keys)}): {way}"
        )


def _listed(keys: Sequence[Key]) -> str:
    return ", ".join(map(described, keys[:FEW])) + (", …" if len(keys) > FEW else "")


def _names(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(map(shown, listed[:FEW])) + (f" and {len(listed) - FEW} more" if len(listed) > FEW else "")
