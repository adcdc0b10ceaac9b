"""From the numbers that are known to those that follow, each with its formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_clxem.dose.quantities import each
from napari_clxem.dose.relations import (
    Kind,
    Rule,
    brought,
    kind_of,
    known_kind,
    numbers_of,
    rules,
    unit_of,
)

# What nobody reads off an instrument: asked for by what it follows from.
_WORKED_OUT = frozenset(
    {"fluence_rate", "fluence_per_image", "fluence", "fluence_per_image_after", "fluence_after"}
    | {"absorbed_share", "mass_attenuation", "conversion_factor", "dose_per_image", "dose"}
    | {"mean_dose", "absorbed_dose", "equivalent", "field", "field_diagonal"}
)


@dataclass(frozen=True)
class Step:
    """One number that followed: what it is, its value and unit, and from what."""

    name: str
    value: float
    unit: str
    formula: str


@dataclass(frozen=True)
class Derivation:
    """What follows from the numbers given.

    Attributes
    ----------
    values : dict
        All numbers, given or derived, by name.
    steps : tuple of Step
        The derived ones, in the order they followed.
    missing : tuple of str
        What still has to be given for the goals; empty where all are reached.
    """

    values: dict[str, float]
    steps: tuple[Step, ...]
    missing: tuple[str, ...]


def derive(
    given: Mapping[str, Any] | str,
    goals: Sequence[str] = ("dose",),
    kind: Kind | None = None,
    material: str = "cell",
) -> Derivation:
    """Work out every number that follows from those given, and say what is missing.

    Parameters
    ----------
    given : mapping or str
        Numbers by name, in the units of :func:`napari_clxem.dose.relations.names` or as
        quantities; or lines of text such as ``flux = 1.11e10 ph/s``.
    goals : sequence of str
        What is wanted.
    kind : {"x-ray", "electron"}, optional
        Told by the numbers where it is left out.
    material : str
        What doses are stated for.

    Returns
    -------
    Derivation

    Raises
    ------
    ClxemError
        For numbers that cannot be, or that do not say which beam they are of.
    """
    numbers = numbers_of(given)
    known_kind(kind)
    wanted = (goals,) if isinstance(goals, str) else each(goals, str, "The goals")
    beam = kind or kind_of(numbers)
    known = brought(numbers, beam)
    found = rules(beam, material)
    values, steps = closure(known, found, beam)
    missing = {name for goal in wanted for name in _missing(goal, values, found, frozenset())}
    return Derivation(values, steps, tuple(sorted(missing)))


def closure(
    known: Mapping[str, float], found: Sequence[Rule], kind: Kind
) -> tuple[dict[str, float], tuple[Step, ...]]:
    """Apply rules until nothing more follows, those from a library last."""
    values = dict(known)
    steps: list[Step] = []
    while True:
        ready = [
            rule
            for rule in found
            if rule.name not in values and all(name in values for name in rule.inputs)
        ]
        if not ready:
            return values, tuple(steps)
        rule = min(ready, key=lambda one: one.fallback)
        values[rule.name] = float(rule.function(*(values[name] for name in rule.inputs)))
        steps.append(Step(rule.name, values[rule.name], unit_of(rule.name, kind), rule.formula))


def _missing(
    goal: str, values: Mapping[str, float], found: Sequence[Rule], asked: frozenset[str]
) -> set[str]:
    """Give the fewest numbers that would make a goal follow."""
    if goal in values:
        return set()
    if goal not in _WORKED_OUT:
        return {goal}
    best: set[str] = {goal}
    size = 99
    for rule in found:
        if rule.name != goal or asked & set(rule.inputs) or goal in rule.inputs:
            continue
        needed: set[str] = set()
        for name in rule.inputs:
            needed |= _missing(name, values, found, asked | {goal})
        if len(needed) < size:
            best, size = needed, len(needed)
    return best
