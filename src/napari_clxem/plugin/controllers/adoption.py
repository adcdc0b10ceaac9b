"""Take layers that napari's readers and samples insert into the session.

Such a layer carries plain identifiers in ``metadata["clxem"]``: either ``dataset``, of one that
the session has, or ``path`` and ``index``, of a file that becomes a dataset now.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from napari_clxem.session import Store, edits
from napari_clxem.session.model import Dataset, Frame, Session
from napari_clxem.session.opening import dataset_from_file
from napari_clxem.session.places import located

Source = tuple[str, int]


def source_of(layer: Any) -> Source | None:
    """Give the file and image that a layer shows, where a reader of this package made it."""
    meta = layer.metadata.get("clxem", {})
    return (meta["path"], meta["index"]) if "path" in meta else None


def dataset_of(store: Store, layer: Any) -> Dataset | None:
    """Find or make the dataset of a layer; None for a preview and for foreign layers.

    Raises
    ------
    ClxemError
        Where its file cannot be opened again.
    """
    meta = layer.metadata.get("clxem", {})
    for dataset in store.session.datasets:
        if dataset.id == meta.get("dataset"):
            return dataset
    source = source_of(layer)
    if source is None or meta.get("preview"):
        return None
    known = [one for one in store.session.datasets if _is(one, source)]
    return known[0] if known else commit(store, source)


def commit(store: Store, source: Source, scale: tuple[float, ...] | None = None) -> Dataset:
    """Add the image of a file to the session, in a frame of its own.

    Parameters
    ----------
    store : Store
        Of the viewer.
    source : tuple of str and int
        File, and image in it.
    scale : tuple of float, optional
        Pixel size, µm, where the file states none.

    Raises
    ------
    ClxemError
        Where the file cannot be opened.
    """
    path, index = source
    dataset, image = dataset_from_file(path, index=index, scale=scale)
    frame = _free_name(dataset.name, store.session)
    dataset = replace(dataset, frame=frame)
    own = Frame(name=frame, ndim=3 if image.ndim_spatial == 3 else 2)
    store.commit(
        lambda session: edits.put(session, own, dataset),
        f"Open {dataset.name}",
    )
    return next(one for one in store.session.datasets if one.id == dataset.id)


def _is(dataset: Dataset, source: Source) -> bool:
    return dataset.file.index == source[1] and located(dataset.file).as_posix() == source[0]


def _free_name(name: str, session: Session) -> str:
    taken = {frame.name for frame in session.frames}
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} ({number})"
    return free
