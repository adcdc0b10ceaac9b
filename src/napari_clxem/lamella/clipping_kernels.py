"""The kernels of :mod:`napari_clxem.lamella.clipping`, compiled; numba is slow to import."""

from __future__ import annotations

import numpy as np
from numba import njit
from numba.extending import register_jitable

from napari_clxem.lamella import clipping

for _part in (clipping.clip, clipping.cone, clipping.common_volume):
    register_jitable(_part)

volumes = njit(cache=True, nogil=True)(clipping.volumes)
areas = njit(cache=True, nogil=True)(clipping.areas)


def warm() -> None:
    """Compile for the types in use."""
    faces, counts, planes = clipping.prisms(np.eye(3)[None, None], np.ones((1, 1, 3)))
    box = clipping.prisms(np.eye(4, 3), np.array([1.0, 2.0, 3.0]))
    room = np.zeros((20, 3)), np.zeros((20, 3)), np.zeros(20)
    volumes(np.zeros(1), faces, counts, planes, np.ones(1), *box, 1e-10, *room)
    areas(np.zeros(1), np.zeros((1, 1, 3, 3)), np.ones(1), np.zeros((4, 4)), *room)
