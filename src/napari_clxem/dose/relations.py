"""The numbers of an acquisition, their units, and how each follows from others."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from napari_clxem.dose.physics import (
    ELEMENTARY_CHARGE,
    as_material,
    conversion_factor,
    depth_mean,
)
from napari_clxem.dose.quantities import amount, written
from napari_clxem.errors import ClxemError, UnitError
from napari_clxem.materials import mass_attenuation

Kind = Literal["x-ray", "electron"]

_AREA = {"x-ray": "micrometer**2", "electron": "angstrom**2"}
# name: unit; {area} is µm² for X-rays and Å² for electrons
_UNITS = {
    "flux_open": "1/second",
    "slit": "dimensionless",
    "flux": "1/second",
    "area": "micrometer**2",
    "dose_rate": "1/second",
    "dose_rate_after": "1/second",
    "pixel": "angstrom",
    "pixels": "dimensionless",
    "field": "micrometer",
    "field_diagonal": "micrometer",
    "fluence_rate": "1/{area}/second",
    "exposure_time": "second",
    "first_tilt": "degree",
    "last_tilt": "degree",
    "tilt_step": "degree",
    "images": "dimensionless",
    "fluence_per_image": "1/{area}",
    "fluence": "1/{area}",
    "counts_before": "dimensionless",
    "counts_after": "dimensionless",
    "transmission": "dimensionless",
    "absorbed_share": "dimensionless",
    "fluence_per_image_after": "1/{area}",
    "fluence_after": "1/{area}",
    "energy": "electron_volt",
    "voltage": "kilovolt",
    "attenuation": "1/micrometer",
    "density": "gram/centimeter**3",
    "mass_attenuation": "centimeter**2/gram",
    "conversion_factor": "megagray*angstrom**2",
    "dose_per_image": "megagray",
    "dose": "megagray",
    "mean_dose": "megagray",
    "absorbed_dose": "megagray",
    "equivalent": "1/angstrom**2",
}
_OF_ELECTRONS = frozenset({"dose_rate", "dose_rate_after", "pixel", "pixels", "voltage"})
_OF_XRAYS = frozenset({"flux_open", "slit", "flux", "area", "energy", "attenuation"})


@dataclass(frozen=True)
class Rule:
    """One number that follows from others.

    `strict` is for tabulated constants, where rounding is a slip; `fallback` for a library value
    that gives way to numbers stated.
    """

    name: str
    inputs: tuple[str, ...]
    formula: str
    function: Callable[..., float]
    kinds: tuple[str, ...] = ("x-ray", "electron")
    strict: bool = False
    fallback: bool = False


def _photon_dose(fluence: float, energy: float, attenuation: float) -> float:
    return fluence * 1e8 * energy * ELEMENTARY_CHARGE * attenuation * 1e-3


def _rules(material: str) -> tuple[Rule, ...]:
    x, e = ("x-ray",), ("electron",)
    density = as_material(material).density
    return (
        Rule("flux", ("flux_open", "slit"), "flux_open · slit", lambda a, b: a * b, x),
        Rule("fluence_rate", ("flux", "area"), "flux / area", lambda a, b: a / b, x),
        Rule(
            "fluence_rate", ("dose_rate", "pixel"), "dose_rate / pixel²", lambda a, b: a / b**2, e
        ),
        Rule("field", ("pixel", "pixels"), "pixel · pixels", lambda a, b: a * b * 1e-4, e),
        Rule(
            "field_diagonal",
            ("field",),
            "√2 · field: a beam narrower than it leaves corners dark",
            lambda a: math.sqrt(2.0) * a,
            e,
        ),
        Rule(
            "images",
            ("first_tilt", "last_tilt", "tilt_step"),
            "(last_tilt - first_tilt) / tilt_step + 1",
            lambda a, b, c: round((b - a) / c) + 1.0,
        ),
        Rule(
            "fluence_per_image",
            ("fluence_rate", "exposure_time"),
            "fluence_rate · exposure_time",
            lambda a, b: a * b,
        ),
        Rule(
            "fluence",
            ("fluence_per_image", "images"),
            "fluence_per_image · images",
            lambda a, b: a * b,
        ),
        Rule(
            "fluence",
            ("fluence_rate", "exposure_time", "images"),
            "fluence_rate · exposure_time · images",
            lambda a, b, c: a * b * c,
        ),
        Rule("fluence_per_image", ("fluence", "images"), "fluence / images", lambda a, b: a / b),
        Rule(
            "transmission",
            ("counts_before", "counts_after"),
            "counts_after / counts_before",
            lambda a, b: b / a,
        ),
        Rule(
            "transmission",
            ("dose_rate", "dose_rate_after"),
            "dose_rate_after / dose_rate",
            lambda a, b: b / a,
            e,
        ),
        Rule("absorbed_share", ("transmission",), "1 - transmission", lambda a: 1 - a, x),
        Rule("transmission", ("absorbed_share",), "1 - absorbed_share", lambda a: 1 - a, x),
        Rule(
            "fluence_per_image_after",
            ("fluence_per_image", "transmission"),
            "fluence_per_image · transmission",
            lambda a, b: a * b,
        ),
        Rule(
            "fluence_after",
            ("fluence_per_image_after", "images"),
            "fluence_per_image_after · images",
            lambda a, b: a * b,
        ),
        Rule(
            "mass_attenuation",
            ("attenuation", "density"),
            "attenuation / density",
            lambda a, b: a / b * 1e4,
            x,
        ),
        Rule(
            "mass_attenuation",
            ("energy",),
            f"μ/ρ of {material} (Henke)",
            lambda a: mass_attenuation(material, a),
            x,
            fallback=True,
        ),
        Rule("density", (), f"of {material}", lambda: density, x, fallback=True),
        Rule(
            "dose",
            ("fluence", "energy", "mass_attenuation"),
            "mass_attenuation · fluence · energy",
            _photon_dose,
            x,
        ),
        Rule(
            "conversion_factor",
            ("voltage",),
            f"C_F of {material}",
            lambda a: conversion_factor(a, material),
            e,
            strict=True,
        ),
        Rule(
            "dose",
            ("fluence", "conversion_factor"),
            "fluence · conversion_factor",
            lambda a, b: a * b,
            e,
        ),
        Rule("dose_per_image", ("dose", "images"), "dose / images", lambda a, b: a / b),
        Rule(
            "mean_dose",
            ("dose", "transmission"),
            "dose · (1 - transmission) / (-ln transmission)",
            lambda a, b: a * depth_mean(b),
            x,
        ),
        Rule("absorbed_dose", ("mean_dose",), "mean_dose", lambda a: a, x),
        Rule("absorbed_dose", ("dose",), "dose", lambda a: a, e),
        Rule(
            "equivalent",
            ("dose", "conversion_factor"),
            "dose / conversion_factor",
            lambda a, b: a / b,
            x,
        ),
    )


def rules(kind: Kind, material: str) -> tuple[Rule, ...]:
    """Give how the numbers of an acquisition follow from each other, for one kind of beam."""
    return tuple(rule for rule in _rules(material) if kind in rule.kinds)


def unit_of(name: str, kind: Kind) -> str:
    """Give the unit that a number is in; raises ClxemError for an unknown name."""
    if name not in _UNITS:
        raise ClxemError(f"No number is called {name!r} here; known are {', '.join(_UNITS)}.")
    return _UNITS[name].format(area=_AREA[kind])


def names() -> Mapping[str, str]:
    """Give all names with their units; ``{area}`` is µm² for X-rays and Å² for electrons."""
    return MappingProxyType(_UNITS)


def kind_of(given: Mapping[str, Any]) -> Kind:
    """Tell X-rays from electrons by which numbers are given.

    Raises
    ------
    ClxemError
        Where they belong to both or to neither.
    """
    electron = sorted(_OF_ELECTRONS & set(given))
    xray = sorted(_OF_XRAYS & set(given))
    if bool(electron) == bool(xray):
        what = f"{xray[0]} and {electron[0]}" if electron else "neither a voltage nor an energy"
        raise ClxemError(
            f"The numbers hold {what}; say kind='x-ray' or kind='electron', one block at a time."
        )
    return "electron" if electron else "x-ray"


def known_kind(kind: Any) -> None:
    """Raise ClxemError for a kind of beam that is none; None is told by the numbers."""
    if kind is not None and (not isinstance(kind, str) or kind not in _AREA):
        raise ClxemError(f"The kind of beam is {written(kind)}; say 'x-ray' or 'electron'.")


def numbers_of(given: Any) -> dict[str, Any]:
    """Give numbers by name, of a mapping or of pasted lines; raises ClxemError for neither."""
    if isinstance(given, str):
        return parse(given)
    if not isinstance(given, Mapping):
        raise ClxemError(
            f"The numbers are {written(given)}; give them by name, or as lines of text."
        )
    return dict(given)


def brought(given: Mapping[str, Any], kind: Kind) -> dict[str, float]:
    """Bring given numbers to their units.

    Raises
    ------
    ClxemError
        For an unknown name, a number that is not finite, or one of 0 or less where there is none.
    """
    found = {}
    for name, value in given.items():
        number = amount(value, unit_of(name, kind), name)
        if not isinstance(number, float):
            raise ClxemError(f"{name} holds several numbers; give one.")
        if number <= 0 and not name.endswith("_tilt"):
            raise ClxemError(f"{name} is {number:g}; it must be above zero.")
        found[name] = number
    return found


def parse(text: str) -> dict[str, Any]:
    """Read pasted lines such as ``fluence_per_image = 4.78 e/A2``; without unit: as :func:`names`.

    Raises
    ------
    ClxemError
        For a line that is none, or a unit that is not known.
    """
    found = dict(_parsed(text))
    if not found:
        raise ClxemError("There are no numbers in the text; paste lines such as 'flux = 1.1e10'.")
    return found


_LINE = re.compile(r"^\s*(\w[\w ]*?)\s*[=:]\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*(.*?)\s*$")
_SPELLED = (("⁻", ""), ("²", "2"), ("µ", "u"), ("μ", "u"), ("Å", "angstrom"), ("·", "*"))


def _parsed(text: str) -> Iterator[tuple[str, Any]]:
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None:
            raise ClxemError(f"{line.strip()!r} is no line such as 'flux = 1.1e10 ph/s'.")
        name, number, unit = match.groups()
        yield name.strip().replace(" ", "_"), _quantity(float(number), unit)


def _quantity(value: float, unit: str) -> Any:
    if not unit:
        return value
    plain = unit
    for spelled, meant in _SPELLED:
        plain = plain.replace(spelled, meant)
    plain = re.sub(r"\bA(?=2|\b)", "angstrom", plain.replace("px", ""))
    plain = re.sub(r"^(photons|electrons|ph|e-|e|°)?(?=/|\b|$)", "1", plain, count=1)
    plain = re.sub(r"(?<=[a-z])\^?([23])", r"**\1", plain).replace("//", "/").rstrip("/")
    if unit in ("deg", "°", "degrees"):
        plain = "degree"
    elif plain.startswith("1") and "/" not in plain and len(plain) > 1:
        plain = plain[1:]
    if not re.fullmatch(r"[1a-zA-Z/*23 ]*", plain) or "***" in plain:
        raise UnitError(f"{unit!r} is not a unit that is understood here; leave it out.")
    import pint

    try:
        return pint.application_registry.Quantity(value, plain or "dimensionless")
    except (pint.PintError, AssertionError, TypeError, ValueError, AttributeError) as error:
        raise UnitError(f"{unit!r} is not a unit that is understood here.") from error


def is_close(stated: float, derived: float, tolerance: float) -> bool:
    """Whether two numbers agree within a relative tolerance or the rounding of the stated one."""
    return abs(derived - stated) <= max(
        tolerance * abs(stated), min(_rounding(stated), 0.0105 * abs(stated))
    )


def _rounding(value: float) -> float:
    """Half a unit of the last digit that a number is written with."""
    digits = f"{abs(value):.11e}"
    mantissa, exponent = digits.split("e")
    places = len(mantissa.rstrip("0").partition(".")[2])
    return 0.5 * math.pow(10.0, int(exponent) - places)
