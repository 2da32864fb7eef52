"""Carry out a run as `balora.cli.one_process` does, with ZeRO-3 partitioning the smallest parameters too."""

from balora.cli import one_process
from balora.training import engines, trainer_arguments

made = engines.engine_arguments


def engine_arguments(strategy, model):
    given = made(strategy, model)
    given["deepspeed"]["zero_optimization"]["stage3_param_persistence_threshold"] = (
        0  # by default a tiny model is whole
    )
    return given


if __name__ == "__main__":
    trainer_arguments.engine_arguments = engine_arguments
    raise SystemExit(one_process.main())
