"""Image by image, what files of electron and X-ray microscopes say of an acquisition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import PurePath
from typing import Any

from napari_clxem.io.image import OpenedImage
from napari_clxem.session.stamps import iso_time

_STATED = "ExposureDose of the mdoc"
_STEPS = "steps of PriorRecordDose in the mdoc"
_RATE = "DoseRate of the mdoc, measured in vacuum"
_BEHIND = "DoseRate of the mdoc, measured behind the sample: a lower bound"


@dataclass(frozen=True)
class Shot:
    """One image: its tilt and time, what fluence it took and how that is known.

    `offset` is its centre (y, x) in the image's frame where it is one piece of several, `size`
    (y, x) that of the piece, µm.
    """

    tilt: float
    time: str = ""
    fluence: float | None = None
    basis: str = ""
    lower_bound: bool = False
    energy: float | None = None
    axis_azimuth: float = 0.0
    offset: tuple[float, float] | None = None
    size: tuple[float, float] | None = None


def tem_shots(image: OpenedImage, rate_in_vacuum: bool, notes: list[str]) -> list[Shot]:
    """Give the images of a SerialEM file; what is missing is added to `notes`."""
    sections = _sections(image)
    if not sections:
        notes.append("The mdoc describes no image: tilts and doses are unknown.")
        return [Shot(0.0)]
    shots = [_tem_shot(section, rate_in_vacuum) for section in sections]
    shots = _by_steps(shots, sections)
    if "montage" in image.meta:
        shots = _pieces(image, sections, shots, notes)
    unknown = sum(shot.fluence is None for shot in shots)
    if unknown:
        notes.append(
            f"The mdoc does not state the dose of {unknown} of {len(shots)} images (0 means "
            "unknown); give it."
        )
    if any(shot.lower_bound for shot in shots):
        notes.append(
            "DoseRate is measured at the camera, behind the sample: the dose is a lower bound "
            "unless it was taken in vacuum."
        )
    before = min((s.get("PriorRecordDose", 0.0) for s in sections), default=0.0)
    if isinstance(before, int | float) and before > 0:
        notes.append(f"{before:g} e⁻/Å² were recorded here before the first of these images.")
    return shots


def _sections(image: OpenedImage) -> Sequence[Mapping[str, Any]]:
    """Entries of the images, of a map that is one section of its file only that one."""
    sections: Sequence[Mapping[str, Any]] = image.meta.get("sections", ())
    number = image.meta.get("map", {}).get("MapSection")
    single = "t" not in image.axes and "montage" not in image.meta and "z" not in image.axes
    if single and isinstance(number, int) and number < len(sections):
        return sections[number : number + 1]
    return sections


def _tem_shot(section: Mapping[str, Any], rate_in_vacuum: bool) -> Shot:
    turn = number(section, "RotationAngle")
    shot = Shot(
        tilt=number(section, "TiltAngle") or 0.0,
        time=iso_time(str(section.get("DateTime", ""))),
        # SerialEM turns from x counter-clockwise, IMOD from y; ours runs clockwise from y
        axis_azimuth=0.0 if turn is None else _half_turn(90.0 - turn),
    )
    dose = number(section, "ExposureDose")
    if dose and dose > 0:
        return replace(shot, fluence=dose, basis=_STATED)
    rate, time = number(section, "DoseRate"), number(section, "ExposureTime")
    pixel, binning = number(section, "PixelSpacing"), number(section, "Binning") or 1.0
    if rate and time and pixel and min(rate, time, pixel, binning) > 0:
        fluence = rate * time / (pixel / binning) ** 2
        basis = _RATE if rate_in_vacuum else _BEHIND
        return replace(shot, fluence=fluence, basis=basis, lower_bound=not rate_in_vacuum)
    return shot


def _half_turn(angle: float) -> float:
    """Bring the direction of a line to (-90, 90]."""
    return -((90.0 - angle) % 180.0 - 90.0)


def _by_steps(shots: list[Shot], sections: Sequence[Mapping[str, Any]]) -> list[Shot]:
    """Fill doses that are not stated by the difference to the next PriorRecordDose."""
    prior = [number(section, "PriorRecordDose") for section in sections]
    known = sorted((p, i) for i, p in enumerate(prior) if p is not None)
    found = list(shots)
    for (dose, index), (after, _) in pairwise(known):
        stated = shots[index].basis == _STATED
        if not stated and after > dose:
            found[index] = replace(
                shots[index], fluence=after - dose, basis=_STEPS, lower_bound=False
            )
    return found


def _pieces(
    image: OpenedImage,
    sections: Sequence[Mapping[str, Any]],
    shots: list[Shot],
    notes: list[str],
) -> list[Shot]:
    """Place the pieces of a joined montage in its frame, rows counted from the top."""
    about = image.meta["montage"]
    key = about.get("coordinates")
    key = "PieceCoordinates" if key in (None, "planned") else key
    chosen = [i for i, s in enumerate(sections) if _level(s) == about.get("section", 0)]
    places = [_place(sections[i], key) for i in chosen]
    planned = [_place(sections[i], "PieceCoordinates") for i in chosen]
    rows, columns = image.data.shape[-2:]
    if not chosen or not all((*places, *planned)):
        notes.append("The places of the pieces are not known: the whole montage counts as one.")
        return shots[:1]
    height = rows - max(p[1] for p in planned)
    width = columns - max(p[0] for p in planned)
    down, right = (image.scale or (1.0, 1.0))[-2:]
    upwards = "y" in image.orientation.flip
    found = []
    for index, (x, y, *_) in zip(chosen, places, strict=True):
        row = y + (height - 1) / 2
        row = rows - 1 - row if upwards else row
        centre = (row * down, (x + (width - 1) / 2) * right)
        found.append(replace(shots[index], offset=centre, size=(height * down, width * right)))
    return found


def _level(section: Mapping[str, Any]) -> int:
    place = section.get("PieceCoordinates")
    return int(place[2]) if isinstance(place, list) and len(place) > 2 else 0


def _place(section: Mapping[str, Any], key: str) -> tuple[float, ...]:
    value = section.get(key)
    return tuple(map(float, value)) if isinstance(value, list) and len(value) >= 2 else ()


def xray_shots(image: OpenedImage, rate: float | None, notes: list[str]) -> list[Shot]:
    """Give the images of an X-ray microscope's file.

    Parameters
    ----------
    image : OpenedImage
        Of an Xradia or Mistral file.
    rate : float or None
        Photons per µm² and second.
    notes : list of str
        What is missing is added here.
    """
    meta = image.meta
    if "t" in image.axes and _are_tiles(meta, image):
        notes.append("Its tiles are not joined, so they have no place; record the joined mosaic.")
        return []
    count = image.data.shape[image.axes.index("t")] if "t" in image.axes else 1
    tilts = _series(meta, "tilt_angles", count)
    times = _series(meta, "exposure_times", count)
    energies = _series(meta, "energies", count)
    stamps = [iso_time(str(s)) for s in _series(meta, "dates", count, "")]
    if any(tilt is None for tilt in tilts) and count > 1:
        notes.append("The file does not state its tilts: 0 is taken for each image.")
    if rate is not None and not all(time and time > 0 for time in times):
        notes.append("The file does not state the exposure time of every image; give the fluence.")
    shots = [
        Shot(
            tilt=tilt or 0.0,
            time=stamp,
            fluence=rate * time if rate is not None and time and time > 0 else None,
            basis="exposure time of the file times the flux given" if rate is not None else "",
            energy=None if energy is None or energy <= 0 else round(float(energy), 1),
        )
        for tilt, time, energy, stamp in zip(tilts, times, energies, stamps, strict=True)
    ]
    if isinstance(mosaic := meta.get("mosaic"), list) and "t" not in image.axes:
        return _tiles(image, mosaic, shots[0])
    return shots


def _tiles(image: OpenedImage, mosaic: Sequence[int], shot: Shot) -> list[Shot]:
    """Give one shot per tile of a mosaic whose tiles lie edge to edge."""
    rows, columns = (max(1, int(n)) for n in mosaic[:2])
    down, right = (image.scale or (1.0, 1.0))[-2:]
    height, width = image.data.shape[-2] / rows, image.data.shape[-1] / columns
    return [
        replace(
            shot,
            offset=(((r + 0.5) * height - 0.5) * down, ((c + 0.5) * width - 0.5) * right),
            size=(height * down, width * right),
        )
        for r in range(rows)
        for c in range(columns)
    ]


def _are_tiles(meta: Mapping[str, Any], image: OpenedImage) -> bool:
    """Whether the images of a series were taken side by side instead of at tilts."""
    places = meta.get("positions") or []
    if len(places) < 2 or image.scale is None:
        return False
    field = image.data.shape[-1] * image.scale[-1]
    spread = max(max(p[axis] for p in places) - min(p[axis] for p in places) for axis in (1, 2))
    return bool(spread > 0.5 * field)


def _series(meta: Mapping[str, Any], name: str, count: int, default: Any = None) -> list[Any]:
    values = list(meta.get(name) or [])
    if len(values) == count:
        return values
    return values[:1] * count if len(values) == 1 else [default] * count


def number(section: Mapping[str, Any], key: str) -> float | None:
    """Give an entry as a number, or None where it is none."""
    value = section.get(key)
    return float(value) if isinstance(value, int | float) else None


def portable(path: str) -> str:
    """Give a relative path as it is, of an absolute one only the name."""
    place = PurePath(path)
    return place.name if place.is_absolute() else path
