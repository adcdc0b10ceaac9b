"""TIFF files of every kind: opened once, then described by the module that knows the kind."""

from __future__ import annotations

from pathlib import Path

from napari_clxem.io.guard import hushed
from napari_clxem.io.readers import imagej, ome_tiff, plain_tiff, thermo
from napari_clxem.io.readers.tiff_arrays import OpenTiff
from napari_clxem.io.stored import Stored

KIND = "a TIFF file"

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001
    """Tell a TIFF or BigTIFF by its first bytes."""
    return head.startswith(_MAGIC)


def read(path: Path) -> tuple[Stored, ...]:
    """Give the images of a TIFF file; an OME description counts before other signs."""
    tiff = OpenTiff(path)
    with hushed("tifffile") as tiff.warnings:
        return _described(tiff)


def _described(tiff: OpenTiff) -> tuple[Stored, ...]:
    if ome_tiff.describes(tiff):
        return ome_tiff.read(tiff)
    if thermo.describes(tiff):
        return thermo.read(tiff)
    if imagej.describes(tiff):
        return imagej.read(tiff)
    return plain_tiff.read(tiff)
