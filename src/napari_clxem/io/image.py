"""What every reader yields: one opened image, lazily, in the conventions of this package.

Data are oriented: axes in the order (t, c, z, y, x) as far as present, rows down, z towards the
beam. The centre of pixel 0 is the origin of the image's own frame, in µm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SPATIAL = ("z", "y", "x")


@dataclass(frozen=True)
class Orientation:
    """How stored axes become (z, y, x): the explicit, editable step between file and frame.

    Parameters
    ----------
    axes : tuple of str
        Meaning of the stored spatial axes, slowest first, such as ``("y", "z", "x")``; empty
        means "as the reader finds them".
    flip : tuple of str
        Axes that run against the frame's direction in the file, such as ``("y",)``.
    """

    axes: tuple[str, ...] = ()
    flip: tuple[str, ...] = ()


@dataclass(frozen=True)
class Channel:
    """One channel: its name, display colour as ``"#rrggbb"``, emission wavelength in nm."""

    name: str
    colour: str | None = None
    wavelength: float | None = None


@dataclass(frozen=True)
class StagePosition:
    """Where an instrument's stage was, and how the image lies in stage coordinates.

    Parameters
    ----------
    position : tuple of float
        Stage (z, y, x) in µm as the instrument gave it; nan where it gave none.
    rotation, tilt : float or None
        Stage rotation and tilt in degrees.
    convention : str
        Whose convention the numbers follow: ``"ome"``, ``"serialem"``, ``"fei"`` ...
    image_to_stage : tuple of tuple of float or None
        Homogeneous 3 x 3 matrix from image (y, x) µm to stage (y, x) µm, where it is known.
    """

    position: tuple[float, float, float]
    rotation: float | None = None
    tilt: float | None = None
    convention: str = ""
    image_to_stage: tuple[tuple[float, ...], ...] | None = None


@dataclass(frozen=True)
class OpenedImage:
    """One image of a file, lazily.

    Parameters
    ----------
    levels : tuple of array_like
        Resolution levels, full resolution first (numpy memmap or dask), oriented.
    axes : tuple of str
        Names of the data axes, such as ``("c", "z", "y", "x")``.
    scale : tuple of float or None
        Pixel size in µm of the spatial axes present, in the order (z, y, x) or (y, x); None
        where the file states none: then nothing may be placed until one is given.
    channels : tuple of Channel
        One per index of the ``c`` axis; one for an image without it.
    stage : StagePosition or None
        Stage position, if the file states one.
    orientation : Orientation
        What was done to the stored axes to bring them to this frame.
    name : str
        A short name for people.
    meta : mapping
        Everything else the file says that a record may be made from, plain JSON types only.
    missing : tuple of str
        What the file lacks, each as a short sentence.
    """

    levels: tuple[Any, ...]
    axes: tuple[str, ...]
    scale: tuple[float, ...] | None
    channels: tuple[Channel, ...] = ()
    stage: StagePosition | None = None
    orientation: Orientation = Orientation()
    name: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def data(self) -> Any:
        """Full-resolution data, lazy."""
        return self.levels[0]

    @property
    def units(self) -> str:
        """Unit of `scale`; always ``"um"``."""
        return "um"

    @property
    def ndim_spatial(self) -> int:
        """Number of spatial axes, 2 or 3."""
        return sum(axis in SPATIAL for axis in self.axes)

    @property
    def extent(self) -> np.ndarray:
        """Distance between first and last pixel centre along the spatial axes, µm."""
        if self.scale is None:
            raise ValueError("an image without a pixel size has no extent")
        shape = [n for n, axis in zip(self.data.shape, self.axes, strict=True) if axis in SPATIAL]
        return np.asarray((np.asarray(shape) - 1) * np.asarray(self.scale))
