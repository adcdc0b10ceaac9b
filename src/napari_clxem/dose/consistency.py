"""Whether the numbers of an acquisition, as declared, agree with each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari_clxem.dose.derivation import closure
from napari_clxem.dose.quantities import one_not_negative
from napari_clxem.dose.relations import (
    Kind,
    Rule,
    brought,
    is_close,
    kind_of,
    known_kind,
    numbers_of,
    rules,
    unit_of,
)
from napari_clxem.errors import ClxemError

TOLERANCE = 0.002
_LIKE = 0.01  # relative difference by which a slip is recognised


@dataclass(frozen=True)
class Relation:
    """One relation among declared numbers.

    Attributes
    ----------
    name : str
        Which number it is about.
    stated, derived : float
        As declared, and as it follows from the others.
    unit : str
        Of both.
    formula : str
        How it follows.
    closes : bool
        Whether both agree, within the rounding of the stated one.
    note : str
        What the stated number seems to be instead; empty where nothing is recognised.
    """

    name: str
    stated: float
    derived: float
    unit: str
    formula: str
    closes: bool
    note: str = ""

    @property
    def difference(self) -> float:
        """How far the stated number is from the derived one, relative."""
        return self.stated / self.derived - 1.0

    def __str__(self) -> str:
        text = (
            f"{self.name}: stated {self.stated:.5g}, {self.formula} = {self.derived:.4g} "
            f"({self.difference:+.1%})"
        )
        return f"{text}. {self.note}" if self.note else text


@dataclass(frozen=True)
class Report:
    """All relations that declared numbers enter.

    Attributes
    ----------
    kind : {"x-ray", "electron"}
    relations : tuple of Relation
        In the order of the calculation.
    """

    kind: Kind
    relations: tuple[Relation, ...]

    @property
    def open(self) -> tuple[Relation, ...]:
        """Those that do not close."""
        return tuple(one for one in self.relations if not one.closes)

    @property
    def closed(self) -> tuple[Relation, ...]:
        """Those that close."""
        return tuple(one for one in self.relations if one.closes)

    def __bool__(self) -> bool:
        """Tell whether all close."""
        return not self.open

    def __str__(self) -> str:
        return "\n".join(str(one) for one in self.open) or "All relations close."


def check(
    declared: Mapping[str, Any] | str | None = None,
    *,
    kind: Kind | None = None,
    material: str = "ice",
    tolerance: float = TOLERANCE,
    **numbers: Any,
) -> Report:
    """Compare declared acquisition numbers with what follows from each other.

    Parameters
    ----------
    declared : mapping or str, optional
        Numbers by name (see :func:`napari_clxem.dose.relations.names`), plain in those units or
        as quantities; or pasted lines such as ``fluence_per_image = 4.78 e/A2``.
    kind : {"x-ray", "electron"}, optional
        Told by the numbers where it is left out.
    material : str
        What doses are declared for.
    tolerance : float
        Relative difference up to which two numbers agree; the rounding of the declared one is
        granted besides, up to 1 %, but not for tabulated constants.
    **numbers
        More of `declared`.

    Returns
    -------
    Report
        Every relation, with both values; `report.open` are those that do not close.

    Raises
    ------
    ClxemError
        For an unknown name, a number that cannot be, or too few numbers to compare.

    Examples
    --------
    >>> from napari_clxem.dose import check
    >>> report = check(flux=1.11e10, area=169, exposure_time=1, fluence_per_image=6.7e7)
    >>> print(report)
    fluence_per_image: stated 6.7e+07, fluence_rate · exposure_time = 6.568e+07 (+2.0%)
    """
    given = numbers_of({} if declared is None else declared) | numbers
    known_kind(kind)
    limit = one_not_negative(tolerance, "dimensionless", "The tolerance")
    beam = kind or kind_of(given)
    stated = brought(given, beam)
    found = []
    everything = rules(beam, material)
    for rule in everything:
        if rule.name in stated and not rule.fallback:
            relation = _relation(rule, stated, everything, beam, limit)
            if relation is not None and relation not in found:
                found.append(relation)
    if not found:
        raise ClxemError(
            "Nothing follows from the numbers given, so nothing can be compared; give more of the "
            "acquisition, such as flux, area, time, images and the fluence."
        )
    return Report(beam, tuple(found))


def _relation(
    rule: Rule, stated: Mapping[str, float], everything: tuple[Rule, ...], kind: Kind, tol: float
) -> Relation | None:
    """Compare one declared number with what the others make of it, where they do."""
    others = {name: value for name, value in stated.items() if name != rule.name}
    usable = [one for one in everything if one.name != rule.name]
    values, steps = closure(others, usable, kind)
    if any(name not in values for name in rule.inputs):
        return None
    if _only_back(rule, stated, steps):
        return None
    value, derived = stated[rule.name], float(rule.function(*(values[n] for n in rule.inputs)))
    closes = abs(derived / value - 1) <= 1e-4 if rule.strict else is_close(value, derived, tol)
    note = "" if closes else _slip(rule, value, derived, values)
    return Relation(rule.name, value, derived, unit_of(rule.name, kind), rule.formula, closes, note)


def _only_back(rule: Rule, stated: Mapping[str, float], steps: Any) -> bool:
    """Whether a rule leads backwards along one that is compared already the other way round."""
    backwards = {("fluence_per_image", "fluence"), ("transmission", "absorbed_share")}
    derived = {step.name for step in steps}
    return any(
        rule.name == name and other in rule.inputs and (other in stated or other in derived)
        for name, other in backwards
    )


def _slip(rule: Rule, stated: float, derived: float, values: Mapping[str, float]) -> str:
    """Say what a number that does not fit seems to be."""

    def like(value: float) -> bool:
        return abs(value / stated - 1) <= _LIKE

    time = values.get("exposure_time", 1.0)
    share = values.get("transmission")
    if rule.name == "absorbed_dose":
        return _absorbed(rule, stated, share, values)
    if rule.name.endswith("_after") and share and like(derived / share * (1 - share)):
        return "This is the absorbed part, not what is transmitted."
    for base, what in _candidates(rule, derived, values):
        if time != 1.0 and like(base / time):
            return f"This is {what} divided by the exposure time, which it already contains."
        if time != 1.0 and like(base * time):
            return f"This is {what} times the exposure time once more."
    if rule.strict:
        return f"The tabulated value is {derived:.4g}."
    return ""


def _candidates(rule: Rule, derived: float, values: Mapping[str, float]) -> list[tuple[float, str]]:
    found = [(derived, rule.formula)]
    if rule.name == "fluence" and {"fluence_per_image", "images"} <= set(values):
        product = values["fluence_per_image"] * values["images"]
        found.append((product, "fluence_per_image · images"))
    return found


def _absorbed(rule: Rule, stated: float, share: float | None, values: Mapping[str, float]) -> str:
    if rule.inputs == ("dose",):
        return "Electrons scattered out are not absorbed: C_F already counts what is deposited."
    if share and abs((1 - share) * values["dose"] / stated - 1) <= _LIKE:
        return (
            "This is the absorbed share times the entrance dose, which is not a dose: the entrance "
            "dose is absorbed energy per mass already."
        )
    return "Of the entrance dose, the depth holds this mean."
