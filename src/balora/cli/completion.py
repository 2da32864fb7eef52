"""Complete names in the user's shell: studies, tasks, methods and settings (`balora --install-completion`)."""

from collections.abc import Iterable, Iterator


def studies(incomplete: str) -> Iterator[str]:
    """Yield the studies that come with balora."""
    from balora.study.design.reading import shipped

    return _beginning(incomplete, shipped())


def tasks(incomplete: str) -> Iterator[str]:
    """Yield the tasks of the catalogue, those of the testbed among them."""
    from balora.tasks.catalogue import TASKS

    return _beginning(incomplete, TASKS)


def methods(incomplete: str) -> Iterator[str]:
    """Yield the methods."""
    from balora.training.spec import METHODS

    return _beginning(incomplete, METHODS)


def settings(incomplete: str) -> Iterator[str]:
    """Yield the keys of settings."""
    from balora.training.setting_list import setting_rows

    return _beginning(incomplete, (row.key for row in setting_rows()))


def assignments(incomplete: str) -> Iterator[str]:
    """Yield the keys of settings, each with the equals sign after it."""
    return (f"{key}=" for key in settings(incomplete))


def _beginning(incomplete: str, names: Iterable[str]) -> Iterator[str]:
    return (name for name in names if name.startswith(incomplete))
