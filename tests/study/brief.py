"""The command line with `fakes.brief` in the place of real runs: a whole `balora` that can be killed in a test."""

import sys

import fakes

from balora.cli import main
from balora.study.execute import execute

if __name__ == "__main__":
    assert execute.__kwdefaults__ is not None
    execute.__kwdefaults__["run"] = fakes.brief
    sys.exit(main())
