"""The whole way from a plan's file to a checked study file."""

from pathlib import Path

from balora.errors import ConfigError, DataError
from balora.importing.clean_text import one_line, read_plan_text
from balora.importing.imported_arms import Imported, import_blocks
from balora.importing.plan_text import blocks_of
from balora.importing.yaml_writer import study_text
from balora.study.design.reading import read_study


def import_plan(path: Path, paper: str | None = None) -> tuple[Imported, str]:
    """Return what the plan in a file asks for, and the text of the study file, which is valid as it is.

    Raises:
        DataError: the file cannot be read or holds no plan, several papers and none chosen, or nothing to compare.
    """
    return import_text(read_plan_text(path), one_line(str(path)), paper)


def import_text(text: str, source: str, paper: str | None = None) -> tuple[Imported, str]:
    """Do the same for the clean text of a plan."""
    plan = import_blocks(blocks_of(text, source, paper), source)
    written = study_text(plan)
    try:
        read_study(written, f"the study made of {source}")
    except ConfigError as error:
        raise DataError(f"{source}: the plan makes no valid study: {error}") from None
    return plan, written
