"""The command line: verbs only, one file each; the work is done by the layers below."""

from balora.cli.main import main

__all__ = ["main"]
