"""From a tilt series of optical density to a tomogram of linear absorption: SART and SIRT.

Slices perpendicular to the tilt axis are independent of each other, so they are worked off block
by block: memory stays bounded, and blocks run side by side, here in threads or as a dask graph.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.errors import Cancelled, ImageError, MissingScaleError
from napari_clxem.xray.geometry import (
    Floats,
    Geometry,
    Support,
    Weighting,
    check_tilts,
    lay_out,
)
from napari_clxem.xray.solving import Method, Solver, block_size, cast_all, grouped, lanes_for

Progress = Callable[[float, str], None]

#: Share of the residual taken away per correction where none is given. scikit-image divides by the
#: sum of squared weights instead: its numbers act like 2.4 times as much here, its 0.15 like 0.36.
RELAXATION = {"SART": 0.36, "SIRT": 1.0}
_MARGIN = 0.9
"""Share of the machine's memory that a tomogram may take."""


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """A tomogram and how it came about.

    Attributes
    ----------
    data : (nz, ny, nx) float32 array
        Linear absorption coefficient, 1/µm (of differences: its difference); (nz, nx) for one
        slice. What was given as `out`, if anything was.
    spacing : tuple of float
        Voxel size, µm, one per axis of `data`.
    method : str
        ``"SART"`` or ``"SIRT"``.
    iterations : int
        Passes through all tilts.
    relaxation : float
        Share of the residual taken away per correction, with weights that add up to the path.
    residuals : (iterations,) ndarray
        Root mean square of measured minus projected optical density in each pass.
    """

    data: Any
    spacing: tuple[float, ...]
    method: str
    iterations: int
    relaxation: float
    residuals: Floats

    @property
    def convergence(self) -> float:
        """Relative fall of the residual in the last pass; nan after a single one."""
        if len(self.residuals) < 2 or self.residuals[-2] == 0:
            return float("nan")
        return float(1.0 - self.residuals[-1] / self.residuals[-2])


