"""Attach low-rank adapters that never write to the base, use the base as the reference, export the result.

Everything but the configuration is imported at first use, so that planning never loads torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from balora.adapters.config import AdapterConfig

if TYPE_CHECKING:
    from balora.adapters.attachment import attach
    from balora.adapters.exporting import export_adapter, export_merged
    from balora.adapters.reference import frozen_copy, reference_of

__all__ = ["AdapterConfig", "attach", "export_adapter", "export_merged", "frozen_copy", "reference_of"]

_HOME = {
    "attach": "attachment",
    "export_adapter": "exporting",
    "export_merged": "exporting",
    "frozen_copy": "reference",
    "reference_of": "reference",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
