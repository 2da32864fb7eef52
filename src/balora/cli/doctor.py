"""`balora doctor`: check the installation and the hardware."""

from typing import Annotated

import typer

SYMBOLS = {"ok": "ok", "note": "--", "broken": "!!"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Check what is installed, which hardware is found, and what will run where.

    Exits with code 1 if something that is needed is missing or broken.
    """
    from balora.cli.output import print_json, print_lines
    from balora.diagnosis import examine, healthy

    checks = examine()
    if as_json:
        print_json({"healthy": healthy(checks), "checks": [check._asdict() for check in checks]})
    else:
        print_lines(f"{SYMBOLS[check.status]} {check.about:<13} {check.text}" for check in checks)
    if not healthy(checks):
        raise typer.Exit(1)
