"""List the seeds of studies, fixed in advance so that nobody can choose them after seeing results."""

PUBLISHED = (42, 1024, 2024)
"""The seeds of the published runs (method.md §2)."""


def seeds(count: int) -> tuple[int, ...]:
    """Return the first ``count`` seeds: the published three, then 3024, 4024, 5024, …

    A longer list begins with a shorter one, so that a study can be extended without repeating a run.
    """
    return (*PUBLISHED, *(PUBLISHED[-1] + 1000 * step for step in range(1, count - 2)))[:count]
