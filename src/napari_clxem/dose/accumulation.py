"""What all exposures together have left: the sums that scripts ask for."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from numpy.typing import ArrayLike

from napari_clxem.dose.exposure import Exposure
from napari_clxem.dose.history import History
from napari_clxem.frames import FrameGraph
from napari_clxem.frames.affine import Floats
from napari_clxem.materials import Material


class DoseWarning(UserWarning):
    """A sum of doses leaves something out, or is only a lower bound."""


def cumulative(
    exposures: Iterable[Exposure],
    points: ArrayLike,
    graph: FrameGraph | None = None,
    frame: str | None = None,
    *,
    material: str | Material | None = None,
    surface: bool = False,
) -> Floats:
    """Sum the doses of all exposures at points.

    Parameters
    ----------
    exposures : iterable of Exposure
        Of any frames.
    points : (n, 2) or (n, 3) array_like
        (y, x) or (z, y, x) in `frame`, µm.
    graph : FrameGraph, optional
        Links the exposures' frames with `frame`.
    frame : str, optional
        Frame of the points; may be left out where all exposures are in one.
    material : str or Material, optional
        State all doses for this material; left out, they must be stated for one already.
    surface : bool
        Sum what stays in a layer below the surface (scanning microscopes) instead.

    Returns
    -------
    (n,) array
        Entrance dose, MGy. With the registration's error: :meth:`History.interval`.

    Raises
    ------
    ClxemError
        As :class:`History`.

    Warns
    -----
    DoseWarning
        Naming exposures that no link reaches, and those of unknown dose.
    """
    history = History(exposures, graph, frame, material)
    _warn(history)
    return history.at(points, surface=surface)


def cumulative_map(
    exposures: Iterable[Exposure],
    origin: ArrayLike,
    shape: tuple[int, int],
    pixel: Any,
    graph: FrameGraph | None = None,
    frame: str | None = None,
    *,
    material: str | Material | None = None,
    surface: bool = False,
) -> Floats:
    """Sum the doses of all exposures over a raster, at its pixels' centres.

    Parameters
    ----------
    exposures, graph, frame, material, surface
        As :func:`cumulative`.
    origin : (2,) array_like
        Centre (y, x) of the first pixel in `frame`, µm.
    shape : (int, int)
        Rows and columns.
    pixel : float or (float, float)
        Pixel size, or (y, x) sizes, µm.

    Returns
    -------
    (ny, nx) array
        Entrance dose, MGy.
    """
    history = History(exposures, graph, frame, material)
    _warn(history)
    return history.map(origin, shape, pixel, surface=surface)


def _warn(history: History) -> None:
    for names, what in (
        (history.unreached, "no link reaches the frame of"),
        (history.unknown, "the dose is unknown of"),
    ):
        if names:
            listed = ", ".join(repr(one.id) for one in names[:10])
            more = f" and {len(names) - 10} more" if len(names) > 10 else ""
            warnings.warn(
                f"The sum leaves exposures out: {what} {listed}{more}.", DoseWarning, stacklevel=3
            )
