"""Making exposures: from plain numbers, as mosaics, in another material."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.dose.exposure import SCANNED, UNCOUNTED, XRAYS, Exposure
from napari_clxem.dose.quantities import amount, degrees, not_negative, positive
from napari_clxem.errors import ClxemError
from napari_clxem.frames.affine import Floats, as_points
from napari_clxem.materials import Material

_KNOWN = frozenset(field.name for field in fields(Exposure))
_LEAST = 300.0  # eV; fewer are kilovolts by mistake
_LENGTHS = ("beam_radius", "depth")
_PER_IMAGE = {"dose_per_image": "megagray", "fluence": ""}


def checked_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Check the fields of an exposure and bring them to plain values.

    Raises
    ------
    ClxemError
        One sentence on the first that cannot be.
    """
    unknown = sorted(set(given) - _KNOWN)
    if unknown:
        raise ClxemError(f"An exposure has no field {unknown[0]!r}; it has {', '.join(_KNOWN)}.")
    found = {name: value for name, value in given.items() if value is not None}
    for name in ("modality", "frame"):
        if not isinstance(found.get(name), str) or not found[name]:
            raise ClxemError(f"An exposure needs a {name}; give its name.")
    aim = np.asarray(amount(found["aim"], "micrometer", "The aim"))
    aim = as_points(aim, name="The aim")[0]
    if len(aim) == 3:
        found["axis_height"] = float(aim[0])
    found["aim"] = (float(aim[-2]), float(aim[-1]))
    _check_beam(found)
    tilts = degrees(found["tilts"], "The tilts")
    found["tilts"] = _one_of_each(tuple(tilts.tolist()))
    for name in ("axis_azimuth", "pretilt", "beam_turn"):
        if name in found:
            found[name] = float(degrees(found[name], f"The {name}")[0])
    if "axis_height" in found:
        found["axis_height"] = float(amount(found["axis_height"], "micrometer", "axis_height"))
    if "energy" in found:
        found["energy"] = float(positive(found["energy"], "electron_volt", "The energy"))
    images = found.get("images", 1)
    if isinstance(images, bool) or int(images) != images or images < 1:
        raise ClxemError(f"There are {images} images per tilt; give 1 or more.")
    _check_times(found)
    _share_out(found)
    return found


@lru_cache(maxsize=256)
def _one_of_each(tilts: tuple[float, ...]) -> tuple[float, ...]:
    """Give the first tuple of all equal ones: thousands of exposures share one tilt scheme."""
    return tilts


def _check_beam(found: dict[str, Any]) -> None:
    radius, size = found.get("beam_radius"), found.get("beam_size")
    if (radius is None) == (size is None):
        raise ClxemError("Give a beam either its beam_radius or its beam_size, in µm.")
    for name in _LENGTHS:
        if name in found:
            found[name] = float(positive(found[name], "micrometer", name))
    if size is not None:
        sides = np.asarray(positive(size, "micrometer", "beam_size"))
        if sides.shape != (2,):
            raise ClxemError(f"beam_size is {size}; give height and width (y, x) in µm.")
        found["beam_size"] = tuple(sides.tolist())
    rings = found.get("halo", ())
    try:
        halo = np.asarray(rings, float).reshape(-1, 2)
    except (TypeError, ValueError) as error:
        raise ClxemError(f"halo is {rings!r}; give pairs of distance (µm) and share.") from error
    shares = halo[:, 1]
    if np.any(np.diff(halo[:, 0], prepend=0.0) <= 0) or np.any(np.diff(shares, prepend=1.0) > 0):
        raise ClxemError("A halo reaches outwards and weakens; give growing distances and shares.")
    if np.any(~np.isfinite(halo)) or np.any(shares < 0):
        raise ClxemError("A halo holds a number that cannot be; give distances and shares >= 0.")
    found["halo"] = tuple((float(a), float(b)) for a, b in halo)


def _check_times(found: dict[str, Any]) -> None:
    times = tuple(found.get("times", ()))
    if times and len(times) != len(found["tilts"]):
        raise ClxemError(
            f"There are {len(times)} time stamps for {len(found['tilts'])} tilts; give one each."
        )
    found["times"] = times


def _share_out(found: dict[str, Any]) -> None:
    """Turn a dose or fluence per image into one number and weights."""
    light = Exposure(id="", modality=found["modality"], frame="", aim=(0.0, 0.0))
    for name, unit in _PER_IMAGE.items():
        if name not in found:
            continue
        unit = unit or fluence_unit(found["modality"])
        values = np.asarray(not_negative(found[name], unit, name))
        if values.ndim > 1 or (values.ndim == 1 and len(values) != len(found["tilts"])):
            raise ClxemError(
                f"There are {values.size} values of {name} for {len(found['tilts'])} tilts; give "
                "one for all or one each."
            )
        if light.counts and np.any(values == 0):
            raise ClxemError(
                f"{name} is 0, but every exposure leaves something; leave it out where it is "
                "unknown."
            )
        mean = float(values.mean())
        if values.ndim == 1:
            weights = tuple((values / mean).tolist()) if mean else ()
            if found.get("weights", weights) != weights:
                raise ClxemError(f"{name} and weights say different things of the images.")
            found["weights"] = weights if len(set(weights)) > 1 else ()
        found[name] = mean
    weights = tuple(found.get("weights", ()))
    if weights and len(weights) != len(found["tilts"]):
        raise ClxemError(
            f"There are {len(weights)} weights for {len(found['tilts'])} tilts; give one each."
        )
    if weights and not (np.isfinite(weights).all() and min(weights) >= 0):
        raise ClxemError("The weights of an exposure must be 0 or more.")
    found["weights"] = tuple(float(w) for w in weights)


