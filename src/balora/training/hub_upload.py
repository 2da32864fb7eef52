"""Upload an exported model to the Hugging Face Hub, after a look at what is in the folder."""

import os
from pathlib import Path

from balora.errors import ConfigError, InputError, OutputError, printable, shown
from balora.regular_files import SETTINGS_BYTES, read_regular_text
from balora.training.saved_files import ADAPTER_CONFIG, adapter_files, trained_files

CARD = "README.md"
BESIDE = ("README.md", "quantization.json")
"""What an export may hold beside the adapter or the model; nothing else is uploaded."""
HUB = "https://huggingface.co"


def upload(folder: Path, name: str, *, public: bool = False, message: str) -> str:
    """Upload ``folder`` as the repository ``name`` and return its address; a new repository is private.

    Raises:
        ConfigError: no name like `owner/name`; the Hub is switched off (HF_HUB_OFFLINE).
        InputError: the folder holds no export, no card, or a card that the Hub could not read.
        OutputError: the Hub refused, or cannot be reached; a commit is made whole or not at all.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.constants import HF_HUB_OFFLINE
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise ConfigError(f"{shown(name)} is no name of a repository: {printable(str(error))}") from None
    if name.count("/") != 1:
        raise ConfigError(f"{shown(name)} is no name of a repository: give OWNER/NAME")
    files = _files(folder)
    if HF_HUB_OFFLINE:
        raise ConfigError("HF_HUB_OFFLINE is set, so nothing can be uploaded: unset it")
    endpoint = os.environ.get("HF_ENDPOINT", HUB)
    api = HfApi(endpoint=endpoint)
    try:
        api.create_repo(name, private=not public, exist_ok=True)
        api.upload_folder(repo_id=name, folder_path=folder, allow_patterns=files, commit_message=message)
    except LocalTokenNotFoundError:
        raise ConfigError("the Hub wants a token: run `hf auth login`, or set HF_TOKEN") from None
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = printable(" ".join(str(error).split()))[:300]
        raise OutputError(f"{name} on {endpoint}: the upload failed ({reason}): check the token and the name") from None
    return f"{endpoint}/{name}"


def _files(folder: Path) -> list[str]:
    """Return the names of the files of an export; raise unless it is whole and has a card that can be read."""
    from huggingface_hub import ModelCard

    if not any(folder.glob("*.safetensors")):
        raise InputError(f"{folder}: holds no model or adapter (*.safetensors): pass what `balora export` wrote")
    if not (folder / CARD).is_file():
        raise InputError(f"{folder}: has no model card ({CARD}): export it with --card")
    try:
        ModelCard(read_regular_text(folder / CARD, SETTINGS_BYTES))
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{folder / CARD}: its metadata cannot be read ({printable(reason)}): export it anew"
        ) from None
    of_model = adapter_files(folder) if (folder / ADAPTER_CONFIG).exists() else trained_files(folder)
    return [path.relative_to(folder).as_posix() for path in of_model] + list(BESIDE)
