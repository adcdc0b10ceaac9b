"""From the numbers that a user knows to an exposure: what is asked, what follows, what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from napari_clxem.dose import (
    Exposure,
    damage_layer,
    derive,
    scanned_fluence,
    surface_dose,
    tile_aims,
    tile_pitch,
)
from napari_clxem.dose.exposure import IONS, LIGHT, SCANNED, XRAYS
from napari_clxem.dose.relations import Kind, unit_of
from napari_clxem.errors import ClxemError
from napari_clxem.frames.affine import Floats

MODALITIES = ("sxt", "tem", "sem", "fib", "confocal", "widefield", "vlm")
# What may be known besides what is asked for, in the order people think of it.
KNOWN: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        "x-ray": (
            "energy", "flux", "flux_open", "slit", "area", "exposure_time", "fluence_per_image",
            "fluence", "dose_per_image", "dose",
        ),
        "electron": (
            "voltage", "dose_rate", "pixel", "pixels", "exposure_time", "fluence_per_image",
            "fluence", "dose_per_image", "dose",
        ),
    }
)  # fmt: skip
SCAN = (("voltage", "kV"), ("current", "pA"), ("dwell", "µs"), ("pixel", "nm"))
ION = (("voltage", "kV"),)
# Field of an exposure by the number of an acquisition, and what brings it to the field's unit.
ENERGY = {"x-ray": ("energy", 1.0), "electron": ("voltage", 1e3)}
SPELLED = (
    ("micrometer", "µm"), ("angstrom", "Å"), ("electron_volt", "eV"), ("kilovolt", "kV"),
    ("megagray", "MGy"), ("centimeter", "cm"), ("gram", "g"), ("second", "s"),
    ("degree", "°"), ("dimensionless", ""), ("**2", "²"), ("*", "·"),
)  # fmt: skip


@dataclass(frozen=True)
class Mosaic:
    """Tiles of one exposure each.

    Attributes
    ----------
    rows, columns : int
    tile : tuple of float
        What one image shows (y, x), µm: the camera's field, which the beam reaches beyond.
    overlap : float
        Part of it that neighbours share.
    """

    rows: int = 3
    columns: int = 3
    tile: tuple[float, float] = (13.0, 13.0)
    overlap: float = 0.1

    @property
    def pitch(self) -> tuple[float, float]:
        """How far tiles lie apart (y, x), µm."""
        return tile_pitch(self.tile, self.overlap)

    @property
    def area(self) -> float:
        """What all tiles show together, µm²."""
        pitch = self.pitch
        return float(
            ((self.rows - 1) * pitch[0] + self.tile[0])
            * ((self.columns - 1) * pitch[1] + self.tile[1])
        )


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A form as it is filled in.

    Attributes
    ----------
    name : str
        What people call it.
    modality, frame : str
    aim : tuple of float
        (y, x), µm.
    height : float
        Of the tilt axis in a 3D frame, µm.
    radius : float or None
        Of a round beam, µm.
    size : tuple of float or None
        Of a rectangular beam (y, x), µm.
    tilts : str
        As :func:`read_tilts` reads them.
    axis_azimuth, pretilt : float
        Degrees.
    numbers : mapping
        What is known of the beam, by name.
    material : str
    ion : str
    planned : bool
    time : str
        ISO 8601.
    base : Exposure or None
        What is being edited; its other fields stay.
    mosaic : Mosaic or None
        Tiles about the aim instead of one exposure there.
    """

    name: str = ""
    modality: str = "sxt"
    frame: str = ""
    aim: tuple[float, float] = (0.0, 0.0)
    height: float = 0.0
    radius: float | None = 10.0
    size: tuple[float, float] | None = None
    tilts: str = "0"
    axis_azimuth: float = 0.0
    pretilt: float = 0.0
    numbers: Mapping[str, float] = field(default_factory=dict)
    material: str = "cell"
    ion: str = "Ga"
    planned: bool = True
    time: str = ""
    base: Exposure | None = None
    mosaic: Mosaic | None = None

    @property
    def kind(self) -> Kind | None:
        """Whose numbers the dose follows from; None where they are no acquisition's."""
        if self.modality in XRAYS:
            return "x-ray"
        return None if self.modality in LIGHT | IONS | SCANNED else "electron"


@dataclass(frozen=True)
class Follows:
    """What follows from a form.

    Attributes
    ----------
    exposures : tuple of Exposure
        One, or the tiles of a mosaic; empty while something is missing or wrong.
    asked : tuple of (str, str)
        Name and unit of each number that is still needed.
    steps : tuple of str
        Every derived number, with its value, unit and formula.
    problem : str
        What is wrong, one sentence; empty where nothing is.
    """

    exposures: tuple[Exposure, ...]
    asked: tuple[tuple[str, str], ...]
    steps: tuple[str, ...]
    problem: str

    @property
    def exposure(self) -> Exposure | None:
        """The first of them; None while there is none."""
        return self.exposures[0] if self.exposures else None


