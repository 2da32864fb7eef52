"""Open what graders need beside a model's answers, before anything is loaded: a sandbox, a judge; torch-free."""

from collections.abc import Iterable

from balora.errors import ConfigError, shown
from balora.judging.judge import Judge
from balora.sandbox.availability import find_sandbox
from balora.tasks.grading import Tools
from balora.training.spec import RunSpec


def open_tools(spec: RunSpec) -> Tools:
    """Return what the graders of the scored tasks need: a sandbox for programs, a judge for MT-Bench.

    Raises:
        ConfigError: there is no sandbox that works here, no judge was given, or the judge cannot be reached.
    """
    graders = {spec.find(name).grader for name in spec.scored}
    scoring = spec.scoring
    if "judge" in graders and scoring.judge is None:
        raise ConfigError(
            f"{_judged(spec)} needs a judge: set scoring.judge.url and scoring.judge.model (docs/judging.md), or leave "
            "it out"
        )
    sandbox = find_sandbox(spec.unsafe_local_execution) if "programs" in graders else None
    judge = Judge(scoring.judge) if "judge" in graders and scoring.judge is not None else None
    if judge is not None:
        judge.check()
    return Tools(scoring, sandbox, judge, spec.training.seed)


def _judged(spec: RunSpec) -> str:
    own = [name for name in spec.scored if spec.find(name).grader == "judge" and spec.find(name).own is not None]
    return f"task {shown(own[0])}" if own else "MT-Bench"


def check_tools(specs: Iterable[RunSpec]) -> None:
    """Open the tools of every different need among ``specs`` once; raises what :func:`open_tools` does."""
    needs = {
        (tuple(sorted(spec.find(name).grader for name in spec.scored)), spec.scoring.judge): spec for spec in specs
    }
    for spec in needs.values():
        open_tools(spec)
