"""The sample without images: what detection would give, for statistics over thousands of grids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from napari_clxem.samples.picks import Picks, all_picks
from napari_clxem.samples.poses import LamellaPose, Pose, make_layout
from napari_clxem.samples.scene import Scene, Target, make_scene
from napari_clxem.samples.sizes import SIZES
from napari_clxem.samples.streams import stream
from napari_clxem.samples.visibility import lookalikes, visible_beads

Array = NDArray[np.float64]
# Typical localisation sd, µm, (z, y, x) or (y, x): what a good fit reaches in each modality.
SD: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "confocal": (0.05, 0.018, 0.018),
        "fluorescence": (0.04, 0.04),
        "vlm": (0.05, 0.05),
        "sxt-mosaic": (0.025, 0.025),
        "sxt-tomogram": (0.02, 0.012, 0.01),
        "sem": (0.03, 0.03),
        "fib": (0.04, 0.04),
        "tem": (0.02, 0.02),
    }
)
# Mean and sd of the height of things over the plane of a 2D frame, µm.
HEIGHTS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "fluorescence": (0.0, 2.0),
        "vlm": (0.0, 2.0),
        "sxt": (0.0, 2.0),
        "sem": (0.0, 2.0),
        "fib": (0.0, 10.0),
        "tem": (0.0, 0.15),
    }
)


@dataclass(frozen=True, eq=False)
class FramePoints:
    """Beads as found in one dataset.

    Parameters
    ----------
    pose : Pose
        The dataset.
    from_grid : (4, 4) or (2, 4) array
        True homogeneous matrix from grid (z, y, x) µm to this frame. Unlike in truth.json the
        frame is the one a user works in: z of stacks is multiplied by `pose.axial_scaling`.
    positions : (n, d) array
        Found positions in this frame, µm, in random order.
    covariances : (n, d, d) array
        Covariance of each, µm².
    ids : (n,) array of int
        True bead of each; -1 where it is none.
    """

    pose: Pose
    from_grid: Array
    positions: Array
    covariances: Array
    ids: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PointGrid:
    """A whole grid as points: frames by name, hand-picked landmarks, held targets, lamellae."""

    scene: Scene
    frames: dict[str, FramePoints]
    picks: tuple[Picks, ...]
    targets: tuple[Target, ...]
    lamellae: dict[str, LamellaPose]


def _kind(pose: Pose) -> str:
    if pose.modality != "sxt":
        return pose.modality
    return "sxt-mosaic" if pose.ndim == 2 else "sxt-tomogram"


def observe(scene: Scene, pose: Pose, missed: float) -> FramePoints:
    """Draw what detection finds of the beads in one dataset; a share `missed` goes unseen."""
    rng = stream(scene.seed, "points", pose.name)
    seen = visible_beads(scene, pose)
    seen = seen[rng.uniform(size=len(seen)) >= missed]
    wrong = lookalikes(scene, pose).centres
    ids = np.concatenate([seen, np.full(len(wrong), -1, dtype=np.int64)])
    true = np.concatenate([scene.beads.centres[seen], wrong])
    order = rng.permutation(len(ids))
    matrix = pose.used[3 - pose.ndim : 3]
    sd = np.asarray(SD[_kind(pose)]) * np.exp(rng.normal(0, 0.25, (len(ids), 1)))
    covariances = sd[:, :, None] ** 2 * np.eye(pose.ndim)
    placed = true @ matrix[:, :3].T + matrix[:, 3] + sd * rng.standard_normal(sd.shape)
    return FramePoints(
        pose=pose,
        from_grid=pose.used if pose.ndim == 3 else matrix,
        positions=placed[order],
        covariances=covariances[order],
        ids=ids[order],
    )


def point_grid(
    seed: int, *, beads: int = 80, contamination: int = 30, missed: float = 0.05
) -> PointGrid:
    """Draw a grid as points, without rendering images.

    Parameters
    ----------
    seed : int
        Same seed, same grid: its poses, beads, targets and lamellae are those of
        ``write_grid`` with this seed and size ``"shipped"``.
    beads, contamination : int
        As in :func:`napari_clxem.samples.make_scene`.
    missed : float
        Share of the visible beads that detection misses in each dataset.

    Returns
    -------
    PointGrid
        Found positions with covariances and true ids per frame, picked landmarks, targets.
    """
    scene = make_scene(seed, beads=beads, contamination=contamination, mitochondria=False)
    layout = make_layout(scene, SIZES["shipped"])
    frames = {name: observe(scene, pose, missed) for name, pose in layout.poses.items()}
    return PointGrid(scene, frames, all_picks(scene, layout), scene.targets, layout.lamellae)
