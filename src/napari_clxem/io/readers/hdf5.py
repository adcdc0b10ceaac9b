"""HDF5 files asked by name, without following them out of the file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_clxem.errors import ReadError, UnitError
from napari_clxem.io.guard import reading
from napari_clxem.io.readers.planes import Plane, Planes, check_shape, lazy
from napari_clxem.units import length_factor

if TYPE_CHECKING:
    from h5py import Dataset, File

# A list of numbers longer than this is none of a value per image.
MOST_NUMBERS = 1_000_000
# Soft links that lead on to others, at most.
DEEPEST = 8


class Hdf5:
    """An open file; every name is followed within it only."""

    def __init__(self, file: File, path: Path) -> None:
        self._file = file
        self.path = path

    def dataset(self, name: str) -> Dataset | None:
        """Give a dataset, or None where there is none.

        Raises
        ------
        ReadError
            Where it lies in another file.
        """
        import h5py

        found = self._follow(name, 0)
        if not isinstance(found, h5py.Dataset):
            return None
        if found.external or found.is_virtual:
            raise ReadError(
                f"{self.path.name}: {name} lies in other files, which are not opened; copy it into "
                "this one."
            )
        return found

    def group(self, name: str) -> tuple[str, ...]:
        """Names in a group; none where there is no such group."""
        import h5py

        found = self._follow(name, 0)
        return tuple(found) if isinstance(found, h5py.Group) else ()

    def _follow(self, name: str, depth: int) -> Any:
        """Walk along hard links, and soft ones that stay in the file."""
        import h5py

        place: Any = self._file
        walked = ""
        for part in name.strip("/").split("/") if name.strip("/") else ():
            if not isinstance(place, h5py.Group):
                return None
            link = place.get(part, getlink=True)
            if link is None:
                return None
            if isinstance(link, h5py.ExternalLink):
                raise ReadError(
                    f"{self.path.name}: {name} is a link to another file, which is not opened; "
                    "copy it into this one."
                )
            if isinstance(link, h5py.SoftLink):
                if depth >= DEEPEST:
                    raise ReadError(
                        f"{self.path.name}: the link {name} leads round; is it damaged?"
                    )
                target = link.path if link.path.startswith("/") else f"{walked}/{link.path}"
                place = self._follow(target, depth + 1)
            else:
                place = place[part]
            walked = f"{walked}/{part}"
        return place

    def numbers(self, *names: str) -> list[float]:
        """Give the first dataset there is as finite numbers; none where there is no such."""
        for name in names:
            found = self.dataset(name)
            if found is None or found.size is None or not 0 < found.size <= MOST_NUMBERS:
                continue
            if found.dtype.kind not in "iufb":
                continue
            _check_chunk(self.path.name, found)
            values = np.asarray(found[()], float).ravel()
            if np.isfinite(values).all():
                return [float(value) for value in values]
        return []

    def length(self, *names: str) -> float | None:
        """Give a length in µm: the unit of the dataset, or µm where it has lost it."""
        for name in names:
            values = self.numbers(name)
            if not values:
                continue
            unit = self.unit(name)
            try:
                factor = length_factor(unit) if unit else 1.0
            except UnitError:
                return None
            return values[0] * factor
        return None

    def unit(self, name: str) -> str:
        """Give the unit of a dataset; empty where it has none."""
        found = self.dataset(name)
        value = None if found is None else found.attrs.get("units")
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.ravel()[0]
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        return value.strip() if isinstance(value, str) else ""

    def pixels(self, name: str) -> Any:
        """Give a dataset of images, lazily.

        Raises
        ------
        ReadError
            Where it holds no numbers, or states more than it can hold.
        """
        found = self.dataset(name)
        if found is None or found.ndim < 2 or found.dtype.kind not in "iufb":
            raise ReadError(f"{self.path.name}: {name} holds no images.")
        shape, dtype = tuple(map(int, found.shape)), np.dtype(found.dtype)
        check_shape(self.path.name, shape, dtype.itemsize)
        _check_chunk(self.path.name, found)
        offset = found.id.get_offset()
        if offset is not None and found.chunks is None and dtype.isnative:
            if offset + math.prod(shape) * dtype.itemsize > self.path.stat().st_size:
                raise ReadError(f"{self.path.name} ends before {name} does; copy it again.")
            return np.memmap(self.path, dtype, mode="r", offset=offset, shape=shape)
        native = dtype.newbyteorder("=")
        stack = shape if len(shape) > 2 else (1, *shape)
        planes = Planes(self.path, stack, native, PlaneOf(self.path, name, native, len(shape)))
        data = lazy(planes, name)
        return data if len(shape) > 2 else data[0]


@contextmanager
def opened(path: Path) -> Iterator[Hdf5]:
    """Open an HDF5 file for reading, without locking it."""
    import h5py

    with h5py.File(path, "r", locking=False) as file:
        yield Hdf5(file, path)


@dataclass(frozen=True)
class PlaneOf:
    """Reads a plane of a dataset."""

    path: Path
    name: str
    dtype: np.dtype[Any]
    ndim: int

    def __call__(self, index: tuple[int, ...]) -> Plane:
        """Read the plane of an index along the leading axes."""
        with reading(self.path), opened(self.path) as file:
            found = file.dataset(self.name)
            if found is None:
                raise ReadError(f"{self.path.name} has lost {self.name}; open it again.")
            return np.asarray(found[index if self.ndim > 2 else ()], self.dtype)


def _check_chunk(name: str, found: Dataset) -> None:
    """Refuse a dataset whose chunks or planes are larger than the bytes that are held allow."""
    held = int(found.id.get_storage_size())
    itemsize = found.dtype.itemsize
    chunk = math.prod(found.chunks) * itemsize if found.chunks else 0
    plane = math.prod(found.shape[-2:]) * itemsize
    if max(chunk, plane) > max(1 << 26, held * 2000):
        raise ReadError(
            f"{name}: {found.name} states parts of {max(chunk, plane)} bytes and holds {held}; it "
            "seems damaged."
        )