def reconstruct(
    series: Any,
    tilts: ArrayLike,
    spacing: float | tuple[float, float],
    *,
    method: Method = "SART",
    iterations: int = 5,
    relaxation: float | None = None,
    thickness: int | None = None,
    axis: float | None = None,
    support: Support = "box",
    weighting: Weighting = "centre",
    limits: tuple[float, float] | None = None,
    block: int | None = None,
    memory: float = 1.0,
    workers: int | None = None,
    out: Any = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Reconstruction:
    """Reconstruct a tomogram from an aligned tilt series.

    Parameters
    ----------
    series : (n, ny, nx) or (n, nx) array_like
        Optical density, -ln of the transmission (numpy, dask, memmap ...), with the tilt axis
        along y. It is read block by block along y.
    tilts : (n,) array_like
        Degrees; a point (z, x) from the axis appears at ``x cos + z sin``.
    spacing : float or (y, x)
        Pixel size, µm.
    method : {"SART", "SIRT"}
        Correct by one tilt at a time (Andersen and Kak 1984, Ultrason. Imaging 6:81), in golden
        order, or by all at once (Gilbert 1972, J. Theor. Biol. 36:105).
    iterations : int
        Passes through all tilts.
    relaxation : float, optional
        0 to 2, by default 0.36 for SART and 1 for SIRT. Numbers are not portable between
        programs: the 0.15 of scikit-image acts like 0.36 here, its 0.01 like 0.024.
    thickness : int, optional
        Voxels along z, at most four times those along x; by default as many as along x.
    axis : float, optional
        Position of the tilt axis, pixels from the centre of the first column; by default the
        middle of the detector.
    support : {"box", "cylinder"}
        Where there may be material; see :func:`~napari_clxem.xray.geometry.lay_out`.
    weighting : {"centre", "even"}
        Where along a ray corrections go, as far as the tilts leave it open; see there.
    limits : tuple of float, optional
        Least and greatest absorption allowed, 1/µm, such as ``(0, inf)``; none by default, as
        differences have both signs.
    block : int, optional
        Slices worked on at once; by default as many as `memory` allows.
    memory : float
        Bound on working memory, GB, besides input and output.
    workers : int, optional
        Threads; by default one per core.
    out : array, optional
        Where to write the tomogram (nz, ny, nx): a memmap or zarr array keeps it off memory.
    progress : callable, optional
        Called as ``progress(share, text)``, from 0 to 1.
    cancelled : callable, optional
        Asked between passes; where it gives True, Cancelled is raised.

    Returns
    -------
    Reconstruction

    Raises
    ------
    ImageError
        Where the shapes, tilts or parameters do not go together, or a pixel is not finite.
    MissingScaleError
        Where the pixel size is not a positive number.
    Cancelled
        Where `cancelled` gave True.
    """
    stack = series if hasattr(series, "shape") else np.asarray(series)
    single = len(stack.shape) == 2
    if single:
        stack = stack[:, None, :]
    geometry = _checked(stack, tilts, method, iterations, thickness, axis, support, weighting)
    pixel = _pixel(spacing)
    share = RELAXATION[method] if relaxation is None else float(relaxation)
    if not 0 < share < 2:
        raise ImageError(f"A relaxation of {share:g} diverges; choose one between 0 and 2.")
    shape = (geometry.shape[0], stack.shape[1], geometry.shape[1])
    data = _room(shape) if out is None else out
    if tuple(data.shape) != shape:
        raise ImageError(f"The output has shape {tuple(data.shape)}; give one of shape {shape}.")
    threads = workers or os.cpu_count() or 1
    solver = Solver(geometry, method, share, iterations, pixel[1], limits)
    size = block or block_size(geometry, shape[1], memory, threads)
    squares = np.zeros(iterations)
    starts = range(0, shape[1], size)
    with ThreadPoolExecutor(threads) as pool:
        for index, start in enumerate(starts):
            stop = min(start + size, shape[1])
            told = partial(_tell, progress, cancelled, index, len(starts), (start, stop))
            slices, square = solver.solve(_read(stack, start, stop), threads, pool, told)
            data[:, start:stop, :] = slices
            squares += square
    rays = max(1, solver.rays * shape[1])
    return Reconstruction(
        data[:, 0, :] if single else data,
        (pixel[1], pixel[1]) if single else (pixel[1], *pixel),
        method,
        iterations,
        share,
        np.sqrt(squares / rays) * pixel[1],
    )


def reconstruct_lazily(
    series: Any,
    tilts: ArrayLike,
    spacing: float | tuple[float, float],
    *,
    method: Method = "SART",
    iterations: int = 5,
    relaxation: float | None = None,
    thickness: int | None = None,
    axis: float | None = None,
    support: Support = "box",
    weighting: Weighting = "centre",
    limits: tuple[float, float] | None = None,
    block: int = 32,
) -> Any:
    """Give the tomogram as a dask array whose blocks of slices are worked out when asked for.

    The same as :func:`reconstruct`, for schedulers of dask's own (threads, or a cluster), and for
    looking at a few slices before the rest. Parameters as there; `block` slices make a chunk.

    Returns
    -------
    (nz, ny, nx) dask array of float32
        Linear absorption coefficient, 1/µm.
    """
    import dask.array as da

    geometry = _checked(series, tilts, method, iterations, thickness, axis, support, weighting)
    whole = da.asarray(series)  # type: ignore[no-untyped-call]
    stack = whole.rechunk((-1, block, -1))
    return stack.map_blocks(
        _reconstructed_block,
        tilts=np.asarray(tilts, dtype=float),
        spacing=_pixel(spacing),
        method=method,
        iterations=iterations,
        relaxation=relaxation,
        thickness=geometry.shape[0],
        axis=axis,
        support=support,
        weighting=weighting,
        limits=limits,
        dtype=np.float32,
        chunks=((geometry.shape[0],), stack.chunks[1], stack.chunks[2]),
        meta=np.empty((0, 0, 0), np.float32),
    )


def project(
    volume: Any,
    tilts: ArrayLike,
    spacing: float | tuple[float, float],
    *,
    axis: float | None = None,
    workers: int | None = None,
) -> NDArray[np.float32]:
    """Project a tomogram of absorption: the optical density it would show at each tilt.

    Parameters
    ----------
    volume : (nz, ny, nx) array_like
        Linear absorption coefficient, 1/µm.
    tilts : (n,) array_like
        Degrees.
    spacing : float or (y, x)
        Voxel size, µm; along z as along x.
    axis, workers
        As in :func:`reconstruct`.

    Returns
    -------
    (n, ny, nx) float32 array
    """
    array = np.asarray(volume, np.float32)
    if array.ndim != 3:
        raise ImageError(f"A volume has three axes (z, y, x), not the {array.ndim} given.")
    geometry = lay_out(tilts, array.shape[2], array.shape[0], axis)
    lanes, threads = lanes_for(array.shape[1]), workers or os.cpu_count() or 1
    inner = slice(geometry.pad, geometry.pad + geometry.width)
    shadows = np.empty((len(geometry.tilts), array.shape[1], geometry.width), np.float32)

    def one(start: int) -> None:
        shadow = cast_all(geometry, grouped(array[:, start : start + lanes], lanes))
        found = shadow[:, inner, : array.shape[1] - start]
        shadows[:, start : start + lanes] = found.transpose(0, 2, 1)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, range(0, array.shape[1], lanes)))
    shadows *= np.float32(_pixel(spacing)[1])
    return shadows


