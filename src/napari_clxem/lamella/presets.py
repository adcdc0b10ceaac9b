"""Instruments, boxes and expansion joints to start from; every number may be changed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import LamellaError
from napari_clxem.frames import Affine
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella.milling import Instrument
from napari_clxem.lamella.slab import Lamella

_GALLIUM = "Ga damage to 60 nm: Lucas & Grigorieff 2023, PNAS 120:e2301852120"
_PLASMA = "plasma ions about 30 nm: Berger et al. 2023, Nat. Commun. 14:629"
# A box cannot be put better than the image it is aligned in shows: one of its pixels. Drift while
# milling and bending of the lamella come on top; who has measured them gives more.
_FINE = (
    "placing error: a pixel of the image that milling is aligned in, 80 µm (AutoLamella, "
    "protocol-on-grid.yaml) over 1536 (OpenFIBSEM, tfs-aquilos2-configuration.yaml); drift comes "
    "on top"
)
_COARSE = (
    "placing error: a pixel of a default ion image, 150 µm over 1536 (OpenFIBSEM, "
    "tfs-hydra-configuration.yaml); drift comes on top"
)
_FINE_PIXEL, _COARSE_PIXEL = round(80 / 1536, 3), round(150 / 1536, 3)
_COLUMN = "columns 52° apart and 35° shuttle: OpenFIBSEM, tfs-{}-configuration.yaml"

INSTRUMENTS: tuple[Instrument, ...] = (
    Instrument(
        name="Aquilos 2, 45° shuttle",
        column_angle=52.0,
        pretilt=45.0,
        tilt_range=(-15.0, 45.0),
        placing=_FINE_PIXEL,
        source=f"columns 52° apart: OpenFIBSEM, tfs-aquilos2-configuration.yaml; milling angle = "
        f"stage tilt - 7°; {_GALLIUM}; {_FINE}; tilt range of a usual cryo stage: check yours",
    ),
    Instrument(
        name="Aquilos 2, 35° shuttle",
        column_angle=52.0,
        pretilt=35.0,
        tilt_range=(-15.0, 45.0),
        placing=_FINE_PIXEL,
        source=f"{_COLUMN.format('aquilos2')}; milling angle = stage tilt + 3°; {_GALLIUM}; "
        f"{_FINE}; tilt range of a usual cryo stage: check yours",
    ),
    Instrument(
        name="Crossbeam, 45° holder",
        column_angle=54.0,
        pretilt=45.0,
        tilt_range=(-10.0, 60.0),
        placing=_COARSE_PIXEL,
        source=f"columns 54° apart: ZEISS Crossbeam; {_GALLIUM}; {_COARSE}; holder and tilt range: "
        "check yours",
    ),
    Instrument(
        name="Hydra (plasma), 35° shuttle",
        column_angle=52.0,
        pretilt=35.0,
        tilt_range=(-15.0, 45.0),
        damage=0.03,
        placing=_COARSE_PIXEL,
        source=f"{_COLUMN.format('hydra')}; {_PLASMA}; {_COARSE}; tilt range of a usual cryo "
        "stage: check yours",
    ),
    Instrument(
        name="generic",
        column_angle=52.0,
        pretilt=45.0,
        tilt_range=(-90.0, 90.0),
        placing=_COARSE_PIXEL,
        source=f"nothing is assumed of the stage; {_GALLIUM}; {_COARSE}",
    ),
)


def instrument(name: str) -> Instrument:
    """Give a preset by its name or the beginning of it.

    Raises
    ------
    LamellaError
        Where no preset, or more than one, begins so.
    """
    found = [one for one in INSTRUMENTS if one.name == name] or [
        one for one in INSTRUMENTS if one.name.casefold().startswith(name.casefold())
    ]
    if len(found) != 1:
        names = "; ".join(one.name for one in INSTRUMENTS)
        raise LamellaError(f"{name!r} does not name one instrument; choose one of: {names}.")
    return found[0]


@dataclass(frozen=True)
class Joints:
    """Expansion joints: two slits beside the lamella that take up the film's strain.

    Parameters
    ----------
    width, height : float
        Of a slit in the FIB view, µm: along the lamella's width, and up.
    distance : float
        From the middle of the lamella to that of each slit, µm.
    source : str
        Where the numbers come from.
    """

    width: float = 0.5
    height: float = 18.0
    distance: float = 10.0
    source: str = ""

    def __post_init__(self) -> None:
        if not all(0 < value < np.inf for value in (self.width, self.height, self.distance)):
            raise LamellaError("Width, height and distance of expansion joints are above 0 µm.")

    def clear_of(self, lamella: Lamella) -> float:
        """Give the gap between the lamella's edge and a slit, µm; negative where they meet."""
        across = np.abs(lamella.corners_in_plane[:, 1]).max()
        return float(self.distance - self.width / 2 - across)


@dataclass(frozen=True)
class BoxPreset:
    """Sizes of a lamella to start from.

    Parameters
    ----------
    name : str
    thickness, width, length : float
        µm.
    joints : Joints or None
    source : str
        Where the numbers come from.
    """

    name: str
    thickness: float
    width: float
    length: float
    joints: Joints | None = None
    source: str = ""

    def applied(self, lamella: Lamella) -> Lamella:
        """Give the lamella with these sizes, about the same centre."""
        return replace(
            lamella, thickness=self.thickness, width=self.width, length=self.length, outline=()
        )


MICRO_EXPANSION = Joints(
    0.5,
    18.0,
    10.0,
    "sizes: OpenFIBSEM, protocol-on-grid.yaml; the idea: Wolff et al. 2019, J. Struct. Biol. "
    "208:107389",
)

BOXES: tuple[BoxPreset, ...] = (
    BoxPreset("tomogram field", 0.3, 12.0, 10.0, None, "a little under a 13-15 µm X-ray field"),
    BoxPreset(
        "OpenFIBSEM on grid",
        0.3,
        9.0,
        10.0,
        MICRO_EXPANSION,
        "polishing width 9 µm and spacing 0.3 µm: OpenFIBSEM, protocol-on-grid.yaml; the length is "
        "what the cell gives",
    ),
    BoxPreset(
        "thin, for averaging",
        0.15,
        9.0,
        8.0,
        MICRO_EXPANSION,
        "150 nm leave little beside 60 nm of damage under either face: Lucas & Grigorieff 2023, "
        "PNAS 120:e2301852120",
    ),
)


def joint_outlines(
    lamella: Lamella, joints: Joints, projection: ArrayLike
) -> tuple[Floats, Floats]:
    """Give the outlines of the two expansion joints in a FIB image.

    Parameters
    ----------
    lamella : Lamella
    joints : Joints
    projection : (2, 4) array_like
        From the lamella's frame to the image, µm.

    Returns
    -------
    tuple of (4, 2) array
        Corners (row, column), µm.
    """
    view = Affine(np.asarray(projection, float))
    centre = view.transform(lamella.centre)[0]
    normal, _, across = lamella.axes
    up, side = view.linear @ normal, view.linear @ across
    square = 0.5 * np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]])
    corners = square * np.array([joints.height, joints.width])
    found = [
        centre + corners @ np.array([up, side]) + sign * joints.distance * side
        for sign in (-1.0, 1.0)
    ]
    return found[0], found[1]
