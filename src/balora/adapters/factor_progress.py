"""Show progress while the factors of a large model are computed."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence

from transformers.utils import logging

PATIENCE = 3.0
"""Seconds before progress is reported."""

OnWeight = Callable[[int, int], None]
"""Called with the number of weights done and of all weights."""


def with_progress(names: Sequence[str], on_weight: OnWeight | None) -> Iterator[str]:
    """Yield the names of the weights, and report how many are done once it takes longer than a few seconds.

    Without ``on_weight`` transformers' progress bar reports it, where stderr is a terminal and these bars are not off
    (`transformers.utils.logging.disable_progress_bar`).
    """
    if on_weight is None:
        hidden = not sys.stderr.isatty()
        bar = logging.tqdm(names, desc="starting factors", unit="weight", delay=PATIENCE, disable=hidden, leave=False)
        yield from bar
        return
    began = time.monotonic()
    for done, name in enumerate(names):
        if time.monotonic() - began >= PATIENCE:
            on_weight(done, len(names))
        yield name
