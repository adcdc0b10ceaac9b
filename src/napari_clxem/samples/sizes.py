"""How finely each modality samples the scene: the knobs for the size of a written grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from napari_clxem.errors import ClxemError


@dataclass(frozen=True)
class Size:
    """Pixel sizes and fields, µm.

    `confocal` and `tomogram` are (z, y, x) pixel sizes; `stack` and `volume` the (z, y, x)
    extents of their fields. `lamella` is the TEM field (y, x).
    """

    name: str
    confocal: tuple[float, float, float] = (0.4, 0.125, 0.125)
    stack: tuple[float, float, float] = (7.6, 22.0, 22.0)
    fluorescence_map: float = 0.3
    vlm: float = 0.35
    map_field: float = 125.0
    mosaic: float = 0.1
    mosaic_field: float = 90.0
    tomogram: tuple[float, float, float] = (0.078, 0.078, 0.078)
    volume: tuple[float, float, float] = (5.5, 13.5, 13.5)
    sem: float = 0.13
    fib: float = 0.04
    fib_field: tuple[float, float] = (17.0, 25.6)
    tem: float = 0.011816
    lamella: tuple[float, float] = (9.4, 12.2)


SIZES: Mapping[str, Size] = MappingProxyType(
    {
        size.name: size
        for size in (
            Size("shipped"),
            Size(
                "tiny",
                confocal=(0.5, 0.2, 0.2),
                fluorescence_map=0.45,
                vlm=0.5,
                mosaic=0.2,
                tomogram=(0.156, 0.156, 0.156),
                sem=0.26,
                fib=0.0667,
                tem=0.035448,
            ),
            Size(
                "large",
                confocal=(0.25, 0.08, 0.08),
                fluorescence_map=0.15,
                vlm=0.2,
                mosaic=0.05,
                tomogram=(0.039, 0.039, 0.039),
                sem=0.065,
                fib=0.0167,
                tem=0.005908,
            ),
        )
    }
)


def find_size(name: str) -> Size:
    """Give the size of this name.

    Raises
    ------
    ClxemError
        Where there is none of that name.
    """
    try:
        return SIZES[name]
    except KeyError:
        raise ClxemError(
            f"No sample size is called {name!r}; choose one of {', '.join(SIZES)}."
        ) from None


def pixels(extent: float, pixel: float) -> int:
    """Count the pixels that cover `extent` µm."""
    return round(extent / pixel)
