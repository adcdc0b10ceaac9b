"""Writers of the sample's TIFF files: OME-TIFF, ImageJ TIFF and Thermo-style TIFF.

No file holds the time of its writing: the same seed gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
FEI_HELIOS = 34682


@dataclass(frozen=True)
class OmeChannel:
    """A channel as OME names it; wavelengths in nm, colour ``"#rrggbb"``."""

    name: str
    fluor: str = ""
    colour: str = ""
    excitation: float | None = None
    emission: float | None = None


@dataclass(frozen=True)
class OmeImage:
    """What an OME-TIFF says besides its pixels.

    `spacing` is (z, y, x) or (y, x) µm; `stage` (z, y, x) µm is the stage position with the
    middle of the field under the beam; `objective` and `instrument` are attributes of theirs.
    """

    name: str
    spacing: tuple[float, ...]
    stage: tuple[float, float, float]
    channels: tuple[OmeChannel, ...]
    description: str = ""
    microscope: tuple[tuple[str, str], ...] = ()
    objective: tuple[tuple[str, str], ...] = ()


def _attributes(pairs: tuple[tuple[str, str], ...]) -> str:
    return "".join(f" {key}={quoteattr(value)}" for key, value in pairs)


def _channel(channel: OmeChannel, index: int) -> str:
    pairs = [("ID", f"Channel:0:{index}"), ("Name", channel.name), ("SamplesPerPixel", "1")]
    if channel.fluor:
        pairs.append(("Fluor", channel.fluor))
    if channel.colour:
        rgba = (int(channel.colour[1:], 16) << 8) | 255
        pairs.append(("Color", str(rgba - (1 << 32) if rgba >= 1 << 31 else rgba)))
    for key, value in (
        ("ExcitationWavelength", channel.excitation),
        ("EmissionWavelength", channel.emission),
    ):
        if value is not None:
            pairs += [(key, f"{value:g}"), (f"{key}Unit", "nm")]
    return f"<Channel{_attributes(tuple(pairs))}/>"


def ome_xml(image: OmeImage, shape: tuple[int, int, int, int], kind: str) -> str:
    """Write the OME-XML (2016-06) of an image of `shape` (c, z, y, x) and pixel type `kind`."""
    c, z, y, x = shape
    depth = image.spacing[0] if len(image.spacing) == 3 else None
    pixels = [
        ("ID", "Pixels:0"),
        ("DimensionOrder", "XYZCT"),
        ("Type", kind),
        ("SizeX", str(x)),
        ("SizeY", str(y)),
        ("SizeZ", str(z)),
        ("SizeC", str(c)),
        ("SizeT", "1"),
        ("PhysicalSizeX", f"{image.spacing[-1]:.6g}"),
        ("PhysicalSizeXUnit", "µm"),
        ("PhysicalSizeY", f"{image.spacing[-2]:.6g}"),
        ("PhysicalSizeYUnit", "µm"),
    ]
    if depth is not None:
        pixels += [("PhysicalSizeZ", f"{depth:.6g}"), ("PhysicalSizeZUnit", "µm")]
    channels = "".join(_channel(item, i) for i, item in enumerate(image.channels))
    middle = 0.5 * (z - 1) * (depth or 0.0)
    planes = "".join(
        f'<Plane TheZ="{k}" TheT="0" TheC="{i}"'
        f' PositionX="{image.stage[2]:.3f}" PositionXUnit="µm"'
        f' PositionY="{image.stage[1]:.3f}" PositionYUnit="µm"'
        f' PositionZ="{image.stage[0] + k * (depth or 0.0) - middle:.3f}" PositionZUnit="µm"/>'
        for i in range(c)
        for k in range(z)
    )
    instrument, used = "", ""
    if image.microscope or image.objective:
        lens = f'<Objective ID="Objective:0"{_attributes(image.objective)}/>'
        instrument = (
            f'<Instrument ID="Instrument:0"><Microscope{_attributes(image.microscope)}/>'
            f"{lens if image.objective else ''}</Instrument>"
        )
        used = '<InstrumentRef ID="Instrument:0"/>'
        if image.objective:
            used += '<ObjectiveSettings ID="Objective:0"/>'
    described = f"<Description>{image.description}</Description>" if image.description else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xsi:schemaLocation="http://www.openmicroscopy.org/Schemas/OME/2016-06'
        ' http://www.openmicroscopy.org/Schemas/OME/2016-06/ome.xsd">'
        f"{instrument}"
        f'<Image ID="Image:0" Name={quoteattr(image.name)}>{described}{used}'
        f"<Pixels{_attributes(tuple(pixels))}>{channels}"
        f'<TiffData IFD="0" PlaneCount="{c * z}"/>{planes}'
        "</Pixels></Image></OME>"
    )


def write_ome(path: Path, data: Pixels, image: OmeImage) -> None:
    """Write an OME-TIFF, deflated with predictor.

    Parameters
    ----------
    path : Path
        Where; the name should end in ``.ome.tif``.
    data : (c, z, y, x) or (c, y, x) or (y, x) array
        Pixels; axes as the spacing and channels of `image` say.
    image : OmeImage
        What it is.
    """
    import tifffile

    z = data.shape[-3] if len(image.spacing) == 3 else 1
    shape = (len(image.channels), z, data.shape[-2], data.shape[-1])
    planes = data.reshape(-1, *data.shape[-2:])
    with tifffile.TiffWriter(path, ome=False) as file:
        for index, plane in enumerate(planes):
            xml = ome_xml(image, shape, str(data.dtype)) if index == 0 else None
            file.write(
                plane,
                photometric="minisblack",
                compression="zlib",
                compressionargs={"level": 9},
                predictor=True,
                metadata=None,
                description=xml.encode() if xml else None,
                software="napari-clxem samples" if index == 0 else False,
                contiguous=False,
            )


def write_imagej(path: Path, data: Pixels, spacing: float, info: str) -> None:
    """Write a 2D image (y, x) as ImageJ does: pixel size in the resolution tags, unit micron."""
    import tifffile

    tifffile.imwrite(
        path,
        data,
        imagej=True,
        resolution=(1 / spacing, 1 / spacing),
        metadata={"unit": "micron", "Info": info, "mode": "grayscale"},
        software=False,
    )


Section = dict[str, Any]


@dataclass(frozen=True)
class ThermoImage:
    """What a Thermo FIB/SEM file says: pixel size in µm, and the sections of its text tag.

    Values of the sections are written as they are; lengths are in metres, angles in radians.
    """

    spacing: float
    sections: dict[str, Section] = field(default_factory=dict)


def thermo_text(image: ThermoImage, rows: int, columns: int) -> str:
    """Write the text of tag 34682 in its sections."""
    metres = image.spacing * 1e-6
    sections: dict[str, Section] = {name: dict(values) for name, values in image.sections.items()}
    sections.setdefault("Scan", {}).update(
        PixelWidth=f"{metres:.6e}",
        PixelHeight=f"{metres:.6e}",
        HorFieldsize=f"{metres * columns:.6e}",
        VerFieldsize=f"{metres * rows:.6e}",
    )
    sections.setdefault("Image", {}).update(ResolutionX=columns, ResolutionY=rows)
    blocks = (
        f"[{name}]\r\n" + "".join(f"{key}={value}\r\n" for key, value in values.items())
        for name, values in sections.items()
    )
    return "\r\n".join(blocks)


def data_bar(columns: int, spacing: float) -> NDArray[np.uint8]:
    """Draw the bar that Thermo microscopes burn in under the image, with a scale line."""
    bar = np.zeros((max(columns // 16, 24), columns), np.uint8)
    bar[:2] = 255
    wish = 0.2 * columns * spacing
    scale = 10 ** np.floor(np.log10(wish))
    length = round(scale * max(s for s in (1, 2, 5) if s * scale <= wish) / spacing)
    middle, right = len(bar) // 2, columns - columns // 20
    bar[middle - 1 : middle + 1, right - length : right] = 255
    for end in (right - length, right - 1):
        bar[middle - 5 : middle + 5, end : end + 1] = 255
    return bar


def write_thermo(path: Path, data: NDArray[np.uint8], image: ThermoImage) -> None:
    """Write an image (y, x) as a Thermo FIB/SEM TIFF, with its data bar below."""
    import tifffile

    rows, columns = data.shape
    text = thermo_text(image, rows, columns).encode("ascii") + b"\0"
    tifffile.imwrite(
        path,
        np.concatenate([data, data_bar(columns, image.spacing)]),
        photometric="minisblack",
        metadata=None,
        software=False,
        extratags=[(FEI_HELIOS, "s", 0, text, True)],
    )
