"""Define and validate the keys of a study file: a question, a base, arms, factors, sweeps; torch-free."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from balora.errors import is_printable, shown, unknown_name
from balora.settings import Family, Settings, SettingsError
from balora.study.design.deltas import RATE
from balora.tasks.catalogue import TASKS, Task, find_task
from balora.tasks.own_task import OwnTask
from balora.tasks.recipes import RECIPE_SUITES, RECIPES

Metric = Literal["nlu_avg", "nlg_avg"]
"""What a study can be judged by: the means over the tasks of a suite."""
SUITES_FACTOR = "suites"
"""The value of a factor whose levels are the families of tasks."""

Delta = dict[str, Any]
HOLE = "???"
"""Placeholder for an arm's settings that are still to be chosen; a study with one can be planned but not run."""


LONGEST_NAME = 200
"""Most characters of a name; names stand in tables, legends and file names."""
LONGEST_PROSE = 2_000
"""Most characters of a question or of the words for an ablated part."""


def _name(text: str) -> str:
    if len(text) > LONGEST_NAME:
        raise ValueError(f"a name may have at most {LONGEST_NAME} characters, got {shown(text)} ({len(text):,})")
    if not text.strip() or not all(map(is_printable, text)):
        raise ValueError(f"a name needs characters that show themselves, and no others, got {shown(text)}")
    return text


def _prose(text: str) -> str:
    if len(text) > LONGEST_PROSE:
        raise ValueError(f"at most {LONGEST_PROSE:,} characters, got {shown(text)} ({len(text):,})")
    if not text.strip() or not all(is_printable(c) or c in "\n\t" for c in text):
        raise ValueError(f"needs characters that show themselves, and no others, got {shown(text)}")
    return text


Name = Annotated[str, AfterValidator(_name)]
"""What stands for a study, an arm, a factor or a level: in tables, on pages, on terminals."""
Prose = Annotated[str, AfterValidator(_prose)]
"""A sentence for people."""
AsList = BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
"""Takes one name for a list of one."""


def rate_grid_fault(grid: Sequence[float]) -> str | None:
    """Return what is wrong with a grid of learning rates, which are positive; None if nothing is."""
    if len(grid) < 2:
        return (
            f"a grid of one value, {grid[0]:g}, tunes nothing: give at least two, or one rate for all arms with "
            "--set training.learning_rate=…"
        )
    if list(grid) != sorted(set(grid)):
        return f"learning rates must rise, each given once, got {shown(list(grid))}"
    return None


class Ablation(Settings):
    """What an arm ablates, in words for the report."""

    other_names: ClassVar = {}

    part: Prose
    """The part of the method that is ablated."""
    action: Literal["remove", "replace", "add"]
    """What is done to it."""
    replacement: Prose | None = None
    """What takes its place; required with `replace`."""

    @model_validator(mode="after")
    def _replacing_needs_a_replacement(self) -> Self:
        if self.action == "replace" and not self.replacement:
            raise ValueError("replacement: required with action 'replace'")
        return self


class Arm(Settings):
    """The base and a named delta."""

    other_names: ClassVar = {}

    ablation: Ablation | None = None
    set: Annotated[Delta, Field(min_length=1)] | Literal["???"]
    """Dotted settings that differ from the base; `objective.formulation: swapped` is the other family's, `???` open."""


class Tuned(Settings):
    """An arm whose settings are chosen among candidates, within each block by how they did in all other blocks."""

    other_names: ClassVar = {}

    ablation: Ablation | None = None
    set: Delta = {}
    """Dotted settings that all candidates share."""
    over: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(min_length=1)
    """Setting → its values; every combination is a candidate."""


