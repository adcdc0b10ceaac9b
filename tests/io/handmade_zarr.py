"""Zarr 2 arrays written chunk by chunk, and OME-Zarr attributes around them."""

from __future__ import annotations

import gzip
import itertools
import json

import numpy as np

UNITS = {"z": "micrometer", "y": "nanometer", "x": "nanometer"}


def write_array(folder, data, chunks, compress=False, changes=None):
    """One Zarr 2 array; edge chunks are filled up with zeros."""
    folder.mkdir(parents=True, exist_ok=True)
    meta = {
        "zarr_format": 2,
        "shape": list(data.shape),
        "chunks": list(chunks),
        "dtype": data.dtype.str,
        "compressor": {"id": "gzip", "level": 1} if compress else None,
        "fill_value": 0,
        "order": "C",
        "filters": None,
        "dimension_separator": "/",
    }
    (folder / ".zarray").write_text(json.dumps({**meta, **(changes or {})}))
    counts = [-(-n // c) for n, c in zip(data.shape, chunks, strict=True)]
    for index in itertools.product(*(range(n) for n in counts)):
        block = np.zeros(chunks, data.dtype)
        where = tuple(
            slice(i * c, min((i + 1) * c, n))
            for i, c, n in zip(index, chunks, data.shape, strict=True)
        )
        part = data[where]
        block[tuple(slice(0, n) for n in part.shape)] = part
        place = folder.joinpath(*map(str, index))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(gzip.compress(block.tobytes()) if compress else block.tobytes())


def axes_of(names, units=None):
    kinds = {"t": "time", "c": "channel"}
    found = []
    for name in names:
        entry = {"name": name, "type": kinds.get(name, "space")}
        unit = (UNITS if units is None else units).get(name)
        if unit:
            entry["unit"] = unit
        found.append(entry)
    return found


def attributes(names, levels, translation=None, units=None, omero=None):
    """Attributes of version 0.4; `levels` is [(path, steps)]."""
    datasets = []
    for path, steps in levels:
        transforms = [{"type": "scale", "scale": list(steps)}]
        if translation:
            transforms.append({"type": "translation", "translation": list(translation)})
        datasets.append({"path": path, "coordinateTransformations": transforms})
    found = {
        "multiscales": [
            {"version": "0.4", "axes": axes_of(names, units), "datasets": datasets, "name": "cell"}
        ]
    }
    return {**found, "omero": omero} if omero else found


def write_group(folder, content):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    (folder / ".zattrs").write_text(json.dumps(content))


def write_image(folder, data, names="zyx", steps=(0.5, 100.0, 50.0), compress=False, **options):
    """An OME-Zarr image of two levels, the second binned by two along y and x."""
    small = data[..., ::2, ::2]
    coarse = (*steps[:-2], steps[-2] * 2, steps[-1] * 2)
    chunks = (1,) * (data.ndim - 2) + (4, 3)
    write_array(folder / "0", data, chunks, compress)
    write_array(folder / "1", small, chunks, compress)
    write_group(folder, attributes(names, [("0", steps), ("1", coarse)], **options))
    return folder
