"""The true place of every dataset: affine maps from the grid frame to its own frame.

Each instrument sees the grid through a rotation about its beam, a small tilt of the loaded grid,
a calibration error, a slight shear and an offset; nothing is ever mirrored, because both frames
have rows down and z towards the beam.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_clxem.samples.scene import Scene, Site
from napari_clxem.samples.sizes import Size, pixels
from napari_clxem.samples.streams import stream

Array = NDArray[np.float64]
MILLING_ANGLE = 10.0
# Focal shift of an air objective of NA 0.9 in ice: the truth, and what a user assumes.
TRUE_ZETA = 1.47
NOMINAL_ZETA = 1.45
_TURNS = {"confocal": 25.0, "vlm": 12.0, "sxt": -63.0, "fib-sem": 148.0, "tem": -32.0}


@dataclass(frozen=True, eq=False)
class Pose:
    """Where one dataset lies.

    Parameters
    ----------
    name : str
        Frame of the dataset.
    modality, instrument : str
        What made it, and on which loading of the grid.
    site : str or None
        Its site; None for maps of the grid.
    ndim : int
        3 for stacks and volumes, 2 for images.
    matrix : (4, 4) array
        From the grid frame to the file's frame, (z, y, x) µm. For an image, z is the height
        towards the beam over the plane through the middle of its field.
    spacing, shape : tuple
        Pixel size in µm and number of pixels, (z, y, x) or (y, x).
    stage : (3,) array
        Declared stage position of the middle of the field, (z, y, x) µm: slightly wrong.
    axial_scaling : float
        What a user multiplies the file's z by to undo refraction.
    """

    name: str
    modality: str
    instrument: str
    site: str | None
    ndim: int
    matrix: Array
    spacing: tuple[float, ...]
    shape: tuple[int, ...]
    stage: Array
    axial_scaling: float = 1.0

    @property
    def from_grid(self) -> Array:
        """Homogeneous matrix from grid (z, y, x) to the file's frame: 4x4, or 2x4 for images."""
        return self.matrix if self.ndim == 3 else self.matrix[1:3]

    @property
    def used(self) -> Array:
        """As `matrix`, into the frame a user works in: z times the assumed axial scaling."""
        return np.diag([self.axial_scaling, 1.0, 1.0, 1.0]) @ self.matrix

    @property
    def beam(self) -> Array:
        """Direction in the grid frame along which nothing moves in the image; towards the beam."""
        return np.asarray(np.linalg.inv(self.matrix[:3, :3])[:, 0])

    def place(self, points: Array) -> Array:
        """Take grid points (n, 3) to the file's frame, (n, 3) also for images."""
        return np.asarray(points @ self.matrix[:3, :3].T + self.matrix[:3, 3])

    def project(self, points: Array) -> Array:
        """Take grid points (n, 3) to the file's frame, (n, ndim)."""
        return self.place(points)[:, 3 - self.ndim :]

    def contains(self, points: Array, margin: float = 0.0) -> NDArray[np.bool_]:
        """Tell which grid points fall into the field, at least `margin` µm from its edge."""
        extent = (np.asarray(self.shape) - 1) * np.asarray(self.spacing)
        placed = self.project(points)
        return np.asarray(np.all((placed > margin) & (placed < extent - margin), axis=1))


@dataclass(frozen=True, eq=False)
class Instrument:
    """One loading of the grid: linear map (3, 3), its pure rotation, and a stage zero, µm."""

    name: str
    linear: Array
    rotation: Array
    stage_zero: Array

    def stage(self, position: Array) -> Array:
        """Stage coordinates (z, y, x) of a grid position; stage axes along image axes."""
        return np.asarray(self.rotation @ position + self.stage_zero)


def turn(angle: float) -> Array:
    """Rotation about the beam by `angle` degrees, matrix (3, 3) in (z, y, x)."""
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    return np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])


def tip(angle: float, towards: float) -> Array:
    """Rotation by `angle` degrees about an axis in the plane at `towards` degrees from y."""
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    about_x = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    return np.asarray(turn(towards) @ about_x @ turn(-towards))


def shear(amount: float) -> Array:
    """In-plane shear: x moves by `amount` times y."""
    return np.array([[1, 0, 0], [0, 1, 0], [0, amount, 1]])


def fib_view(angle: float = MILLING_ANGLE) -> Array:
    """Rotation from stage (z, y, x) to the grazing FIB view.

    Its axes are depth towards the ion source, rows -(y sin α + z cos α) and columns -x: a proper
    rotation in left-handed frames.
    """
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    return np.array([[sin, -cos, 0], [-cos, -sin, 0], [0, 0, -1]])


def lamella_view(angle: float = MILLING_ANGLE) -> Array:
    """Rotation from stage (z, y, x) to a lamella's own axes: normal, along the beam, x."""
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    return np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])


