"""Where the pixels of an image lie in other programs: its pixel grid, and its stage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_clxem.errors import MissingScaleError, SessionError
from napari_clxem.frames.affine import Floats
from napari_clxem.io.exchange.points import Pixels
from napari_clxem.session.model import Dataset, Session


def image_of(session: Session, frame: str) -> Dataset:
    """Give the image that lies in a frame, the finest where there are several.

    Raises
    ------
    SessionError
        Where none does.
    MissingScaleError
        Where it has no pixel size.
    """
    from napari_clxem.session.pairs import frame_dataset

    if frame not in {one.name for one in session.frames}:
        names = ", ".join(one.name for one in session.frames)
        raise SessionError(f"There is no frame {frame!r}; there are {names or 'none'}.")
    found = frame_dataset(session, frame)
    if found is not None:
        return found
    if any(one.frame == frame for one in session.datasets):
        raise MissingScaleError(f"The image in {frame} has no pixel size; give it one first.")
    raise SessionError(f"No image lies in {frame}; name the frame of one.")


def pixels_of(dataset: Dataset) -> Pixels:
    """Give the pixel grid of an image, in µm of its frame."""
    from napari_clxem.session.extents import spatial

    known = spatial(dataset)
    if known is None:
        raise MissingScaleError(f"{dataset.name} has no pixel size; give it one first.")
    shape, scale = known
    return Pixels(scale, shape)


@dataclass(frozen=True, eq=False)
class Stage:
    """How the plane of an image lies on the stage of its instrument.

    Attributes
    ----------
    matrix : (3, 3) array
        (y, x, 1) µm of the image's frame to stage (y, x, 1) µm, as the instrument counts.
    height : float
        Stage z, µm; 0 where the file gives none.
    tilt, rotation : float
        Degrees; 0 where the file gives none.
    convention : str
        Whose stage it is, as the file says.
    notes : tuple of str
        What was taken for granted, each a sentence.
    """

    matrix: Floats
    height: float
    tilt: float
    rotation: float
    convention: str
    notes: tuple[str, ...] = ()

    def of(self, points: Floats) -> list[tuple[float, float, float]]:
        """Give stage positions (z, y, x) of points (n, 2 or 3) of the frame, µm."""
        plane = np.atleast_2d(points)[:, -2:] @ self.matrix[:2, :2].T + self.matrix[:2, 2]
        return [(self.height, float(y), float(x)) for y, x in plane]

    def back(self, places: Floats) -> Floats:
        """Give points (n, 2) of the frame of stage positions (n, 3), µm."""
        plane = np.atleast_2d(places)[:, -2:] - self.matrix[:2, 2]
        return np.asarray(plane @ np.linalg.inv(self.matrix[:2, :2]).T)


def stage_of_image(dataset: Dataset) -> Stage:
    """Give where an image lies on its stage.

    Raises
    ------
    SessionError
        Where its file gives no stage position.
    """
    from napari_clxem.session.description import OBLIQUE, Y_UP, stage_map

    found, position = stage_map(dataset), dataset.stage
    turned = (
        position is not None and position.image_to_stage is None and dataset.modality in OBLIQUE
    )
    if found is None or position is None or turned:
        raise SessionError(
            f"{dataset.name} does not say how it lies on its stage; name an image that does with "
            "--frame, or choose a format that counts in pixels or µm."
        )
    matrix = np.array(found.affine)
    if position.image_to_stage is None and position.convention in Y_UP:
        matrix[0] = -matrix[0]  # the session counts such a stage downwards
    z = position.position[0]
    notes = []
    if position.image_to_stage is None:
        notes.append(
            f"{dataset.name} does not say how it is turned: its axes are taken to run along the "
            "stage's."
        )
    if not np.isfinite(z):
        notes.append(f"{dataset.name} gives no height of the stage: 0 is written.")
    return Stage(
        matrix,
        float(z) if np.isfinite(z) else 0.0,
        position.tilt or 0.0,
        position.rotation or 0.0,
        position.convention,
        tuple(notes),
    )
