"""Images read one plane at a time, as a lazy array that checks what a file can hold."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_clxem.errors import ReadError
from napari_clxem.io.guard import reading

Plane = np.ndarray[Any, Any]

# A plane below this size is never suspect.
SMALL = 1 << 26
# Axes longer than this are no images.
MOST_PLANES = 2_000_000


@dataclass(frozen=True)
class Planes:
    """A stack whose planes are read when they are looked at; what dask asks for chunks.

    Parameters
    ----------
    path : Path
        The file, for messages.
    shape : tuple of int
        Leading axes, then rows and columns.
    dtype : dtype
        Of the pixels, native.
    plane : callable
        Gives the (rows, columns) of a plane for the index along the leading axes; picklable.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    plane: Callable[[tuple[int, ...]], Plane]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, key: Any) -> Plane:
        keys = key if isinstance(key, tuple) else (key,)
        keys += (slice(None),) * (self.ndim - len(keys))
        # dask merges later indexing, also by single numbers, into this one
        slices = [
            part if isinstance(part, slice) else slice(int(part) % n, int(part) % n + 1)
            for part, n in zip(keys, self.shape, strict=True)
        ]
        chosen = [range(*part.indices(n)) for part, n in zip(slices, self.shape, strict=True)]
        result = np.empty([len(part) for part in chosen], self.dtype)
        for place in np.ndindex(*result.shape[:-2]):
            index = tuple(part[i] for part, i in zip(chosen[:-2], place, strict=True))
            result[place] = self._read(index)[tuple(slices[-2:])]
        return result[tuple(slice(None) if isinstance(part, slice) else 0 for part in keys)]

    def _read(self, index: tuple[int, ...]) -> Plane:
        with reading(self.path):
            found = self.plane(index)
            if found.shape != self.shape[-2:]:
                raise ReadError(
                    f"{self.path.name}: plane {index} has {found.shape} pixels, not "
                    f"{self.shape[-2:]} as the others; the file seems damaged."
                )
            return found


def forward(key: Any, shape: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Split slices into forward ones, which zarr can read, and turns of the result.

    Single numbers become slices of length 1.
    """
    keys = key if isinstance(key, tuple) else (key,)
    keys += (slice(None),) * (len(shape) - len(keys))
    ahead, turn = [], []
    for part, size in zip(keys, shape, strict=True):
        if not isinstance(part, slice):
            part = slice(int(part) % size, int(part) % size + 1)
        wanted = range(*part.indices(size))
        if wanted.step < 0:
            wanted = wanted[::-1]
            turn.append(slice(None, None, -1))
        else:
            turn.append(slice(None))
        ahead.append(slice(wanted.start, wanted.stop, wanted.step))
    return tuple(ahead), tuple(turn)


def numbered(key: Any, ndim: int) -> tuple[slice | int, ...]:
    """Say which axes of a result go, since a single number was asked for along them."""
    keys = key if isinstance(key, tuple) else (key,)
    keys += (slice(None),) * (ndim - len(keys))
    return tuple(slice(None) if isinstance(part, slice) else 0 for part in keys)


def lazy(planes: Planes, *what: object) -> Any:
    """Give a lazy array with a chunk per plane.

    Parameters
    ----------
    planes : Planes
        What reads them.
    *what : object
        What tells this array from others of the same file, for dask's names.
    """
    import dask.array as da
    from dask.base import tokenize

    status = planes.path.stat()
    token = tokenize(str(planes.path.absolute()), status.st_mtime_ns, status.st_size, *what)
    return da.from_array(  # type: ignore[no-untyped-call]
        planes,
        chunks=(1,) * (planes.ndim - 2) + planes.shape[-2:],
        name=f"planes-{token}",
        asarray=False,
        fancy=False,
        meta=np.empty((0,) * planes.ndim, planes.dtype),
    )


def check_shape(name: str, shape: tuple[int, ...], itemsize: int, held: int | None = None) -> None:
    """Refuse sizes that no image has, or whose plane cannot come out of the bytes held for it.

    Parameters
    ----------
    name : str
        Of the file.
    shape : tuple of int
        Leading axes, rows, columns.
    itemsize : int
        Bytes per pixel.
    held : int, optional
        Bytes that the file holds for one plane, perhaps compressed.

    Raises
    ------
    ReadError
        Where they make no sense.
    """
    if len(shape) < 2 or min(shape) < 1 or max(shape) >= 1 << 31:
        raise ReadError(
            f"{name} states an image of {shape} pixels, which cannot be; is it damaged?"
        )
    if math.prod(shape[:-2]) > MOST_PLANES:
        raise ReadError(f"{name} speaks of {math.prod(shape[:-2])} planes; it seems damaged.")
    stated = shape[-2] * shape[-1] * itemsize
    if held is not None and stated > max(SMALL, held * 2000):
        raise ReadError(
            f"{name} states a plane of {stated} bytes but holds {held} bytes for it; its header "
            "seems damaged."
        )
