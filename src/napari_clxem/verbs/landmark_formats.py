"""Landmarks of a link in the formats of other programs, each side in the pixels of its image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_clxem.errors import ReadError, WriteError
from napari_clxem.io import exchange
from napari_clxem.io.exchange import NamedPoint, Pixels, PointPair
from napari_clxem.session.geometry import complete
from napari_clxem.session.model import Landmark, Link, Session, Vector
from napari_clxem.verbs.image_places import image_of, pixels_of, stage_of_image

Written = tuple[list[Path], list[str]]


@dataclass(frozen=True)
class Format:
    """How a program keeps the points of one image.

    Attributes
    ----------
    write, read : callable
        Take (points, path, session, frame), and (path, session, frame).
    named : bool
        Whether points keep their names, by which landmarks are known again.
    """

    write: Callable[[Sequence[NamedPoint], Path, Session, str], None]
    read: Callable[[Path, Session, str], Sequence[NamedPoint]]
    named: bool = False


def write(session: Session, link: Link, path: Path, name: str) -> Written:
    """Write the landmarks of a link; gives the files, and what they do not hold.

    Raises
    ------
    ClxemError
        Where the format cannot hold them, or a pixel size is not known.
    """
    if name == "csv":
        from napari_clxem.session.landmarks import write_landmarks

        write_landmarks(link.landmarks, path)
        out = [one.id for one in link.landmarks if not one.use]
        return [path], [f"That they are not used is lost of {', '.join(out)}."] if out else []
    if name == "bigwarp":
        pairs = [PointPair(one.id, one.moving, one.fixed, one.use) for one in link.landmarks]
        exchange.write_bigwarp(pairs, path)
        return [path], ["Standard deviations are not in the file."]
    marks = complete(link.landmarks)
    notes = ["Standard deviations are not in the files."]
    if len(marks) < len(link.landmarks):
        notes.append(
            f"{len(link.landmarks) - len(marks)} landmarks, half-picked or not used, are left out."
        )
    if not marks:
        raise WriteError(f"Link {link.id} has no landmark that is used and picked on both sides.")
    if name == "openfibsem":
        return [_write_correlation(session, link, marks, path)], notes
    files = []
    for side in ("moving", "fixed"):
        points = [NamedPoint(one.id, getattr(one, side)) for one in marks]
        file = side_file(path, side)
        format_for(name, path).write(points, file, session, getattr(link, side))
        files.append(file)
    if not format_for(name, path).named:
        notes.append("Names are not in the files: their order pairs them.")
    return files, notes


def read(session: Session, link: Link, path: Path, name: str) -> tuple[Landmark, ...]:
    """Read landmarks for a link, of origin ``"file"``.

    Raises
    ------
    ClxemError
        Where a file is missing or not of the format, or both sides have different points.
    """
    if name == "csv":
        from napari_clxem.session.landmarks import read_landmarks

        return _single(read_landmarks(path), path)
    if name == "bigwarp":
        return _single((_landmark(one) for one in exchange.read_bigwarp(path)), path)
    if name == "openfibsem":
        return _read_correlation(session, link, path)
    one = format_for(name, path)
    moving, fixed = (
        one.read(side_file(path, side), session, getattr(link, side))
        for side in ("moving", "fixed")
    )
    if len(moving) != len(fixed):
        raise ReadError(
            f"{side_file(path, 'moving').name} has {len(moving)} points, "
            f"{side_file(path, 'fixed').name} {len(fixed)}; they are paired by their order."
        )
    if one.named and [p.name for p in moving] != [p.name for p in fixed]:
        raise ReadError(f"The points of {path.name} have other names, or another order, by side.")
    pairs = _paired(moving, fixed, path)
    if one.named:
        pairs = [replace(pair, name=p.name) for pair, p in zip(pairs, moving, strict=True)]
    return _single((_landmark(pair) for pair in pairs), path)


def side_file(path: Path, side: str) -> Path:
    """Name the file of one side: ``beads.txt`` becomes ``beads-moving.txt``."""
    return path.with_name(f"{path.stem}-{side}{path.suffix}")


def format_for(name: str, path: Path) -> Format:
    """Give the format of this name; eC-CLEM has two, told apart by the file's ending."""
    if name == "ec-clem" and path.suffix.lower() == ".xml":
        return _ICY
    return _FORMATS[name]


def names_of(links: Iterable[Link]) -> str:
    """Name links by their ids."""
    return ", ".join(link.id for link in links)


def _paired(
    moving: Sequence[NamedPoint], fixed: Sequence[NamedPoint], path: Path
) -> list[PointPair]:
    """Pair points by their order, named after the file."""
    return [
        PointPair(f"{path.stem}-{number}", one.position, other.position)
        for number, (one, other) in enumerate(zip(moving, fixed, strict=True), start=1)
    ]


def _landmark(pair: PointPair) -> Landmark:
    return Landmark(id=pair.name, moving=pair.moving, fixed=pair.fixed, use=pair.use, origin="file")


