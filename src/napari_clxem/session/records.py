"""From what files say of their images to exposures; what they do not say is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

import numpy as np

from napari_clxem.dose import Exposure, Preset, scanned_fluence, unrecorded
from napari_clxem.dose.exposure import LIGHT
from napari_clxem.errors import ClxemError, MissingScaleError, SessionError
from napari_clxem.io.image import OpenedImage
from napari_clxem.session.acquisitions import Shot, number, portable, tem_shots, xray_shots
from napari_clxem.session.model import Dataset, Session
from napari_clxem.session.stamps import iso_time

_IONS = {"gallium": "Ga", "ga": "Ga", "xenon": "Xe", "xe": "Xe", "argon": "Ar", "ar": "Ar"}


@dataclass(frozen=True)
class Record:
    """Exposures made from a file, and what to know of them.

    Attributes
    ----------
    exposures : tuple of Exposure
    notes : tuple of str
        What the file does not say, or what was taken for granted; each a sentence.
    """

    exposures: tuple[Exposure, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the user knows and no file says.

    Parameters
    ----------
    beam_radius : float or None
        Of a round beam, µm; the camera's field stands for the beam where it is left out.
    pretilt : float or None
        Stage tilt at which the image's plane is perpendicular to the beam, degrees; 0 is taken
        where it is left out.
    axis_azimuth : float or None
        Tilt axis, degrees; as the file says where it is left out.
    flux, area : float or None
        Photons/s and illuminated area, µm².
    preset : Preset or None
        Way of exposing from which flux and beam are taken where they are left out.
    energy : float or None
        Of photons or electrons, eV, where the file does not say.
    rate_in_vacuum : bool
        Whether DoseRate was measured without the sample: else it is only a lower bound.
    material : str
        What doses are stated for.
    ion : str
        Of a focused ion beam, where the file does not say.
    """

    beam_radius: float | None = None
    pretilt: float | None = None
    axis_azimuth: float | None = None
    flux: float | None = None
    area: float | None = None
    preset: Preset | None = None
    energy: float | None = None
    rate_in_vacuum: bool = False
    material: str = "cell"
    ion: str = ""


@dataclass(frozen=True)
class _Scene:
    """An image with its place: what every exposure of it shares."""

    image: OpenedImage
    frame: str
    modality: str
    source: str
    known: Known
    size: tuple[float, float]
    aim: tuple[float, float]
    height: float
    notes: list[str] = field(default_factory=list)

    def exposure(self, **fields: Any) -> Exposure:
        """Make an exposure about the middle of the image."""
        shared: dict[str, Any] = {
            "modality": self.modality,
            "frame": self.frame,
            "aim": self.aim,
            "axis_height": self.height,
            "material": self.known.material,
            "source": self.source,
            "tilts": (0.0,),
        }
        return Exposure.tilt_series(**(shared | fields))


def record_image(
    image: OpenedImage,
    frame: str,
    *,
    modality: str = "",
    source: str = "",
    known: Known | None = None,
    **more: Any,
) -> Record:
    """Make exposures from an opened image.

    Parameters
    ----------
    image : OpenedImage
        With what its file says in `meta`.
    frame : str
        Frame the image lies in.
    modality : str
        As a dataset has it; told by the file where it is left out.
    source : str
        Name of the file.
    known : Known, optional
        What no file says.
    **more
        Fields of :class:`Known` that differ from `known`.

    Returns
    -------
    Record
        SerialEM: fluence by ExposureDose (0 means unknown), by the steps of PriorRecordDose, else
        by DoseRate as a lower bound. Xradia and Mistral files: fluence by exposure time times
        the flux that is given. Scanning microscopes: by current and dwell time, in a surface
        layer. Light and ions: where they were, without dose.

    Raises
    ------
    MissingScaleError
        Where the image has no pixel size.
    ClxemError
        For a number in `known` that cannot be.
    """
    try:
        given = replace(known or Known(), **more)
    except TypeError as error:
        raise ClxemError(
            f"Nothing is known by the name {', '.join(sorted(more))}; give any of "
            f"{', '.join(Known.__dataclass_fields__)}."
        ) from error
    scene = _scene(image, frame, modality, source, given)
    meta = image.meta
    if meta.get("role"):
        return Record((), (f"It is a {meta['role']} field, taken without the sample.",))
    if "sections" in meta or "mdoc" in meta:
        return _electrons(scene)
    if meta.get("format") in ("xrm", "alba"):
        return _xrays(scene)
    if meta.get("format") == "thermo":
        return _scanned(scene)
    return _plain(scene)


