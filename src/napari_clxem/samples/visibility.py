"""Which beads a dataset shows, and what in it looks like a bead without being one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_clxem.samples.cells import Spheres
from napari_clxem.samples.poses import Pose
from napari_clxem.samples.scene import Scene

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
_LIGHT = ("confocal", "fluorescence", "vlm")
# A bead is seen by scanning microscopes where its top stands this far out of the ice, µm.
PROTRUSION = 0.25


def protruding(scene: Scene) -> Mask:
    """Tell which beads stand out of the ice."""
    z, y, x = scene.beads.centres.T
    return np.asarray(z + scene.beads.radii - scene.ice_top(y, x) > PROTRUSION)


def unobstructed(scene: Scene, centres: Array, towards: Array, reach: float = 40.0) -> Mask:
    """Tell from which points (n, 3) the direction `towards` leads out without meeting ice."""
    direction = towards / np.linalg.norm(towards)
    steps = np.arange(0.5, reach, 0.25)
    path = centres[:, None] + steps[:, None] * direction
    ground = scene.ice_top(path[..., 1], path[..., 2])
    return np.asarray(np.all(path[..., 0] > ground, axis=1))


def visible_beads(scene: Scene, pose: Pose) -> NDArray[np.int64]:
    """Give the indices of the beads that a dataset shows whole."""
    centres = scene.beads.centres
    seen = pose.contains(centres, margin=0.5)
    if pose.modality in _LIGHT:
        seen &= scene.beads.fluorescent
    elif pose.modality == "sxt":
        seen &= scene.mesh.distance(centres[:, 1], centres[:, 2]) < -0.6
    elif pose.modality == "sem":
        seen &= protruding(scene)
    elif pose.modality == "fib":
        seen &= protruding(scene)
        index = np.flatnonzero(seen)
        seen[index] = unobstructed(scene, centres[index], pose.beam)
    else:
        seen[:] = False
    return np.flatnonzero(seen)


def lookalikes(scene: Scene, pose: Pose) -> Spheres:
    """Give what looks like a bead in a dataset without being one, as spheres of the grid."""
    if pose.modality in _LIGHT:
        found = scene.debris
    elif pose.modality == "sxt":
        found = scene.crystals
    elif pose.modality in ("sem", "fib"):
        found = scene.contamination
    else:
        return Spheres(np.empty((0, 3)), np.empty(0))
    seen = pose.contains(found.centres)
    if pose.modality == "fib":
        seen &= unobstructed(scene, found.centres, pose.beam)
    elif pose.modality == "sxt":
        seen &= scene.mesh.distance(found.centres[:, 1], found.centres[:, 2]) < -0.6
    return Spheres(found.centres[seen], found.radii[seen])