def make_instrument(name: str, seed: int) -> Instrument:
    """Draw how an instrument sees the grid."""
    rng = stream(seed, "instrument", name)
    rotation = turn(_TURNS[name] + rng.uniform(-6, 6)) @ tip(
        rng.uniform(0.8, 2.5), rng.uniform(0, 360)
    )
    scale = 1 + rng.choice([-1.0, 1.0]) * rng.uniform(0.008, 0.018)
    linear = scale * shear(rng.uniform(-0.002, 0.002)) @ rotation
    zero = np.array([rng.uniform(-80, 80), *rng.uniform(-900, 900, 2)])
    return Instrument(name, linear, rotation, zero)


def _centred(linear: Array, aim: Array, middle: Array) -> Array:
    """Matrix (4, 4) with this linear part that takes the grid point `aim` to `middle`."""
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = middle - linear @ aim
    return matrix


def _image(
    name: str,
    modality: str,
    instrument: Instrument,
    linear: Array,
    aim: Array,
    field: tuple[float, float],
    pixel: float,
    rng: np.random.Generator,
    site: str | None = None,
) -> Pose:
    """Make the pose of a 2D image of `field` (y, x) µm about the grid point `aim`."""
    shape = (pixels(field[0], pixel), pixels(field[1], pixel))
    middle = np.array([0.0, *(0.5 * pixel * (np.asarray(shape) - 1))])
    own = (1 + rng.uniform(-0.002, 0.002)) * linear
    stage = instrument.stage(aim) + rng.normal(0, 0.8, 3)
    matrix = _centred(own, aim, middle)
    return Pose(name, modality, instrument.name, site, 2, matrix, (pixel, pixel), shape, stage)


def _on_film(scene: Scene, place: tuple[float, float], above: float, error: Array) -> Array:
    """Grid point `above` µm over the film at `place`, missed by `error` (y, x)."""
    y, x = np.asarray(place[0]), np.asarray(place[1])
    return np.array([float(scene.film.height(y, x)) + above, y + error[0], x + error[1]])


def _confocal(scene: Scene, site: Site, instrument: Instrument, size: Size) -> Pose:
    """Pose of a confocal stack: depth below the ice surface is shrunk by 1/ζ."""
    rng = stream(scene.seed, "pose", "confocal", site.name)
    aim = _on_film(scene, site.stack, 0.0, rng.uniform(-0.5, 0.5, 2))
    shape = tuple(pixels(e, p) for e, p in zip(size.stack, size.confocal, strict=True))
    middle = 0.5 * np.asarray(size.confocal) * (np.asarray(shape) - 1)
    linear = (1 + rng.uniform(-0.002, 0.002)) * instrument.linear
    # The surface is parallel to the film here: z of the film's plane in the instrument's frame.
    step = 3.0
    around = np.array([[step, 0], [-step, 0], [0, step], [0, -step]]) + aim[1:]
    heights = scene.film.height(around[:, 0], around[:, 1])
    normal = np.array(
        [1.0, -(heights[0] - heights[1]) / (2 * step), -(heights[2] - heights[3]) / (2 * step)]
    )
    seen = np.linalg.inv(linear).T @ normal
    plane = np.array([0.0, -seen[1] / seen[0], -seen[2] / seen[0]])
    shrink = np.eye(3)
    shrink[0] = [1 / TRUE_ZETA, *((1 - 1 / TRUE_ZETA) * plane[1:])]
    # the middle of the stack lies 2.2 µm above the film
    aim = aim + np.array([2.2, 0.0, 0.0])
    matrix = _centred(shrink @ linear, aim, middle)
    stage = instrument.stage(aim) + rng.normal(0, 0.7, 3)
    return Pose(
        f"confocal-{site.name}",
        "confocal",
        instrument.name,
        site.name,
        3,
        matrix,
        size.confocal,
        shape,
        stage,
        NOMINAL_ZETA,
    )


def _tomogram(scene: Scene, site: Site, instrument: Instrument, size: Size) -> Pose:
    """Pose of a tomogram: its declared stage position is wrong by 0.5-1.5 µm."""
    rng = stream(scene.seed, "pose", "tomogram", site.name)
    shape = tuple(pixels(e, p) for e, p in zip(size.volume, size.tomogram, strict=True))
    middle = 0.5 * np.asarray(size.tomogram) * (np.asarray(shape) - 1)
    own = (1 + rng.uniform(-0.003, 0.003)) * turn(rng.uniform(-1, 1)) @ instrument.linear
    half = 0.5 * np.array(size.volume[1:])
    corners = np.array([[a, b] for a in (-1, 0, 1) for b in (-1, 0, 1)]) * half + site.field
    film = scene.film.height(corners[:, 0], corners[:, 1])
    low = np.column_stack([film, corners]) @ own.T
    tops = scene.beads.centres + np.array([0.5, 0.0, 0.0])
    near = np.all(np.abs(tops[:, 1:] - site.field) < half, axis=1)
    high = tops[near] @ own.T
    summit = low[:, 0].max() + 3.5 if not near.any() else max(high[:, 0].max(), low[:, 0].max())
    aim = np.array([0.0, *site.field])
    aim[0] = (0.5 * (low[:, 0].min() + summit) - own[0, 1:] @ aim[1:]) / own[0, 0]
    wrong = rng.uniform(0, 2 * np.pi)
    error = rng.uniform(0.5, 1.5) * np.array([0.0, np.sin(wrong), np.cos(wrong)])
    return Pose(
        f"tomogram-{site.name}",
        "sxt",
        instrument.name,
        site.name,
        3,
        _centred(own, aim, middle),
        size.tomogram,
        shape,
        instrument.stage(aim) + error + np.array([rng.normal(0, 0.5), 0.0, 0.0]),
    )


