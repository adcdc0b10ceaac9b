"""One particle in a tomogram: what is left of its density in a voxel larger than itself."""

from __future__ import annotations

import numpy as np

from napari_clxem.errors import ImageError


def smeared_density(mass: float, edge: float) -> float:
    """Give the density that one particle shows in a cube larger than itself.

    Parameters
    ----------
    mass : float
        pg.
    edge : float
        Of the cube, such as what the tomogram resolves in 3D, µm.

    Returns
    -------
    float
        g/cm³.

    Raises
    ------
    ImageError
        For a number that is not above zero.
    """
    return _positive(mass, "The mass") / _positive(edge, "The edge of the cube") ** 3


def detectable_edge(mass: float, limit: float) -> float:
    """Give the largest cube in which one particle still shows a density.

    Parameters
    ----------
    mass : float
        pg.
    limit : float
        Least density that can be told from nothing, g/cm³; see
        :class:`~napari_clxem.xray.noise.Limits`.

    Returns
    -------
    float
        µm: a single particle is found only by what resolves so much in 3D.

    Raises
    ------
    ImageError
        For a number that is not above zero.
    """
    return float(np.cbrt(_positive(mass, "The mass") / _positive(limit, "The least density")))


def _positive(value: float, name: str) -> float:
    if not isinstance(value, int | float | np.number) or not (np.isfinite(value) and value > 0):
        raise ImageError(f"{name} is {value!r}; give a number above zero.")
    return float(value)
