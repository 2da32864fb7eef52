"""List the parts of BA-LoRA with the concepts that name each and the settings that each action means.

A text names a part if it contains all concepts of one alternative in ``named`` (bars separate alternatives), and no
concepts besides these, ``besides`` and :data:`COMMON`. So `SVD` alone names no part: it may mean PiSSA's initialization
(an SVD of the weights) or the spectral regularizer (an SVD of the logits).
"""

from typing import Any, NamedTuple

Delta = dict[str, Any]
COMMON = frozenset({"balora", "lora", "adapter", "joined"})
CONSISTENCY, DIVERSITY, SPECTRAL = "objective.consistency", "objective.diversity", "objective.spectral"
OFF: Delta = {"objective.preset": "none"}


class Means(NamedTuple):
    """What a replacement means; ``named`` and ``besides`` as in a part."""

    named: str
    delta: Delta
    besides: str = ""
    number: str | None = None
    """The setting that takes the number which the text must then contain."""
    note: str = ""


class Part(NamedTuple):
    """One part of the method."""

    name: str
    named: str
    besides: str = ""
    remove: Delta | None = None
    remove_named: str = ""
    """Concepts of which a removal must name at least one; if empty, the part's own words are enough."""
    replace: tuple[Means, ...] = ()
    number: str | None = None
    """The setting whose value a number in the replacement is."""
    add: Delta | None = None
    whole: bool = False
    """Whether the replacement is one list of module names, which is not split."""
    why_not: str = ""
    """Why a removal, or a replacement that is not listed, is left open."""

    @property
    def settings(self) -> frozenset[str]:
        """Every setting that some action on this part changes."""
        deltas = [self.remove or {}, self.add or {}, *(means.delta for means in self.replace)]
        numbers = [self.number, *(means.number for means in self.replace)]
        names = {"adapter.target_modules"} if self.whole else set()
        return frozenset({key for delta in deltas for key in delta} | {key for key in numbers if key} | names)


def _term(name: str, key: str, named: str, forms: tuple[Means, ...]) -> Part:
    return Part(f"{name} regularizer", named, "regularizer loss formulation", {f"{key}.weight": 0.0}, replace=forms)


def _weight(number: int, name: str, key: str, extra: str = "") -> Part:
    named = f"lambda{number} | {name} weight | {name} lambda{extra}"
    besides = f"regularizer loss lambda weight lambda{number} {name} hyperparameter"
    title, zero = f"λ{number}, the weight of the {name} regularizer", {f"{key}.weight": 0.0}
    return Part(title, named, besides, zero, "regularizer", number=f"{key}.weight")


def _schedule(name: str, named: str, besides: str, *keys: str) -> Part:
    def all_of(value: str) -> Delta:
        return {f"{key}.schedule": value for key in keys}

    return Part(name, named, f"{besides} cosine two_phase", all_of("constant"), replace=(
        Means("constant | without schedule", all_of("constant"), f"schedule {besides}"),
        Means("cosine", all_of("cosine"), f"schedule {besides}"),
        Means("two_phase", all_of("two-phase"), f"schedule {besides}"),
    ))  # fmt: skip


def _numeric(name: str, key: str, named: str, besides: str = "", **also: Any) -> Part:
    return Part(name, named, f"hyperparameter {besides}", number=key, **also)