class Study(Settings):
    """A question and the runs that can answer it."""

    other_names: ClassVar = {}

    study: Name
    """The study's name."""
    question: Prose
    """The question that the study answers."""
    extends: str | None = None
    """The study that this one was laid over (a shipped one's name, or a file); merged in when the file is read."""
    model: str | None = Field(default=None, min_length=1)
    """Hub id or folder of the pre-trained model, or `testbed`; `--model` overrides it. None means `testbed`."""
    suites: Annotated[tuple[Family, ...], AsList] = Field(default=("nlu", "nlg"), min_length=1)
    """Families of tasks: `nlu` and `nlg`; of a real model GLUE and GSM8K with MATH, of the testbed its own."""
    tasks: Annotated[tuple[str, ...] | None, AsList] = Field(default=None, min_length=1)
    """Only these tasks of the suites, or task files (.yaml) of one's own; none means all that are there (on the
    testbed: those of the profile)."""
    recipes: Annotated[tuple[str, ...] | None, AsList] = Field(default=None, min_length=1)
    """Train on these recipes and score on their tasks, in place of the suites' tasks; suite `paper-nlg` names three."""
    own: tuple[OwnTask, ...] = ()
    """The tasks of one's own among `tasks`, as their files describe them; filled in when the files are read."""
    metrics: Annotated[tuple[Metric, ...], AsList] = ()
    """What arms are compared by; by default the averages of the suites."""
    seeds: int | None = Field(default=None, ge=0, le=1000)
    """How many blocks (seeds) every arm runs with; none means the profile's number."""
    base: str | Delta
    """A method by name, or its settings: what every arm is compared with."""
    arms: dict[Name, Arm] = {}
    factors: dict[Name, dict[Name, Delta] | Literal["suites"]] = {}
    """Name → level → dotted settings: a full factorial. `suites` makes the families of tasks a factor."""
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    """Setting → values: every combination is an arm."""
    sweeps: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    """Setting → values: every value is an arm that differs from the base in this setting alone."""
    tuned: dict[Name, Tuned] = {}
    """Arms whose settings are chosen by cross-validation over the blocks, by name."""
    against: str | None = None
    """The arm that the others are compared with; none means the base."""
    family: Annotated[tuple[str, ...] | None, AsList] = Field(default=None, min_length=1)
    """Arms whose comparisons, in every metric, are corrected together (Holm); none means all of them."""
    margin: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """The smallest difference in an average, in points of 100, that would matter."""
    rates: Literal["tuned", "shared", "every"] = "tuned"
    """Learning rates: `tuned`, for each start of the adapter the best of one grid, found before the study on other
    seeds and rows; `shared`, one for all arms; `every`, tuned, and each arm of `grid` at every rate of the grid too."""
    rate_grid: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] | None = Field(default=None, min_length=1)
    """The learning rates that are tried, in rising order; none means those of the profile. `--rate-grid` overrides."""

    @model_validator(mode="before")
    @classmethod
    def _metrics_follow_suites(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("metrics") not in (None, [], ()):
            return values
        suites = values.get("suites", ("nlu", "nlg"))
        listed = [suites] if isinstance(suites, str) else suites if isinstance(suites, list | tuple) else ()
        return {**values, "metrics": [f"{suite}_avg" for suite in listed if suite in ("nlu", "nlg")]}

    @model_validator(mode="before")
    @classmethod
    def _suites_of_recipes(cls, values: Any) -> Any:
        """Replace a suite of recipes by its recipes and their family; runs before the validator above it."""
        suites = values.get("suites") if isinstance(values, dict) else None
        listed = [suites] if isinstance(suites, str) else suites
        if not isinstance(listed, list | tuple) or not any(isinstance(s, str) and s in RECIPE_SUITES for s in listed):
            return values
        if values.get("recipes") or values.get("tasks"):
            raise SettingsError([("suites", "a suite of recipes names them all: leave out `recipes` and `tasks`")])
        named = [suite for suite in listed if isinstance(suite, str) and suite in RECIPE_SUITES]
        if "nlg" in listed:
            raise SettingsError([("suites", f"'nlg' and {shown(named[0])} are two lists for one NLG Avg: give one")])
        recipes = [recipe for suite in dict.fromkeys(named) for recipe in RECIPE_SUITES[suite]]
        families = ["nlg" if suite in named else suite for suite in listed]
        if repeated := next((suite for suite in named if named.count(suite) > 1), None):
            raise SettingsError([("suites", f"{shown(repeated)} is given twice")])
        return {**values, "suites": families, "recipes": recipes}

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if misfits := self._misfits():
            raise SettingsError(misfits)
        return self

    def _misfits(self) -> list[tuple[str, str]]:
        misfits = list(self._repeated())
        misfits += [
            ("metrics", f"{metric!r} needs suite {metric[:3]!r}, got suites {', '.join(self.suites)}")
            for metric in self.metrics
            if metric[:3] not in self.suites
        ]
        own = {one.task: one.as_task() for one in self.own}
        misfits += [
            ("tasks", unknown_name("task", task, TASKS))
            for task in self.tasks or ()
            if task not in TASKS and task not in own
        ]
        misfits += [
            ("recipes", unknown_name("recipe", recipe, RECIPES))
            for recipe in self.recipes or ()
            if recipe not in RECIPES
        ]
        misfits += [
            ("recipes", f"{recipe!r} is scored in suite {family!r}, which `suites` does not name")
            for recipe in self.recipes or ()
            if recipe in RECIPES and (family := TASKS[RECIPES[recipe].train].family) not in self.suites
        ]
        if self.rate_grid is not None and (fault := rate_grid_fault(self.rate_grid)):
            misfits.append(("rate_grid", fault))
        if self.rates == "every" and self.grid.get(RATE, list(self.rate_grid or ())) != list(self.rate_grid or ()):
            misfits.append(("rates", f"'every' adds {RATE} to `grid`: give the rates as `rate_grid`"))
        if self.rates == "every" and not self.grid:
            misfits.append(("rates", "'every' runs the arms of `grid` at every learning rate: give a `grid`"))
        if self.recipes and self.tasks:
            misfits.append(("recipes", "give either `recipes` or `tasks`"))
        sources = {(TASKS | own)[task].source for task in self.tasks or () if task in TASKS | own}
        if len(sources) > 1:
            misfits.append(("tasks", "the testbed's tasks and real ones cannot be in one study"))
        if not (self.arms or self.factors or self.grid or self.sweeps or self.tuned):
            misfits.append(("arms", "nothing to compare: give at least one arm, factor, grid, sweep or tuned arm"))
        if self.base_name in self.arms:
            misfits.append((f"arms.{self.base_name}", "an arm may not have the name of the base"))
        for name, levels in self.factors.items():
            if levels == SUITES_FACTOR and len(self.suites) < 2:
                misfits.append((f"factors.{name}", "the suites are no factor when there is only one"))
            elif len(levels) < 2:
                misfits.append((f"factors.{name}", f"a factor needs at least two levels, got {len(levels)}"))
        return misfits

    def _repeated(self) -> Iterator[tuple[str, str]]:
        for key in ("suites", "tasks", "recipes", "metrics", "family"):
            names = getattr(self, key) or ()
            yield from ((key, f"{shown(name)} is given twice") for name in set(names) if names.count(name) > 1)

    def find(self, name: str) -> Task:
        """Return the task called ``name``, one of the catalogue or one's own."""
        return find_task(name, [own.as_task() for own in self.own])

    @property
    def holes(self) -> tuple[str, ...]:
        """Names of the arms whose settings are still to be chosen."""
        return tuple(name for name, arm in self.arms.items() if arm.set == HOLE)

    @property
    def base_name(self) -> str:
        """What the base is called in tables."""
        return self.base if isinstance(self.base, str) else "base"

    @property
    def base_settings(self) -> Delta:
        """The base as settings."""
        return {"method": self.base} if isinstance(self.base, str) else self.base
