"""OME-TIFF: sizes, channels and stage positions from its XML, pixels as tifffile orders them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from napari_clxem.io.image import Channel, StagePosition
from napari_clxem.io.readers import ome_xml, plain_tiff
from napari_clxem.io.readers.tiff_arrays import OpenTiff, level_arrays
from napari_clxem.io.readers.tiff_axes import Laid, laid
from napari_clxem.io.stored import Stored

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


# The map annotation that says where an image was laid.
PLACED = "napari-clxem/placed"


def describes(tiff: OpenTiff) -> bool:
    """Tell whether the file has an OME description."""
    return bool(tiff.file.is_ome)


def read(tiff: OpenTiff) -> tuple[Stored, ...]:
    """Give the images of an OME-TIFF.

    A file whose description is kept in another one ("BinaryOnly") is read with it where that lies
    beside it, else as plain TIFF.
    """
    root = tiff.ome
    if root is None:
        return plain_tiff.read(tiff)
    for element in ome_xml.children(root, "BinaryOnly"):
        return _from_companion(tiff, element.attrib.get("MetadataFile", ""))
    plain_tiff.count(tiff)
    images = ome_xml.ome_images(root)
    if len(images) != len(tiff.series):
        images = [image for image in images if ome_xml.has_planes(image)]
    if len(images) != len(tiff.series) or any(s.kind != "ome" for s in tiff.series):
        return plain_tiff.read(tiff, "Its OME-XML does not fit its pixels and was left aside.")
    return tuple(_stored(tiff, index, root, image) for index, image in enumerate(images))


def _from_companion(tiff: OpenTiff, name: str) -> tuple[Stored, ...]:
    from napari_clxem.io.readers import ome_companion

    if name:
        ome_xml.check_sibling(name, tiff.path)
        place = tiff.path.with_name(name)
        if place.is_file() and place.name != tiff.path.name:
            return ome_companion.read(place)
    return plain_tiff.read(
        tiff, f"Its description is in {name or 'another file'!r}; put that beside it."
    )


def _stored(tiff: OpenTiff, index: int, root: Element, image: Element) -> Stored:
    found = laid(level_arrays(tiff, index), tiff.series[index].axes, tiff.path.name)
    faults = plain_tiff.faults(tiff, index, found)
    return described(root, image, found, plain_tiff.image_name(tiff, index), faults)


def described(
    root: Element, image: Element, found: Laid, name: str, faults: tuple[str, ...]
) -> Stored:
    """Put pixels and what the OME-XML says of them together.

    Parameters
    ----------
    root, image : Element
        The document, and the element of this image.
    found : Laid
        Its pixels.
    name : str
        Used where the document gives none.
    faults : tuple of str
        What is missing besides.
    """
    pixels = ome_xml.children(image, "Pixels")[0]
    pixel, note = ome_xml.pixel_sizes(pixels)
    stage, stage_note = _stage(pixels)
    return Stored(
        levels=found.levels,
        axes=found.axes,
        pixel=pixel,
        pixel_note=note,
        channels=_channels(pixels, found),
        stage=stage,
        name=image.attrib.get("Name") or name,
        meta=_meta(root, image, pixels),
        missing=((stage_note, *faults) if stage_note else faults),
    )


def _channels(pixels: Element, found: Laid) -> tuple[Channel, ...]:
    plain = plain_tiff.channels(found)
    named = ome_xml.channels(pixels)
    if found.samples in (3, 4) and len(plain) == found.samples:
        return plain
    if len(named) < len(plain):
        return named + plain[len(named) :]
    return named[: len(plain)]


def _stage(pixels: Element) -> tuple[StagePosition | None, str]:
    """Read the stage position of the centre of the image.

    Plane positions are taken as the stage coordinates of the **centre** of each plane, which is
    what most instruments write; z is halfway between the lowest and the highest plane.
    """
    planes = list(ome_xml.plane_positions(pixels))
    stated = [position for _, position in planes if position]
    if not stated:
        bare = any(
            f"Position{axis}" in plane.attrib
            for plane in ome_xml.children(pixels, "Plane")
            for axis in "XYZ"
        )
        return None, "Its stage position has no unit of length and is not used." if bare else ""
    first = stated[0]
    heights = [position["z"] for position in stated if "z" in position]
    z = (min(heights) + max(heights)) / 2 if heights else math.nan
    position = (z, first.get("y", math.nan), first.get("x", math.nan))
    return StagePosition(position, convention="ome"), ""


def _meta(root: Element, image: Element, pixels: Element) -> dict[str, Any]:
    meta: dict[str, Any] = {"format": "ome-tiff"}
    for key, tag in (("date", "AcquisitionDate"), ("description", "Description")):
        texts = [element.text for element in ome_xml.children(image, tag) if element.text]
        if texts:
            meta[key] = texts[0].strip()
    labels = [ome_xml.attributes(label) for label in ome_xml.children(image, "StageLabel")]
    if labels:
        meta["stage_label"] = labels[0]
    meta["channels"] = [ome_xml.attributes(c) for c in ome_xml.children(pixels, "Channel")]
    for key, tag in (("microscope", "Microscope"), ("objective", "Objective")):
        part = ome_xml.instrument_part(root, image, tag)
        if part:
            meta[key] = part
    placed = ome_xml.map_annotation(root, PLACED)
    return meta | ({"placed": placed} if placed else {})