STANDARD: Delta = {"adapter.init": "standard"}
NO_METHOD = "without it this would be another method: set `method` to `full`, `full+reg`, `lora` or `pissa`"
WHOLE_SWAP = "`objective.formulation` swaps all three terms; the plan names the consistency and diversity terms alone"
SWAPS = (
    Means("swap", {"objective.formulation": "swapped"}, "nlu nlg formulation regularizer loss all versus"),
    Means("swap matched | matched", {"objective.formulation": "swapped", "objective.matching": "gradient"},
          "nlu nlg formulation regularizer loss all weight"),
    Means("nlu all", {"objective.formulation": "nlu"}, "formulation regularizer loss"),
    Means("nlg all", {"objective.formulation": "nlg"}, "formulation regularizer loss"),
)  # fmt: skip
RATIO = (
    Means("nuclear", {f"{SPECTRAL}.norm": "nuclear"}, "norm regularizer loss spectral"),
    Means("frobenius", {f"{SPECTRAL}.norm": "frobenius"}, "norm regularizer loss spectral"),
)
VARIANTS = (
    Means("rslora", {"adapter.variant": "rslora"}, "lora adapter scaling rank"),
    Means("dora", {"adapter.variant": "dora"}, "lora adapter"),
)
PARTS: tuple[Part, ...] = (
    Part("initialization", "init | pissa", "init pissa svd principal singular", STANDARD, "pissa svd principal", (
        Means("standard | lora | b_zero random", STANDARD, "init random standard default b_zero lora adapter"),
        Means("random", STANDARD, "init adapter", note="read as LoRA's own start: A scaled normal, B zero"),
        Means("pissa | svd | principal", {"adapter.init": "pissa"}, "init pissa svd principal lora adapter"),
        Means("minor", {"adapter.init": "minor"}, "init svd lora adapter"),
        Means("random_matched | random orthonormal singular | random orthonormal pissa",
              {"adapter.init": "random-matched"}, "init random orthonormal singular pissa lora adapter"),
        Means("randomized svd", {"adapter.svd": "randomized"}, "pissa init principal"),
    )),
    Part("initialization and all regularizers", "joined pissa regularizer",
         "all init", STANDARD | OFF, replace=(
        Means("lora | standard | task_loss | lora without regularizer", STANDARD | OFF,
            "standard default init lora task_loss b_zero"),)),
    _term("consistency", CONSISTENCY, "consistency", (
        Means("mse", {f"{CONSISTENCY}.form": "mse"}, "consistency loss regularizer"),
        Means("kl", {f"{CONSISTENCY}.form": "kl"}, "consistency loss regularizer"))),
    _term("diversity", DIVERSITY, "diversity", (
        Means("covariance", {f"{DIVERSITY}.form": "covariance"}, "diversity loss regularizer"),
        Means("entropy full_vocabulary", {f"{DIVERSITY}.form": "entropy", f"{DIVERSITY}.top_k": None},
            "diversity loss"),
        Means("entropy", {f"{DIVERSITY}.form": "entropy"}, "diversity loss regularizer"))),
    _term("spectral", SPECTRAL, "spectral | svd regularizer | svd loss | spectral svd | singular regularizer", RATIO),
    Part("norm of the spectral regularizer",
         "norm spectral | norm svd regularizer | nuclear | nuclear spectral | frobenius",
         "spectral svd regularizer loss", replace=RATIO),
    Part("consistency and diversity regularizers", "consistency diversity", "regularizer loss all",
         {f"{CONSISTENCY}.weight": 0.0, f"{DIVERSITY}.weight": 0.0}),
    Part("consistency and spectral regularizers", "consistency spectral | consistency svd",
         "regularizer loss all spectral svd",
         {f"{CONSISTENCY}.weight": 0.0, f"{SPECTRAL}.weight": 0.0}),
    Part("diversity and spectral regularizers", "diversity spectral | diversity svd",
         "regularizer loss all spectral svd",
         {f"{DIVERSITY}.weight": 0.0, f"{SPECTRAL}.weight": 0.0}),
    Part("all regularizers", "regularizer | consistency diversity spectral | consistency diversity svd",
         "all loss regularizer", OFF, replace=(
        Means("without | task_loss", OFF, "regularizer all loss only"),
        Means("only consistency", {f"{DIVERSITY}.weight": 0.0, f"{SPECTRAL}.weight": 0.0}, "regularizer loss"),
        Means("only diversity", {f"{CONSISTENCY}.weight": 0.0, f"{SPECTRAL}.weight": 0.0}, "regularizer loss"),
        Means("only spectral | only svd regularizer", {f"{CONSISTENCY}.weight": 0.0, f"{DIVERSITY}.weight": 0.0},
              "regularizer loss spectral svd"),
        Means("weight_decay", OFF, "regularizer", "training.weight_decay"),
        Means("dropout", OFF, "regularizer", "adapter.dropout"),
        Means("smoothing", OFF, "regularizer", "training.label_smoothing"),
        Means("l2_start", OFF, "regularizer", "training.l2_start"))),
    Part("task-specific formulations", "formulation", "regularizer loss nlu nlg versus task_specific all",
         replace=SWAPS),
    Part("task-specific formulations", "formulation consistency diversity",
         "regularizer loss nlu nlg versus task_specific",
         replace=tuple(means._replace(note=WHOLE_SWAP) for means in SWAPS)),
    Part("task-specific formulations",
         "formulation consistency diversity spectral | formulation consistency diversity svd",
         "regularizer loss nlu nlg versus task_specific all", replace=SWAPS),
    _numeric("rank", "adapter.rank", "rank"),
    _numeric("alpha", "adapter.alpha", "alpha", "scaling"),
    Part("scaling of the adapter", "scaling", replace=VARIANTS[:1],
         why_not="for a scaling factor s, set `adapter.alpha` to s·rank"),
    Part("low-rank adapter", "lora | adapter", replace=(
        *VARIANTS,
        Means("full regularizer", {"method": "full+reg"}, "all"),
        Means("full without regularizer", {"method": "full"}, "all")), why_not=NO_METHOD),
    Part("rank-stabilised scaling", "rslora", "scaling", add={"adapter.variant": "rslora"}),
    Part("weight decomposition (DoRA)", "dora", add={"adapter.variant": "dora"}),
    Part("the method", "balora | peft | finetuning", "finetuning", replace=(
        Means("full", {"method": "full"}, "standard"),
        Means("full regularizer", {"method": "full+reg"}, "all"),
        Means("lora", {"method": "lora"}, "standard default"),
        Means("pissa", {"method": "pissa"}, "standard"),
        Means("lora regularizer", {"method": "lora+reg"}, "all standard")), why_not=NO_METHOD),
    Part("target modules", "modules", replace=(Means("all_linear", {"adapter.target_modules": "all-linear"}),),
         whole=True),
    _numeric("temperature", f"{CONSISTENCY}.temperature", "temperature_t | temperature kl | temperature consistency",
             "temperature temperature_t consistency kl regularizer loss"),
    _numeric("k, the leading singular values that count", f"{SPECTRAL}.k",
             "k singular | number singular | topk singular | k spectral | topk spectral | k svd regularizer",
             "k topk number singular spectral svd regularizer loss"),
    _numeric("top-K of the entropy", f"{DIVERSITY}.top_k",
             "topk entropy | topk diversity | topk vocabulary | k entropy | k diversity",
             "topk k entropy diversity vocabulary regularizer loss", remove={f"{DIVERSITY}.top_k": None}),
    _weight(1, "consistency", CONSISTENCY),
    _weight(2, "diversity", DIVERSITY),
    _weight(3, "spectral", SPECTRAL, " | svd regularizer weight | svd regularizer lambda"),
    Part("the three weights", "lambda | weight regularizer | lambda1 lambda2 lambda3",
         "weight regularizer hyperparameter loss all",
         why_not="name each weight (λ1 = 0.1)"),
    Part("hyperparameters", "hyperparameter", why_not="name the setting and its value (rank = 8)"),
    _schedule("schedules of the weights", "schedule lambda | schedule weight | schedule regularizer",
              "lambda weight regularizer all loss", CONSISTENCY, DIVERSITY, SPECTRAL),
    _schedule("schedule of λ1", "schedule consistency | schedule lambda1",
              "consistency lambda1 weight lambda regularizer loss", CONSISTENCY),
    _schedule("two-phase schedules of λ2 and λ3", "two_phase",
              "schedule lambda lambda2 lambda3 weight diversity spectral regularizer", DIVERSITY, SPECTRAL),
    Part("edition", "edition", "formulation", replace=(
        Means("arxiv", {"objective.edition": "arxiv-v5"}, "edition formulation"),
        Means("iclr", {"objective.edition": "iclr-2026"}, "edition formulation"))),
    Part("reference head", "reference_head", "initial", replace=(
        Means("probe", {"objective.reference_head": "probe"}, "reference_head"),
        Means("initial", {"objective.reference_head": "initial"}, "reference_head"))),
    _numeric("learning rate", "training.learning_rate", "learning_rate"),
    Part("learning-rate schedule", "learning_rate schedule", "cosine", {"training.lr_schedule": "constant"}, replace=(
        Means("cosine", {"training.lr_schedule": "cosine"}, "schedule learning_rate"),
        Means("linear", {"training.lr_schedule": "linear"}, "schedule learning_rate"),
        Means("constant", {"training.lr_schedule": "constant"}, "schedule learning_rate"))),
    _numeric("warm-up", "training.warmup", "warmup", "learning_rate", remove={"training.warmup": 0.0}),
    _numeric("weight decay", "training.weight_decay", "weight_decay"),
    _numeric("label smoothing", "training.label_smoothing", "smoothing"),
    _numeric("L2 to the start", "training.l2_start", "l2_start", "regularizer"),
    _numeric("dropout", "adapter.dropout", "dropout"),
    _numeric("batch size", "training.batch_size", "batch"),
    _numeric("epochs", "training.epochs", "epochs", "number"),
    _numeric("training steps", "training.steps", "steps", "number"),
    _numeric("gradient clipping", "training.max_grad_norm", "clipping"),
    Part("number format", "precision", replace=(
        Means("bfloat16", {"training.precision": "bfloat16"}, "precision"),
        Means("float32", {"training.precision": "float32"}, "precision"))),
)  # fmt: skip

