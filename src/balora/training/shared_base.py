"""Hold what runs that take turns share: the pre-trained weights, once in memory, and the reference's outputs.

Inside :func:`sharing_base`, the first run loads the model, and every run gets modules of its own on its weights. The
outputs of the frozen model on a batch are computed by the run that comes to it first, and read by the others.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from copy import deepcopy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from balora.training.reference.reference_cache import ReferenceCache

_SHARED: ContextVar["_Shared | None"] = ContextVar("shared base", default=None)


class _Shared:
    """What was loaded and opened so far."""

    def __init__(self) -> None:
        self.base: Any = None
        self.cache: ReferenceCache | None = None


@contextmanager
def sharing_base() -> Iterator[None]:
    """Share one base among the runs inside, which must train adapters on one model and on the same batches."""
    before = _SHARED.set(_Shared())
    try:
        yield
    finally:
        _SHARED.reset(before)


def shares_base() -> bool:
    """Return whether this run shares its base with others."""
    return _SHARED.get() is not None


def base_of_run(load: Callable[[], Any], *, is_classifier: bool) -> Any:
    """Return the model that ``load`` returns; where runs share it, modules on the weights that the first has loaded.

    The head of a classifier is copied, since a probe writes to it (:mod:`balora.training.probe`); it is small. A
    language model's head is frozen, and shared.
    """
    shared = _SHARED.get()
    if shared is None:
        return load()
    if shared.base is None:
        shared.base = load()
    frozen = shared.base.base_model if is_classifier else shared.base
    return deepcopy(shared.base, {id(parameter): parameter for parameter in frozen.parameters()})


def cache_of_run(open_cache: Callable[[], "ReferenceCache"]) -> "ReferenceCache":
    """Return the cache that ``open_cache`` returns; where runs share a base, the one that the first has opened."""
    shared = _SHARED.get()
    if shared is None:
        return open_cache()
    if shared.cache is None:
        shared.cache = open_cache()
    return shared.cache
