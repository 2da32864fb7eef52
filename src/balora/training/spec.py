"""Resolve settings into the full specification of one fine-tuning run; torch-free, so that plans can read it."""

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from balora.adapters.config import AdapterConfig
from balora.errors import ConfigError, shown, unknown_name, unwritable
from balora.measures.config import MeasuresConfig
from balora.objective.config import TERMS, ObjectiveConfig
from balora.settings import Settings, SettingsError, dotted, key_names, merge, nest, text_names
from balora.tasks.catalogue import TASKS, Task, find_task
from balora.tasks.config import DataConfig, ScoringConfig
from balora.tasks.own_task import OwnTask
from balora.tasks.testbed.config import TestbedConfig
from balora.training.filled_settings import at_home, with_own, with_scored
from balora.training.launch_config import LaunchConfig
from balora.training.model_settings import LoadingConfig, public_key, with_loading
from balora.training.objective_settings import PRESET_KEYS, filled_objective, with_share

METHODS: dict[str, dict[str, Any]] = {
    "full": {"adapter": None, "objective": {"preset": "none"}},
    "full+reg": {"adapter": None, "objective": {"preset": "ba-lora"}},
    "lora": {"adapter": {"init": "standard"}, "objective": {"preset": "none"}},
    "pissa": {"adapter": {"init": "pissa"}, "objective": {"preset": "none"}},
    "lora+reg": {"adapter": {"init": "standard"}, "objective": {"preset": "ba-lora"}},
    "ba-lora": {"adapter": {"init": "pissa"}, "objective": {"preset": "ba-lora"}},
}
"""The named systems: presets of one configuration, nothing more."""

TESTBED = "testbed"
"""The model that stands for the testbed's own encoder and decoder."""
TESTBED_DATA = {"max_length": 128, "max_new_tokens": 24}
"""Its defaults: its models read 256 tokens, its longest answer has 20."""
MOST_STEPS = 10**15
"""More optimizer steps, or epochs, than any run can take."""
MANY = 10**9
"""Stands for the rows and the vocabulary of a generation task, which only its model and data decide."""


