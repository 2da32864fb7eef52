"""Carry out a run as one of two processes, and kill the second one after a step: `killed_worker.py SPEC OUTPUT`."""

import os
import signal
import sys
from pathlib import Path

from balora.cli.start_processes import read_spec
from balora.training import callback
from balora.training.run_in_folder import run_in_folder

STEP = int(os.environ.get("KILLED_AFTER", "0"))
report = callback.ReportProgress.on_step_end


def on_step_end(self, args, state, control, **kwargs):
    if state.global_step == STEP and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    report(self, args, state, control, **kwargs)


if __name__ == "__main__":
    callback.ReportProgress.on_step_end = on_step_end
    run_in_folder(read_spec(Path(sys.argv[1])), Path(sys.argv[2]))
