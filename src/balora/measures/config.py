"""Define which measures are taken beside the scores, and from which files; torch-free."""

from pydantic import Field

from balora.settings import Settings

HELD_OUT = "held_out"
BENCHMARKS = ("blimp", "crows_pairs", "winogender", "bbq", "toxigen", "hans")
"""The measures that are taken on rows of a published data set."""
MEASURES = (*BENCHMARKS, HELD_OUT)
"""Every measure, by its setting, in the order in which they are taken."""


class MeasuresConfig(Settings):
    """The data files of the measures beside the scores; what has no file is not measured."""

    blimp: str | None = None
    """File or folder of BLiMP (grammar): rows of `sentence_good`, `sentence_bad`, `field`, `linguistics_term`,
    `UID`."""
    crows_pairs: str | None = None
    """File or folder of CrowS-Pairs (stereotypes): rows of `sent_more`, `sent_less`, `stereo_antistereo`,
    `bias_type`."""
    winogender: str | None = None
    """File or folder of WinoGender (pronouns and occupations): rows of `sentid`, `sentence`."""
    bbq: str | None = None
    """File or folder of BBQ (stereotypes in answers): rows of `context`, `question`, `ans0` to `ans2`, `label`, …."""
    toxigen: str | None = None
    """File or folder of ToxiGen's annotated statements: rows of `text`, `toxicity_human`, `toxicity_ai`,
    `target_group`."""
    hans: str | None = None
    """File or folder of HANS (shortcuts after MNLI): rows of `sentence1`, `sentence2`, `gold_label`, `heuristic`."""
    held_out: str | None = None
    """A UTF-8 text file whose loss is measured before and after."""
    rows: int | None = Field(default=None, ge=1)
    """At most so many rows of each benchmark file, the first ones; none means all. The text is always read whole."""

    @property
    def given(self) -> tuple[str, ...]:
        """The measures that have a file, by name."""
        return tuple(name for name in MEASURES if getattr(self, name) is not None)
