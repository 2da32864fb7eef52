"""The configuration loads without torch; what needs torch is loaded at first use."""

import subprocess
import sys


def test_heavy_imports_wait_for_their_use():
    script = """
import sys
from balora.adapters import AdapterConfig
import balora.adapters.config
AdapterConfig(rank=4)
heavy = {"torch", "transformers", "peft"} & set(sys.modules)
assert not heavy, heavy
import balora.adapters.attachment
from balora.adapters import attach, export_adapter, export_merged, frozen_copy, reference_of
assert all(map(callable, (attach, export_adapter, export_merged, frozen_copy, reference_of)))
try:
    balora.adapters.nothing
except AttributeError as error:
    assert "nothing" in str(error)
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", script], check=True)
