"""The scaled orthographic fit by compiled kernels, once these are ready.

A live drag refits a FIB view at every move. The kernels take the same steps as the general
solver, to the same minimum. They load in the background at the first fit of a projection; the
very first time on a machine they have to be compiled, and the general solver answers meanwhile.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_clxem import compiling
from napari_clxem.frames.affine import Floats
from napari_clxem.frames.landmarks import Landmarks

_KERNELS = "napari_clxem.frames.orthographic_kernels"


def warm(block: bool = False) -> None:
    """Load or compile the kernels in the background; `block` waits until they are ready."""
    compiling.warm(_KERNELS, block=block)


def descended(
    landmarks: Landmarks, centre: Floats, guesses: list[Floats], middle: Floats
) -> tuple[Any, ...] | None:
    """Go from first guesses to their minima.

    Returns
    -------
    tuple or None
        Whether each settled (k,), A (k, 2, 3), t (k, 2), cost (k,) and the covariance of the
        entries of [A | t] (k, 8, 8); None while the kernels are being compiled.
    """
    kernels = compiling.ready(_KERNELS)
    if kernels is None:
        return None
    count = len(landmarks.moving)
    here, there = landmarks.moving_covariance, landmarks.fixed_covariance
    enough = 1e-8
    if here is None or there is None:
        here, there, enough = np.zeros((count, 3, 3)), np.tile(np.eye(2), (count, 1, 1)), 0.0
    found: tuple[Any, ...] = kernels.descend(
        *(np.ascontiguousarray(part) for part in (landmarks.moving - centre, landmarks.fixed)),
        *(np.ascontiguousarray(part) for part in (here, there)),
        np.array(guesses),
        np.ascontiguousarray(middle),
        enough,
    )
    return found