def _single(marks: Iterable[Landmark], path: Path) -> tuple[Landmark, ...]:
    """Refuse a file in which a name stands twice, or nowhere."""
    found = tuple(marks)
    names = [one.id for one in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None or "" in names:
        what = "no name" if not twice else f"the name {twice!r} twice"
        raise ReadError(f"{path.name} has {what}; give each landmark its own.")
    return found


def _write_correlation(session: Session, link: Link, marks: Sequence[Landmark], path: Path) -> Path:
    view, stack = _view_and_volume(session, link)
    frame = getattr(link, stack)
    correlation = exchange.Correlation(
        fib=tuple(NamedPoint(one.id, getattr(one, view)) for one in marks),
        volume=tuple(NamedPoint(one.id, getattr(one, stack)) for one in marks),
        targets=tuple(
            NamedPoint(t.name or t.id, t.position) for t in session.targets if t.frame == frame
        ),
    )
    exchange.write_correlation(
        correlation, path, _pixels(session, getattr(link, view)), _pixels(session, frame)
    )
    return path


def _read_correlation(session: Session, link: Link, path: Path) -> tuple[Landmark, ...]:
    view, stack = _view_and_volume(session, link)
    found = exchange.read_correlation(
        path, *(_pixels(session, getattr(link, side)) for side in (view, stack))
    )
    if [one.name for one in found.fib] != [one.name for one in found.volume]:
        raise ReadError(
            f"{path.name} has {len(found.fib)} points in the FIB image and {len(found.volume)} in "
            "the volume, or other numbers; each pair shares its idx."
        )
    sides = {view: found.fib, stack: found.volume}
    return _single(map(_landmark, _paired(sides["moving"], sides["fixed"], path)), path)


def _view_and_volume(session: Session, link: Link) -> tuple[str, str]:
    axes = {frame.name: frame.ndim for frame in session.frames}
    if (axes[link.moving], axes[link.fixed]) == (3, 2):
        return "fixed", "moving"
    if (axes[link.moving], axes[link.fixed]) == (2, 3):
        return "moving", "fixed"
    raise WriteError(
        f"OpenFIBSEM correlates a volume with a FIB image; {link.moving} and {link.fixed} are "
        f"{axes[link.moving]}D and {axes[link.fixed]}D."
    )


def _pixels(session: Session, frame: str) -> Pixels:
    return pixels_of(image_of(session, frame))


def _deep(pixels: Pixels) -> Pixels:
    """Take an image as a volume of one slice, as IMOD does."""
    if len(pixels.spacing) == 3:
        return pixels
    return Pixels((1.0, *pixels.spacing), (1, *(pixels.shape or ())))


def _write_imod(points: Sequence[NamedPoint], path: Path, session: Session, frame: str) -> None:
    pixels = _pixels(session, frame)
    places = np.array([one.position for one in points], dtype=float)
    if len(pixels.spacing) == 2:
        places = np.column_stack([np.zeros(len(places)), places[:, -2:]])
    made = exchange.ModelObject("landmarks", tuple(place[np.newaxis] for place in places))
    exchange.write_model([made], path, _deep(pixels))


def _read_imod(path: Path, session: Session, frame: str) -> list[NamedPoint]:
    pixels = _pixels(session, frame)
    ndim = len(pixels.spacing)
    places = [
        place
        for one in exchange.read_model(path, _deep(pixels))
        for contour in one.contours
        for place in contour
    ]
    return [NamedPoint(str(i), _vector(place[-ndim:])) for i, place in enumerate(places, start=1)]


def _write_odemis(points: Sequence[NamedPoint], path: Path, session: Session, frame: str) -> None:
    _need_plane(session, frame)
    stage = stage_of_image(image_of(session, frame))
    places = stage.of(np.array([one.position for one in points], dtype=float))
    exchange.write_features(
        [exchange.Feature(one.name, place) for one, place in zip(points, places, strict=True)],
        path,
    )


def _read_odemis(path: Path, session: Session, frame: str) -> list[NamedPoint]:
    _need_plane(session, frame)
    stage = stage_of_image(image_of(session, frame))
    found = exchange.read_features(path)
    places = stage.back(np.array([one.position for one in found], dtype=float).reshape(-1, 3))
    return [NamedPoint(one.name, _vector(p)) for one, p in zip(found, places, strict=True)]


def _need_plane(session: Session, frame: str) -> None:
    if next(one.ndim for one in session.frames if one.name == frame) == 3:
        raise WriteError(
            f"Odemis has features on a stage, not in a volume such as {frame}; choose another "
            "format for its landmarks."
        )


def _vector(values: Iterable[float]) -> Vector:
    return tuple(float(value) for value in values)


_ICY = Format(
    lambda points, path, session, frame: exchange.write_ec_clem_xml(
        points, path, _pixels(session, frame), image_of(session, frame).name
    ),
    lambda path, session, frame: exchange.read_ec_clem_xml(path, _pixels(session, frame)),
    named=True,
)
_FORMATS = {
    "3dct": Format(
        lambda points, path, session, frame: exchange.write_tdct_points(
            points, path, _pixels(session, frame)
        ),
        lambda path, session, frame: exchange.read_tdct_points(path, _pixels(session, frame)),
    ),
    "ec-clem": Format(
        lambda points, path, _session, _frame: exchange.write_ec_clem_csv(points, path),
        lambda path, _session, _frame: exchange.read_ec_clem_csv(path),
    ),
    "imod": Format(_write_imod, _read_imod),
    "odemis": Format(_write_odemis, _read_odemis, named=True),
}
LANDMARK_FORMATS = (*_FORMATS, "bigwarp", "csv", "openfibsem")
