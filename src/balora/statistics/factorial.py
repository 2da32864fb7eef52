"""Compute main effects and two-way interactions of a full factorial, one value a block."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

Levels = tuple[str, ...]


class Contrast(NamedTuple):
    """A main effect or an interaction, as weights of the factorial's cells."""

    factors: tuple[str, ...]
    """One factor for a main effect, two for an interaction."""
    name: str
    weights: dict[Levels, float]


def contrasts(factors: Mapping[str, Sequence[str]]) -> list[Contrast]:
    """Return main effects and two-way interactions of a full factorial, each level against its factor's first.

    Main effect of b: mean over the other factors of y[b] − y[first].
    Interaction of b and d: mean over the rest of (y[b,d] − y[b,first]) − (y[first,d] − y[first,first]).
    """
    names = list(factors)
    effects = []
    for i, factor in enumerate(names):
        effects += [_contrast(factors, {factor: level}) for level in factors[factor][1:]]
        for other in names[:i]:
            effects += [
                _contrast(factors, {other: there, factor: here})
                for there in factors[other][1:]
                for here in factors[factor][1:]
            ]
    return sorted(effects, key=lambda contrast: len(contrast.factors))


def _contrast(factors: Mapping[str, Sequence[str]], raised: Mapping[str, str]) -> Contrast:
    averaged = 1
    for factor, levels in factors.items():
        averaged *= 1 if factor in raised else len(levels)
    weights: dict[Levels, float] = {}
    for cell in product(*factors.values()):
        weight = 1.0 / averaged
        for factor, level in zip(factors, cell, strict=True):
            if factor in raised:
                weight *= {raised[factor]: 1.0, factors[factor][0]: -1.0}.get(level, 0.0)
        if weight:
            weights[cell] = weight
    parts = [f"{factor}: {level} − {factors[factor][0]}" for factor, level in raised.items()]
    name = parts[0] if len(parts) == 1 else " × ".join(f"({part})" for part in parts)
    return Contrast(tuple(raised), name, weights)


def contrast_values(contrast: Contrast, cells: Mapping[Levels, Mapping[int, float]]) -> list[float]:
    """Return the contrast once for every seed that all its cells have."""
    parts = [(weight, cells.get(cell, {})) for cell, weight in contrast.weights.items()]
    shared = sorted(set.intersection(*(set(values) for _, values in parts)))
    return [sum(weight * values[seed] for weight, values in parts) for seed in shared]