def record_dataset(
    dataset: Dataset, image: OpenedImage, known: Known | None = None, **more: Any
) -> Record:
    """Make exposures from a dataset of the session and its image; see :func:`record_image`.

    Raises
    ------
    SessionError
        Where the dataset lies in no frame yet.
    """
    if not dataset.frame:
        raise SessionError(
            f"Dataset {dataset.name or dataset.id!r} lies in no frame; place it before its "
            "exposures are recorded."
        )
    return record_image(
        image,
        dataset.frame,
        modality=dataset.modality,
        source=portable(dataset.file.path),
        known=known,
        **more,
    )


def without_known(session: Session, exposures: Iterable[Exposure]) -> Record:
    """Leave out images that the session has already: of a series that went on, the first ones.

    Returns
    -------
    Record
        What is new; the notes name what was left out.
    """
    recorded, new, notes = list(session.exposures), [], []
    for one in exposures:
        rest = unrecorded(one, recorded)
        if rest is None:
            notes.append(f"{PurePath(one.source).name or one.id} is recorded already.")
            continue
        if rest is not one:
            notes.append(
                f"{one.image_count - rest.image_count} of {one.image_count} images of "
                f"{PurePath(one.source).name or one.id} are recorded already: only the others are "
                "added."
            )
        new.append(rest)
        recorded.append(rest)
    return Record(tuple(new), tuple(notes))


def prior_doses(doses: Sequence[float], times: Sequence[str]) -> list[float]:
    """Give the dose before each image, in the order the images are given.

    Parameters
    ----------
    doses : sequence of float
        Of each image.
    times : sequence of str
        ISO 8601 time stamps: images add up in the order they were taken, not in that of tilts.
        Empty ones keep the given order.
    """
    order = sorted(range(len(doses)), key=lambda i: times[i] if times[i] else "")
    found, total = [0.0] * len(doses), 0.0
    for index in order:
        found[index] = total
        total += doses[index]
    return found


def _scene(image: OpenedImage, frame: str, modality: str, source: str, known: Known) -> _Scene:
    if image.scale is None:
        raise MissingScaleError(
            f"{image.name or 'The image'} has no pixel size, so its exposures have no place; give "
            "the pixel size first."
        )
    sizes = dict(zip(image.axes, image.data.shape, strict=True))
    spatial = [axis for axis in image.axes if axis in ("z", "y", "x")]
    pixel = dict(zip(spatial, image.scale, strict=True))
    middle = {axis: (sizes[axis] - 1) / 2 * pixel[axis] for axis in spatial}
    return _Scene(
        image,
        frame,
        modality or _modality(image.meta),
        source,
        known,
        (sizes["y"] * pixel["y"], sizes["x"] * pixel["x"]),
        (middle["y"], middle["x"]),
        middle.get("z", 0.0),
    )


def _modality(meta: Mapping[str, Any]) -> str:
    if meta.get("format") in ("xrm", "alba"):
        return "sxt"
    if meta.get("format") == "thermo":
        return "fib" if meta.get("beam") == "ion" else "sem"
    return "tem" if "mdoc" in meta or "sections" in meta else "light"


def _beam(scene: _Scene, azimuth: float) -> dict[str, Any]:
    """Shape of the beam: as given, else the camera's field."""
    radius = scene.known.beam_radius
    if radius is None and scene.known.preset is not None:
        radius = scene.known.preset.beam_radius
    if radius is not None:
        return {"beam_radius": radius}
    note = "The size of the beam is not known: the camera's field stands for it."
    if note not in scene.notes:
        scene.notes.append(note)
    return {"beam_size": scene.size, "beam_turn": -azimuth}


def _electrons(scene: _Scene) -> Record:
    shots = tem_shots(scene.image, scene.known.rate_in_vacuum, scene.notes)
    voltage = number(scene.image.meta.get("mdoc", {}), "Voltage")
    energy = scene.known.energy or (voltage * 1e3 if voltage and voltage > 0 else None)
    if energy is None:
        scene.notes.append("The file does not state the voltage; give the energy in eV.")
    if scene.known.pretilt is None and len({shot.tilt for shot in shots}) > 1:
        scene.notes.append(
            "The file does not say at which stage tilt the sample is perpendicular to the beam "
            "(pretilt): 0 is taken."
        )
    return _grouped(scene, shots, energy)


def _xrays(scene: _Scene) -> Record:
    rate = _photon_rate(scene)
    shots = xray_shots(scene.image, rate, scene.notes)
    if not shots:
        return Record((), tuple(scene.notes))
    found: list[Exposure] = []
    for energy in sorted({shot.energy for shot in shots}, key=lambda e: e or 0.0):
        one = [shot for shot in shots if shot.energy == energy]
        found += _grouped(scene, one, scene.known.energy or energy).exposures
    if found and all(one.energy is None for one in found):
        scene.notes.append("The file does not state the photon energy; give it in eV.")
    return Record(tuple(found), tuple(scene.notes))