def _room(shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """Give an empty tomogram; raises ImageError where the machine cannot hold it."""
    import psutil  # type: ignore[import-untyped]

    needed, there = 4 * float(np.prod(shape, dtype=float)), float(psutil.virtual_memory().total)
    if needed > _MARGIN * there:
        by = " x ".join(str(n) for n in shape)
        raise ImageError(
            f"A tomogram of {by} voxels takes {needed / 1e9:.3g} GB, this machine has "
            f"{there / 1e9:.3g}; give a smaller thickness, or a file as `out`."
        )
    return np.empty(shape, np.float32)


def _thickness(given: int | None, width: int) -> int:
    if given is None:
        return width
    value = float(given)
    if not (np.isfinite(value) and value == round(value) >= 1):
        raise ImageError(
            f"A thickness of {given} voxels is not usable; give a whole number from 1."
        )
    return round(value)


def _checked(
    stack: Any,
    tilts: ArrayLike,
    method: str,
    iterations: int,
    thickness: int | None,
    axis: float | None,
    support: Support,
    weighting: Weighting,
) -> Geometry:
    if len(stack.shape) != 3:
        raise ImageError(
            f"A tilt series has three axes (tilt, y, x), not the {len(stack.shape)} given."
        )
    if method not in RELAXATION:
        raise ImageError(f"The method {method!r} is unknown; choose 'SART' or 'SIRT'.")
    if not isinstance(iterations, int | np.integer) or iterations < 1:
        raise ImageError(f"{iterations} iterations make no tomogram; give at least 1.")
    angles = check_tilts(tilts, stack.shape[0])
    return lay_out(
        angles, stack.shape[2], _thickness(thickness, stack.shape[2]), axis, support, weighting
    )


def _pixel(spacing: float | tuple[float, float]) -> tuple[float, float]:
    pair = np.broadcast_to(np.asarray(spacing, dtype=float), (2,))
    if not (np.isfinite(pair).all() and (pair > 0).all()):
        raise MissingScaleError(f"A pixel size of {spacing} µm is not usable; give a positive one.")
    return float(pair[0]), float(pair[1])


def _read(stack: Any, start: int, stop: int) -> NDArray[np.float32]:
    part = np.asarray(stack[:, start:stop, :], dtype=np.float32)
    if not np.isfinite(part).all():
        tilt, row, column = np.argwhere(~np.isfinite(part))[0]
        raise ImageError(
            f"Image {tilt} holds a value that is no number at row {row + start}, column {column}; "
            "normalise the series first, which fills such pixels."
        )
    return part


def _tell(
    progress: Progress | None,
    cancelled: Callable[[], bool] | None,
    index: int,
    blocks: int,
    rows: tuple[int, int],
    share: float,
) -> None:
    if cancelled is not None and cancelled():
        raise Cancelled("The reconstruction was stopped; no tomogram was made.")
    if progress is not None:
        progress((index + share) / blocks, f"slices {rows[0]} to {rows[1] - 1}")


def _reconstructed_block(part: NDArray[np.float32], **options: Any) -> NDArray[np.float32]:
    return np.asarray(reconstruct(part, workers=1, **options).data)
