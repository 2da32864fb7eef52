"""Declare the arguments and options that `balora study plan` and `balora study run` share."""

from typing import Annotated

import typer

from balora.cli import completion

STUDY = Annotated[
    str,
    typer.Argument(
        metavar="STUDY|FILE",
        help="A shipped study (see `study list`), or a study file (.yaml).",
        autocompletion=completion.studies,
    ),
]
MODEL = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", help="Hub id or folder of the pre-trained model. Default: the study's own, or the testbed."
    ),
]
DATA = Annotated[
    str | None,
    typer.Option(help="Folder that contains the tasks' folders (glue/CoLA, gsm8k, …); the testbed needs none."),
]
PROFILE = Annotated[
    str, typer.Option(help="How much to compute: glance, quick, small (with --model), standard or thorough.")
]
SUITES = Annotated[
    list[str] | None,
    typer.Option(
        help="Tasks in place of the study's: nlu, nlg, or paper-nlg (MetaMathQA, CodeFeedback and WizardLM-Evol, "
        "scored on GSM8K, MATH, HumanEval, MBPP and MT-Bench); repeatable."
    ),
]
SEEDS = Annotated[
    int | None, typer.Option(min=0, max=1000, help="Number of seeds (blocks) per arm. Default: the profile's.")
]
SET = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="A setting for every arm, e.g. training.steps=50; repeatable.",
        autocompletion=completion.assignments,
    ),
]
RATE_GRID = Annotated[
    str | None,
    typer.Option(
        metavar="RATES",
        help="Learning rates to try for each start of the adapter, e.g. 5e-4,1e-3,2e-3. Default: the study's or the "
        "profile's. One rate for all arms: --set training.learning_rate=1e-3.",
    ),
]
UNTIL_ANSWERED = Annotated[
    bool,
    typer.Option(
        "--until-answered",
        help="Go on, 8 blocks at first and then more, until every comparison of the declared family is answered; "
        "intervals hold whenever it stops. On the testbed every block has a pre-trained model of its own.",
    ),
]
MOST_BLOCKS = Annotated[
    int | None, typer.Option(help="With --until-answered: blocks after which it ends at the latest. Default: 64.")
]
TRUST_REMOTE_CODE = Annotated[
    bool, typer.Option("--trust-remote-code", help="Allow Python code that comes with the model; no file can.")
]
JSON = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