def fluence_unit(modality: str) -> str:
    """Give the unit of `Exposure.fluence`: photons/µm² for X-rays and light, else e⁻/Å²."""
    one = Exposure(id="", modality=modality, frame="", aim=(0.0, 0.0))
    is_photons = modality.lower() in XRAYS or not one.counts
    return "1/micrometer**2" if is_photons else "1/angstrom**2"


def image_dose(exposure: Exposure, material: str | Material | None = None) -> float | None:
    """Entrance dose of one image, MGy; see :meth:`Exposure.image_dose`."""
    if not exposure.counts:
        return 0.0
    stated = exposure.dose_per_image or None  # 0 is written where a dose is not known
    own = exposure.material
    if stated is not None and (material is None or material == own):
        return stated
    wanted = own if material is None else material
    if stated is not None:
        return stated * _dose_of(exposure, 1.0, wanted) / _dose_of(exposure, 1.0, own)
    if exposure.fluence and exposure.energy is not None:
        return _dose_of(exposure, exposure.fluence, wanted)
    return None


def _dose_of(exposure: Exposure, fluence: float, material: str | Material) -> float:
    from napari_clxem.dose.layers import surface_dose
    from napari_clxem.dose.physics import electron_dose, xray_dose

    if exposure.energy is None:
        name = getattr(material, "name", material)
        raise ClxemError(
            f"Exposure {exposure.id!r} states its dose for {exposure.material}; for {name} its "
            "energy is needed, too."
        )
    kind = exposure.modality.lower()
    if kind in XRAYS:
        return float(xray_dose(fluence, exposure.energy, material))
    if exposure.energy <= _LEAST:
        raise ClxemError(
            f"Exposure {exposure.id!r} has electrons of {exposure.energy:g} eV; give their energy "
            "in eV, such as 300e3."
        )
    if kind in SCANNED:
        return float(surface_dose(fluence, exposure.energy, material, depth=exposure.depth))
    return float(electron_dose(fluence, exposure.energy * 1e-3, material))


def mosaic(
    aims: ArrayLike,
    *,
    modality: str,
    frame: str,
    group: str = "mosaic",
    **rest: Any,
) -> tuple[Exposure, ...]:
    """Make one exposure per tile of a mosaic.

    Parameters
    ----------
    aims : (n, 2) array_like
        Centres of the tiles (y, x) in the order they were taken, µm; see :func:`tile_aims`.
    modality, frame, **rest
        As :meth:`Exposure.tilt_series`; one image at tilt 0 where nothing else is said.
    group : str
        Name of the mosaic; the tiles' ids begin with it.

    Returns
    -------
    tuple of Exposure
        Where tiles overlap their doses add up.
    """
    centres = as_points(aims, 2, "The tiles' aims")
    first = Exposure.tilt_series(
        modality=modality,
        frame=frame,
        aim=centres[0],
        group=group,
        **{"tilts": (0.0,), **rest},
    )
    stem = f"{group}-{first.id}"
    return tuple(
        replace(first, id=f"{stem}-{k}", aim=(float(y), float(x)))
        for k, (y, x) in enumerate(centres)
    )


def tile_aims(centre: ArrayLike, tiles: tuple[int, int], pitch: Any) -> np.ndarray:
    """Centres (n, 2) of `tiles` (rows, columns) about `centre` (y, x), `pitch` µm apart."""
    rows, columns = (int(n) for n in tiles)
    if rows < 1 or columns < 1:
        raise ClxemError(f"A mosaic has {rows} x {columns} tiles; give 1 or more each way.")
    step = np.broadcast_to(positive(pitch, "micrometer", "The pitch of the tiles"), 2)
    y, x = np.mgrid[:rows, :columns].reshape(2, -1)
    places = np.column_stack([y - (rows - 1) / 2, x - (columns - 1) / 2])
    return np.asarray(as_points(centre, 2, "The centre")[0] + places * step)


def common_doses(
    exposures: Sequence[Exposure], material: str | Material | None
) -> tuple[Floats, str, dict[int, str]]:
    """Bring the doses of exposures to one material.

    Returns
    -------
    (n,) array
        Dose of one image of each, MGy; 0 where it is unknown.
    str
        The material.
    dict of int to str
        Which are unknown, and why.

    Raises
    ------
    ClxemError
        Where doses are stated for several materials and none is named.
    """
    pairs = {(one.material, one.modality) for one in exposures}
    stated = {material for material, modality in pairs if modality.lower() not in UNCOUNTED}
    if material is None and len(stated) > 1:
        raise ClxemError(
            f"Doses are stated for {', '.join(sorted(stated))}; say for which material to add "
            "them up."
        )
    name = material if material is not None else next(iter(stated), "cell")
    doses = np.zeros(len(exposures))
    reasons: dict[int, str] = {}
    for index, one in enumerate(exposures):
        dose = one.dose_per_image
        if dose and one.modality in XRAYS and one.material == name:
            doses[index] = dose  # by far the most frequent
            continue
        try:
            dose = one.image_dose(name)
        except ClxemError as error:  # one exposure at an absorption edge must not hide the rest
            reasons[index] = str(error)
            continue
        if dose is None:
            reasons[index] = "Neither its dose nor its fluence and energy are known."
        else:
            doses[index] = dose
    return doses, getattr(name, "name", str(name)), reasons
