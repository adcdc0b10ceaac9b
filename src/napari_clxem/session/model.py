"""The experiment as one frozen document: a grid, its sites, datasets, frames, links and targets.

Every class is a frozen dataclass of plain values and tuples, so a state can be kept, compared,
hashed and written as it is. Lengths are µm, angles degrees, axes (z, y, x) or (y, x).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal
from uuid import uuid4

from napari_clxem.dose import Exposure
from napari_clxem.frames import Calibration
from napari_clxem.io.image import Channel, Orientation, StagePosition
from napari_clxem.lamella.field_record import FieldRecord
from napari_clxem.lamella.record import LamellaRecord

SCHEMA = 1

Vector = tuple[float, ...]
Matrix = tuple[tuple[float, ...], ...]
SiteStatus = Literal["candidate", "imaged", "x-rayed", "milled", "lost"]
LinkKind = Literal["landmarks", "content", "stage", "declared"]
Origin = Literal["bead", "hand", "file"]


def new_id() -> str:
    """Make an identifier that stays unique when two copies of a session are merged."""
    return uuid4().hex[:12]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The grid of a session: its name, type, finder marks and the places it has been."""

    id: str = field(default_factory=new_id)
    name: str = ""
    type: str = ""
    finder_marks: str = ""
    history: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Site:
    """One cell or square of the grid.

    `film_tilt` is the local tilt of the support film about (y, x), degrees, or None.
    """

    id: str = field(default_factory=new_id)
    name: str = ""
    status: SiteStatus = "candidate"
    film_tilt: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A named µm coordinate system.

    `ndim` 2 is a plane in space: `z` is then the prior (mean, sd) of its height, µm.
    """

    name: str
    ndim: Literal[2, 3] = 3
    z: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class FileRef:
    """A file and how to recognise it after it moved.

    `path` is relative to the session file (POSIX separators) where that is possible, else
    absolute; `index` is the image within the file; `fingerprint` hashes the size, the head and
    sampled blocks. `folder` is what a relative path starts from on this computer: it is never
    written and takes no part in comparing, so a session that moved with its data is the same.
    """

    path: str
    index: int = 0
    size: int = 0
    fingerprint: str = ""
    folder: str = field(default="", compare=False, metadata={"stored": False})


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One image of the grid (`site` None) or of a site, with the frame it lies in.

    `axial_scaling` multiplies z (refraction, actual over stage depth); `scale`, `axes`,
    `channels` and `stage` are what the file said at opening, or what the user gave.
    """

    id: str = field(default_factory=new_id)
    name: str = ""
    modality: str = ""
    site: str | None = None
    frame: str = ""
    file: FileRef
    axes: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    scale: Vector | None = None
    orientation: Orientation = field(default_factory=Orientation)
    axial_scaling: float = 1.0
    channels: tuple[Channel, ...] = ()
    stage: StagePosition | None = None


@dataclass(frozen=True, kw_only=True)
class Landmark:
    """One pair of positions, in the moving and the fixed frame of its link, with sd in µm.

    A side not picked yet is None.
    """

    id: str = field(default_factory=new_id)
    moving: Vector | None = None
    fixed: Vector | None = None
    moving_sigma: Vector | None = None
    fixed_sigma: Vector | None = None
    use: bool = True
    origin: Origin = "hand"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A transform with its uncertainty, as stored.

    `matrix` is homogeneous, moving to fixed ((d+1) x (d+1), or 2 x 4 for a projection);
    `covariance` is that of the rows of [A | t], row by row, with t taken about `centre`
    (moving); `dof` is None for an absolute covariance, else the degrees of freedom that scaled
    it.
    """

    matrix: Matrix
    centre: Vector
    covariance: Matrix
    dof: int | None = None


@dataclass(frozen=True, kw_only=True)
class Link:
    """How one frame lies in another.

    A link of kind ``"landmarks"`` is the fit of `model` through its landmarks, computed when
    needed; the other kinds carry their `estimate`. `tilt_sd` is, for a planar link, the sd of
    the angle between the two viewing directions, degrees: by it, points of unknown height move.
    `prior` is what the calibration says of an affine map before any landmark. `upright` says that
    the fixed view, along the grid, shows what is higher further up, which tells mirror solutions
    apart.
    """

    id: str = field(default_factory=new_id)
    moving: str
    fixed: str
    kind: LinkKind = "landmarks"
    model: str = "affine"
    robust: bool = False
    tilt_sd: float = 0.0
    prior: Calibration | None = None
    upright: bool = False
    landmarks: tuple[Landmark, ...] = ()
    estimate: Estimate | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A place worth an exposure or a cut: a sphere of `radius` at `position` in `frame`."""

    id: str = field(default_factory=new_id)
    name: str = ""
    site: str | None = None
    frame: str
    position: Vector
    radius: float = 0.5
    sigma: Vector | None = None


@dataclass(frozen=True, kw_only=True)
class Session:
    """The whole experiment on one grid."""

    schema: int = SCHEMA
    id: str = field(default_factory=new_id)
    name: str = ""
    grid: Grid = field(default_factory=Grid)
    sites: tuple[Site, ...] = ()
    frames: tuple[Frame, ...] = ()
    datasets: tuple[Dataset, ...] = ()
    links: tuple[Link, ...] = ()
    targets: tuple[Target, ...] = ()
    exposures: tuple[Exposure, ...] = ()
    lamellae: tuple[LamellaRecord, ...] = ()
    fields: tuple[FieldRecord, ...] = ()


Item = Site | Frame | Dataset | Link | Landmark | Target | Exposure | LamellaRecord | FieldRecord

# What holds items that are told apart by their key: these are diffed and edited item by item.
COLLECTIONS: Mapping[type, Mapping[str, type]] = MappingProxyType(
    {
        Session: MappingProxyType(
            {
                "sites": Site,
                "frames": Frame,
                "datasets": Dataset,
                "links": Link,
                "targets": Target,
                "exposures": Exposure,
                "lamellae": LamellaRecord,
                "fields": FieldRecord,
            }
        ),
        Link: MappingProxyType({"landmarks": Landmark}),
    }
)


def key(item: Item) -> str:
    """Give what tells `item` apart in its collection: the name of a frame, else the id."""
    return item.name if isinstance(item, Frame) else item.id
