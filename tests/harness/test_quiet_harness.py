"""While the harness runs it prints nothing: its bars become progress, its warnings notes, and all is undone after."""

import logging
import sys

import pytest

from balora.progress import Progress

pytest.importorskip("lm_eval")


def test_bars_become_progress_and_everything_is_undone_afterwards(capsys: pytest.CaptureFixture[str]) -> None:
    import tqdm
    from datasets.utils import are_progress_bars_disabled
    from lm_eval import evaluator, utils
    from lm_eval.models import huggingface

    from balora.harness.quiet_harness import quiet_harness

    logger, seen = logging.getLogger("lm_eval"), list[Progress]()

    def state() -> tuple[object, ...]:
        handlers = logger.level, logger.propagate, list(logger.handlers), are_progress_bars_disabled()
        return tqdm.tqdm, huggingface.tqdm, utils.env, evaluator.get_git_commit_hash, sys.stdout, *handlers

    before = state()
    with quiet_harness(seen.append, trusted=False) as log:
        print("printed by the harness")
        bar = huggingface.tqdm(total=3, desc="Running loglikelihood requests")
        for _ in range(3):
            bar.update(1)
        bar.close()
        assert list(huggingface.tqdm(["a", "b"], disable=False)) == ["a", "b"]
        assert list(tqdm.tqdm(range(2))) == [0, 1]
        for length in (600, 700):
            logger.warning("Left truncation applied. Original sequence length was %d.", length)
        logger.warning("Overwriting default num_fewshot of %s from None to 1", "x")
        logger.info("not a warning")
    assert seen == [Progress("evaluate", done, 3) for done in range(4)]
    assert log.notes() == ["lm-eval warned 2 times, first: Left truncation applied. Original sequence length was 600."]
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")
    assert state() == before


def test_many_kinds_of_warnings_are_counted() -> None:
    from balora.harness.quiet_harness import MOST_NOTES, HarnessLog

    log = HarnessLog()
    for letter in "abcdefghijklmnopqrstuvwxyz":
        log.emit(logging.LogRecord("lm_eval", logging.WARNING, "", 0, f"kind {letter}", None, None))
    assert len(log.notes()) == MOST_NOTES + 1
    assert log.notes()[-1] == "lm-eval warned of 6 more things"
