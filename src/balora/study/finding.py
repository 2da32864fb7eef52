"""Finding a study by name or file, and reading it with every fault placed by its line; torch-free."""

from importlib import resources
from pathlib import Path

from balora.errors import ConfigError, unknown_name
from balora.settings import SettingsError
from balora.study.arms import design_arms
from balora.study.design import Study
from balora.study.document import Document, parse


def read_study(text: str, source: str) -> Study:
    """Build a study from YAML text.

    Raises:
        ConfigError: every fault at once, each with its line number in the file.
    """
    document = parse(text, source)
    try:
        study = Study(**document.content)
    except SettingsError as error:
        raise _all_faults(source, document, error.faults) from None
    try:
        design_arms(study)
    except SettingsError as error:
        raise _all_faults(source, document, error.faults) from None
    if document.faults:
        raise _all_faults(source, document, [])
    return study


def _all_faults(source: str, document: Document, faults: list[tuple[str, str]]) -> ConfigError:
    placed = [(document.line(key) or 0, f"{key}: {text}") for key, text in faults] + document.faults
    found = [f"line {line}: {text}" if line else text for line, text in sorted(placed)]
    return ConfigError(f"{source}: {'; '.join(found)}")


def shipped() -> dict[str, str]:
    """Return the YAML text of every study that comes with balora, by name."""
    folder = resources.files("balora.study").joinpath("shipped")
    texts = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.endswith(".yaml")}
    return {name.removesuffix(".yaml"): texts[name] for name in sorted(texts)}


def find_study(name: str) -> Study:
    """Return the shipped study called ``name``, or the one in the file ``name``.

    Raises:
        ConfigError: neither exists (with the nearest name), or the file has faults.
    """
    known = shipped()
    if name in known:
        return read_study(known[name], f"study {name}")
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        try:
            return read_study(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: cannot read the study ({getattr(error, 'strerror', None) or error})") from None
    raise ConfigError(f"{unknown_name('study', name, known)}; or give the path of a study file (.yaml)")
