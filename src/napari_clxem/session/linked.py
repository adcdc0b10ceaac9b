"""From a described grid to a linked one, in one call."""

from __future__ import annotations

from pathlib import Path

from napari_clxem.io.image import OpenedImage
from napari_clxem.session.chain import Progress, chain
from napari_clxem.session.description import describe
from napari_clxem.session.model import Dataset, Session


def linked_grid(
    description: str | Path, progress: Progress | None = None
) -> tuple[Session, tuple[str, ...]]:
    """Open a described grid and link it by its own images.

    Parameters
    ----------
    description : str or Path
        A ``grid.json``; see :func:`napari_clxem.session.description.describe`.
    progress : callable, optional
        Called with the share done and what comes next.

    Returns
    -------
    Session
        Not saved yet.
    tuple of str
        A sentence for each link that could not be made.

    Raises
    ------
    ClxemError
        Where the description or a file it names cannot be read.
    """
    from napari_clxem.io import open_image

    def opened(dataset: Dataset) -> OpenedImage:
        return open_image(
            dataset.file.path,
            index=dataset.file.index,
            orientation=dataset.orientation,
            scale=dataset.scale,
        )

    found = chain(describe(description), opened, progress)
    return found.session, found.failures
