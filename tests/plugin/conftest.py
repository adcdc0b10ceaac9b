"""A small session whose images are made in memory: beads seen in several frames."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_clxem.frames import UncertainAffine
from napari_clxem.io.image import SPATIAL, Channel, OpenedImage
from napari_clxem.session import (
    Dataset,
    FileRef,
    Frame,
    Link,
    Session,
    Site,
    Store,
    Target,
    save,
)
from napari_clxem.session.geometry import estimate
from napari_clxem.session.opening import dataset_from_file

# Where the reference frame's beads are, (z, y, x) µm: far from its zero, as on a real grid.
BEADS = np.array(
    [[4.0, 1020.0, 1010.0], [6.0, 1012.0, 1018.0], [8.0, 1026.0, 1004.0], [5.0, 1008.0, 1022.0]]
)
MIDDLE = np.array([6.0, 1016.0, 1013.0])
BEAD_SD = 0.4


def turned(tilt: float, rotation: float = 0.0) -> np.ndarray:
    """A 4 x 4 rotation about MIDDLE: tilt about x after rotation in the plane, degrees."""
    a, b = np.deg2rad([tilt, rotation])
    about_x = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    in_plane = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    matrix = np.eye(4)
    matrix[:3, :3] = about_x @ in_plane
    return matrix


def centred(matrix: np.ndarray, shape: tuple[int, ...], scale: tuple[float, ...]) -> np.ndarray:
    """Shift a map so that the middle of the image lies at MIDDLE of the reference frame."""
    ndim = len(shape)
    moved = matrix.copy()
    half = (np.array(shape) - 1) * scale / 2
    moved[:-1, -1] = MIDDLE[-ndim:] - moved[:-1, :-1] @ half
    return moved


def beads_image(matrix, shape, scale) -> np.ndarray:
    """Draw the beads as an image whose µm go to the reference by `matrix` sees them."""
    ndim = len(shape)
    local = (BEADS[:, -ndim:] - matrix[:-1, -1]) @ np.linalg.inv(matrix[:-1, :-1]).T
    grids = np.meshgrid(
        *(np.arange(n, dtype=np.float32) * s for n, s in zip(shape, scale, strict=True)),
        indexing="ij",
        sparse=True,
    )
    image = np.zeros(shape, dtype=np.float32)
    for bead in local:
        square = sum((grid - at) ** 2 for grid, at in zip(grids, bead, strict=True))
        image += 1000 * np.exp(-square / 2 / BEAD_SD**2)
    return image


@dataclass
class MadeGrid:
    """A session and the images of its datasets."""

    session: Session
    images: dict[str, np.ndarray]
    opened: list[str] = field(default_factory=list)

    def open(self, source, dataset: Dataset) -> OpenedImage:
        self.opened.append(dataset.id)
        return OpenedImage(
            levels=(self.images[dataset.id],),
            axes=dataset.axes,
            scale=dataset.scale,
            channels=dataset.channels,
            name=dataset.name,
        )

    def store(self) -> Store:
        return Store(self.session, journal=False)


def made_grid(tilt: float = 5.0, rotation: float = 30.0) -> MadeGrid:
    """Confocal stack (tilted) and tomogram of one cell, a map, and a second cell."""
    return MadeGrid(*_made(tilt, rotation))


@lru_cache
def _made(tilt: float, rotation: float) -> tuple[Session, dict[str, np.ndarray]]:
    shapes = {
        "stack": ((40, 240, 240), (0.3, 0.15, 0.15), "confocal", "c1", turned(tilt, rotation)),
        "tomogram": ((80, 180, 180), (0.12, 0.12, 0.12), "sxt", "c1", turned(0.0, 3.0)),
        "map": ((300, 300), (0.2, 0.2), "sem", None, turned(0.0, 2.0)[1:, 1:]),
        "other": ((10, 60, 60), (0.3, 0.3, 0.3), "sxt", "c2", turned(0.0, 0.0)),
    }
    images, datasets, links = {}, [], []
    for name, (shape, scale, modality, site, rotation_matrix) in shapes.items():
        matrix = centred(rotation_matrix, shape, scale)
        images[name] = beads_image(matrix, shape, scale)
        datasets.append(
            Dataset(
                id=name,
                name=name,
                modality=modality,
                site=site,
                frame=name,
                file=FileRef(path=f"/nowhere/{name}.tif"),
                axes=SPATIAL[-len(shape) :],
                shape=shape,
                scale=scale,
                channels=(Channel("beads"),),
            )
        )
        links.append(declared(name, matrix))
    session = Session(
        name="made",
        sites=(Site(id="c1", name="Cell 1"), Site(id="c2", name="Cell 2")),
        frames=(
            Frame(name="reference"),
            *(
                Frame(name=one.name, ndim=len(one.shape), z=(4.0, 1.0) if one.id == "map" else None)
                for one in datasets
            ),
        ),
        datasets=tuple(datasets),
        links=tuple(links),
        targets=(
            Target(
                id="A1",
                name="A1",
                site="c1",
                frame="reference",
                position=tuple(BEADS[0].tolist()),
                sigma=(0.1, 0.03, 0.03),
            ),
        ),
    )
    return session, images


def declared(name: str, matrix: np.ndarray, sd: float = 0.02) -> Link:
    """A link from the frame `name` to the reference frame."""
    centre = np.full(len(matrix) - 1, 10.0)
    return Link(
        id=f"to-{name}",
        moving=name,
        fixed="reference",
        kind="declared",
        estimate=estimate(UncertainAffine.declared(matrix, centre, sd)),
    )


def moved_link(session: Session, name: str, shift: tuple[float, ...]) -> Session:
    """The session with one declared link shifted, µm."""
    links = []
    for link in session.links:
        if link.id == f"to-{name}":
            matrix = np.array(link.estimate.matrix)
            matrix[-1 - len(shift) : -1, -1] += shift
            link = replace(link, estimate=replace(link.estimate, matrix=rows(matrix)))
        links.append(link)
    return replace(session, links=tuple(links))


def rows(matrix: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in matrix.tolist())


@pytest.fixture(autouse=True, scope="session")
def frozen() -> None:
    """Keep what was imported out of garbage collections: napari makes one per layer removed."""
    import napari_clxem.plugin.window

    assert napari_clxem.plugin.window
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def unspared(monkeypatch) -> None:
    """Let viewers be collected: there is a new one for every test."""
    monkeypatch.setattr("napari_clxem.plugin.controllers.garbage.gc.freeze", lambda: None)


@pytest.fixture(autouse=True)
def at_once(monkeypatch) -> None:
    """Do everything in the turn it is asked for in, as on a computer that is fast enough."""
    monkeypatch.setattr("napari_clxem.plugin.controllers.turns.BUDGET", float("inf"))


@pytest.fixture
def grid(monkeypatch) -> MadeGrid:
    """The made grid, opened from memory wherever the plugin opens a dataset."""
    made = made_grid()
    monkeypatch.setattr("napari_clxem.plugin.controllers.loading.open_dataset", made.open)
    return made


@pytest.fixture
def saved_grid(tmp_path) -> Path:
    """The made grid on disk: OME-TIFF files and a session file beside them."""
    made = made_grid()
    datasets = []
    for dataset in made.session.datasets:
        file = tmp_path / f"{dataset.name}.ome.tif"
        sizes = dict(zip((axis.upper() for axis in dataset.axes), dataset.scale, strict=True))
        tifffile.imwrite(
            file,
            made.images[dataset.id],
            metadata={
                "axes": "".join(dataset.axes).upper(),
                "Channel": {"Name": ["beads"]},
                **{f"PhysicalSize{axis}": size for axis, size in sizes.items()},
                **{f"PhysicalSize{axis}Unit": "µm" for axis in sizes},
            },
        )
        found, _ = dataset_from_file(
            file,
            name=dataset.name,
            modality=dataset.modality,
            site=dataset.site,
            frame=dataset.frame,
        )
        datasets.append(replace(found, id=dataset.id))
    path = tmp_path / "made.clxem.json"
    save(replace(made.session, datasets=tuple(datasets)), path)
    return path
