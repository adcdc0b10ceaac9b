"""Volumes written as they lie in another frame: time against one call of SciPy, and memory.

    python -P benchmarks/io_resampling.py

A volume of 256 x 512 x 512 voxels is turned by some degrees about each axis: `resample_image`, in
blocks, against scipy.ndimage.affine_transform in one call on all of it, both linear, processor
time. Then a sparse MRC of 16 GB is turned and a part of it written as OME-Zarr and as OME-TIFF,
with the growth of the peak of resident memory.
"""

from __future__ import annotations

import argparse
import resource
import struct
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation

from napari_clxem.frames import Affine
from napari_clxem.io import (
    Raster,
    open_image,
    resample_image,
    write_ome_tiff,
    write_ome_zarr,
)
from napari_clxem.io.image import Channel, OpenedImage

SHAPE, SIDE, COUNT = (256, 512, 512), 4096, 1024
TURN = Rotation.from_euler("zyx", [12, 4, 7], degrees=True).as_matrix()


def against_scipy() -> None:
    data = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    image = OpenedImage((data,), ("z", "y", "x"), (1.0,) * 3, (Channel(""),))
    middle = (np.array(SHAPE) - 1) / 2
    way = Affine.from_parts(TURN, middle - TURN @ middle)
    raster = Raster((0.0,) * 3, (1.0,) * 3, SHAPE)
    began = time.process_time()
    ours = np.asarray(resample_image(image, way, raster).data)
    own = time.process_time() - began
    back = way.inverted()
    began = time.process_time()
    theirs = affine_transform(data, back.linear, back.translation, order=1, cval=np.nan)
    other = time.process_time() - began
    both = np.isfinite(ours) & np.isfinite(theirs)
    print(
        f"{' x '.join(map(str, SHAPE))} voxels: {own:.2f} s against {other:.2f} s of processor, "
        f"ratio {own / other:.2f}; largest difference {np.abs(ours - theirs)[both].max():.1e}"
    )


def make(path: Path) -> None:
    header = bytearray(1024)
    struct.pack_into("<4i", header, 0, SIDE, SIDE, COUNT, 0)
    struct.pack_into("<3i", header, 28, SIDE, SIDE, COUNT)
    struct.pack_into("<6f", header, 40, SIDE * 10, SIDE * 10, COUNT * 10, 90, 90, 90)
    struct.pack_into("<3i", header, 64, 1, 2, 3)
    struct.pack_into("<i", header, 88, 1)
    header[208:216] = b"MAP DD\0\0"
    with path.open("wb") as file:
        file.write(header)
        file.truncate(1024 + COUNT * SIDE * SIDE)


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--box", type=int, nargs=3, default=(128, 1024, 1024), metavar="PIXELS")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder / "a.mrc")
        image = open_image(folder / "a.mrc")
        origin = tuple(
            float(n - m) / 2 * 1e-3 for n, m in zip(image.data.shape, options.box, strict=True)
        )
        half = np.array([COUNT, SIDE, SIDE]) / 2 * 1e-3
        way = Affine.from_parts(TURN, half - TURN @ half)
        found = resample_image(image, way, Raster(origin, (1e-3,) * 3, tuple(options.box)))
        np.asarray(found.data[:2, :2, :2])  # libraries imported
        for write, out in ((write_ome_zarr, "a.ome.zarr"), (write_ome_tiff, "a.ome.tif")):
            before, own, clock = peak(), time.process_time(), time.perf_counter()
            write(found, folder / out)
            print(
                f"{out}: {np.prod(options.box) / 1e6:.0f} million voxels out of 16 GB in "
                f"{time.process_time() - own:.1f} s of processor, {time.perf_counter() - clock:.1f}"
                f" s by the clock; memory grew by {peak() - before:.0f} MB"
            )
    against_scipy()


if __name__ == "__main__":
    main()
