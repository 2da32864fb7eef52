"""Define a task of one's own, as a task file describes it and as a run's record keeps it; torch-free."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, model_validator

from balora.errors import ConfigError, is_printable, shown, unknown_name, unwritable
from balora.settings import Family, Settings, SettingsError
from balora.tasks.catalogue import TASKS, Grader, Task
from balora.tasks.column_template import columns_of
from balora.tasks.recipes import RECIPE_SUITES, RECIPES
from balora.tasks.score_registry import SCORES as REGISTRY

LONGEST_NAME = 100
"""Most characters of a task's name; it stands in tables and file names."""
MOST_LABELS = 1_000
"""Most classes; a column with more values is a text or a number."""
ELSEWHERE: dict[str, Grader] = {"sandbox": "programs", "judge": "judge"}
"""What computes a score, where it is not balora from the rows → how answers are graded."""
NUMBERS = tuple(name for name, score in REGISTRY.items() if score.needs == "number")
"""Scores of a task whose label is a number."""
ALONE = {name: ELSEWHERE[score.kind] for name, score in REGISTRY.items() if score.kind in ELSEWHERE}
"""Scores that need another program than balora, and so stand alone."""
LABELS = "micro_f1"
"""The score of several labels a row: balora's classifiers choose one, but an answer may list several."""
SCORES: dict[Family, tuple[str, ...]] = {
    "nlu": tuple(name for name, score in REGISTRY.items() if score.family == "nlu" and name != LABELS),
    "nlg": (*(name for name, score in REGISTRY.items() if score.family == "nlg"), LABELS),
}
OF_FAMILY: dict[str, Family] = {"label": "nlu", "labels": "nlu", "prompt": "nlg", "answer": "nlg", "messages": "nlg",
                                "tests": "nlg"}  # fmt: skip
"""Keys of one family only."""

AsList = BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
"""Takes one name for a list of one."""
Labels = BeforeValidator(
    lambda value: (
        [str(one) if type(one) is int else str(one).lower() if type(one) is bool else one for one in value]
        if isinstance(value, list | tuple)
        else value
    )
)
"""Takes numbers and `true` for the texts by which data files name classes."""


class Reading(Settings):
    """Where the rows come from: two files, one file that is split, or the splits of a `datasets` name."""

    other_names: ClassVar = {}

    train: str | None = Field(default=None, min_length=1)
    """File to train on; with `dataset` the name of its split (`train` unless given)."""
    validation: str | float | None = None
    """File to score on, with `dataset` the name of its split; or the share of the rows of `file` to score on."""
    file: str | None = Field(default=None, min_length=1)
    """One file with all rows, of which `validation` is the share to score on."""
    seed: int = Field(default=1, ge=0, lt=2**32)
    """Decides which rows of one file are scored on."""
    dataset: str | None = Field(default=None, min_length=1)
    """A `datasets` name."""
    subset: str | None = Field(default=None, min_length=1)
    """Its configuration, where it has several."""

    @property
    def share(self) -> float | None:
        """The share of the rows that is scored on, where one set of rows is split."""
        return None if isinstance(self.validation, str) else self.validation

    def misfits(self) -> Iterator[tuple[str, str]]:
        """Yield what does not fit together, by key."""
        ways = [name for name in ("train", "file", "dataset") if getattr(self, name) is not None]
        if ways not in (["train"], ["file"], ["dataset"], ["train", "dataset"]):
            given = f"got {' and '.join(ways)}" if ways else "none is given"
            yield "", f"give `train` and `validation`, or `file`, or `dataset`: {given}"
        elif self.share is not None and not 0 < self.share < 1:
            yield "validation", f"a share of the rows lies between 0 and 1, got {shown(self.share)}"
        elif self.file is not None and self.share is None:
            yield "validation", "`file` needs the share of its rows to score on, e.g. validation: 0.1"
        elif ways == ["train"] and not isinstance(self.validation, str):
            yield "validation", "`train` needs the file to score on; for a share of the rows, give the one as `file`"
        if self.subset is not None and self.dataset is None:
            yield "subset", "belongs to `dataset`, which is not given"


