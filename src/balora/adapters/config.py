"""Define the settings of a low-rank adapter; torch-free."""

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from balora.errors import shown
from balora.settings import Settings

LONGEST_NAME = 255
"""Most characters of a module's name."""


class AdapterConfig(Settings):
    """What is attached to every target layer: ΔW = s·(B·A − B0·A0), with (B0, A0) = 0 for the standard start."""

    rank: int = Field(default=16, ge=1)
    """r of the trained factors A (r×in) and B (out×r); at most min(in, out) of every target layer."""
    alpha: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Scaling numerator: s = alpha/r (alpha/√r for `rslora`); none means alpha = rank, so s = 1 for LoRA."""
    init: Literal["pissa", "standard", "random-matched", "minor"] = "pissa"
    """Start of (A, B): `pissa` principal singular vectors of W; `standard` A scaled normal, B zero; `random-matched`
    random orthonormal directions with PiSSA's singular values; `minor` the smallest singular triplets of W (MiLoRA)."""
    svd: Literal["exact", "randomized"] = "exact"
    """How the principal singular vectors are computed, for `pissa` and `random-matched`."""
    variant: Literal["lora", "rslora", "dora"] = "lora"
    """`lora`, rank-stabilised `rslora`, or weight-decomposed `dora`."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on the adapter's input in training: of the learnt change alone, so that the base is never disturbed."""
    target_modules: tuple[str, ...] | Literal["all-linear"] = "all-linear"
    """Names (suffixes) of the layers to adapt, or `all-linear`: every linear layer but the output head."""
    modules_to_save: tuple[str, ...] = ()
    """Further modules trained in full and saved along; classification heads are added by themselves."""

    @field_validator("target_modules", "modules_to_save", mode="before")
    @classmethod
    def _one_name_is_a_list_of_one(cls, names: Any) -> Any:
        return (names,) if isinstance(names, str) and names != "all-linear" else names

    @model_validator(mode="after")
    def _some_target(self) -> Self:
        if not all(self.target_modules or [""]):
            raise ValueError("target_modules is empty: name at least one layer, or use 'all-linear'")
        return self

    @model_validator(mode="after")
    def _smallest_are_exact(self) -> Self:
        if self.init == "minor" and self.svd == "randomized":
            raise ValueError("svd 'randomized' finds only the largest components: with init 'minor' set svd to 'exact'")
        return self

    @model_validator(mode="after")
    def _plain_names(self) -> Self:
        for key in ("target_modules", "modules_to_save"):
            names = getattr(self, key)
            for name in () if isinstance(names, str) else names:
                if not is_plain_name(name):
                    raise ValueError(
                        f"{key} holds {shown(name)}: write names of modules or their ends, e.g. q_proj; patterns are "
                        "not matched"
                    )
        return self

    @property
    def in_offset_form(self) -> bool:
        """Whether (A, B) starts at an (A0, B0) that the layer subtracts: with every start but `standard`."""
        return self.init != "standard"

    @property
    def scaling(self) -> float:
        """s in ΔW = s·B·A."""
        alpha = self.rank if self.alpha is None else self.alpha
        return float(alpha / (self.rank**0.5 if self.variant == "rslora" else self.rank))


def is_plain_name(name: object) -> bool:
    """Return whether ``name`` is the name of a module or its end: letters, digits, `_`, `-` and single dots between."""
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        return False
    return all(part and all(c.isalnum() or c in "_-" for c in part) for part in name.split("."))
