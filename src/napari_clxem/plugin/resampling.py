"""A volume seen through a tilt: an array whose z-slices are cut out of the volume when asked for.

napari slices it as it slices any array; nothing is computed before a slice is shown.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform

from napari_clxem.frames.affine import Floats
from napari_clxem.plugin import pyramid
from napari_clxem.plugin.placement import Placement, apply, corners

# Output rows and columns computed at once: keeps the block of the volume behind a tile small.
TILE = 256
# Slices wider than this get coarser levels: a tile at screen resolution is what it costs.
WIDE = 1024
# Voxels of the coarsest level.
GLANCE = 400_000

Float32Array = NDArray[np.float32]


@dataclass(frozen=True)
class Resampled:
    """The resampled form of a volume, ready for a layer of a 2D view.

    Parameters
    ----------
    levels : tuple of TiltedStack
        Resolution levels, full resolution first.
    scale : ndarray, (3,)
        Pixel size, µm.
    affine : ndarray, (4, 4)
        Grid µm to display µm; keeps z-slices parallel.
    """

    levels: tuple[TiltedStack, ...]
    scale: Floats
    affine: Floats


def resample(levels: Sequence[Any], scale: Sequence[float], placement: Placement) -> Resampled:
    """Cut a volume along the planes of the display, lazily.

    Parameters
    ----------
    levels : sequence of array_like, (nz, ny, nx)
        Resolution levels of the volume, full resolution first.
    scale : sequence of float, (3,)
        Pixel size of the first level, (z, y, x) µm.
    placement : Placement
        Where the volume lies in the display.
    """
    step = np.asarray(scale, dtype=float)
    box = apply(placement.residual, corners(levels[0].shape, step))
    sideways = np.array_equal(placement.flat, np.eye(4))
    grid = np.full(3, step.min()) if sideways else step
    low = box.min(axis=0)
    shape = np.floor((box.max(axis=0) - low) / grid + 1e-9).astype(int) + 1
    to_grid = _homogeneous(np.diag(grid), low)
    index = np.diag([*1 / step, 1.0]) @ np.linalg.solve(placement.residual, to_grid)
    return Resampled(
        levels=tuple(_levels(levels, index, shape)),
        scale=grid,
        affine=placement.flat @ _homogeneous(np.eye(3), low),
    )


def _homogeneous(linear: Floats, shift: Floats) -> Floats:
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = shift
    return matrix


def _levels(levels: Sequence[Any], index: Floats, shape: NDArray[np.int_]) -> Iterator[TiltedStack]:
    """Give stacks of falling resolution, each cut from the coarsest level that is fine enough."""
    known = pyramid.stored(levels)
    step = 1
    while True:
        yield _level(known, index, shape, (1, step, step))
        if max(shape[1:]) <= WIDE * step:
            break
        step *= 2
    # What napari computes whole when it turns to 3D, before anybody else hears of it.
    thick = int(np.ceil((np.prod(shape, dtype=float) / GLANCE) ** (1 / 3)))
    yield _level(known, index, shape, (thick, max(thick, step + 1), max(thick, step + 1)))


def _level(
    known: Sequence[pyramid.Level],
    index: Floats,
    shape: NDArray[np.int_],
    steps: tuple[int, int, int],
) -> TiltedStack:
    step = steps[1]
    source = next(level for level in reversed(known) if (level.step[1:] < step * 1.01).all())
    thin = max(1, int(step // source.step[1:].max()))
    source = source.thinned((1, thin, thin))
    to_full = _homogeneous(np.diag(source.step), source.offset)
    stride = _homogeneous(np.diag(steps).astype(float), np.zeros(3))
    nz, ny, nx = (int(n) for n in np.ceil(shape / steps))
    return TiltedStack(source.data, np.linalg.solve(to_full, index @ stride), (nz, ny, nx))


class Recent:
    """The planes computed last: napari asks for the same one several times in a row."""

    def __init__(self, most: int = 4) -> None:
        self._most = most
        self._planes: OrderedDict[tuple[bytes, tuple[int, ...]], Float32Array] = OrderedDict()

    def get(self, index: Floats, shape: tuple[int, ...]) -> Float32Array | None:
        """Give planes computed before, or None."""
        return self._planes.get((index.tobytes(), shape))

    def keep(self, index: Floats, shape: tuple[int, ...], planes: Float32Array) -> None:
        """Remember a plane; whole stacks are not kept."""
        if shape[0] == 1:
            self._planes[index.tobytes(), shape] = planes
            if len(self._planes) > self._most:
                self._planes.popitem(last=False)


class TiltedStack:
    """Slices through a volume along planes that are not its own.

    Follows the part of the array protocol that napari uses: ``shape``, ``dtype``, ``ndim``,
    indexing by integers and slices, ``__array__``. Indexing with an integer computes a plane;
    indexing with slices alone gives another lazy view. Outside the volume it is NaN, which
    napari draws transparent.

    Parameters
    ----------
    volume : array_like, (nz, ny, nx)
        The volume, lazy or not.
    index : ndarray, (4, 4)
        Index of this array to index of `volume`, homogeneous.
    shape : tuple of int
        Shape of this array.
    recent : Recent, optional
        Shared by the views of one stack.
    """

    dtype = np.dtype(np.float32)
    ndim = 3

    def __init__(
        self,
        volume: Any,
        index: Floats,
        shape: tuple[int, int, int],
        recent: Recent | None = None,
    ) -> None:
        self._volume = volume
        self._index = index
        self._recent = Recent() if recent is None else recent
        self.shape = shape

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))

    @property
    def nbytes(self) -> int:
        """Bytes it would take, were it computed."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> TiltedStack | Float32Array:
        keys = key if isinstance(key, tuple) else (key,)
        if Ellipsis in keys:
            at = keys.index(Ellipsis)
            keys = keys[:at] + (slice(None),) * (4 - len(keys)) + keys[at + 1 :]
        keys = keys + (slice(None),) * (3 - len(keys))
        ranges = [
            _as_range(k, size, axis)
            for axis, (k, size) in enumerate(zip(keys, self.shape, strict=True))
        ]
        view = self._view(ranges)
        dropped = tuple(axis for axis, k in enumerate(keys) if not isinstance(k, slice))
        if not dropped:
            return view
        # A copy, because the planes kept must not be written to.
        return np.squeeze(np.asarray(view), axis=dropped).copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        planes = self._recent.get(self._index, self.shape)
        if planes is None:
            planes = np.empty(self.shape, dtype=self.dtype)
            for z in range(self.shape[0]):
                self._fill(planes[z], z)
            self._recent.keep(self._index, self.shape, planes)
        return planes if dtype is None else planes.astype(dtype, copy=False)

    def _view(self, ranges: Sequence[range]) -> TiltedStack:
        step = np.eye(4)
        for axis, chosen in enumerate(ranges):
            step[axis, axis] = chosen.step
            step[axis, 3] = chosen.start
        nz, ny, nx = (len(chosen) for chosen in ranges)
        return TiltedStack(self._volume, self._index @ step, (nz, ny, nx), self._recent)

    def _fill(self, plane: Float32Array, z: int) -> None:
        for y in range(0, plane.shape[0], TILE):
            for x in range(0, plane.shape[1], TILE):
                tile = plane[y : y + TILE, x : x + TILE]
                _cut(self._volume, self._index, (z, y, x), tile)


