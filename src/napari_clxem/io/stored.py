"""What a reader of one format yields: an image as it is stored, before it is oriented."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_clxem.io.image import SPATIAL, Channel, StagePosition


@dataclass(frozen=True)
class Stored:
    """One image as its file stores it.

    Parameters
    ----------
    levels : tuple of array_like
        Resolution levels, full resolution first, lazy, axes as stored.
    axes : tuple of str
        What the stored axes are, slowest first, each one of t, c, z, y, x and none twice.
    pixel : mapping
        Pixel size in µm along the spatial axes; None or no entry where the file states none.
    pixel_note : str
        Why there is no pixel size, as a sentence; empty where the file says nothing of it.
    flip : tuple of str
        Axes that the reader knows or guesses to run against the frame's direction.
    channels : tuple of Channel
        One per index of the ``c`` axis; one without it.
    stage : StagePosition or None
        Without `image_to_stage`, which follows from `to_stage`.
    to_stage : tuple of tuple of float or None
        Homogeneous 3 x 3 matrix from **stored** pixel indices (row, column) to stage (y, x) µm.
    name : str
        A short name for people.
    meta : mapping
        Plain JSON values.
    missing : tuple of str
        What the file lacks besides the pixel size, each as a sentence.
    """

    levels: tuple[Any, ...]
    axes: tuple[str, ...]
    pixel: Mapping[str, float | None] = field(default_factory=dict)
    pixel_note: str = ""
    flip: tuple[str, ...] = ()
    channels: tuple[Channel, ...] = ()
    stage: StagePosition | None = None
    to_stage: tuple[tuple[float, ...], ...] | None = None
    name: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def spatial(self) -> tuple[str, ...]:
        """Stored spatial axes, slowest first."""
        return tuple(axis for axis in self.axes if axis in SPATIAL)
