"""Landmarks as a careful human would click them: beads for FIB views, organelles for lamellae."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_clxem.samples.poses import LamellaPose, Layout, Pose
from napari_clxem.samples.scene import Scene
from napari_clxem.samples.streams import stream
from napari_clxem.samples.visibility import visible_beads

Array = NDArray[np.float64]
FIB_SD = 0.05
TEM_SD = 0.035
CONFOCAL_SD = (0.09, 0.035, 0.035)
TOMOGRAM_SD = (0.035, 0.03, 0.03)


@dataclass(frozen=True, eq=False)
class Picks:
    """Pairs of clicks: `moving` (n, 3) and `fixed` (n, 2) in µm with their sd."""

    moving_frame: str
    fixed_frame: str
    model: str
    note: str
    ids: tuple[str, ...]
    moving: Array
    fixed: Array
    moving_sd: Array
    fixed_sd: Array


@dataclass(frozen=True, eq=False)
class Suggestion:
    """A target as a user picks it in a frame: position (3,) µm, its sd, and radius."""

    name: str
    site: str
    frame: str
    position: Array
    sd: tuple[float, ...]
    radius: float


def _pick(
    scene: Scene,
    moving: Pose,
    fixed: Pose,
    names: list[str],
    points: Array,
    moving_sd: tuple[float, ...],
    fixed_sd: float,
    note: str,
) -> Picks:
    rng = stream(scene.seed, "picks", moving.name, fixed.name)
    count = len(points)
    a = np.tile(np.asarray(moving_sd), (count, 1))
    b = np.full((count, 2), fixed_sd) * rng.uniform(0.8, 1.2, (count, 1))
    true = points @ moving.used[:3, :3].T + moving.used[:3, 3]
    return Picks(
        moving_frame=moving.name,
        fixed_frame=fixed.name,
        model="affine",
        note=note,
        ids=tuple(names),
        moving=true + a * rng.standard_normal(a.shape),
        fixed=fixed.project(points) + b * rng.standard_normal(b.shape),
        moving_sd=a,
        fixed_sd=b,
    )


def fib_picks(scene: Scene, stack: Pose, view: Pose) -> Picks:
    """Pick beads in a confocal stack and in a FIB view: up to eight, spread out."""
    both = np.intersect1d(visible_beads(scene, stack), visible_beads(scene, view))
    chosen = both[_spread(scene.beads.centres[both], 8)]
    return _pick(
        scene,
        stack,
        view,
        [f"bead-{index}" for index in chosen],
        scene.beads.centres[chosen],
        CONFOCAL_SD,
        FIB_SD,
        "beads picked in the confocal stack and in the FIB view",
    )


def in_slab(lamella: LamellaPose, centres: Array, radii: Array) -> NDArray[np.bool_]:
    """Tell which spheres the lamella cuts well inside its outline."""
    offset = centres - lamella.centre
    cut = np.abs(offset @ lamella.normal) < 0.8 * radii + 0.4 * lamella.thickness
    along = np.abs(offset @ lamella.along) < lamella.length / 2 - radii
    across = np.abs(offset @ lamella.across) < lamella.width / 2 - radii
    return np.asarray(cut & along & across)


def tem_picks(scene: Scene, lamella: LamellaPose, volume: Pose, view: Pose) -> Picks:
    """Pick organelles in a tomogram and in the map of its lamella: up to ten, spread out."""
    cell = next(cell for cell in scene.cells if cell.name == lamella.site)
    centres = np.concatenate([cell.vesicles.centres, cell.droplets.centres])
    radii = np.concatenate([cell.vesicles.radii, cell.droplets.radii])
    names = [f"vesicle-{n}" for n in range(len(cell.vesicles))]
    names += [f"droplet-{n}" for n in range(len(cell.droplets))]
    good = in_slab(lamella, centres, radii)
    good &= volume.contains(centres, 0.25) & view.contains(centres, 0.25)
    index = np.flatnonzero(good)
    index = index[_spread(centres[index], 10)]
    return _pick(
        scene,
        volume,
        view,
        [names[i] for i in index],
        centres[index],
        TOMOGRAM_SD,
        TEM_SD,
        "organelles picked in the tomogram and in the lamella map",
    )


def all_picks(scene: Scene, layout: Layout) -> tuple[Picks, ...]:
    """Make the landmark sets of a grid: a FIB view per site, a lamella map per milled site.

    A view with fewer than four pairs is left alone, as a user would leave it.
    """
    poses = layout.poses
    fib = [
        fib_picks(scene, poses[f"confocal-{site.name}"], poses[f"fib-{site.name}"])
        for site in scene.sites
    ]
    tem = [
        tem_picks(scene, lamella, poses[f"tomogram-{name}"], poses[f"tem-{name}"])
        for name, lamella in layout.lamellae.items()
    ]
    return tuple(picks for picks in (*fib, *tem) if len(picks.ids) >= 4)


def suggestions(scene: Scene, layout: Layout) -> tuple[Suggestion, ...]:
    """Pick two targets a site in its confocal stack, as a user would: by the acidic channel."""
    made = []
    for site in scene.sites:
        stack = layout.poses[f"confocal-{site.name}"]
        rng = stream(scene.seed, "suggestions", site.name)
        sd = (0.15, 0.06, 0.06)
        for target in [t for t in scene.targets if t.site == site.name][:2]:
            true = stack.used[:3, :3] @ target.position + stack.used[:3, 3]
            made.append(
                Suggestion(
                    target.id,
                    site.name,
                    stack.name,
                    true + sd * rng.standard_normal(3),
                    sd,
                    round(target.radius, 2),
                )
            )
    return tuple(made)


def _spread(points: Array, count: int) -> NDArray[np.int64]:
    """Choose up to `count` points far from each other, greedily, starting from the outermost."""
    if len(points) <= count:
        return np.arange(len(points))
    chosen = [int(np.argmax(np.linalg.norm(points - points.mean(axis=0), axis=1)))]
    while len(chosen) < count:
        gaps = np.linalg.norm(points[:, None] - points[chosen], axis=2).min(axis=1)
        chosen.append(int(np.argmax(gaps)))
    return np.sort(np.asarray(chosen))