class OwnTask(Settings):
    """One task file, with the labels that were found in its data."""

    other_names: ClassVar = {}

    task: str
    """The task's name."""
    family: Family
    """`nlu`: classification or regression; `nlg`: generation."""
    read: Reading
    """Where the rows come from."""
    text: Annotated[tuple[str, ...], AsList] = ()
    """Columns of the input: one text, a pair of texts, or more, which are joined by line ends."""
    label: str | None = None
    """Column of the class, or of the number where the score is `pearson` or `spearman`."""
    labels: Annotated[tuple[str, ...], Labels] = ()
    """The classes in order; none: those of the training rows, sorted, are written here."""
    prompt: str | None = None
    """Template of the prompt with columns in braces (`{subject}`); none: the columns of `text` as an instruction."""
    answer: str | None = None
    """Column of the answer that is learnt, and compared with."""
    messages: str | None = None
    """Column of a conversation, whose last answer is scored; in place of prompt and answer."""
    tests: str | None = None
    """Column of the Python tests that the answer, a program, must pass."""
    id: str | None = None
    """Column that names a row; no name may stand twice."""
    score: Annotated[tuple[str, ...], AsList] = ()
    """What is reported; the first is the task's score."""

    @model_validator(mode="before")
    @classmethod
    def _usual_score(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("score"):
            return values
        usual = {"nlu": "accuracy", "nlg": "pass_at_1" if values.get("tests") else "exact_match"}
        found = usual.get(values.get("family", "")) if isinstance(values.get("family"), str) else None
        return {**values, "score": [found]} if found else values

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        reading = [(".".join(filter(None, ("read", key))), text) for key, text in self.read.misfits()]
        faults = [
            *reading,
            *self._names(),
            *self._scores(),
            *(self._of_nlu() if self.family == "nlu" else self._of_nlg()),
        ]
        if faults:
            raise SettingsError(faults)
        return self

    @property
    def regression(self) -> bool:
        """Whether the label is a number."""
        return self.family == "nlu" and self.score[0] in NUMBERS

    def columns(self) -> dict[str, tuple[str, ...]]:
        """Return the columns that the task reads, by the key that names them."""
        one = {key: getattr(self, key) for key in ("label", "answer", "messages", "tests", "id")}
        found = {"text": self.text, "prompt": columns_of(self.prompt) if self.prompt else ()}
        return {key: names for key, names in found.items() if names} | {k: (name,) for k, name in one.items() if name}

    def as_task(self) -> Task:
        """Return the task as the rest of balora knows tasks.

        Raises:
            ConfigError: a classification without labels, which only the reader of the task file fills in.
        """
        hub = None if self.read.dataset is None else (self.read.dataset, self.read.subset)
        if self.family == "nlu":
            if not self.labels and not self.regression:
                raise ConfigError(f"own task {shown(self.task)} has no labels: give the task file, which is read anew")
            text = ("text", "text_pair") if len(self.text) == 2 else ("text",)
            return Task(self.task, "nlu", "own", (), self.score, self.score[:1], text, self.labels, hub=hub, own=self)
        metrics = self.score if self.score[0] in ALONE else (*self.score, "answer_loss")
        grader = ALONE.get(self.score[0], "text")
        scale = 10.0 if grader == "judge" else 100.0  # a judge rates from 1 to 10
        return Task(self.task, "nlg", "own", (), metrics, self.score[:1], hub=hub, grader=grader, scale=scale, own=self)

    def _names(self) -> Iterator[tuple[str, str]]:
        name = self.task
        if not name.strip() or len(name) > LONGEST_NAME or not all(map(is_printable, name)) or set(name) & set("/\\,"):
            limits = f"a name has 1 to {LONGEST_NAME} printable characters without slash, backslash and comma"
            yield "task", f"{limits}, got {shown(name)}"
        elif name in TASKS or name in RECIPES or name in RECIPE_SUITES or name.endswith((".yaml", ".yml")):
            yield "task", f"{shown(name)} is the name of a task, recipe or file that balora knows: choose another one"
        texts = {f"read.{key}": value for key, value in self.read.model_dump().items()}
        for key, value in {**texts, "prompt": self.prompt}.items():
            if isinstance(value, str) and (reason := unwritable(value)):
                yield key, reason
        for key in ("text", "labels", "score"):
            names = getattr(self, key)
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                yield key, f"{shown(twice[0])} stands twice"
            if not all(name.strip() for name in names):
                yield key, "a name is empty"
        for key, family in OF_FAMILY.items():
            if family != self.family and getattr(self, key):
                yield key, f"belongs to family {family}, but family is {self.family}: drop it, or change the family"

    def _scores(self) -> Iterator[tuple[str, str]]:
        known = {name: family for family, names in SCORES.items() for name in names}
        for name in self.score:
            if self.family == "nlu" and name == LABELS:
                yield (
                    "score",
                    (
                        "micro_f1 is for several labels a row, and balora's classifiers choose one: use macro_f1, or "
                        "family nlg with the labels, separated by commas, as the answer"
                    ),
                )
            elif name not in known:
                yield "score", unknown_name("score", name, SCORES[self.family])
            elif known[name] != self.family:
                choice = ", ".join(SCORES[self.family])
                yield "score", f"{name} is for family {known[name]}, but family is {self.family}: choose of {choice}"
        if self.family == "nlu" and 0 < sum(name in NUMBERS for name in self.score) < len(self.score):
            yield "score", f"{', '.join(NUMBERS)} score numbers, the others classes: give one kind"
        for name in ALONE:
            if name in self.score and len(self.score) > 1:
                yield "score", f"{name} needs a program of its own and stands alone: drop the others"

    def _of_nlu(self) -> Iterator[tuple[str, str]]:
        for key in ("text", "label"):
            if not getattr(self, key):
                yield key, f"required with family nlu: name the column{'s of the text' * (key == 'text')}"
        if self.labels and self.score[:1] and self.score[0] in NUMBERS:
            yield "labels", f"{self.score[0]} scores a number, which has no classes: drop `labels` or change `score`"
        elif len(self.labels) == 1:
            yield "labels", f"{shown(self.labels[0])} is the only class: a classifier needs two"
        if len(self.labels) > MOST_LABELS:
            yield "labels", f"at most {MOST_LABELS:,} classes, got {len(self.labels):,}"

    def _of_nlg(self) -> Iterator[tuple[str, str]]:
        if self.messages:
            for key in ("prompt", "text", "answer", "tests"):
                if getattr(self, key):
                    yield key, "does not go with `messages`, which holds prompts and answers: drop one of them"
        elif not self.prompt and not self.text:
            yield "prompt", 'required with family nlg: a template such as "{subject}", or `text`, or `messages`'
        if not self.messages and not self.answer:
            yield "answer", "required with family nlg: name the column of the answer, or use `messages`"
        if self.prompt is not None:
            try:
                columns_of(self.prompt)
            except ValueError as error:
                yield "prompt", str(error)
            if self.text:
                yield "text", "does not go with `prompt`, whose braces name the columns: drop one of them"
        if ("pass_at_1" in self.score) != bool(self.tests):
            yield "score", "pass_at_1 and the column `tests` go together: give both, or neither"


def placeless(own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of an own task without where its files lie, which no result depends on."""
    read = own.get("read")
    kept = {key: value for key, value in read.items() if not isinstance(value, str)} if isinstance(read, dict) else read
    return {**own, "read": kept}
