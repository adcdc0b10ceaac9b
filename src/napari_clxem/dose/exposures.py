"""Making exposures: from plain numbers, as mosaics, in another material."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.dose.exposure import SCANNED, UNCOUNTED, XRAYS, Exposure
from napari_clxem.dose.quantities import (
    a_point,
    amount,
    degrees,
    expected,
    not_negative,
    one_amount,
    one_not_negative,
    one_positive,
    pair,
    positive,
    whole,
    written,
)
from napari_clxem.errors import ClxemError
from napari_clxem.frames.affine import Floats, as_points
from napari_clxem.materials import Material, named

_KNOWN = frozenset(field.name for field in fields(Exposure))
_LEAST = 300.0  # eV; fewer are kilovolts by mistake
_WORDS = frozenset({"time", "source", "basis", "ion", "group"})
_SWITCHES = frozenset({"planned", "lower_bound"})
_NEEDED = {"aim": "(y, x), µm", "tilts": "degrees, 0 for an untilted image"}
_MOST_TILES = 10_000
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
    for name in ("aim", "tilts"):
        if name not in found:
            raise ClxemError(f"An exposure needs its {name}; give {_NEEDED[name]}.")
    aim = a_point(found["aim"], "The aim")[0]
    if len(aim) == 3:
        found["axis_height"] = float(aim[0])
    found["aim"] = (float(aim[-2]), float(aim[-1]))
    _check_beam(found)
    tilts = degrees(found["tilts"], "The tilts")
    found["tilts"] = _one_of_each(tuple(tilts.tolist()))
    for name in ("axis_azimuth", "pretilt", "beam_turn"):
        if name in found:
            angles = degrees(found[name], f"The {name}")
            if len(angles) > 1:
                raise ClxemError(f"The {name} is {written(found[name])}; give one angle.")
            found[name] = float(angles[0])
    if "axis_height" in found:
        found["axis_height"] = one_amount(found["axis_height"], "micrometer", "axis_height")
    if "energy" in found:
        found["energy"] = one_positive(found["energy"], "electron_volt", "The energy")
    if "images" in found:
        found["images"] = whole(found["images"], "The number of images per tilt", 1)
    _check_words(found)
    _check_times(found)
    _share_out(found)
    return found


def _check_words(found: dict[str, Any]) -> None:
    """Refuse what is no text, truth value or number where the field is one."""
    for name in _WORDS & found.keys():
        expected(found[name], str, f"The {name} of an exposure")
    if not isinstance(found.get("material", ""), str | Material):
        raise ClxemError(f"The material is {written(found['material'])}; give its name or formula.")
    for name in _SWITCHES & found.keys():
        if not isinstance(found[name], bool | np.bool_):
            raise ClxemError(f"{name} is {written(found[name])}; say True or False.")
        found[name] = bool(found[name])
    if "light" in found:
        found["light"] = one_not_negative(found["light"], "joule/centimeter**2", "light")
    if "wavelengths" in found:
        waves = np.asarray(positive(found["wavelengths"], "nanometer", "wavelengths"))
        found["wavelengths"] = tuple(waves.ravel().tolist())


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
            found[name] = one_positive(found[name], "micrometer", name)
    if size is not None:
        sides = np.asarray(positive(size, "micrometer", "beam_size"))
        if sides.shape != (2,):
            raise ClxemError(f"beam_size is {written(size)}; give height and width (y, x) in µm.")
        found["beam_size"] = tuple(sides.tolist())
    rings = found.get("halo", ())
    halo = np.asarray(amount(rings, "dimensionless", "The halo"))
    if halo.size and (halo.ndim != 2 or halo.shape[1] != 2):
        raise ClxemError(f"halo is {written(rings)}; give pairs of distance (µm) and share.")
    halo = halo.reshape(-1, 2)
    shares = halo[:, 1]
    if np.any(np.diff(halo[:, 0], prepend=0.0) <= 0) or np.any(np.diff(shares, prepend=1.0) > 0):
        raise ClxemError("A halo reaches outwards and weakens; give growing distances and shares.")
    if np.any(~np.isfinite(halo)) or np.any(shares < 0):
        raise ClxemError("A halo holds a number that cannot be; give distances and shares >= 0.")
    found["halo"] = tuple((float(a), float(b)) for a, b in halo)


def _check_times(found: dict[str, Any]) -> None:
    given = found.get("times", ())
    if not isinstance(given, list | tuple) or not all(isinstance(time, str) for time in given):
        raise ClxemError(f"times are {written(given)}; give ISO 8601 texts.")
    times = tuple(given)
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
            if "weights" in found and _weights(found["weights"]) != weights:
                raise ClxemError(f"{name} and weights say different things of the images.")
            found["weights"] = weights if len(set(weights)) > 1 else ()
        found[name] = mean
    weights = _weights(found.get("weights", ()))
    if weights and len(weights) != len(found["tilts"]):
        raise ClxemError(
            f"There are {len(weights)} weights for {len(found['tilts'])} tilts; give one each."
        )
    found["weights"] = weights


def _weights(given: Any) -> tuple[float, ...]:
    found = np.asarray(not_negative(given, "dimensionless", "The weights"))
    if found.ndim != 1:
        raise ClxemError(f"The weights are {written(given)}; give one for each tilt.")
    return tuple(found.tolist())


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
    if material is not None:
        named(material)
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
    if not len(centres):
        raise ClxemError("A mosaic has no tile; give the aims of its tiles, as tile_aims does.")
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
    """Centres (n, 2) of `tiles` (rows, columns) about `centre` (y, x), `pitch` µm apart.

    Row by row; `pitch` is one number or (y, x), see :func:`tile_pitch`.

    Raises
    ------
    ClxemError
        For fewer than one tile, more than 10 000, or a pitch that is not above zero.
    """
    try:
        rows, columns = (whole(n, "The number of tiles", 1) for n in tiles)
    except (TypeError, ValueError) as error:
        raise ClxemError(f"A mosaic has {written(tiles)} tiles; give (rows, columns).") from error
    if rows * columns > _MOST_TILES:
        raise ClxemError(
            f"A mosaic of {rows} x {columns} tiles is too large; give at most {_MOST_TILES} in all."
        )
    step = pair(pitch, "The pitch of the tiles")
    y, x = np.mgrid[:rows, :columns].reshape(2, -1)
    places = np.column_stack([y - (rows - 1) / 2, x - (columns - 1) / 2])
    return a_point(centre, "The centre of the mosaic")[0, -2:] + places * step


def tile_pitch(tile: Any, overlap: Any = 0.0) -> tuple[float, float]:
    """Give how far tiles of a mosaic lie apart (y, x), µm.

    Parameters
    ----------
    tile : float, (2,) array_like or Quantity
        What one image shows, (y, x), µm: the camera's field, not the beam, which is larger.
    overlap : float or (2,) array_like
        Part of it that neighbours share along y and x, 0 up to, but not 1.

    Raises
    ------
    ClxemError
        For a number that cannot be.
    """
    side = pair(tile, "The size of a tile")
    shared = np.asarray(not_negative(overlap, "dimensionless", "The overlap of the tiles"))
    if shared.shape not in ((), (2,)) or np.any(shared >= 1):
        raise ClxemError(
            f"The overlap of the tiles is {written(overlap)}; give a part below 1, for both or "
            "(y, x)."
        )
    y, x = (side * (1.0 - shared)).tolist()
    return y, x


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
    if material is not None:
        named(material)
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
