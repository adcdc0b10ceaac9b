"""The experiment: a frozen document, its store, and its file."""

from napari_clxem.session import edits
from napari_clxem.session.checks import check
from napari_clxem.session.files import load, save
from napari_clxem.session.landmarks import read_landmarks, write_landmarks
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
from napari_clxem.session.opening import dataset_from_file, open_dataset
from napari_clxem.session.recovery import Recovery, recover, recoverable, unsaved
from napari_clxem.session.relinking import missing_files, relink
from napari_clxem.session.store import Store

__all__ = [
    "Dataset",
    "Estimate",
    "FileRef",
    "Frame",
    "Grid",
    "Landmark",
    "Link",
    "Recovery",
    "Session",
    "Site",
    "Store",
    "Target",
    "check",
    "dataset_from_file",
    "edits",
    "load",
    "missing_files",
    "new_id",
    "open_dataset",
    "read_landmarks",
    "recover",
    "recoverable",
    "relink",
    "save",
    "unsaved",
    "write_landmarks",
]
