"""The experiment: a frozen document, its store, and its file."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from napari_clxem.session.doses import history, target_doses
    from napari_clxem.session.records import Known, Record, record_dataset, without_known
    from napari_clxem.session.resampling import affine_between, resample_dataset

# What few need, and what takes a while to import.
_LATER = {
    "Known": "records",
    "Record": "records",
    "affine_between": "resampling",
    "history": "doses",
    "record_dataset": "records",
    "resample_dataset": "resampling",
    "target_doses": "doses",
    "without_known": "records",
}

__all__ = [
    "Dataset",
    "Estimate",
    "FileRef",
    "Frame",
    "Grid",
    "Known",
    "Landmark",
    "Link",
    "Record",
    "Recovery",
    "Session",
    "Site",
    "Store",
    "Target",
    "affine_between",
    "check",
    "dataset_from_file",
    "edits",
    "history",
    "load",
    "missing_files",
    "new_id",
    "open_dataset",
    "read_landmarks",
    "record_dataset",
    "recover",
    "recoverable",
    "relink",
    "resample_dataset",
    "save",
    "target_doses",
    "unsaved",
    "without_known",
    "write_landmarks",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
