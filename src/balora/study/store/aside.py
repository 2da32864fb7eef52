"""Move files and run folders that cannot be used below `runs/.aside`, where they no longer count; torch-free."""

import errno
import os
import shutil
from itertools import count
from pathlib import Path

ASIDE = Path("runs") / ".aside"
"""Where they go; the engine never deletes anything there."""


def move_aside(output: Path, path: Path) -> Path:
    """Move ``path``, anything in the study's folder ``output``, below `runs/.aside`, and return its new place.

    Raises:
        OSError: it cannot be moved.
    """
    (output / ASIDE).mkdir(exist_ok=True)
    places = (output / ASIDE / f"{path.name}-{number}" for number in count(1))
    place = next(place for place in places if not os.path.lexists(place))
    try:
        path.rename(place)
    except OSError as error:
        if error.errno != errno.EXDEV:  # a folder in the lower layer of an overlay, as containers have them
            raise
        shutil.move(path, place)
    return place
