"""Images scanned over the surface: the SEM overview and the grazing FIB views.

The surface is that of the ice; beads and contamination stand out of it as spheres, each hiding
what lies behind it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_clxem.samples.cells import Spheres
from napari_clxem.samples.poses import Pose
from napari_clxem.samples.relief import meet, rays
from napari_clxem.samples.scene import Scene
from napari_clxem.samples.streams import stream

Array = NDArray[np.float64]
Image = NDArray[np.float32]


def _round_things(scene: Scene) -> tuple[Spheres, NDArray[np.bool_]]:
    """Beads and contamination together, and which are contamination."""
    both = Spheres(
        np.concatenate([scene.beads.centres, scene.contamination.centres]),
        np.concatenate([scene.beads.radii, scene.contamination.radii]),
    )
    return both, np.arange(len(both)) >= len(scene.beads)


def _shade(slope: Array, facing: Array) -> Array:
    """Brightness of a surface: more secondary electrons leave where it is steep (1/cos law)."""
    return np.asarray(np.minimum(np.sqrt(1 + slope**2), 3.0) * (1 + 0.35 * facing))


def _surface_above(scene: Scene, pose: Pose) -> tuple[Array, Array, Array]:
    """Height over the plane of a top view, and where on the grid each pixel looks, (y, x)."""
    points, beam = rays(pose)
    reach = meet(points, beam, scene.ice_top, 4)
    return reach, points[1] + reach * beam[1], points[2] + reach * beam[2]


def sem_overview(scene: Scene, pose: Pose) -> NDArray[np.uint8]:
    """Render the SEM overview from above, (ny, nx) of uint8."""
    from scipy.ndimage import gaussian_filter

    height, y, x = _surface_above(scene, pose)
    pixel = pose.spacing[0]
    mesh = scene.mesh.distance(y, x)
    bar = np.clip(0.5 + mesh / (4 * pixel), 0, 1)
    thin = np.exp(-scene.ice.thickness(y, x) / 0.35) * (scene.ground.thickness(y, x) < 0.02)
    hole = np.clip(0.5 - scene.film.hole_distance(y, x) / pixel, 0, 1)
    # the film dips a little where nothing holds it, which is what shows the holes
    surface = height - 0.12 * gaussian_filter(hole, 0.25 / pixel) * thin / (0.3 + thin)
    gy, gx = np.gradient(surface, pixel)
    base = 84 + 62 * bar - 70 * hole * thin * (1 - bar) - 9 * (scene.ground.thickness(y, x) > 0)
    image = base * _shade(np.hypot(gy, gx), (gy + gx) / (1 + np.hypot(gy, gx)))
    rng = stream(scene.seed, "noise", pose.name)
    image += _grain(rng, image.shape, 0.5 / pixel) * (4 + 5 * bar)
    image = _spheres_on(scene, pose, height, image)
    image = _glow(image, 1.2 / pixel, 0.18)
    return _scanned(image, rng, 0.06 / pixel, streaks=7.0)


def _spheres_on(scene: Scene, pose: Pose, depth: Array, image: Array) -> Array:
    """Draw spheres where they stand nearer to the viewer than `depth`, with bright rims."""
    things, contamination = _round_things(scene)
    scale = float(np.cbrt(np.abs(np.linalg.det(pose.matrix[:3, :3]))))
    placed = pose.place(things.centres)
    for index in np.argsort(placed[:, 0]):
        centre, radius = placed[index], things.radii[index] * scale
        low = np.floor((centre[1:] - radius) / pose.spacing).astype(int)
        high = np.ceil((centre[1:] + radius) / pose.spacing).astype(int) + 1
        low, high = np.maximum(low, 0), np.minimum(high, pose.shape)
        if np.any(low >= high):
            continue
        box = (slice(low[0], high[0]), slice(low[1], high[1]))
        y, x = np.ogrid[box]
        square = (y * pose.spacing[0] - centre[1]) ** 2 + (x * pose.spacing[1] - centre[2]) ** 2
        rise = np.sqrt(np.maximum(radius**2 - square, 0))
        nearer = (square < radius**2) & (centre[0] + rise > depth[box])
        rim = np.sqrt(square) / radius
        value = 118 + 120 * rim**4 if not contamination[index] else 126 + 95 * rim**3
        image[box] = np.where(nearer, value, image[box])
    return image


def _grain(rng: np.random.Generator, shape: tuple[int, ...], size: float) -> Array:
    """Smooth noise of sd 1 with grains of `size` pixels."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(rng.standard_normal(shape), max(size, 0.3))
    return np.asarray(noise / noise.std())


