"""The experiment: a frozen document, its store, and its file."""

from napari_clxem.session import edits
from napari_clxem.session.checks import check
from napari_clxem.session.files import load, save
from napari_clxem.session.model import (
    Dataset,
    Estimate,
    FileRef,
    Frame,
    Grid,
    Landmark,
    Link,
    Session,
    Site,
    Target,
    new_id,
)
from napari_clxem.session.store import Store

__all__ = [
    "Dataset",
    "Estimate",
    "FileRef",
    "Frame",
    "Grid",
    "Landmark",
    "Link",
    "Session",
    "Site",
    "Store",
    "Target",
    "check",
    "edits",
    "load",
    "new_id",
    "save",
]
