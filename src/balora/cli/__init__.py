"""The command line: one file a verb, which reads options and prints; the packages below do the work."""

from balora.cli.main import main

__all__ = ["main"]
