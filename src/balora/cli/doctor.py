"""`balora doctor`: what is installed, what hardware is seen, what will run where."""

from typing import Annotated

import typer

MARKS = {"ok": "ok", "note": "--", "broken": "!!"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Say what is installed, what hardware is seen, and what will run where.

    Ends with exit code 1 when something needed is missing or broken.
    """
    from balora.diagnosis import examine, healthy

    checks = examine()
    if as_json:
        from balora.cli.output import print_json

        print_json({"healthy": healthy(checks), "checks": [check._asdict() for check in checks]})
    else:
        for check in checks:
            typer.echo(f"{MARKS[check.status]} {check.about:<13} {check.text}")
    if not healthy(checks):
        raise typer.Exit(1)