def _glow(image: Array, size: float, share: float) -> Array:
    """Spread part of the signal, as detectors and charge do."""
    from scipy.ndimage import gaussian_filter

    return np.asarray((1 - share) * image + share * gaussian_filter(image, size))


def _scanned(
    image: Array, rng: np.random.Generator, spot: float, streaks: float
) -> NDArray[np.uint8]:
    """Scan an image line by line: spot, shot noise, and streaks where charge lingers."""
    from scipy.ndimage import gaussian_filter, gaussian_filter1d

    seen = gaussian_filter(image, max(spot, 0.35))
    offsets = gaussian_filter1d(rng.standard_normal(len(seen)), 0.7) * streaks
    lingering = gaussian_filter1d(rng.standard_normal(seen.shape) * streaks * 4, 45, axis=1)
    lines = rng.uniform(size=len(seen)) < 0.35
    seen = seen + 0.4 * offsets[:, None] + lingering * lines[:, None]
    seen = rng.poisson(np.maximum(seen, 1) * 1.6) / 1.6
    return np.asarray(np.clip(np.rint(seen), 0, 255), np.uint8)


def fib_view(scene: Scene, pose: Pose) -> NDArray[np.uint8]:
    """Render a grazing FIB view, (ny, nx) of uint8.

    The surface is walked along the beam, nearest first, and what rises above all before it is
    seen; spheres are then drawn where they stand in front.
    """
    depth, y, x, slope, facing = _grazing(scene, pose)
    mesh = scene.mesh.distance(y, x)
    pixel = pose.spacing[0]
    bar = np.clip(0.5 + mesh / 0.5, 0, 1)
    cell = scene.ground.thickness(y, x) > 0.05
    base = 86 + 45 * bar - 10 * cell
    image = base * _shade(slope, facing)
    rng = stream(scene.seed, "noise", pose.name)
    image += _grain(rng, image.shape, 0.05 / pixel) * 5
    image += _grain(rng, image.shape, 0.6 / pixel) * 4
    missing = ~np.isfinite(depth)
    image = np.where(missing, 28.0, image)
    image = _spheres_on(scene, pose, np.where(missing, -np.inf, depth), image)
    image = _glow(image, 0.4 / pixel, 0.2)
    return _scanned(image, rng, 0.03 / pixel, streaks=9.0)


def _grazing(scene: Scene, pose: Pose) -> tuple[Array, Array, Array, Array, Array]:
    """Per pixel of a grazing view: depth towards the viewer, grid (y, x), slope and facing.

    Depth is nan where a ray meets nothing within 75 µm.
    """
    inverse = np.linalg.inv(pose.matrix)
    columns = np.arange(pose.shape[1]) * pose.spacing[1]
    step = 0.06
    # Walk away from the viewer along the ground below the beam, starting in front of the field.
    ahead = -pose.beam[1:] / np.linalg.norm(pose.beam[1:])
    origin = inverse[:3, 3, None] + inverse[:3, 2, None] * columns
    middle = inverse @ np.array([0.0, 0.5 * pose.shape[0] * pose.spacing[0], 0.0, 1.0])
    shift = (middle[1:3] - origin[1:].mean(axis=1)) @ ahead
    walk = np.arange(-75.0, 75.0, step) + shift
    y = origin[1] + walk[:, None] * ahead[0]
    x = origin[2] + walk[:, None] * ahead[1]
    z = scene.ice_top(y, x)
    placed = [
        pose.matrix[row, 0] * z
        + pose.matrix[row, 1] * y
        + pose.matrix[row, 2] * x
        + pose.matrix[row, 3]
        for row in (0, 1)
    ]
    depth, row = placed
    seen = np.maximum.accumulate(-row, axis=0)
    rows = np.arange(pose.shape[0]) * pose.spacing[0]
    out = np.full((5, *pose.shape), np.nan)
    rise = np.gradient(z, step, axis=0)
    side = np.gradient(z, pose.spacing[1], axis=1)
    for column in range(pose.shape[1]):
        index = np.searchsorted(seen[:, column], -rows)
        found = index < len(walk)
        at = index[found]
        values = (depth, y, x)
        for layer, value in enumerate(values):
            out[layer, found, column] = value[at, column]
        out[3, found, column] = np.hypot(rise[at, column], side[at, column])
        out[4, found, column] = rise[at, column] / (1 + np.abs(rise[at, column]))
    return out[0], np.nan_to_num(out[1]), np.nan_to_num(out[2]), out[3], out[4]
