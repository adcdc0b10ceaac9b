"""How the images of a tilt series are brought onto their axis: by a file, or by beads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.errors import Cancelled, ImageError

Floats = NDArray[np.floating[Any]]
# A pixel so much taller than wide makes turning an image a distortion.
_SQUARE = 0.01


@dataclass(frozen=True, eq=False)
class Straightening:
    """Maps that bring the tilt axis of a series to y in the middle of each image.

    Attributes
    ----------
    sections : (n,) ndarray of int
        Images of the raw series that are kept.
    transforms : (n, 2, 3) ndarray
        For :func:`napari_clxem.xray.resample`.
    tilts : (n,) ndarray
        Degrees.
    residuals : (n,) ndarray
        Of the beads in each image, µm; nan where none was used.
    notes : tuple of str
        What was found.
    """

    sections: NDArray[np.int64]
    transforms: Floats
    tilts: Floats
    residuals: Floats
    notes: tuple[str, ...]


def by_file(
    path: str | Path,
    shape: tuple[int, int, int],
    tilts: ArrayLike | None = None,
    *,
    turned: bool = False,
) -> Straightening:
    """Take an alignment of IMOD (.xf) or AreTomo (.aln).

    Parameters
    ----------
    path : path
    shape : (n, ny, nx)
        Of the raw series.
    tilts : array_like, optional
        Degrees, one per raw or per aligned image; by default those of the alignment.
    turned : bool
        Whether the rows of the series were turned at opening.

    Raises
    ------
    ClxemError
        Where the file cannot be read, or belongs to another series.
    """
    from napari_clxem.io import read_alignment

    found = read_alignment(path)
    name = Path(path).name
    count, *plane = shape
    if found.size is not None and tuple(found.size) != tuple(plane):
        raise ImageError(
            f"{name} is of images of {found.size} pixels, the series has {tuple(plane)}; give the "
            "alignment of this series, not binned."
        )
    if found.sections.size == 0 or found.sections.max() >= count:
        raise ImageError(
            f"{name} aligns {found.sections.size} images, the series has {count}; give the "
            "alignment of this series."
        )
    found = found.turned() if turned else found
    angles: Floats | None = found.tilts
    if tilts is not None:
        angles = np.asarray(tilts, float)
        if len(angles) not in (count, len(found.sections)):
            raise ImageError(f"There are {len(angles)} tilts for {count} images; give one each.")
        angles = angles[found.sections] if len(angles) == count else angles
    if angles is None:
        raise ImageError(f"{name} states no tilts; give them in a .tlt file.")
    notes = (f"{len(found.sections)} of {count} images aligned by {name}.",)
    residuals = np.full(len(found.sections), np.nan)
    return Straightening(found.sections, found.matrices[:, :2], angles, residuals, notes)


def by_beads(
    series: Any,
    tilts: ArrayLike,
    spacing: Sequence[float],
    diameter: float,
    *,
    kind: Literal["dark", "bright"] = "dark",
    reach: float | None = None,
    azimuth: tuple[float, float] = (-90.0, 90.0),
    progress: Callable[[float, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Straightening:
    """Find beads in every image, follow them, and solve the geometry.

    Parameters
    ----------
    series : (n, ny, nx) array_like
        Read one image at a time.
    tilts : (n,) array_like
        Degrees.
    spacing : (y, x)
        Pixel size, µm.
    diameter : float
        Of the beads, µm.
    kind : {"dark", "bright"}
        Dark in transmission, bright in optical density.
    reach : float, optional
        How far a bead moves between neighbouring tilts beside the others, µm; by default its
        diameter.
    azimuth : tuple of float
        Range of the tilt axis from y, degrees.

    Raises
    ------
    ClxemError
        Where the pixels are not square, or too few beads are found.
    Cancelled
        Where `cancelled` gave True.
    """
    from napari_clxem.fiducials import detect
    from napari_clxem.xray import align_beads, follow

    if abs(spacing[0] / spacing[1] - 1) > _SQUARE:
        raise ImageError("The series has pixels that are not square; resample it first.")
    angles = np.asarray(tilts, float)
    count, *plane = series.shape
    middle = (np.array(plane) - 1) / 2 * np.asarray(spacing)
    found: list[Floats] = []
    for index in range(count):
        if cancelled is not None and cancelled():
            raise Cancelled("The alignment by beads was stopped; nothing was changed.")
        if progress is not None:
            progress(index / (count + 1), f"Beads of image {index + 1} of {count}")
        image = np.asarray(series[index], np.float32)
        found.append(detect(image, tuple(spacing), diameter, kind).positions - middle)
    if progress is not None:
        progress(count / (count + 1), "Following beads through the tilts")
    tracks = follow(found, angles, diameter if reach is None else reach)
    solved = align_beads(tracks, angles, azimuth=azimuth)
    used = np.isfinite(solved.residuals).all(axis=2)
    notes = (
        f"{np.mean([len(one) for one in found]):.1f} beads an image, {tracks.shape[1]} followed, "
        f"{int(used.sum())} sightings used; tilt axis {solved.azimuth:.2f} degrees from y.",
        f"Residual of the beads: {1e3 * solved.rms:.3g} nm rms.",
    )
    maps = solved.transforms(float(spacing[1]))
    return Straightening(np.arange(count), maps, angles, solved.by_tilt, notes)
