"""Define the command line: one file for each verb, which reads options and prints; other packages do the work."""

from balora.cli.main import main

__all__ = ["main"]
