"""OME-Zarr, versions 0.4 and 0.5, written block by block.

See https://ngff.openmicroscopy.org/0.5/ for what the attributes mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from napari_clxem.errors import WriteError
from napari_clxem.io.image import SPATIAL, OpenedImage
from napari_clxem.io.rasters import scale_of
from napari_clxem.io.writers.blocks import blocks, computed
from napari_clxem.io.writers.levels import averaged, factors, smaller
from napari_clxem.io.writers.placing import Work, put_in_place

Version = Literal["0.4", "0.5"]
_FORMATS: dict[str, Literal[2, 3]] = {"0.4": 2, "0.5": 3}

# Pixels of a chunk along (z, y, x) of a volume, and along (y, x) of a plane.
SPACE, PLANE = (16, 256, 256), (1, 1024, 1024)
_COLOURS = ("ffffff", "00ff00", "ff00ff", "00ffff", "ffff00", "ff0000", "0000ff")


def write_ome_zarr(
    image: OpenedImage,
    path: str | Path,
    *,
    version: Version = "0.5",
    overwrite: bool = False,
    progress: Callable[[float, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Path:
    """Write an image as OME-Zarr with levels of falling resolution.

    Blocks are worked out one after the other by dask, with its scheduler of the moment.

    Parameters
    ----------
    image : OpenedImage
        Lazy or not; one that :func:`~napari_clxem.io.resample_image` made lies where it belongs
        in its frame, and its transform is kept as attribute ``clxem``.
    path : str or Path
        The folder to write; ``.ome.zarr`` at its end is the custom.
    version : {"0.5", "0.4"}
        Of OME-Zarr: 0.5 stands on Zarr 3, 0.4 on Zarr 2, which older programs read.
    overwrite : bool
        Whether a folder of that name may go.
    progress, cancelled : callable, optional
        Called as ``progress(share, text)``; asked, and Cancelled raised where it gives True.

    Returns
    -------
    Path
        The folder, in place only when it is whole.

    Raises
    ------
    MissingScaleError
        Where the image has no pixel size.
    WriteError
        Where it cannot be written, or the version is another one.
    Cancelled
        Where it was stopped; nothing is left of it.
    """
    import zarr

    path = Path(path).expanduser()
    if version not in _FORMATS:
        raise WriteError(f"OME-Zarr {version!r} is not written; choose 0.4 or 0.5.")
    scale = scale_of(image)
    halvings = factors(image.data.shape[-len(scale) :], scale.tolist())
    shapes = [tuple(map(int, image.data.shape))]
    for factor in halvings:
        shapes.append((*shapes[0][: -len(scale)], *smaller(shapes[-1][-len(scale) :], factor)))
    dtype = _dtype(image)
    total = sum(math.prod(shape) for shape in shapes)
    work = Work(total, progress, cancelled)
    with put_in_place(path, overwrite and _is_zarr(path), total * dtype.itemsize) as place:
        group = zarr.open_group(str(place), mode="w", zarr_format=_FORMATS[version])
        before: Any = None
        for number, shape in enumerate(shapes):
            array = group.create_array(
                str(number),
                shape=shape,
                dtype=dtype,
                chunks=_chunks(shape, len(scale)),
                fill_value=0,
                dimension_names=image.axes if version == "0.5" else None,
                chunk_key_encoding={
                    "name": "v2" if version == "0.4" else "default",
                    "separator": "/",
                },
            )
            text = f"level {number + 1} of {len(shapes)}"
            if before is None:
                _copy(image.data, array, work, text)
            else:
                _halve(before, array, halvings[number - 1], work, text)
            before = array
        group.attrs.update(_attributes(image, scale.tolist(), halvings, version, path, before))
    return path


def _is_zarr(path: Path) -> bool:
    """Tell a folder that may be overwritten from one that holds who knows what."""
    return path.is_dir() and any((path / name).is_file() for name in ("zarr.json", ".zgroup"))


def _dtype(image: OpenedImage) -> np.dtype[Any]:
    dtype = np.dtype(image.data.dtype).newbyteorder("=")
    if dtype.kind not in "iufb":
        raise WriteError(f"Pixels of kind {dtype} cannot be written as an image.")
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype


def _chunks(shape: Sequence[int], ndim: int) -> tuple[int, ...]:
    space = SPACE if ndim == 3 and shape[-3] > 1 else PLANE
    return tuple(
        min(int(n), c)
        for n, c in zip(shape, (1,) * (len(shape) - ndim) + space[-ndim:], strict=True)
    )


def _copy(data: Any, array: Any, work: Work, text: str) -> None:
    for places in blocks(array.shape, array.chunks):
        work.check()
        for place, block in zip(places, computed(data, places), strict=True):
            array[place] = block.astype(array.dtype, copy=False)
            work.add(block.size, text)


def _halve(before: Any, array: Any, factor: Sequence[int], work: Work, text: str) -> None:
    lead = len(array.shape) - len(factor)
    for places in blocks(array.shape, array.chunks, int(np.prod(factor))):
        work.check()
        for place in places:
            source = tuple(
                slice(p.start * f, min(p.stop * f, n))
                for p, f, n in zip(place, (1,) * lead + tuple(factor), before.shape, strict=True)
            )
            block = averaged(np.asarray(before[source]), factor)
            array[place] = block
            work.add(block.size, text)


def _attributes(
    image: OpenedImage,
    scale: Sequence[float],
    halvings: Sequence[Sequence[int]],
    version: Version,
    path: Path,
    coarsest: Any,
) -> dict[str, Any]:
    placed = image.meta.get("placed")
    origin = placed["origin"] if isinstance(placed, dict) else [0.0] * len(scale)
    lead = len(image.axes) - len(scale)
    datasets, step = [], np.ones(len(scale))
    for number in range(len(halvings) + 1):
        if number:
            step = step * halvings[number - 1]
        shift = np.asarray(origin) + (step - 1) / 2 * np.asarray(scale)
        datasets.append(
            {
                "path": str(number),
                "coordinateTransformations": [
                    {"type": "scale", "scale": [1.0] * lead + (step * scale).tolist()},
                    {"type": "translation", "translation": [0.0] * lead + shift.tolist()},
                ],
            }
        )
    name = image.name or path.name.partition(".")[0]
    multiscale = {
        "name": name,
        "axes": [_axis(axis) for axis in image.axes],
        "datasets": datasets,
        "type": "mean",
    }
    found: dict[str, Any] = {"multiscales": [multiscale], "omero": _omero(image, coarsest)}
    ours = {"clxem": placed} if isinstance(placed, dict) else {}
    if version == "0.4":
        multiscale["version"] = version
        return found | ours
    return {"ome": {"version": version, **found}} | ours


def _axis(name: str) -> dict[str, str]:
    if name in SPATIAL:
        return {"name": name, "type": "space", "unit": "micrometer"}
    return {"name": name, "type": {"t": "time", "c": "channel"}[name]}


def _omero(image: OpenedImage, coarsest: Any) -> dict[str, Any]:
    """Say names and colours of the channels, and between which numbers to show them."""
    import dask.array as da

    from napari_clxem.io.contrast import channel_limits

    listed = []
    shown = channel_limits(da.from_array(coarsest), image.axes)  # type: ignore[no-untyped-call]
    for number, (channel, limits) in enumerate(zip(image.channels, shown, strict=False)):
        colour = (channel.colour or f"#{_COLOURS[number % len(_COLOURS)]}").lstrip("#")
        low, high = limits
        listed.append(
            {
                "label": channel.name or f"channel {number}",
                "color": colour.upper(),
                "active": True,
                "window": {"start": low, "end": high, "min": low, "max": high},
            }
        )
    return {"channels": listed}
