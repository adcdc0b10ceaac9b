"""OME-TIFF, tiled and with levels of falling resolution, written block by block."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import NDArray

from napari_clxem.errors import WriteError
from napari_clxem.io.image import SPATIAL, Channel, OpenedImage
from napari_clxem.io.rasters import scale_of
from napari_clxem.io.readers.ome_tiff import PLACED
from napari_clxem.io.writers.blocks import Index, computed
from napari_clxem.io.writers.levels import averaged, factors, smaller
from napari_clxem.io.writers.placing import Work, put_in_place

SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
TILE = 512
# Bytes of planes that are worked out at once, and planes of these.
HELD, TOGETHER = 1 << 26, 16
# Beyond this a file needs offsets of 64 bits.
_LARGE = 3 << 30
_TYPES = {
    "u1": "uint8",
    "u2": "uint16",
    "u4": "uint32",
    "i1": "int8",
    "i2": "int16",
    "i4": "int32",
    "f4": "float",
    "f8": "double",
}
Pixels = NDArray[Any]


def write_ome_tiff(
    image: OpenedImage,
    path: str | Path,
    *,
    overwrite: bool = False,
    progress: Callable[[float, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Path:
    """Write an image as one OME-TIFF: tiled, compressed, with levels of falling resolution.

    Parameters
    ----------
    image : OpenedImage
        Lazy or not; of one that :func:`~napari_clxem.io.resample_image` made, place and transform
        are kept as a map annotation.
    path : str or Path
        The file; it must end in ``.tif`` or ``.tiff``, and ``.ome.tif`` is the custom.
    overwrite : bool
        Whether a file of that name may go.
    progress, cancelled : callable, optional
        Called as ``progress(share, text)``; asked, and Cancelled raised where it gives True.

    Returns
    -------
    Path
        The file, in place only when it is whole.

    Raises
    ------
    MissingScaleError
        Where the image has no pixel size.
    WriteError
        Where it cannot be written, or has pixels that the format does not know.
    Cancelled
        Where it was stopped; nothing is left of it.
    """
    import tifffile

    path = Path(path).expanduser()
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise WriteError(f"{path.name} does not end in .tif; name it .ome.tif.")
    scale_of(image)
    dtype = _dtype(image)
    source: Any = _Planes(image.data, dtype)
    count, *size = source.shape
    sizes = [tuple(size)]
    for factor in factors(size, (1.0, 1.0)):
        sizes.append(smaller(sizes[-1], factor))
    total = count * sum(math.prod(size) for size in sizes)
    needed = total * dtype.itemsize
    work = Work(total, progress, cancelled)
    with (
        put_in_place(path, overwrite and path.is_file(), needed + needed // 3) as place,
        # some systems do not remove a file that a stopped writing still maps into memory
        TemporaryDirectory(
            dir=path.absolute().parent, prefix=f".{path.name}.", ignore_cleanup_errors=True
        ) as folder,
        tifffile.TiffWriter(place, bigtiff=needed > _LARGE) as file,
    ):
        for number, size in enumerate(sizes):
            below = _below(Path(folder), number, count, sizes, dtype)
            text = f"level {number + 1} of {len(sizes)}"
            file.write(
                _tiles(source, below, work, text),
                shape=(count, *size),
                dtype=dtype,
                tile=(TILE, TILE),
                subifds=len(sizes) - 1 if number == 0 else 0,
                subfiletype=1 if number else 0,
                description=_xml(image, path).encode() if number == 0 else None,
                compression="zlib",
                photometric="minisblack",
                metadata=None,
                software=False,
            )
            source = below
        source = below = None
    return path


class _Planes:
    """An image as one stack of planes, in the order of its leading axes."""

    def __init__(self, data: Any, dtype: np.dtype[Any]) -> None:
        self._data, self.dtype = data, dtype
        self._leading = tuple(map(int, data.shape[:-2]))
        self.shape = (math.prod(self._leading), *map(int, data.shape[-2:]))

    def __getitem__(self, part: slice) -> Pixels:
        """Work out planes that follow each other."""
        wanted = [np.unravel_index(i, self._leading) for i in range(part.start, part.stop)]
        runs: list[list[tuple[int, ...]]] = []
        for index in (tuple(map(int, one)) for one in wanted):
            if runs and index[:-1] == runs[-1][0][:-1]:
                runs[-1].append(index)
            else:
                runs.append([index])
        places: list[Index] = [
            (*run[0][:-1], slice(run[0][-1], run[-1][-1] + 1)) if run[0] else () for run in runs
        ]
        found = [
            block.reshape(-1, *self.shape[1:]).astype(self.dtype, copy=False)
            for block in computed(self._data, places)
        ]
        return np.concatenate(found)


def _below(
    folder: Path, number: int, count: int, sizes: Sequence[tuple[int, ...]], dtype: np.dtype[Any]
) -> Any:
    """Make room on the disk for the next level; None below the last one."""
    if number + 1 == len(sizes):
        return None
    shape = (count, *sizes[number + 1])
    return np.lib.format.open_memmap(folder / f"{number + 1}.npy", "w+", dtype, shape)


def _tiles(source: Any, below: Any, work: Work, text: str) -> Iterator[Pixels]:
    """Give the tiles of every plane, and keep the next level on the way."""
    count, rows, columns = source.shape
    held = int(max(1, min(TOGETHER, HELD // (rows * columns * source.dtype.itemsize))))
    for start in range(0, count, held):
        work.check()
        planes = np.asarray(source[start : min(start + held, count)])
        if below is not None:
            factor = tuple(
                max(1, n // m) for n, m in zip((rows, columns), below.shape[1:], strict=True)
            )
            whole = planes[:, : below.shape[1] * factor[0], : below.shape[2] * factor[1]]
            below[start : start + len(planes)] = averaged(whole, factor)
        work.add(planes.size, text)  # who takes the tiles never asks for more than the last
        for plane in planes:
            for row in range(0, rows, TILE):
                for column in range(0, columns, TILE):
                    yield np.ascontiguousarray(plane[row : row + TILE, column : column + TILE])


def _dtype(image: OpenedImage) -> np.dtype[Any]:
    dtype: np.dtype[Any] = np.dtype(image.data.dtype).newbyteorder("=")
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.str[1:] == "f2":
        return np.dtype(np.float32)
    if dtype.str[1:] not in _TYPES:
        raise WriteError(f"OME-TIFF has no pixels of kind {dtype}; convert them, or use OME-Zarr.")
    return dtype


def _xml(image: OpenedImage, path: Path) -> str:
    """Describe the image; see the OME model 2016-06."""
    sizes = dict.fromkeys("tczyx", 1) | dict(zip(image.axes, image.data.shape, strict=True))
    spatial = [axis for axis in image.axes if axis in SPATIAL]
    steps = dict(zip(spatial, image.scale or (), strict=True))
    lengths = " ".join(
        f'PhysicalSize{axis.upper()}="{step!r}" PhysicalSize{axis.upper()}Unit="\u00b5m"'
        for axis, step in ((axis, float(step)) for axis, step in steps.items())
    )
    counts = " ".join(f'Size{axis.upper()}="{int(n)}"' for axis, n in sizes.items())
    channels = "".join(
        _channel(number, one) for number, one in enumerate(image.channels[: sizes["c"]])
    )
    channels += "".join(
        f'<Channel ID="Channel:0:{n}" SamplesPerPixel="1"/>'
        for n in range(len(image.channels), sizes["c"])
    )
    placed = image.meta.get("placed")
    refer, said = ("", "") if not isinstance(placed, dict) else _annotation(placed)
    kind = _TYPES[_dtype(image).str[1:]]
    planes = sizes["t"] * sizes["c"] * sizes["z"]
    name = quoteattr(image.name or path.name.partition(".")[0])
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{SCHEMA}" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="{SCHEMA} {SCHEMA}/ome.xsd" Creator="napari-clxem">'
        f'<Image ID="Image:0" Name={name}><Pixels ID="Pixels:0" DimensionOrder="XYZCT" '
        f'Type="{kind}" {counts} {lengths}>{channels}<TiffData IFD="0" PlaneCount="{planes}"/>'
        f"</Pixels>{refer}</Image>{said}</OME>"
    )


def _channel(number: int, channel: Channel) -> str:
    parts = [f'ID="Channel:0:{number}" SamplesPerPixel="1"']
    if channel.name:
        parts.append(f"Name={quoteattr(channel.name)}")
    if channel.colour:
        value = int(channel.colour.lstrip("#"), 16) << 8 | 0xFF
        parts.append(f'Color="{value - (1 << 32) if value >= 1 << 31 else value}"')
    if channel.wavelength:
        parts.append(
            f'EmissionWavelength="{float(channel.wavelength)!r}" EmissionWavelengthUnit="nm"'
        )
    return f"<Channel {' '.join(parts)}/>"


def _annotation(placed: dict[str, Any]) -> tuple[str, str]:
    """Give the reference to the map annotation that says where the image lies, and itself."""
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in placed.items()}
    values = "".join(f"<M K={quoteattr(key)}>{escape(text)}</M>" for key, text in texts.items())
    said = (
        f'<StructuredAnnotations><MapAnnotation ID="Annotation:0" Namespace="{PLACED}">'
        f"<Value>{values}</Value></MapAnnotation></StructuredAnnotations>"
    )
    return '<AnnotationRef ID="Annotation:0"/>', said
