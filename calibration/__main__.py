"""`python -m calibration rates|noise|dose|weights|study|page`: measure a part, save its figures, make the page anew."""

import argparse
import json
from pathlib import Path
from typing import Any

from calibration import dose, noise, page, rates, study, weights

RESULTS = Path(__file__).with_name("results")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m calibration",
        description="Measure the testbed, save the figures in calibration/results, and make docs/calibration.md.",
    )
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("rates", help="measure scores over the grid of learning rates")
    parts.add_parser("noise", help="measure how far fine-tunings differ under several settings of the training")
    parts.add_parser("dose", help="measure what each dial does to plain LoRA").add_argument("dials", nargs="*")
    parts.add_parser("weights", help="measure the regularizers at 0, 1, 10 and 100 times the published weights")
    studies = parts.add_parser("study", help="read head-room and precision from the folders of studies")
    studies.add_argument("folders", nargs="+", type=Path)
    parts.add_parser("page", help="only make docs/calibration.md and its plots from the saved figures")
    chosen = parser.parse_args()
    if chosen.part == "rates":
        _save("rates", rates.measure())
    elif chosen.part == "noise":
        _save("noise", noise.measure())
    elif chosen.part == "dose":
        _save("dose", dose.measure(chosen.dials))
    elif chosen.part == "weights":
        _save("weights", weights.measure())
    elif chosen.part == "study":
        _save("study", study.measure(chosen.folders))
    page.write(RESULTS)


def _save(name: str, figures: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
