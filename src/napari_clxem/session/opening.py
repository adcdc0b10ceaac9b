"""From a file to a dataset of the session, and from a dataset to its opened image."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from napari_clxem.errors import ClxemError, SessionError
from napari_clxem.io.image import SPATIAL, OpenedImage, Orientation, StagePosition
from napari_clxem.session.fingerprint import fingerprint
from napari_clxem.session.model import Dataset, FileRef, Vector
from napari_clxem.session.places import found_file

if TYPE_CHECKING:

    class Resolver(Protocol):
        """Whatever finds the file of a dataset, such as a store."""

        def resolve(self, file: FileRef) -> Path:
            """Give the path of `file` on this computer."""


def dataset_from_file(
    path: str | Path,
    *,
    index: int = 0,
    name: str = "",
    modality: str = "",
    site: str | None = None,
    frame: str = "",
    orientation: Orientation | None = None,
    scale: Vector | None = None,
) -> tuple[Dataset, OpenedImage]:
    """Open a file as a dataset of a session.

    Parameters
    ----------
    path : str or Path
        The file.
    index : int
        Which image of the file.
    name, modality, site, frame : str
        Fields of the dataset; the name of the image is taken where none is given.
    orientation : Orientation, optional
        How its stored axes become (z, y, x); as the reader finds them by default.
    scale : tuple of float, optional
        Pixel size of its spatial axes, µm, where the file has none or a wrong one.

    Returns
    -------
    Dataset
        With an absolute path, and what the file says of itself; its `scale` is None where the
        file has none: it may not be placed until one is given.
    OpenedImage
        The image, lazily.

    Raises
    ------
    ClxemError
        Where the file cannot be opened.
    """
    from napari_clxem.io import open_image

    place = Path(path).expanduser().absolute()
    image = open_image(place, index=index, orientation=orientation, scale=scale)
    dataset = dataset_of_image(image, place, index, fingerprint(place))
    dataset = replace(dataset, name=name or dataset.name, modality=modality, site=site, frame=frame)
    return dataset, image


def dataset_of_image(image: OpenedImage, path: Path, index: int, mark: tuple[int, str]) -> Dataset:
    """Describe an image that has been opened as a dataset.

    Parameters
    ----------
    image : OpenedImage
        The image.
    path : Path
        Its file; absolute.
    index : int
        Which image of the file it is.
    mark : tuple of int and str
        Size and fingerprint of the file.
    """
    size, digest = mark
    return Dataset(
        name=image.name or path.name,
        file=FileRef(path=path.as_posix(), index=index, size=size, fingerprint=digest),
        axes=tuple(image.axes),
        shape=tuple(int(n) for n in image.data.shape),
        scale=image.scale,
        orientation=image.orientation,
        channels=tuple(image.channels),
        stage=_plain_stage(image.stage),
    )


def open_dataset(source: Resolver | str | Path, dataset: Dataset) -> OpenedImage:
    """Open the image of a dataset with the orientation and pixel size that the session gives it.

    Parameters
    ----------
    source : Store, str or Path
        The store, or the folder that relative paths start from.
    dataset : Dataset
        One of its datasets.

    Returns
    -------
    OpenedImage
        Its `scale` is that of the pixels in the dataset's own frame: z is multiplied by the
        axial scaling.

    Raises
    ------
    SessionError
        Where the file is missing, or holds an image of another size by now.
    ClxemError
        Where it cannot be opened.
    """
    from napari_clxem.io import open_image

    if isinstance(source, str | Path):
        path = found_file(dataset.file, Path(source))
    else:
        path = source.resolve(dataset.file)
    what = f"dataset {dataset.name or dataset.id!r}"
    try:
        image = open_image(
            path, index=dataset.file.index, orientation=dataset.orientation, scale=dataset.scale
        )
    except ClxemError as error:
        if not _is_changed(path, dataset.file):
            raise
        raise SessionError(
            f"{path.name} is no longer the file that {what} was made from; relink it to that one."
        ) from error
    shape = tuple(int(n) for n in image.data.shape)
    if dataset.shape and shape != dataset.shape:
        raise SessionError(
            f"{path.name} now holds an image of {_by(shape)}, but {what} was "
            f"{_by(dataset.shape)}; relink it to its file."
        )
    return replace(image, scale=frame_scale(dataset, image.scale, image.axes))


def frame_scale(
    dataset: Dataset, scale: Vector | None, axes: tuple[str, ...]
) -> tuple[float, ...] | None:
    """Give the pixel size in the frame, µm: that of the image with z times the axial scaling."""
    if scale is None:
        return None
    spatial = [axis for axis in axes if axis in SPATIAL]
    return tuple(
        value * dataset.axial_scaling if axis == "z" else value
        for axis, value in zip(spatial, scale, strict=True)
    )


def _plain_stage(stage: StagePosition | None) -> StagePosition | None:
    """Give a stage position whose unknown parts are all one nan, so that it equals itself."""
    if stage is None:
        return None
    z, y, x = (math.nan if math.isnan(v) else float(v) for v in stage.position)
    return replace(stage, position=(z, y, x))


def _is_changed(path: Path, file: FileRef) -> bool:
    return bool(file.fingerprint) and fingerprint(path) != (file.size, file.fingerprint)


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape)