def unit(name: str, kind: Kind | None) -> str:
    """Give the unit of a number as people write it."""
    if kind is None:
        return dict(SCAN).get(name, "")
    found = unit_of(name, kind)
    for long, short in SPELLED:
        found = found.replace(long, short)
    return found.replace("1/", "/", 1) if found.startswith("1/") else found


def read_tilts(text: str) -> Floats:
    """Read tilts: ``first : last : step``, or numbers with commas between, degrees.

    Raises
    ------
    ClxemError
        For a text that is neither.
    """
    try:
        if ":" in text:
            first, last, step = (float(part) for part in text.split(":"))
            count = int(np.floor((last - first) / step + 1e-9)) + 1
            if count < 1 or count > 10_000:
                raise ValueError(text)
            return first + step * np.arange(count)
        return np.array([float(part) for part in text.replace(";", ",").split(",")])
    except (ValueError, ZeroDivisionError) as error:
        raise ClxemError(
            f"{text!r} are no tilts; write first : last : step, such as -65 : 65 : 1, or numbers "
            "with commas between."
        ) from error


def written_tilts(tilts: Floats) -> str:
    """Write tilts so that :func:`read_tilts` reads the same."""
    values = np.asarray(tilts, float)
    if len(values) > 2 and np.allclose(np.diff(values), values[1] - values[0], atol=1e-9):
        text = f"{values[0]:g} : {values[-1]:g} : {values[1] - values[0]:g}"
        again = read_tilts(text)
        if len(again) == len(values) and np.allclose(again, values, atol=1e-9):
            return text
    return ", ".join(f"{value:.10g}" for value in values)


def follow(entry: Entry) -> Follows:
    """Say what follows from a form, and what it still lacks."""
    try:
        found = _follow(entry)
        if entry.mosaic is None or found.exposure is None:
            return found
        tiles = _tiles(found.exposure, entry.mosaic)
        return replace(found, exposures=tiles, steps=(*_of_mosaic(tiles, entry), *found.steps))
    except ClxemError as error:
        return Follows((), (), (), str(error))


def _tiles(one: Exposure, asked: Mosaic) -> tuple[Exposure, ...]:
    """Repeat an exposure as the tiles of a mosaic about its aim."""
    name = one.group or "mosaic"
    aims = tile_aims(one.aim, (asked.rows, asked.columns), asked.pitch)
    return tuple(
        replace(one, id=f"{name}-{one.id}-{number}", aim=(float(y), float(x)), group=name)
        for number, (y, x) in enumerate(aims.tolist(), start=1)
    )


def _of_mosaic(tiles: tuple[Exposure, ...], entry: Entry) -> tuple[str, ...]:
    """Say how many tiles there are, how far apart, and how often a place is exposed."""
    asked = entry.mosaic
    assert asked is not None
    down, right = asked.pitch
    beam = np.pi * entry.radius**2 if entry.radius is not None else _area(entry)
    times = beam / (down * right)
    return (
        f"mosaic = {len(tiles)} exposures, {down:.4g} x {right:.4g} µm apart, {asked.area:.4g} µm²",
        f"a place inside is exposed {times:.3g} times on average  (beam area / pitch²)",
    )


def _follow(entry: Entry) -> Follows:
    tilts = read_tilts(entry.tilts)
    if entry.kind is None:
        return _apart(entry, tilts)
    kind = entry.kind
    images = len(tilts) * (1 if entry.base is None else entry.base.images)
    given: dict[str, Any] = {"images": float(images), **entry.numbers}
    name, factor = ENERGY[kind]
    if (
        kind == "x-ray"
        and "area" not in given
        and not {"fluence_per_image", "fluence"} & set(given)
    ):
        given["area"] = _area(entry)
    each = given.pop("dose_per_image", None)
    if each is not None:
        given.setdefault("dose", each * images)
    found = derive(given, ("dose", name), kind, entry.material)
    # With the energy, attenuation follows from the tables.
    lacking = [one for one in found.missing if one != "attenuation"]
    asked = tuple((one, unit(one, kind)) for one in sorted(lacking, key=KNOWN[kind].index))
    steps = [
        f"{_spoken(step.name)} = {step.value:.5g} {unit(step.name, kind)}  ({step.formula})"
        for step in found.steps
        if step.name != "density"
    ]
    if "area" in given and "area" not in entry.numbers:
        steps.insert(0, f"area = {given['area']:.5g} µm²  (of the beam)")
    if asked:
        return Follows((), asked, tuple(steps), "")
    dose: dict[str, Any] = {"energy": found.values[name] * factor}
    # The dose follows from the fluence in any material; without one it is kept as it is.
    if "fluence_per_image" in found.values and not _states_dose(entry):
        dose |= {"fluence": found.values["fluence_per_image"], "dose_per_image": None}
    else:
        value = found.values["dose_per_image"] if each is None else each
        dose |= {"fluence": None, "dose_per_image": value}
    return Follows((_made(entry, tilts, dose),), (), tuple(steps), "")


