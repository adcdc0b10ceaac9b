"""Images on the pixels of another frame, computed where they are looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_clxem.errors import ImageError
from napari_clxem.frames.affine import Floats
from napari_clxem.io.averaging import Ranges, Source, floating
from napari_clxem.io.image import OpenedImage, Orientation
from napari_clxem.io.rasters import Raster, Way, raster_about, scale_of, spatial_shape
from napari_clxem.io.readers.planes import forward, numbered

Interpolation = Literal["nearest", "linear", "cubic"]
ORDERS: dict[Interpolation, int] = {"nearest": 0, "linear": 1, "cubic": 3}

# Pixels of a chunk of the result, planes of it, and pixels of the source read at once for it.
CHUNK, PLANES, BLOCK = 1 << 22, 16, 1 << 24
# Pixels whose places in the source are worked out at once.
TILE = 1 << 18
# A bent map is worked out at every so manieth pixel, and between them by lines, where these miss
# by no more than this part of a pixel.
LATTICE, STRAIGHT = 8, 0.05
# Pixels around a block by which a cubic spline is told: farther ones count less than 1e-6.
MARGIN = 12

Pixels = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Resampling:
    """An image on other pixels, read by basic slicing; what dask asks for chunks.

    Parameters
    ----------
    levels : tuple of array_like
        Resolution levels of the source, full resolution first.
    scale : ndarray, (d,)
        Pixel size of the first one, µm.
    way : Way
        From the source to the frame.
    raster : Raster
        The pixels to be made.
    order : int
        Of the spline.
    fill : float
        Outside the source.
    dtype : dtype
        Of the result.
    """

    levels: tuple[Any, ...]
    scale: Floats
    way: Way
    raster: Raster
    order: int
    fill: float
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Leading axes as those of the source, then the raster's."""
        return (*self.levels[0].shape[: -self.raster.ndim], *self.raster.shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, key: Any) -> Pixels:
        slices, turn = forward(key, self.shape)
        ranges = [range(*part.indices(n)) for part, n in zip(slices, self.shape, strict=True)]
        found = np.full([len(part) for part in ranges], self.fill, self.dtype)
        leading = len(ranges) - self.raster.ndim
        if found.size:
            for place in np.ndindex(*found.shape[:leading]):
                index = tuple(part[i] for part, i in zip(ranges[:leading], place, strict=True))
                self._fill(found[place], index, ranges[leading:])
        return found[turn][numbered(key, self.ndim)]

    def _fill(self, target: Pixels, leading: tuple[int, ...], ranges: list[range]) -> None:
        """Fill a part of the result, in parts whose source fits into memory."""
        bounds = self._behind(ranges)
        if bounds is None:
            return
        source = self._source(ranges)
        if np.prod([b - a for a, b in bounds], dtype=float) > BLOCK and target.size > 1:
            axis = int(np.argmax(target.shape))
            half = target.shape[axis] // 2
            for side in (slice(0, half), slice(half, None)):
                ours = list(ranges)
                ours[axis] = ranges[axis][side]
                self._fill(target[(slice(None),) * axis + (side,)], leading, ours)
            return
        low, block = source.block(leading, bounds, MARGIN if self.order == 3 else 1)
        values: Pixels = block if self.order == 0 else floating(block)
        if self.order == 3:
            from scipy.ndimage import spline_filter

            values = spline_filter(values, order=3, output=values.dtype, mode="nearest")
        for part in _tiles(target.shape):
            ours = [r[p] for r, p in zip(ranges, part, strict=True)]
            self._sample(target[part], values, source, low, ours)

    def _sample(
        self, target: Pixels, values: Pixels, source: Source, low: Floats, ranges: list[range]
    ) -> None:
        """Fill a tile from the block behind it."""
        if getattr(self.way, "bends", False):
            places = source.at(self._bent_places(ranges))
            target[...] = self._interpolated(values, places, low, source.shape)
            return
        starts = np.array([part.start for part in ranges], float)
        ahead = starts + np.diag([float(part.step) for part in ranges])
        first, *others = source.at(self._mapped(np.vstack([starts, ahead])).T).T
        slopes = np.array(others) - first
        ends = np.array(list(product(*((0, len(part) - 1) for part in ranges)))) @ slopes + first
        size = np.array(source.shape)
        if (ends.max(axis=0) < -0.51).any() or (ends.min(axis=0) > size - 0.49).any():
            return
        if (ends >= 0).all() and (ends <= size - 1).all():
            from scipy.ndimage import affine_transform

            found = np.empty(target.shape, values.dtype)
            affine_transform(
                values, slopes.T, first - low, target.shape, found, self.order, "nearest",
                prefilter=False,
            )  # fmt: skip
            target[...] = self._rounded(found)
            return
        steps = [slope.reshape(-1, *(1,) * len(ranges)) for slope in slopes]
        places = first.reshape(-1, *(1,) * len(ranges))
        for axis, (step, part) in enumerate(zip(steps, ranges, strict=True)):
            along = [-1 if a == axis else 1 for a in range(len(ranges))]
            places = places + step * np.arange(len(part)).reshape(along)
        target[...] = self._interpolated(values, places, low, source.shape)

    def _interpolated(
        self, values: Pixels, places: Floats, low: Floats, shape: tuple[int, ...]
    ) -> Pixels:
        from scipy.ndimage import map_coordinates

        size = np.array(shape).reshape(-1, *(1,) * len(shape))
        inside = ((places >= -0.5 - 1e-6) & (places <= size - 0.5 + 1e-6)).all(axis=0)
        local = np.clip(places, 0, size - 1) - low.reshape(size.shape)
        found = map_coordinates(values, local, order=self.order, mode="nearest", prefilter=False)
        filled: Pixels = np.where(inside, self._rounded(found), self.dtype.type(self.fill))
        return filled

    def _rounded(self, found: Pixels) -> Pixels:
        if self.dtype.kind in "iu" and self.order:
            info = np.iinfo(self.dtype)
            found = np.clip(np.rint(found), info.min, info.max)
        return found.astype(self.dtype, copy=False)

    def _behind(self, ranges: Sequence[range]) -> Ranges | None:
        """Give the pixels of the full resolution behind a part; None where there are none."""
        edges = [np.linspace(part[0], part[-1], min(len(part), 5)) for part in ranges]
        places = self._mapped(np.array(list(product(*edges))))
        bends = getattr(self.way, "bends", False)
        slack = 0.05 * np.ptp(places, axis=0) + 2 if bends else np.full(len(self.scale), 1e-3)
        full = np.array(self.levels[0].shape[-len(self.scale) :])
        low, high = places.min(axis=0) - slack, places.max(axis=0) + slack
        if (high < -0.5).any() or (low > full - 0.5).any():
            return None
        first = np.clip(np.floor(low), 0, full - 1).astype(int)
        last = np.clip(np.ceil(high), 0, full - 1).astype(int)
        return tuple((int(a), int(b) + 1) for a, b in zip(first, last, strict=True))

    def _source(self, ranges: Sequence[range]) -> Source:
        """Choose the level, and how many of its pixels are averaged: as many as a step is long."""
        middle = np.array([part[len(part) // 2] for part in ranges], float)
        steps = np.diag([float(part.step) for part in ranges])
        moved = self._mapped(middle + steps / 2) - self._mapped(middle - steps / 2)
        length = np.linalg.norm(moved, axis=0)
        full = np.array(self.levels[0].shape[-len(length) :], float)
        chosen, factor = self.levels[0], np.ones(len(length))
        if self.order:
            for level in self.levels[1:]:
                ratio = np.rint(full / np.array(level.shape[-len(length) :]))
                if (ratio <= length + 0.01).all() and (ratio >= factor).all():
                    chosen, factor = level, ratio
        bins = np.maximum(np.floor(length / factor + 0.01), 1) if self.order else np.ones(len(full))
        return Source(chosen, factor, bins.astype(int))

    def _bent_places(self, ranges: Sequence[range]) -> Floats:
        step = LATTICE
        while True:
            knots = [_knots(len(part), step) for part in ranges]
            grid = self._on_grid(ranges, knots)
            if step == 1 or self._miss(ranges, knots, grid) <= STRAIGHT:
                break
            step //= 2
        for axis, (part, at) in enumerate(zip(ranges, knots, strict=True)):
            weights = np.stack(
                [np.interp(np.arange(len(part)), at, row) for row in np.eye(len(at))]
            )
            grid = np.moveaxis(np.tensordot(grid, weights, axes=(axis + 1, 0)), -1, axis + 1)
        return grid

    def _on_grid(self, ranges: Sequence[range], at: Sequence[Floats]) -> Floats:
        places = [
            part.start + part.step * np.asarray(k) for part, k in zip(ranges, at, strict=True)
        ]
        points = np.stack(np.meshgrid(*places, indexing="ij"), axis=-1)
        found = self._mapped(points.reshape(-1, len(ranges)))
        return np.moveaxis(found.reshape(points.shape), -1, 0)

    def _miss(self, ranges: Sequence[range], knots: Sequence[Floats], grid: Floats) -> float:
        """Say by how many pixels lines between the knots miss the map, halfway between them."""
        middles = [(k[1:] + k[:-1]) / 2 if len(k) > 1 else k for k in knots]
        between = grid
        for axis, k in enumerate(knots):
            if len(k) > 1:
                lower = np.take(between, range(len(k) - 1), axis=axis + 1)
                upper = np.take(between, range(1, len(k)), axis=axis + 1)
                between = (lower + upper) / 2
        return float(np.abs(self._on_grid(ranges, middles) - between).max())

    def _mapped(self, index: Floats) -> Floats:
        """Give the places in the source, in its pixels, of pixels of the result, (n, d)."""
        points = index * np.array(self.raster.scale) + np.array(self.raster.origin)
        return np.asarray(self.way.inverse(points) / self.scale)


def resample_image(
    image: OpenedImage,
    way: Way,
    raster: Raster | None = None,
    interpolation: Interpolation = "linear",
    fill: float | None = None,
    frame: str = "",
) -> OpenedImage:
    """Bring an image onto pixels of another frame, lazily.

    Where the pixels are larger than the image's own, those that fall into one are averaged.

    Parameters
    ----------
    image : OpenedImage
        The image.
    way : Affine, Fit or alike
        Its µm to µm of the frame, with as many axes as it has: `transform` and `inverse`.
    raster : Raster, optional
        The pixels; by default those that hold the image, as :func:`raster_about` gives them.
    interpolation : {"linear", "nearest", "cubic"}
        ``"nearest"`` for labels.
    fill : float, optional
        Outside the image; by default NaN, or 0 in whole numbers.
    frame : str
        Name of the frame, to be written with the image.

    Returns
    -------
    OpenedImage
        Its `meta["placed"]` says where it lies: `frame`, `origin` (µm), and `matrix`, from the
        pixels' µm of `source` to the frame (None for a map that bends).

    Raises
    ------
    ImageError
        Where the raster or the map does not fit the image's axes, or its pixels are no numbers.
    MissingScaleError
        Where the image has no pixel size.
    """
    import dask.array as da

    scale = scale_of(image)
    chosen = raster_about(image, way) if raster is None else raster
    if chosen.ndim != len(scale):
        raise ImageError(
            f"{image.name or 'The image'} has {len(scale)} axes in space and the raster "
            f"{chosen.ndim}; give one with as many."
        )
    if interpolation not in ORDERS:
        raise ImageError(
            f"There is no interpolation {interpolation!r}; choose {', '.join(ORDERS)}."
        )
    made = Resampling(
        levels=image.levels,
        scale=scale,
        way=way,
        raster=chosen,
        order=ORDERS[interpolation],
        **_kind(image, fill),
    )
    data = da.from_array(  # type: ignore[no-untyped-call]
        made,
        chunks=_chunks(made),
        asarray=False,
        fancy=False,
        meta=np.empty((0,) * made.ndim, made.dtype),
    )
    placed = {
        "frame": frame,
        "origin": list(chosen.origin),
        "source": image.name,
        "source_shape": list(spatial_shape(image)),
        "source_scale": [float(step) for step in scale],
        "matrix": _matrix(way),
        "axes": "zyx"[-chosen.ndim :],
        "unit": "micrometer",
        "interpolation": interpolation,
    }
    return replace(
        image,
        levels=(data,),
        scale=chosen.scale,
        stage=None,
        orientation=Orientation(),
        meta={**image.meta, "placed": placed},
        missing=(),
    )


def _kind(image: OpenedImage, fill: float | None) -> dict[str, Any]:
    dtype = np.dtype(image.data.dtype).newbyteorder("=")
    dtype = np.dtype(np.uint8) if dtype.kind == "b" else dtype
    if dtype.kind not in "iuf":
        raise ImageError(
            f"{image.name or 'The image'} has pixels of kind {dtype}, which cannot be resampled."
        )
    if dtype.kind == "f":
        return {"dtype": dtype, "fill": np.nan if fill is None else float(fill)}
    info, value = np.iinfo(dtype), 0 if fill is None else fill
    if not np.isfinite(value) or not info.min <= value <= info.max:
        raise ImageError(f"Pixels of kind {dtype} cannot be filled with {value}; choose another.")
    return {"dtype": dtype, "fill": int(value)}


def _matrix(way: Way) -> list[list[float]] | None:
    matrix = None if getattr(way, "bends", False) else getattr(way, "matrix", None)
    return None if matrix is None else np.asarray(matrix, float).tolist()


def _chunks(made: Resampling) -> tuple[int, ...]:
    """Give whole planes, some of them, as far as they fit; sides in multiples of 256."""
    shape = made.raster.shape
    planes = min(PLANES, shape[0]) if len(shape) == 3 else 1
    side = max(256, int(np.sqrt(CHUNK / planes)) // 256 * 256)
    rows = min(shape[-2], side)
    columns = min(shape[-1], max(256, CHUNK // (planes * rows) // 256 * 256))
    space = (planes, rows, columns)[-len(shape) :]
    return (1,) * (made.ndim - len(shape)) + space


def _tiles(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    side = max(1, int(TILE ** (1 / len(shape))))
    counts = [range(0, n, side) for n in shape]
    for start in product(*counts):
        yield tuple(slice(a, min(a + side, n)) for a, n in zip(start, shape, strict=True))


def _knots(size: int, step: int) -> Floats:
    return np.unique(np.append(np.arange(0, size, step), size - 1)).astype(float)
