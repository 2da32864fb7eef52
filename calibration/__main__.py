"""`python -m calibration rates|dose|weights|study …`: measure, and write the figures below `calibration/results`."""

import argparse
import json
from pathlib import Path
from typing import Any

from calibration import dose, page, rates, study, weights

RESULTS = Path(__file__).with_name("results")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m calibration", description="Measure the testbed itself.")
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("rates", help="scores over the grid of learning rates").add_argument("tasks", nargs="*")
    parts.add_parser("dose", help="what each dial does to plain LoRA").add_argument("dials", nargs="*")
    parts.add_parser("weights", help="the regularizers at 0, 1, 10 and 100 times the published weights")
    studies = parts.add_parser("study", help="head-room and precision, from the folders of studies")
    studies.add_argument("folders", nargs="+", type=Path)
    parts.add_parser("page", help="docs/calibration.md and its plots, from the results")
    given = parser.parse_args()
    if given.part == "rates":
        _keep("rates", rates.measure(given.tasks))
    elif given.part == "dose":
        _keep("dose", dose.measure(given.dials))
    elif given.part == "weights":
        _keep("weights", weights.measure())
    elif given.part == "study":
        _keep("study", study.measure(given.folders))
    page.write(RESULTS)


def _keep(name: str, found: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
