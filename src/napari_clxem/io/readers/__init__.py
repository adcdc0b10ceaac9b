"""One small module per format; here they are chosen by the first bytes of a file."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from napari_clxem.io.stored import Stored

# These know their files for certain; the last one also takes what only its name speaks for.
_MODULES = (
    "tiff",
    "xradia",
    "leica",
    "digital_micrograph",
    "alba",
    "czi",
    "nikon",
    "maps",
    "ome_companion",
    "ome_zarr",
)
_LAST = "mrc"
_FOLDERS = ("ome_zarr", "maps")

# First bytes of what files turn out to be when their name says otherwise.
_MAGIC = {
    b"%PDF": "a PDF document",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive (unpack it first)",
    b"BZh": "a bzip2 archive (unpack it first)",
}
_TEXT = bytes(range(32, 127)) + b"\t\r\n"


class Reader(Protocol):
    """What a module of this package offers."""

    KIND: str

    def sniff(self, path: Path, head: bytes) -> bool:
        """Tell from the first 1024 bytes whether a file is of this format."""
        ...

    def read(self, path: Path) -> tuple[Stored, ...]:
        """Give the images of a file, at least one; may raise anything on a bad one."""
        ...


class FolderReader(Protocol):
    """What a module for folders offers."""

    KIND: str

    def sniff_folder(self, path: Path) -> bool:
        """Tell by the files that lie in it whether a folder is of this format."""
        ...

    def standing_file(self, path: Path) -> Path | None:
        """Give the file in a folder that tells what it is."""
        ...

    def read(self, path: Path) -> tuple[Stored, ...]:
        """Give the images of a folder; see :class:`Reader`."""
        ...


def find_folder_reader(path: Path) -> FolderReader | None:
    """Find the reader of a folder; None for any folder that is no image."""
    for name in _FOLDERS:
        reader = cast("FolderReader", import_module(f"{__name__}.{name}"))
        if reader.sniff_folder(path):
            return reader
    return None


def find_reader(path: Path, head: bytes) -> Reader | None:
    """Find the reader of a file by its first bytes; None where no reader knows them."""
    for name in (*_MODULES, _LAST):
        if name == _LAST and named(head):
            return None
        reader = cast("Reader", import_module(f"{__name__}.{name}"))
        if reader.sniff(path, head):
            return reader
    return None


def named(head: bytes) -> str:
    """Name a kind of file that is no image of ours; empty where the bytes are none of them."""
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    return "" if head.translate(None, _TEXT) else "a text"
