"""The verbs ``resample`` and ``transform``, for other programs, and ``orient``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_clxem.errors import SessionError
from napari_clxem.verbs.printing import Progress, Verbs, listed, number, positive, verb

if TYPE_CHECKING:
    from napari_clxem.io.image import OpenedImage, Orientation
    from napari_clxem.session.model import Dataset, Session


def add_to(verbs: Verbs) -> None:
    """Add the verbs on images and maps."""
    one = verb(verbs, "resample", resample, "write an image as it lies in another frame")
    one.add_argument("session", help="a .clxem.json file")
    one.add_argument("image", help="name, id or frame of the image")
    one.add_argument("out", help="the .ome.zarr folder or .ome.tif file to write")
    where = one.add_mutually_exclusive_group(required=True)
    where.add_argument("--frame", help="the frame that it is laid into")
    where.add_argument("--like", metavar="IMAGE", help="an image whose frame and pixels are taken")
    one.add_argument("--pixel", type=positive, metavar="UM", help="pixel size, µm (its own)")
    one.add_argument(
        "--box",
        type=number(),
        nargs="+",
        metavar="UM",
        help="lower, then upper corner in the frame, (z) y x (z) y x (all of the image)",
    )
    one.add_argument(
        "--interpolation", choices=("linear", "nearest", "cubic"), default="linear", help="(linear)"
    )
    one.add_argument("--fill", type=number(), help="outside the image (NaN; 0 in whole numbers)")
    one.add_argument("--version", choices=("0.4", "0.5"), default="0.5", help="of OME-Zarr (0.5)")
    one.add_argument("--overwrite", action="store_true", help="what is there may go")
    one = verb(verbs, "transform", transform, "write the maps from frames to another")
    one.add_argument("session", help="a .clxem.json file")
    one.add_argument("out", help="a .json of OME-NGFF, or a .txt with one plain matrix")
    one.add_argument("--to", required=True, metavar="FRAME", help="the frame that they lead to")
    one.add_argument(
        "--of", nargs="+", default=[], metavar="FRAME", help="frames (all that are linked with it)"
    )
    one = verb(verbs, "orient", orient, "say or change how the stored axes of an image are read")
    one.add_argument("session", help="a .clxem.json file")
    one.add_argument("image", help="name, id or frame of the image")
    one.add_argument(
        "--axes", nargs="+", choices="zyx", help="what the stored axes are, the slowest first"
    )
    one.add_argument(
        "--flip", nargs="*", choices="zyx", help="axes that run backwards in the file (none follow)"
    )


def resample(options: argparse.Namespace) -> int:
    """Write an image resampled, and print where it lies and how sure that is."""
    from napari_clxem.session import load
    from napari_clxem.session.resampling import resample_dataset

    home = Path(options.session).expanduser().absolute()
    session = load(home)
    dataset = found_dataset(session, options.image)
    like = found_dataset(session, options.like) if options.like else None
    frame = like.frame if like is not None else options.frame
    image = resample_dataset(
        home.parent,
        session,
        dataset,
        frame,
        like=like,
        scale=options.pixel,
        box=_box(options.box),
        interpolation=options.interpolation,
        fill=options.fill,
    )
    path = _written(image, options)
    print(f"{path}: {dataset.name} in {frame}")
    for line in _lines(session, dataset, frame, image):
        print(f"    {line}")
    return 0


def transform(options: argparse.Namespace) -> int:
    """Write maps between frames; status 1 where some could not be."""
    from napari_clxem.io.exchange import NamedTransform, write_matrix, write_ngff
    from napari_clxem.session import load
    from napari_clxem.session.geometry import graph
    from napari_clxem.session.resampling import affine_between

    session = load(options.session)
    linked = graph(session)
    if options.to not in linked.frames:
        raise SessionError(
            f"There is no frame {options.to!r}; there are {', '.join(linked.frames) or 'none'}."
        )
    reached = linked.reachable(options.to)
    wanted = options.of or [f for f in linked.frames if f in reached and f != options.to]
    maps, left = [], []
    for frame in wanted:
        try:
            affine, route = affine_between(session, frame, options.to)
        except SessionError as error:
            if options.of:
                raise
            left.append(str(error))
            continue
        maps.append(NamedTransform(frame, options.to, affine))
        print(" → ".join(route.frames))
    if not maps:
        raise SessionError(f"No affine map leads to {options.to!r}; link a frame with it.")
    path = Path(options.out)
    if path.suffix == ".json":
        write_ngff(maps, path)
    elif path.suffix == ".txt" and len(maps) == 1:
        write_matrix(maps[0], path)
    else:
        raise SessionError(
            f"{path.name} cannot hold {len(maps)} maps; name one frame with --of and a .txt, or "
            "write a .json."
        )
    listed("Not written", left)
    return 1 if left else 0


def orient(options: argparse.Namespace) -> int:
    """Print the orientation of an image; change it, and save, where one is given."""
    from napari_clxem.io import Orientation
    from napari_clxem.session import Store, edits, load, recoverable

    home = Path(options.session).expanduser().absolute()
    dataset = found_dataset(load(home), options.image)
    if options.axes is None and options.flip is None:
        print(f"{dataset.name}: {_turned(dataset.orientation)}")
        return 0
    if recoverable(home) is not None:
        raise SessionError(
            f"{home.name} has steps that were not saved; open it in napari and save or discard "
            "them first."
        )
    now = dataset.orientation
    wanted = Orientation(
        axes=now.axes if options.axes is None else tuple(options.axes),
        flip=now.flip if options.flip is None else tuple(options.flip),
    )
    store = Store(path=home)
    try:
        store.commit(
            lambda session: edits.set_orientation(session, dataset.id, wanted), "Turn the image"
        )
        store.save()
        turned = edits.get(store.session, type(dataset), dataset.id)
    finally:
        store.close(discard=True)
    print(f"{turned.name}: {_turned(turned.orientation)}")
    shape = " x ".join(map(str, turned.shape))
    print(f"    {shape} pixels ({', '.join(turned.axes)}); landmarks and targets went along")
    return 0


def _turned(orientation: Orientation) -> str:
    axes = ", ".join(orientation.axes) or "as they are found"
    flip = ", ".join(orientation.flip) or "none"
    return f"stored axes {axes}; reversed {flip}"


def found_dataset(session: Session, name: str) -> Dataset:
    """Find an image by its id, name or frame.

    Raises
    ------
    SessionError
        Where none or several are called so.
    """
    for key in ("id", "name", "frame"):
        found = [one for one in session.datasets if getattr(one, key) == name]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(one.id for one in found)
            raise SessionError(f"{name!r} may be {ids}; give the id of one.")
    names = ", ".join(one.name for one in session.datasets)
    raise SessionError(f"There is no image {name!r}; there are {names or 'none'}.")


def _box(values: list[float] | None) -> tuple[list[float], list[float]] | None:
    if values is None:
        return None
    if len(values) not in (4, 6):
        raise SessionError("A box has 4 numbers, y x y x, or 6, z y x z y x: two corners in µm.")
    return values[: len(values) // 2], values[len(values) // 2 :]


def _written(image: OpenedImage, options: argparse.Namespace) -> Path:
    from napari_clxem.io import write_ome_tiff, write_ome_zarr

    said: dict[str, Any] = {"overwrite": options.overwrite, "progress": Progress()}
    name = options.out.lower().rstrip("/\\")
    if name.endswith(".zarr"):
        return write_ome_zarr(image, options.out, version=options.version, **said)
    if name.endswith((".tif", ".tiff")):
        return write_ome_tiff(image, options.out, **said)
    raise SessionError(f"{options.out} ends neither in .ome.zarr nor in .ome.tif; name it so.")


def _lines(session: Session, dataset: Dataset, frame: str, image: OpenedImage) -> list[str]:
    from napari_clxem.session.resampling import way_to
    from napari_clxem.session.summary import nanometres

    placed = image.meta["placed"]
    axes = ", ".join(placed["axes"])
    shape = image.data.shape[-len(placed["origin"]) :]
    lines = [
        f"{' x '.join(map(str, shape))} pixels ({axes}) of "
        f"{' x '.join(f'{step:.4g}' for step in image.scale or ())} µm",
        f"first pixel at ({', '.join(f'{value:.3f}' for value in placed['origin'])}) µm",
    ]
    _, route = way_to(session, dataset, frame)
    if route.steps:
        extent = np.array(placed["source_shape"]) - 1
        middle = (extent * placed["source_scale"] / 2)[np.newaxis, -route.start.ndim :]
        if middle.shape[1] < route.start.ndim:
            middle = np.column_stack([np.zeros((1, 1)), middle])
        plane = route.predict_error(middle)[0][-2:, -2:]
        lines.append(
            f"by {' → '.join(route.frames)}, ± {nanometres(float(np.sqrt(np.trace(plane))))} in "
            "the plane at its middle"
        )
    return lines
