"""A site with a tomogram, a FIB image and a TEM map of it, all linked, and two targets."""

from __future__ import annotations

import numpy as np

from napari_clxem.frames import UncertainAffine
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella import fib_projection
from napari_clxem.session import Dataset, FileRef, Frame, Link, Session, Site, Target
from napari_clxem.session.geometry import estimate

ANGLE, AZIMUTH = 11.0, 20.0
SD = 0.05
SHAPE, VOXEL = (80, 180, 180), 0.12
PIXEL = 0.05
# The map looks straight down on the tomogram, turned in its plane, 4 µm above its corner.
TURN = np.deg2rad(25.0)
HEIGHT = 4.0
CORNERS = np.array([[1.0, 1.0], [1.0, 8.0], [6.0, 8.0], [6.0, 1.0]])


def to_map() -> Floats:
    """The tomogram's frame in that of the map, both 3D."""
    matrix = np.eye(4)
    matrix[1:3, 1:3] = [[np.cos(TURN), -np.sin(TURN)], [np.sin(TURN), np.cos(TURN)]]
    matrix[:3, 3] = -HEIGHT, -3.0, -4.0
    return matrix


def to_fib() -> Floats:
    """The tomogram's frame in the FIB image."""
    seen = fib_projection(ANGLE, AZIMUTH)
    shift = np.array([10.0, 12.0]) - seen.transform([[4.0, 10.0, 10.0]])[0]
    return np.hstack([seen.linear, (seen.translation + shift)[:, np.newaxis]])


def image(name: str, modality: str, shape: tuple[int, ...], pixel: float) -> Dataset:
    """An image of the site in a frame of its name."""
    return Dataset(
        id=name,
        name=name,
        modality=modality,
        site="c1",
        frame=name,
        file=FileRef(path=f"/nowhere/{name}.tif"),
        axes=("z", "y", "x")[-len(shape) :],
        shape=shape,
        scale=(pixel,) * len(shape),
    )


def seen(name: str, projection: Floats) -> Link:
    """A link from the tomogram to an image of it, known to SD in place."""
    covariance = np.zeros((8, 8))
    covariance[3, 3] = covariance[7, 7] = SD**2
    known = UncertainAffine(projection, np.array([HEIGHT, 10.0, 10.0]), covariance, None)
    return Link(
        id=f"to-{name}", moving="tomogram", fixed=name, kind="declared", estimate=estimate(known)
    )


def lamella_site() -> Session:
    """Make the session."""
    place = (4.0, 9.0, 9.0)
    return Session(
        sites=(Site(id="c1", name="cell 1"),),
        frames=(
            Frame(name="tomogram"),
            Frame(name="fib", ndim=2),
            Frame(name="tem", ndim=2, z=(0.0, 0.15)),
        ),
        datasets=(
            image("tomogram", "sxt", SHAPE, VOXEL),
            image("fib", "fib", (200, 240), 0.1),
            image("tem", "tem", (180, 200), PIXEL),
        ),
        links=(seen("fib", to_fib()), seen("tem", to_map()[1:3])),
        targets=(
            Target(id="a", name="A", site="c1", frame="tomogram", position=place, radius=0.1),
            Target(id="b", name="B", site="c1", frame="tem", position=(4.0, 5.0), radius=0.1),
        ),
    )
