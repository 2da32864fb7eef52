"""The command line with `fakes.steered` in the place of real runs: a whole `balora` that can be killed in a test."""

import signal
import sys

import fakes

from balora.cli import main
from balora.study.engine.execute import execute

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits that it is ignored
    assert execute.__kwdefaults__ is not None
    execute.__kwdefaults__["run"] = fakes.steered
    sys.exit(main())