NEAR: dict[str, str] = {
    "init": "adapter.init adapter.svd", "pissa": "adapter.init adapter.svd", "principal": "adapter.init adapter.svd",
    "minor": "adapter.init", "orthonormal": "adapter.init", "random_matched": "adapter.init",
    "svd": f"adapter.init adapter.svd {SPECTRAL}", "singular": f"{SPECTRAL}.k {SPECTRAL}.norm adapter.rank",
    "spectral": SPECTRAL, "consistency": CONSISTENCY, "diversity": DIVERSITY, "mse": CONSISTENCY, "kl": CONSISTENCY,
    "entropy": DIVERSITY, "covariance": DIVERSITY, "nuclear": SPECTRAL, "frobenius": SPECTRAL,
    "regularizer": f"objective.preset {CONSISTENCY}.weight {DIVERSITY}.weight {SPECTRAL}.weight",
    "weight": f"{CONSISTENCY}.weight {DIVERSITY}.weight {SPECTRAL}.weight",
    "lambda": f"{CONSISTENCY}.weight {DIVERSITY}.weight {SPECTRAL}.weight",
    "lambda1": f"{CONSISTENCY}.weight", "lambda2": f"{DIVERSITY}.weight", "lambda3": f"{SPECTRAL}.weight",
    "formulation": "objective.formulation objective.edition objective.matching", "edition": "objective.edition",
    "task_specific": "objective.formulation", "swap": "objective.formulation objective.matching",
    "rank": "adapter.rank", "alpha": "adapter.alpha", "scaling": "adapter.alpha adapter.variant",
    "modules": "adapter.target_modules",
    "adapter": "method adapter", "lora": "method adapter", "balora": "method objective.preset", "peft": "method",
    "full": "method",
    "finetuning": "method", "temperature": f"{CONSISTENCY}.temperature",
    "temperature_t": f"{CONSISTENCY}.temperature", "k": f"{SPECTRAL}.k {DIVERSITY}.top_k",
    "topk": f"{SPECTRAL}.k {DIVERSITY}.top_k", "reference_head": "objective.reference_head",
    "probe": "objective.reference_head",
    "learning_rate": "training.learning_rate training.lr_schedule training.warmup", "warmup": "training.warmup",
    "schedule": f"training.lr_schedule {CONSISTENCY}.schedule {DIVERSITY}.schedule {SPECTRAL}.schedule",
    "dropout": "adapter.dropout", "weight_decay": "training.weight_decay",
    "smoothing": "training.label_smoothing", "l2_start": "training.l2_start",
    "batch": "training.batch_size training.accumulation",
    "epochs": "training.epochs training.steps", "steps": "training.epochs training.steps",
    "clipping": "training.max_grad_norm",
    "precision": "training.precision", "rslora": "adapter.variant", "dora": "adapter.variant",
}  # fmt: skip
"""Settings, or groups of settings, to suggest for an open arm whose text contains the concept."""