def _photon_rate(scene: _Scene) -> float | None:
    """Photons per µm² and second, where the user or a preset says."""
    known = scene.known
    if known.flux is not None:
        area = known.area
        if area is None and known.beam_radius is not None:
            area = float(np.pi * known.beam_radius**2)
        if area is None:
            scene.notes.append("A flux alone makes no fluence; give the illuminated area, µm².")
            return None
        if known.flux <= 0 or area <= 0:
            raise ClxemError("The flux and the illuminated area must be above zero.")
        return known.flux / area
    if known.preset is not None and known.preset.exposure_time:
        return known.preset.image_fluence / known.preset.exposure_time
    scene.notes.append("The flux is not in the file: without it the dose stays unknown.")
    return None


def _grouped(scene: _Scene, shots: Sequence[Shot], energy: float | None) -> Record:
    """Make exposures of images: apart by place, by what is known of their dose, and how."""
    groups: dict[tuple[Any, ...], list[Shot]] = {}
    for shot in sorted(shots, key=lambda one: one.time):
        key = (shot.offset, shot.fluence is None, shot.lower_bound, shot.basis)
        groups.setdefault(key, []).append(shot)
    found = []
    for images in groups.values():
        first = images[0]
        azimuth = scene.known.axis_azimuth
        if azimuth is None:
            azimuth = first.axis_azimuth
        beam = _beam(scene, azimuth)
        if first.size is not None and "beam_size" in beam:
            beam["beam_size"] = first.size
        aim = first.offset or scene.aim
        found.append(
            scene.exposure(
                **beam,
                aim=aim,
                axis_azimuth=azimuth,
                pretilt=scene.known.pretilt or 0.0,
                tilts=[one.tilt for one in images],
                fluence=None if first.fluence is None else [one.fluence for one in images],
                energy=energy,
                time=first.time,
                times=tuple(one.time for one in images) if any(o.time for o in images) else (),
                basis=first.basis,
                lower_bound=first.lower_bound,
                group=scene.image.name if len({one.offset for one in shots}) > 1 else "",
            )
        )
    return Record(tuple(found), tuple(scene.notes))


def _scanned(scene: _Scene) -> Record:
    meta = scene.image.meta
    time = iso_time(str(meta.get("date", "")))
    shared: dict[str, Any] = {"beam_size": scene.size, "time": time}
    if meta.get("beam") == "ion":
        source = str(meta.get("settings", {}).get("IBeam", {}).get("Source", "")).lower()
        ion = scene.known.ion or _IONS.get(source, "")
        if not ion:
            scene.notes.append("The file does not say which ion; its damage layer depends on it.")
        volts = number(meta, "voltage_kv")
        one = scene.exposure(**shared, ion=ion, energy=volts * 1e3 if volts else None)
        return Record((replace(one, modality="fib"),), tuple(scene.notes))
    numbers = [number(meta, name) for name in ("voltage_kv", "current_pa", "dwell_us")]
    if not all(n is not None and n > 0 for n in numbers):
        scene.notes.append("Voltage, current or dwell time are missing: the dose is unknown.")
        return Record((scene.exposure(**shared),), tuple(scene.notes))
    volts, current, dwell = (n for n in numbers if n is not None)
    scan = meta.get("settings", {}).get("Scan", {})
    passes = int(max(1.0, *(number(scan, k) or 1.0 for k in ("Integrate", "Average"))))
    area = (scene.image.scale or (1.0,))[-1] * (scene.image.scale or (1.0,))[-2]
    fluence = scanned_fluence(current, dwell * passes, 1e3 * area**0.5)
    one = scene.exposure(
        **shared,
        energy=volts * 1e3,
        fluence=fluence,
        basis=f"{current:g} pA, {dwell:g} µs per pixel, {passes} pass(es), in a surface layer",
    )
    return Record((one,), tuple(scene.notes))


def _plain(scene: _Scene) -> Record:
    """Record only where: no dose of light, an unknown one of anything else."""
    if scene.modality.lower() not in LIGHT:
        scene.notes.append("The file says nothing of its exposure: the dose is unknown.")
    wavelengths = tuple(c.wavelength for c in scene.image.channels if c.wavelength)
    beam = {"beam_size": scene.size}
    return Record((scene.exposure(**beam, wavelengths=wavelengths),), tuple(scene.notes))