class TrainingConfig(Settings):
    """How long, how fast and in which number format a run trains."""

    steps: int | None = Field(default=None, ge=1)
    """Optimizer steps; none means `epochs` decides."""
    epochs: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Passes over the training rows, when `steps` is not given."""
    stretch: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Times the steps (to the nearest whole one, at least 1) or epochs: gives an arm the compute of a dearer one."""
    batch_size: int = Field(default=16, ge=1)
    """Rows per forward pass and device: of several processes, each takes so many."""
    accumulation: int = Field(default=1, ge=1)
    """Forward passes per optimizer step."""
    learning_rate: float = Field(default=2e-4, gt=0, allow_inf_nan=False)
    """Peak learning rate of AdamW."""
    optimizer: Literal["adamw_torch_fused", "adamw_torch", "adamw_8bit", "paged_adamw_8bit", "paged_adamw_32bit"] = (
        "adamw_torch_fused"
    )
    """transformers' name of the AdamW: those in `8bit` hold their moments in eight bits, `paged` ones move them to main
    memory while a GPU is full (QLoRA; on a CPU nothing moves); these three need `balora[quantized]`."""
    step_matching: Literal["none", "pissa"] = "none"
    """`pissa`: replace the learning rate by the one at which the first steps move the outputs as far as they would from
    PiSSA's start at `learning_rate`."""
    lr_schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """Decay after the warm-up."""
    warmup: float = Field(default=0.03, ge=0, lt=1)
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """AdamW's decoupled weight decay, of trained matrices (biases and norms are left out, as in transformers)."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """ε: this share of each label is spread evenly over all classes or tokens; on regression it cannot act."""
    l2_start: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """α of L2 to the start (L2-SP): adds α/2·‖θ − θ0‖² over the trained parameters (an adapter's factors, heads)."""
    max_grad_norm: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Gradient clipping; a large number such as 1e9 clips nothing."""
    seed: int = Field(default=42, ge=0, lt=2**32)
    """Decides the drawn rows, their order, the initialisation and dropout."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Number format of the forward pass; the trained weights stay in float32."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass instead of storing them."""
    compile: bool = False
    """Train through torch.compile, which takes minutes at the start and speeds up long runs on recent GPUs."""
    eval_batch_size: int = Field(default=64, ge=1)
    """Rows per forward pass when scoring."""
    threads: int | None = Field(default=None, ge=1, le=1024)
    """Torch's threads on the CPU, with which some results change by rounding; none: what the process has, in a study
    its worker's share of the cores."""
    evaluate_every: int | None = Field(default=None, ge=1)
    """Score the model after every so many optimizer steps too, not only at the end; none: at the end alone."""
    keep: Literal["last", "best"] = "last"
    """Which weights are saved and count: the last ones, or those of the highest mean score among `evaluate_every`'s.
    The best are chosen by the rows that they are scored on, so their score is optimistic."""
    telemetry_every: int = Field(default=10, ge=0)
    """Record each term's value, λ and share of the gradient every so many steps; 0: never."""
    checkpoint_every: int | None = Field(default=None, ge=1)
    """Save a checkpoint after every so many optimizer steps, from which a killed run goes on; none: by the minutes."""
    checkpoint_minutes: float = Field(default=15.0, ge=0, allow_inf_nan=False)
    """Save a checkpoint whenever so many minutes have passed since the last, if `checkpoint_every` is none; 0: never.
    Like it, it changes no result and is no part of a run's id."""
    reference_cache_mib: int = Field(default=4096, ge=0)
    """Most MiB on disk for cached outputs of the frozen model on rows that come again, in later epochs or other runs
    of a study; 0: no cache. It changes what a run costs and, but for rounding, nothing else: no part of its id."""

    @model_validator(mode="after")
    def _steps_can_be_counted(self) -> Self:
        if max(self.steps or 1, self.epochs) * self.stretch >= MOST_STEPS:
            times = f"{self.stretch:g} times the steps or epochs"
            raise ValueError(f"stretch: {times} is more than {MOST_STEPS:,}: lower it")
        return self

    @model_validator(mode="after")
    def _the_best_needs_scores(self) -> Self:
        if self.keep == "best" and self.evaluate_every is None:
            raise ValueError("keep: 'best' needs the scores of several steps: set evaluate_every too")
        return self

    @property
    def saves_checkpoints(self) -> bool:
        """Whether checkpoints are saved while it trains."""
        return self.checkpoint_every is not None or self.checkpoint_minutes > 0

    @property
    def stretched_steps(self) -> int | None:
        """The optimizer steps to take: `steps` × `stretch`, halves rounded up; none where `epochs` decides."""
        return None if self.steps is None else max(1, math.floor(self.steps * self.stretch + 0.5))

    @property
    def stretched_epochs(self) -> float:
        """The passes to make where `steps` is not given: `epochs` × `stretch`; the last one may end half-way."""
        return self.epochs * self.stretch

    def steps_on(self, rows: int, processes: int = 1) -> int:
        """Return the optimizer steps on so many training rows, which so many processes share out."""
        steps_of_an_epoch = math.ceil(math.ceil(rows / self.batch_size / processes) / self.accumulation)
        return self.stretched_steps or math.ceil(self.stretched_epochs * steps_of_an_epoch)


class RunSpec(Settings):
    """One run. :func:`resolve` builds it from settings as users write them."""

    method: str
    """Name of the preset that the settings started from (a label: every consequence is spelled out below)."""
    task: str
    """The task whose training rows are learnt: a name in the catalogue of tasks, or that of a task of one's own."""
    score: tuple[str, ...] = ()
    """The tasks that the model is scored on; none means the task itself."""
    own: tuple[OwnTask, ...] = ()
    """The tasks of one's own among these, as their files describe them."""
    model: str
    """Hub id or folder of the pre-trained model; `testbed`: the encoder or decoder of `testbed`."""
    loading: LoadingConfig = LoadingConfig()
    """How it is loaded; settings give these in the group `model`: `model.quantization: nf4`."""
    testbed: TestbedConfig | None = None
    """What the testbed's models were pre-trained on; with model `testbed`, and only then."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model; refused by default."""
    unsafe_local_execution: bool = False
    """Run generated programs in a plain process, where there is no sandbox; refused by default."""
    adapter: AdapterConfig | None
    """The adapter, or none for full fine-tuning."""
    objective: ObjectiveConfig
    training: TrainingConfig = TrainingConfig()
    data: DataConfig = DataConfig()
    scoring: ScoringConfig = ScoringConfig()
    measures: MeasuresConfig = MeasuresConfig()
    launch: LaunchConfig = LaunchConfig()

    @property
    def scored(self) -> tuple[str, ...]:
        """The names of the tasks that the model is scored on."""
        return self.score or (self.task,)

    @property
    def start(self) -> str:
        """How the adapter starts, which decides what learning rate suits it; `full` without an adapter."""
        return "full" if self.adapter is None else self.adapter.init

    @property
    def is_step_matched(self) -> bool:
        """Whether `training.step_matching` replaces the learning rate; not where the run starts at PiSSA itself."""
        return self.training.step_matching != "none" and self.adapter is not None and self.adapter.init != "pissa"

    def find(self, name: str) -> Task:
        """Return the task called ``name``, one of the catalogue or one's own."""
        return find_task(name, [own.as_task() for own in self.own])

    def cannot_act(self, term: str) -> str | None:
        """Return why the regularizer called ``term`` cannot act on this task by its settings; None if it may."""
        task, rows, outputs = self.find(self.task), MANY, MANY
        if task.family == "nlu":
            rows, outputs = self.training.batch_size, len(task.labels) or 1
        return self.objective.terms()[term].cannot_act(rows, outputs, task.family)

    def with_seeds(self, tuning: int, pretraining: int | None) -> "RunSpec":
        """Return the same run with another fine-tuning seed and, on the testbed, another pre-training seed."""
        changes: dict[str, object] = {"training": self.training.model_copy(update={"seed": tuning})}
        if self.testbed is not None:
            changes["testbed"] = self.testbed.model_copy(update={"seed": pretraining})
        return self.model_copy(update=changes)

    @model_validator(mode="after")
    def _family_is_the_tasks(self) -> Self:
        family = self.find(self.task).family
        if self.objective.family != family:
            raise ValueError(f"objective.family is {self.objective.family!r}, but task {self.task!r} is {family}")
        return self

    @model_validator(mode="after")
    def _shares_can_be_reached(self) -> Self:
        for name, share in self.objective.shares.items():
            if reason := self.cannot_act(name):
                raise ValueError(
                    f"objective.{name}.share: no λ gives the {name} term {100 * share:g} % of the gradient on task "
                    f"{self.task!r}, where it cannot act ({reason}): leave it out, or set objective.share, which is "
                    "for the terms that can act"
                )
        return self

    @model_validator(mode="after")
    def _scored_tasks_fit(self) -> Self:
        learnt = self.find(self.task)
        if len(set(self.score)) < len(self.score):
            raise ValueError(f"score: names a task twice: {', '.join(self.score)}")
        for task in map(self.find, self.scored):
            if not task.scored:
                raise ValueError(f"score: task {task.name!r} has no rows to score a model on: name some that have")
            if task.format == "chat" and learnt.format != "chat":
                raise ValueError(
                    f"score: task {task.name!r} holds conversations, which a model trained on {learnt.name!r} has no "
                    "prompt for: train on conversations, or leave it out"
                )
            if (task.family, task.labels, task.source) != (learnt.family, learnt.labels, learnt.source):
                raise ValueError(
                    f"score: a model trained on {self.task!r} cannot be scored on {task.name!r}: both must be of the "
                    "same family, with the same labels, and of the same kind of model"
                )
        return self

    @model_validator(mode="after")
    def _prompt_is_of_no_conversation(self) -> Self:
        if self.data.prompt is not None and self.find(self.task).format == "chat":
            raise ValueError(
                f"data.prompt: does not apply to task {self.task!r}: conversations take the tokenizer's chat template, "
                "or 'User: …' and 'Assistant: …' lines where it has none: leave it out"
            )
        return self

    @model_validator(mode="after")
    def _steps_are_those_of_an_adapter(self) -> Self:
        if self.adapter is None and self.training.step_matching != "none":
            raise ValueError(
                "training.step_matching: compares the starts of an adapter, and full fine-tuning has none: leave it out"
            )
        return self

    @model_validator(mode="after")
    def _measures_are_of_a_real_model(self) -> Self:
        if self.model == TESTBED and self.measures.given:
            name = self.measures.given[0]
            raise ValueError(
                f"measures.{name}: the testbed's models know no English: leave it out, or name a real model"
            )
        return self

    @model_validator(mode="after")
    def _testbed_models_and_tasks_go_together(self) -> Self:
        own = self.find(self.task).source == "testbed"
        if own != (self.model == TESTBED):
            raise ValueError(
                f"task {self.task!r} exists for model {TESTBED!r} only, got model {shown(self.model)}"
                if own
                else f"model {TESTBED!r} has no task {self.task!r}: choose one of its own, e.g. 'sentiment' or 'facts'"
            )
        if own != (self.testbed is not None):
            raise ValueError(f"testbed: these settings are for model {TESTBED!r} only, got model {shown(self.model)}")
        if own and self.data.held_out:
            raise ValueError(
                f"data.held_out: model {TESTBED!r} draws its own rows, as many as are wanted: leave it out"
            )
        if own and (self.data.folder or self.data.subset):
            key, value, way = (
                ("folder", self.data.folder, "leave --data out")
                if self.data.folder
                else ("subset", self.data.subset, "leave it out")
            )
            raise ValueError(f"data.{key} {shown(value)}: model {TESTBED!r} draws its own rows: {way}")
        if not own and (self.data.cue or self.data.label_noise):
            raise ValueError(f"data.cue and data.label_noise are for the testbed's tasks, got task {self.task!r}")
        return self


def resolve(settings: Mapping[str, Any]) -> RunSpec:
    """Build the run that nested or dotted ``settings`` describe.

    Precedence, weakest first: field defaults, the method's preset, ``objective.preset`` with its edition, formulation
    and ``objective.scale`` (which multiplies its three λ), ``objective.share`` (the share of the gradient of every term
    that can act on the task), then every key given:
    ``{"task": "cola", "model": "m", "method": "ba-lora", "adapter.rank": 8}``. A task that ends in `.yaml` is the file
    of a task of one's own, which is read here and once.

    Raises:
        ConfigError: unknown method, preset, task or key; a value out of range; contradictions.
    """
    given = with_loading(nest(settings))
    _check_types(given)
    if given.get("method") is None:
        given["method"] = "ba-lora"
    method = given["method"]
    if method not in METHODS:
        raise ConfigError(unknown_name("method", method, METHODS))
    _check_required(given)
    given = with_scored(with_own(at_home(given)))
    preset = METHODS[method]
    if preset["adapter"] is None and given.get("adapter"):
        raise ConfigError(
            f"adapter settings given, but method {method!r} trains the whole model: drop them, or use 'lora'"
        )
    if preset["adapter"] is not None and "adapter" in given and given["adapter"] is None:
        raise ConfigError(
            f"adapter is null, but method {method!r} needs one: use method 'full' to train the whole model"
        )
    if given["model"] == TESTBED:
        given = merge({"testbed": {}, "data": TESTBED_DATA}, given)
    given["adapter"] = None if preset["adapter"] is None else {**preset["adapter"], **given.get("adapter", {})}
    family = find_task(given["task"], [own.as_task() for own in given.get("own", ())]).family
    objective = given.get("objective", {})
    given["objective"] = filled_objective(preset["objective"], objective, family)
    try:
        spec = RunSpec(**given)
    except SettingsError as error:
        raise SettingsError([(public_key(key), text) for key, text in error.faults]) from None
    acting = [name for name in TERMS if spec.cannot_act(name) is None]
    return spec.model_copy(update={"objective": with_share(spec.objective, objective, acting)})


def _check_types(given: Mapping[str, Any]) -> None:
    """What is looked up in a table before validation must be a name, what is merged must be a group of settings."""
    for key in ("adapter", "objective"):
        if key in given and not isinstance(given[key], Mapping) and (key, given[key]) != ("adapter", None):
            raise SettingsError([(key, f"expected a group of settings, got {shown(given[key])}")])
    names = {key: given.get(key) for key in ("method", "task", "model")}
    names |= {f"objective.{key}": given.get("objective", {}).get(key) for key in PRESET_KEYS}
    for key, name in names.items():
        if name is not None and not isinstance(name, str):
            raise SettingsError([(key, f"expected a name, got {shown(name)}")])
    for key, value in dotted(given).items():
        for text in value if isinstance(value, list | tuple) else [value]:
            if isinstance(text, str) and (reason := unwritable(text)):
                raise SettingsError([(key, reason)])


def _check_required(given: Mapping[str, Any]) -> None:
    """Name both, task and model, where both are missing, and what to choose from."""
    trained = [task for task in TASKS.values() if task.trained]
    of = {source: ", ".join(t.name for t in trained if t.source == source) for source in ("files", "testbed")}
    both = f"{of['files']} (of model `{TESTBED}`: {of['testbed']})"
    known = of["testbed" if given["model"] == TESTBED else "files"] if given.get("model") else both
    ways = {
        "task": f"pass --task with one of {known}",
        "model": f"pass --model with a Hub id, a folder, or `{TESTBED}`",
    }
    missing = [(key, f"required but not given: {way}") for key, way in ways.items() if not given.get(key)]
    if missing:
        raise SettingsError(missing)


@cache
def setting_keys() -> tuple[str, ...]:
    """Return every dotted key that `--set`, YAML files and arms may use."""
    return tuple(map(public_key, key_names(RunSpec)))


def text_keys() -> frozenset[str]:
    """Return the dotted keys whose value is any text, which `--set` takes as it is typed."""
    return frozenset(map(public_key, text_names(RunSpec)))