def _maps(scene: Scene, size: Size, instruments: dict[str, Instrument]) -> list[Pose]:
    rows = (
        ("fluorescence-map", "fluorescence", "confocal", size.map_field, size.fluorescence_map),
        ("vlm-map", "vlm", "vlm", size.map_field, size.vlm),
        ("sxt-mosaic", "sxt", "sxt", size.mosaic_field, size.mosaic),
        ("sem-overview", "sem", "fib-sem", size.map_field, size.sem),
    )
    poses = []
    for name, modality, loading, field, pixel in rows:
        rng = stream(scene.seed, "pose", name)
        instrument = instruments[loading]
        aim = _on_film(scene, (0.0, 0.0), 1.0, rng.uniform(-2.5, 2.5, 2))
        poses.append(
            _image(name, modality, instrument, instrument.linear, aim, (field, field), pixel, rng)
        )
    return poses


def _fib(scene: Scene, site: Site, instrument: Instrument, size: Size) -> Pose:
    rng = stream(scene.seed, "pose", "fib", site.name)
    aim = _on_film(scene, site.field, 1.5, rng.uniform(-1, 1, 2))
    linear = fib_view() @ instrument.linear
    name = f"fib-{site.name}"
    return _image(name, "fib", instrument, linear, aim, size.fib_field, size.fib, rng, site.name)


@dataclass(frozen=True, eq=False)
class LamellaPose:
    """A milled lamella: centre and unit axes in the grid frame (z, y, x), sizes in µm.

    `normal`, `along` (the milling direction) and `across` (the stage's tilt axis) are its axes.
    """

    site: str
    centre: Array
    normal: Array
    along: Array
    across: Array
    angle: float
    thickness: float
    width: float
    length: float


def make_lamella(scene: Scene, site: Site, instrument: Instrument) -> LamellaPose:
    """Mill through the site's first target, a little off as in life."""
    rng = stream(scene.seed, "lamella", site.name)
    target = next(t for t in scene.targets if t.site == site.name)
    axes = lamella_view() @ instrument.rotation
    offset = np.array([rng.normal(0, 0.1), rng.uniform(-0.8, 0.8), rng.uniform(-0.8, 0.8)])
    return LamellaPose(
        site=site.name,
        centre=target.position + axes.T @ offset,
        normal=axes[0],
        along=axes[1],
        across=axes[2],
        angle=MILLING_ANGLE,
        thickness=0.3,
        width=float(rng.uniform(9.5, 10.5)),
        length=float(rng.uniform(7.0, 8.0)),
    )


def _tem(
    scene: Scene, lamella: LamellaPose, instrument: Instrument, sem: Instrument, size: Size
) -> Pose:
    """Pose of a lamella map: the TEM's tilt takes out the milling angle but for a trifle."""
    rng = stream(scene.seed, "pose", "tem", lamella.site)
    sem_turn = np.rad2deg(np.arctan2(sem.rotation[2, 1], sem.rotation[1, 1]))
    tem_turn = np.rad2deg(np.arctan2(instrument.rotation[2, 1], instrument.rotation[1, 1]))
    scale = float(np.cbrt(np.linalg.det(instrument.linear)))
    view = turn(tem_turn - sem_turn) @ tip(rng.uniform(0, 0.5), rng.uniform(0, 360))
    linear = scale * shear(rng.uniform(-0.001, 0.001)) @ view @ lamella_view() @ sem.rotation
    aim = lamella.centre + 0.3 * rng.uniform(-1, 1) * lamella.across
    return _image(
        f"tem-{lamella.site}",
        "tem",
        instrument,
        linear,
        aim,
        size.lamella,
        size.tem,
        rng,
        lamella.site,
    )


@dataclass(frozen=True, eq=False)
class Layout:
    """Where everything is: poses by frame name, lamellae by site, instruments by name."""

    poses: dict[str, Pose]
    lamellae: dict[str, LamellaPose]
    instruments: dict[str, Instrument]


def make_layout(scene: Scene, size: Size) -> Layout:
    """Draw every instrument, dataset and lamella of a scene."""
    instruments = {name: make_instrument(name, scene.seed) for name in _TURNS}
    sem = instruments["fib-sem"]
    milled = [site for site in scene.sites if site.status == "milled"]
    lamellae = {site.name: make_lamella(scene, site, sem) for site in milled}
    poses = _maps(scene, size, instruments)
    poses += [_confocal(scene, s, instruments["confocal"], size) for s in scene.sites]
    poses += [_tomogram(scene, s, instruments["sxt"], size) for s in scene.sites]
    poses += [_fib(scene, s, sem, size) for s in scene.sites]
    poses += [_tem(scene, lam, instruments["tem"], sem, size) for lam in lamellae.values()]
    return Layout({pose.name: pose for pose in poses}, lamellae, instruments)
