"""OME-TIFF sets whose description lies in a file of its own (``*.companion.ome``)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_clxem.errors import ReadError
from napari_clxem.io.guard import hushed
from napari_clxem.io.readers import ome_tiff, ome_xml
from napari_clxem.io.readers.planes import Plane, Planes, check_shape, lazy
from napari_clxem.io.readers.tiff_axes import laid
from napari_clxem.io.stored import Stored

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

KIND = "an OME description"

LARGEST = 256 * 1024 * 1024

Index = tuple[int, int, int]


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001
    """Tell OME-XML on its own by its root."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and b"<OME" in head


def read(path: Path) -> tuple[Stored, ...]:
    """Give the images that a companion file describes, from the TIFF files beside it."""
    if path.stat().st_size > LARGEST:
        raise ReadError(f"{path.name} is larger than any such text; it seems damaged.")
    root = ome_xml.checked_ome(path.read_text(encoding="utf-8-sig", errors="replace"), path)
    images = ome_xml.ome_images(root)
    if not images:
        raise ReadError(f"{path.name} describes no image; open the TIFF files themselves.")
    with hushed("tifffile"):
        return tuple(_stored(path, number, root, image) for number, image in enumerate(images))


@dataclass(frozen=True)
class PageOf:
    """Reads the plane of an index (t, c, z) from the page of a file that holds it."""

    folder: Path
    places: tuple[tuple[Index, str, int], ...]
    shape: tuple[int, int]
    dtype: np.dtype[Any]

    def __call__(self, index: tuple[int, ...]) -> Plane:
        """Read a plane; zeros where it is not in the set."""
        found = _table(self.places).get((index[0], index[1], index[2]))
        if found is None:
            return np.zeros(self.shape, self.dtype)
        return _page(self.folder / found[0], found[1], self.shape, self.dtype)


@lru_cache(maxsize=8)
def _table(places: tuple[tuple[Index, str, int], ...]) -> dict[Index, tuple[str, int]]:
    return {index: (name, page) for index, name, page in places}


def _page(path: Path, number: int, shape: tuple[int, int], dtype: np.dtype[Any]) -> Plane:
    from tifffile import TiffFile

    with hushed("tifffile"), TiffFile(path) as file:
        page: Any = file.pages[number]
        check_shape(path.name, page.shape, page.dtype.itemsize, sum(page.databytecounts))
        if page.shape != shape:
            raise ReadError(f"{path.name}: page {number} has {page.shape} pixels, not {shape}.")
        return np.asarray(page.asarray(), dtype)


def _stored(path: Path, number: int, root: Element, image: Element) -> Stored:
    pixels = ome_xml.children(image, "Pixels")[0]
    sizes = {axis: int(pixels.attrib[f"Size{axis}"]) for axis in "TCZYX"}
    leading = (sizes["T"], sizes["C"], sizes["Z"])
    shape = (sizes["Y"], sizes["X"])
    places = tuple(_places(path, pixels, leading))
    folder = path.absolute().parent
    held = tuple(place for place in places if (folder / place[1]).is_file())
    if not held:
        raise ReadError(
            f"{path.name} describes planes in other files, {places[0][1] if places else 'unnamed'} "
            "and so on, none of which lies beside it; copy them there."
        )
    dtype = _dtype(folder / held[0][1], held[0][2])
    check_shape(path.name, (*leading, *shape), dtype.itemsize)
    source = PageOf(folder, held, shape, dtype)
    data = lazy(Planes(path, (*leading, *shape), dtype, source), "companion", number)
    missing = leading[0] * leading[1] * leading[2] - len({place[0] for place in held})
    notes = (f"{missing} planes are not in its files and show as zeros.",) if missing else ()
    found = laid((data,), "TCZYX", path.name)
    name = path.name.removesuffix(".companion.ome").removesuffix(".ome")
    return ome_tiff.described(
        root, image, found, name if number == 0 else f"{name} [{number}]", notes
    )


def _dtype(path: Path, number: int) -> np.dtype[Any]:
    from tifffile import TiffFile

    with TiffFile(path) as file:
        page: Any = file.pages[number]
        if page.ndim != 2 or page.dtype is None:
            raise ReadError(f"{path.name} holds no grey images, as such a set does.")
        dtype: np.dtype[Any] = np.dtype(page.dtype).newbyteorder("=")
        return dtype


def _places(
    path: Path, pixels: Element, leading: tuple[int, int, int]
) -> Iterator[tuple[Index, str, int]]:
    """Say which page of which file holds the plane of each (t, c, z)."""
    order = pixels.attrib.get("DimensionOrder", "XYZCT")[2:]
    sizes = dict(zip("TCZ", leading, strict=True))
    if sorted(order) != ["C", "T", "Z"]:
        raise ReadError(f"{path.name} states the order {order!r}, which is none of planes.")
    every = [
        dict(zip(reversed(order), index, strict=True))
        for index in itertools.product(*(range(sizes[axis]) for axis in reversed(order)))
    ]
    numbers = {(i["T"], i["C"], i["Z"]): k for k, i in enumerate(every)}
    left = ome_xml.MOST_PLANES
    for data in ome_xml.children(pixels, "TiffData"):
        for uuid in ome_xml.children(data, "UUID"):
            name = uuid.attrib.get("FileName", "")
            if not name:
                continue
            first = tuple(_integer(data, f"First{axis}") for axis in "TCZ")
            start = numbers.get((first[0], first[1], first[2]))
            count, page = _integer(data, "PlaneCount", 1), _integer(data, "IFD")
            for step in range(count):
                if start is None or start + step >= len(every) or left == 0:
                    break
                left -= 1
                at = every[start + step]
                yield (at["T"], at["C"], at["Z"]), name, page + step


def _integer(element: Element, key: str, default: int = 0) -> int:
    text = element.attrib.get(key, "")
    return int(text) if text.strip().isdecimal() else default