def _states_dose(entry: Entry) -> bool:
    return bool({"dose", "dose_per_image"} & set(entry.numbers))


def _apart(entry: Entry, tilts: Floats) -> Follows:
    """Follow a form of light, ions or scanned electrons."""
    if entry.modality in LIGHT:
        said = ("It is recorded where it was; light leaves no MGy.",)
        return Follows((_made(entry, tilts, {"dose_per_image": None}),), (), said, "")
    wanted = ION if entry.modality in IONS else SCAN
    numbers = dict(entry.numbers)
    fluence = numbers.get("fluence_per_image")
    if fluence is not None:
        wanted = ION
    asked = tuple((name, text) for name, text in wanted if name not in numbers)
    if asked:
        return Follows((), asked, (), "")
    energy = numbers["voltage"] * 1e3
    if entry.modality in IONS:
        depth = damage_layer(entry.ion, numbers["voltage"])
        said = (f"damaged layer = {1e3 * depth:.3g} nm on each face  ({entry.ion}); no MGy",)
        more = {"energy": energy, "ion": entry.ion, "dose_per_image": None}
        return Follows((_made(entry, tilts, more),), (), said, "")
    steps = []
    if fluence is None:
        fluence = scanned_fluence(numbers["current"], numbers["dwell"], numbers["pixel"])
        steps.append(f"fluence per image = {fluence:.5g} /Å²  (current · dwell / pixel²)")
    dose = surface_dose(fluence, energy, entry.material)
    steps.append(f"dose per image = {dose:.5g} MGy  (in the layer that stops the beam)")
    more = {"energy": energy, "fluence": fluence, "dose_per_image": None}
    return Follows((_made(entry, tilts, more),), (), tuple(steps), "")


def _made(entry: Entry, tilts: Floats, dose: Mapping[str, Any]) -> Exposure:
    fields: dict[str, Any] = {
        "modality": entry.modality,
        "frame": entry.frame,
        "aim": entry.aim,
        "axis_height": entry.height,
        "beam_radius": entry.radius,
        "beam_size": entry.size,
        "tilts": tilts,
        "axis_azimuth": entry.axis_azimuth,
        "pretilt": entry.pretilt,
        "material": entry.material,
        "planned": entry.planned,
        "time": entry.time,
        "group": entry.name,
        "basis": "As entered in the dock",
        **dose,
    }
    base = entry.base
    if base is None:
        return Exposure.tilt_series(**fields)
    made = Exposure.tilt_series(id=base.id, **fields)
    kept = {
        name: getattr(base, name)
        for name in ("images", "source", "beam_turn", "halo", "depth", "wavelengths", "light")
    }
    if base.tilts == made.tilts:
        kept |= {"times": base.times, "weights": base.weights}
    same = (made.fluence, made.dose_per_image) == (base.fluence, base.dose_per_image)
    if same:
        kept |= {"basis": base.basis, "lower_bound": base.lower_bound}
    return replace(made, **kept)


def _area(entry: Entry) -> float:
    if entry.radius is not None:
        return float(np.pi * entry.radius**2)
    if entry.size is None:
        raise ClxemError("Give the beam a radius, or its height and width, in µm.")
    return entry.size[0] * entry.size[1]


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def entry_of(one: Exposure) -> Entry:
    """Give the form that an exposure is edited in."""
    numbers: dict[str, float] = {}
    kind = Entry(modality=one.modality.lower()).kind
    if one.energy is not None:
        name, factor = ("voltage", 1e3) if kind is None else ENERGY[kind]
        numbers[name] = one.energy / factor
    if one.fluence is not None:
        numbers["fluence_per_image"] = one.fluence
    elif one.dose_per_image is not None:
        numbers["dose_per_image"] = one.dose_per_image
    return Entry(
        name=one.group,
        modality=one.modality.lower(),
        frame=one.frame,
        aim=one.aim,
        height=one.axis_height,
        radius=one.beam_radius,
        size=one.beam_size,
        tilts=written_tilts(np.asarray(one.tilts)),
        axis_azimuth=one.axis_azimuth,
        pretilt=one.pretilt,
        numbers=numbers,
        material=one.material,
        ion=one.ion or "Ga",
        planned=one.planned,
        time=one.time,
        base=one,
    )
