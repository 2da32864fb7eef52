"""Name a model for others, without the path of a folder; torch-free."""

from pathlib import Path


def shared_name(name: str | None) -> str | None:
    """Return by what name others know a model: its id, or the last part of its folder's path; never the path."""
    if not name:
        return name
    path = Path(name)
    for part in path.parts:
        if part.startswith("models--"):  # a snapshot in the Hub's cache
            return part.removeprefix("models--").replace("--", "/")
    is_folder = path.is_absolute() or name.startswith((".", "~")) or path.is_dir() or len(path.parts) > 2
    return path.resolve().name or "model" if is_folder else name


def is_hub_name(name: str) -> bool:
    """Return whether ``name`` is, or is in the Hub's cache under, a name like `owner/model`, and no folder's."""
    shared = shared_name(name)
    is_name = shared is not None and shared.count("/") == 1
    return is_name and ("models--" in name or not Path(name).is_dir())