def _as_range(key: Any, size: int, axis: int) -> range:
    if isinstance(key, slice):
        return range(size)[key]
    index = int(key)
    if not -size <= index < size:
        raise IndexError(f"index {index} is out of bounds for axis {axis} with size {size}")
    return range(index % size, index % size + 1)


def _cut(volume: Any, index: Floats, start: tuple[int, int, int], tile: Float32Array) -> None:
    """Fill one tile of a slice, by linear interpolation in the block of the volume behind it."""
    shape = np.array(volume.shape)
    at = index[:3, :3] @ np.array(start, dtype=float) + index[:3, 3]
    steps = index[:3, 1:3]
    ends = at + np.array([steps @ (i, j) for i in (0, tile.shape[0] - 1)
                          for j in (0, tile.shape[1] - 1)])  # fmt: skip
    low = np.clip(np.floor(ends.min(axis=0)).astype(int), 0, shape)
    high = np.clip(np.ceil(ends.max(axis=0)).astype(int) + 1, 0, shape)
    if (low >= high).any():
        tile[...] = np.nan
        return
    block = np.asarray(volume[tuple(slice(a, b) for a, b in zip(low, high, strict=True))])
    affine_transform(
        block.astype(np.float32, copy=False),
        np.column_stack([np.zeros(3), steps]),
        offset=at - low,
        output=tile[np.newaxis],
        output_shape=(1, *tile.shape),
        order=1,
        mode="constant",
        cval=np.nan,
        prefilter=False,
    )
