"""What is reported: a session, its images as far as they can be opened, and its map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np

from napari_clxem.dose import Budget, History
from napari_clxem.errors import ClxemError, NoPathError
from napari_clxem.frames import FrameGraph, Route
from napari_clxem.frames.affine import Floats
from napari_clxem.io.image import OpenedImage
from napari_clxem.session.doses import history
from napari_clxem.session.extents import middle, spatial
from napari_clxem.session.fingerprint import fingerprint
from napari_clxem.session.geometry import graph
from napari_clxem.session.model import Dataset, Session, Site, Target
from napari_clxem.session.places import found_file

Opener = Callable[[Dataset], OpenedImage]
Progress = Callable[[float, str], None]
NO_SCALE = "{} has no pixel size; give one in Links & targets."
SAME, CHANGED = "✓ as recorded", "⚠ changed since"
MISSING, UNKNOWN = "✕ missing", "? never recorded"


@dataclass(frozen=True, eq=False, kw_only=True)
class Subject:
    """What is reported.

    Parameters
    ----------
    session : Session
    opened : callable
        Gives the opened image of a dataset.
    limit : Budget
        What doses are held against, and the material they are stated for.
    made : datetime
        When the report is made.
    home : Path or None
        The session file.
    wanted : str
        Frame in which the overview is drawn and doses are added up; empty to choose.
    step : callable
        Called with what is done next; an exception it raises ends the report.
    """

    session: Session
    opened: Opener
    limit: Budget
    made: datetime
    home: Path | None = None
    wanted: str = ""
    step: Callable[[str], None] = field(default=lambda _text: None)

    @property
    def graph(self) -> FrameGraph:
        """The frames of the session."""
        return graph(self.session)

    def image(self, dataset: Dataset) -> OpenedImage | str:
        """Give the image of a dataset, or a sentence that says why there is none."""
        known = self._images
        if dataset.id not in known:
            try:
                found = self.opened(dataset)
                known[dataset.id] = found if found.scale else NO_SCALE.format(name_of(dataset))
            except (ClxemError, OSError) as error:
                known[dataset.id] = f"{name_of(dataset)} is not shown: {error}"
        return known[dataset.id]

    @cached_property
    def _images(self) -> dict[str, OpenedImage | str]:
        return {}

    @cached_property
    def checks(self) -> dict[str, str]:
        """Whether the file of each dataset is there, and the one it was made from, by its id."""
        found = {}
        for dataset in self.session.datasets:
            self.step(f"checking {name_of(dataset)}")
            found[dataset.id] = checked(dataset, self.home)
        return found

    @cached_property
    def map(self) -> Dataset | None:
        """The image that the overview is drawn on: a plane of the grid, the widest of the best."""
        planes = [
            one
            for one in self.session.datasets
            if one.site is None and one.frame and spatial(one) is not None and "z" not in one.axes
        ]
        if self.wanted:
            there = [one for one in self.session.datasets if one.frame == self.wanted]
            planes = [one for one in there if spatial(one) is not None]
        return max(planes, key=lambda one: (self._reached(one.frame), area(one)), default=None)

    def _reached(self, frame: str) -> int:
        """Count the targets and exposures that can be laid into a frame."""
        found = [one.frame for one in self.session.targets]
        found += [one.frame for one in self.session.exposures]
        reached = {one for one in set(found) if self.way(one, frame) is not None}
        return sum(one in reached for one in found)

    @property
    def frame(self) -> str:
        """Frame in which the overview is drawn and doses are added up; empty for none."""
        if self.wanted or self.map is not None:
            return self.wanted or (self.map.frame if self.map else "")
        frames = [one.frame for one in self.session.exposures]
        frames += [one.frame for one in self.session.datasets]
        return next((one for one in frames if one), "")

    def way(self, one: str, other: str, places: Floats | None = None) -> Route | None:
        """Find the way from one frame to another; None where no links lead there."""
        try:
            if places is None:
                return self.graph.transform(one, other)
            return self.graph.transform(one, other, places)
        except NoPathError:
            return None

    @cached_property
    def history(self) -> History | str:
        """The exposures in `frame`, or a sentence that says why they cannot be added up."""
        try:
            return history(self.session, self.frame, self.limit.material)
        except ClxemError as error:
            return str(error)

    def targets(self, site: Site | None) -> tuple[Target, ...]:
        """Give the targets of a site; with None those of no site."""
        name = site.id if site else None
        return tuple(one for one in self.session.targets if one.site == name)

    def datasets(self, site: Site | None) -> tuple[Dataset, ...]:
        """Give the datasets of a site; with None those of the grid."""
        name = site.id if site else None
        return tuple(one for one in self.session.datasets if one.site == name)

    def site_name(self, site: str | None) -> str:
        """Name a site by its id, for people."""
        found = next((one for one in self.session.sites if one.id == site), None)
        return "the grid" if found is None else label_of(found)


def checked(dataset: Dataset, home: Path | None) -> str:
    """Say whether a file is there, and the one that the session was made from."""
    file = dataset.file
    try:
        path = found_file(file, None if home is None else home.parent)
        now = fingerprint(path)
    except ClxemError:
        return MISSING
    if not file.fingerprint:
        return UNKNOWN
    return SAME if now == (file.size, file.fingerprint) else CHANGED


def area(dataset: Dataset) -> float:
    """Give the area of an image, µm²."""
    known = spatial(dataset)
    return 0.0 if known is None else float(np.prod(np.multiply(*known)[-2:]))


def corners(session: Session, dataset: Dataset) -> Floats | None:
    """Give the outer corners of an image at its middle height, (4, d) µm of its frame."""
    known, there = spatial(dataset), middle(session, dataset)
    if known is None or there is None:
        return None
    found = np.repeat(there[np.newaxis], 4, axis=0)
    half = np.multiply(*known)[-2:] / 2
    found[:, -2:] += half * np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]])
    return found


def name_of(dataset: Dataset) -> str:
    """Name a dataset for people."""
    return dataset.name or dataset.id


def label_of(one: Site | Target) -> str:
    """Name a site or target for people."""
    return one.name or one.id
