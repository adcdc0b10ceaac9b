"""OME-Zarr folders, versions 0.4 and 0.5: scale, channels and resolution levels of each image."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_clxem.errors import ReadError, UnitError
from napari_clxem.io.guard import reading
from napari_clxem.io.image import SPATIAL, Channel
from napari_clxem.io.readers.zarr_arrays import level_array
from napari_clxem.io.stored import Stored
from napari_clxem.units import length_factor

KIND = "an OME-Zarr image"

LARGEST = 64 * 1024 * 1024
MOST_IMAGES = 10_000
_ENDINGS = (".ome.zarr", ".zarr")
# The file that holds what a folder says of itself, in Zarr 2 and 3.
_ATTRIBUTES = (".zattrs", "zarr.json")


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001
    """Tell the file in a folder that says it is OME-Zarr."""
    return path.name in _ATTRIBUTES and standing_file(path.parent) == path


def sniff_folder(path: Path) -> bool:
    """Tell a folder that calls itself an OME-Zarr image, or a collection of some."""
    return standing_file(path) is not None


def standing_file(path: Path) -> Path | None:
    """Give the file in a folder that tells it is OME-Zarr; None where it is not."""
    for name in _ATTRIBUTES:
        place = path / name
        if place.is_file() and place.stat().st_size <= LARGEST:
            text = place.read_bytes()
            if b'"multiscales"' in text or b'"bioformats2raw.layout"' in text or b'"plate"' in text:
                return place
    return None


def read(path: Path) -> tuple[Stored, ...]:
    """Give the image of a folder, or those of a collection as bioformats2raw writes them."""
    path = path if path.is_dir() else path.parent
    attributes = _attributes(path)
    if "plate" in attributes:
        raise ReadError(f"{path.name} is a plate of wells; open the folder of one of its fields.")
    if "multiscales" in attributes:
        return _images(path, path, attributes)
    found: list[Stored] = []
    for name in _series(path):
        place = path / name
        if _leads_out(place, path):
            raise ReadError(f"{path.name} names {name!r}, outside its folder; it is not opened.")
        found += _images(path, place, _attributes(place))
    if not found:
        raise ReadError(f"{path.name} names no image; it seems incomplete, copy it again.")
    return tuple(found)


def _attributes(path: Path) -> dict[str, Any]:
    """Read what a folder says of itself, under ``ome`` since version 0.5."""
    for name in _ATTRIBUTES:
        place = path / name
        if not place.is_file():
            continue
        with reading(place):
            if place.stat().st_size > LARGEST:
                raise ReadError(f"{place} is larger than any such text; it seems damaged.")
            found = json.loads(place.read_bytes())
        if name == "zarr.json" and isinstance(found, dict):
            found = found.get("attributes", {})
        if not isinstance(found, dict):
            break
        inner = found.get("ome", found)
        if isinstance(inner, dict) and isinstance(found.get("clxem"), dict):
            inner = {**inner, "clxem": found["clxem"]}
        return inner if isinstance(inner, dict) else {}
    raise ReadError(f"{path} says nothing of an image; it seems incomplete, copy it again.")


def _series(path: Path) -> list[str]:
    """Name the images of a collection: as listed, else 0, 1, 2 ..."""
    listed: Any = None
    if (path / "OME").is_dir():
        try:
            listed = _attributes(path / "OME").get("series")
        except ReadError:
            listed = None
    if isinstance(listed, list) and len(listed) <= MOST_IMAGES:
        return [str(name) for name in listed]
    count = 0
    while count < MOST_IMAGES and (path / str(count)).is_dir():
        count += 1
    return [str(number) for number in range(count)]


def _leads_out(place: Path, root: Path) -> bool:
    inside = root.resolve()
    found = place.resolve()
    return found != inside and inside not in found.parents


def _images(root: Path, path: Path, attributes: dict[str, Any]) -> tuple[Stored, ...]:
    listed = attributes.get("multiscales")
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise ReadError(f"{path.name} lists no image; it seems incomplete, copy it again.")
    for entry in listed:
        for dataset in entry.get("datasets") or ():
            name = dataset.get("path") if isinstance(dataset, dict) else None
            if isinstance(name, str) and _leads_out(path / name, root):
                raise ReadError(
                    f"{root.name} names {name!r}, outside its folder; it is not opened."
                )
    scales = _validated(path, listed, str(attributes.get("version", "")))
    channels = _channels(attributes)
    found = tuple(
        _stored(root, path, number if len(scales) > 1 else None, one, channels)
        for number, one in enumerate(scales)
    )
    if "clxem" not in attributes:
        return found
    return tuple(replace(one, meta={**one.meta, "placed": attributes["clxem"]}) for one in found)


def _validated(path: Path, listed: list[Any], version: str) -> Sequence[Any]:
    """Check the part of the attributes that is used, by the schema of its version."""
    import warnings

    from pydantic import ValidationError
    from yaozarrs import v04, v05

    stated = version or str(listed[0].get("version", "0.4") if listed else "")
    if stated not in ("0.4", "0.5"):
        raise ReadError(
            f"{path.name} is OME-Zarr of version {stated!r}; versions 0.4 and 0.5 are read."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if version:
                found: Any = v05.Image.model_validate({"version": version, "multiscales": listed})
            else:
                found = v04.Image.model_validate({"multiscales": listed})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ReadError(
            f"{path.name} is not as OME-Zarr {stated} should be: {place}: {first['msg']}; export "
            "it again."
        ) from error
    return tuple(found.multiscales)


def _stored(
    root: Path, path: Path, number: int | None, scales: Any, channels: Sequence[Channel]
) -> Stored:
    axes = _axes(path, scales.axes)
    levels = []
    for dataset in scales.datasets:
        array = level_array(path / dataset.path, root)
        if array.ndim != len(axes):
            raise ReadError(f"{root.name}: {dataset.path} has {array.ndim} axes, not {len(axes)}.")
        levels.append(array)
    steps, offset = _transform(scales)
    pixel, missing = {}, []
    for axis, entry, step in zip(axes, scales.axes, steps, strict=True):
        if axis not in SPATIAL:
            continue
        factor = _factor(entry)
        pixel[axis] = None if factor is None else abs(step) * factor
        if factor is None:
            missing.append(axis)
    origin = [
        value * (_factor(entry) or math.nan)
        for axis, entry, value in zip(axes, scales.axes, offset, strict=True)
        if axis in SPATIAL
    ]
    meta: dict[str, Any] = {"format": "ome-zarr", "version": str(getattr(scales, "version", ""))}
    if any(origin) and all(map(math.isfinite, origin)):
        meta["translation"] = origin
    kept = [i for i, axis in enumerate(axes) if axis in "yx" or levels[0].shape[i] > 1]
    levels = [_without(level, kept) for level in levels]
    axes = tuple(axes[i] for i in kept)
    size = levels[0].shape[axes.index("c")] if "c" in axes else 1
    name = path.name
    for ending in _ENDINGS:
        name = name[: -len(ending)] if name.lower().endswith(ending) else name
    if path != root:
        name = f"{root.name.partition('.')[0]} [{path.name}]"
    if number is not None:
        name = f"{name} {scales.name or number}"
    return Stored(
        levels=tuple(levels),
        axes=axes,
        pixel=pixel,
        pixel_note=f"The unit of {', '.join(missing)} is not stated; give scale in µm."
        if missing
        else "",
        channels=_named(channels, size, "c" in axes),
        name=name,
        meta=meta,
    )


def _without(level: Any, kept: list[int]) -> Any:
    return level[tuple(slice(None) if i in kept else 0 for i in range(level.ndim))]


def _axes(path: Path, entries: Sequence[Any]) -> tuple[str, ...]:
    names = []
    for entry in entries:
        kind = getattr(entry, "type", None)
        name = {"time": "t", "channel": "c"}.get(str(kind), str(entry.name).lower())
        names.append(name)
    if any(name not in "tczyx" for name in names) or len(set(names)) != len(names):
        raise ReadError(f"{path.name} has axes {', '.join(names)}; only t, c, z, y, x are read.")
    if not {"y", "x"} <= set(names):
        raise ReadError(f"{path.name} has axes {', '.join(names)}, which are not those of images.")
    return tuple(names)


def _factor(entry: Any) -> float | None:
    """µm per unit of an axis; None where it has no unit of length."""
    unit = getattr(entry, "unit", None)
    if not unit:
        return None
    try:
        return length_factor(str(unit))
    except UnitError:
        return None


def _transform(scales: Any) -> tuple[list[float], list[float]]:
    """Step and offset along each axis of the first level: its own transforms, then the common."""
    count = len(scales.axes)
    steps, offset = [1.0] * count, [0.0] * count
    own = scales.datasets[0].coordinateTransformations or ()
    for transform in (*own, *(scales.coordinateTransformations or ())):
        factors = getattr(transform, "scale", None)
        shift = getattr(transform, "translation", None)
        if isinstance(factors, list | tuple) and len(factors) == count:
            steps = [a * b for a, b in zip(steps, factors, strict=True)]
            offset = [a * b for a, b in zip(offset, factors, strict=True)]
        if isinstance(shift, list | tuple) and len(shift) == count:
            offset = [a + b for a, b in zip(offset, shift, strict=True)]
    return steps, offset


def _channels(attributes: dict[str, Any]) -> list[Channel]:
    """Read the names and colours that the omero part gives."""
    omero = attributes.get("omero")
    listed = omero.get("channels") if isinstance(omero, dict) else None
    found = []
    for number, entry in enumerate(listed if isinstance(listed, list) else ()):
        if not isinstance(entry, dict):
            return []
        colour = str(entry.get("color", "")).lower()
        whole = len(colour) == 6 and all(c in "0123456789abcdef" for c in colour)
        name = str(entry.get("label") or f"channel {number}")
        found.append(Channel(name, f"#{colour}" if whole else None))
    return found


def _named(channels: Sequence[Channel], size: int, several: bool) -> tuple[Channel, ...]:
    if len(channels) >= size:
        return tuple(channels[:size])
    if not several:
        return (Channel(""),)
    return tuple(channels[i] if i < len(channels) else Channel(f"channel {i}") for i in range(size))
