"""What lies beside an MRC file: its .mdoc, and the Navigator files that name it as a map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from napari_clxem.errors import ReadError
from napari_clxem.io.image import StagePosition
from napari_clxem.io.pixel_size import is_usable
from napari_clxem.io.readers.autodoc import Autodoc, Section, plain, read_autodoc
from napari_clxem.io.readers.navigator import Navigator, NavItem, base_name, read_navigator
from napari_clxem.io.stored import Stored
from napari_clxem.units import length_factor

# Relative difference of two pixel sizes that is worth a word.
DISAGREEMENT = 0.01


@dataclass(frozen=True)
class Company:
    """The texts that describe an MRC file.

    `sections` are those of its mdoc, `maps` the Navigator items by section of the file; `notes`
    say what was wrong with them.
    """

    mdoc: Autodoc | None = None
    sections: tuple[Section, ...] = ()
    maps: tuple[tuple[int, NavItem], ...] = ()
    notes: tuple[str, ...] = ()
    count: int = 1

    @property
    def found(self) -> bool:
        """Whether SerialEM says anything about the file."""
        return self.mdoc is not None or bool(self.maps)

    @property
    def describes_sections(self) -> bool:
        """Whether each section has an entry of its own, so that they are images."""
        return self.count > 1 and (len(self.sections) == self.count or self.sections_are_maps)

    @property
    def sections_are_maps(self) -> bool:
        """Whether the sections are maps, not pieces of a montage."""
        return bool(self.maps) and not any(item.montage for _, item in self.maps)

    @property
    def pixel(self) -> dict[str, float | None]:
        """Pixel size of the mdoc, µm; empty where it has none."""
        size = self.spacing(None)
        return {"y": size, "x": size} if size is not None else {}

    def spacing(self, section: int | None) -> float | None:
        """PixelSpacing of a section or of the file, µm."""
        places = [] if self.mdoc is None else [self.mdoc.head]
        if section is not None and section < len(self.sections):
            places.insert(0, self.sections[section])
        elif self.sections:
            places.append(self.sections[0])
        for place in places:
            value = place.number("PixelSpacing")
            if value is not None and value > 0:
                return value * length_factor("angstrom")
        return None

    @property
    def meta(self) -> dict[str, Any]:
        """Everything said about the file, as plain values."""
        if self.mdoc is None:
            return {}
        tilts = [section.number("TiltAngle") for section in self.sections]
        # SerialEM writes 0 where it does not know the dose.
        doses = [section.number("ExposureDose") or None for section in self.sections]
        found: dict[str, Any] = {
            "mdoc": plain(self.mdoc.head),
            "titles": [s.name for s in self.mdoc.of("T")],
            "sections": [plain(section) for section in self.sections],
            "tilt_angles": tilts if any(t is not None for t in tilts) else [],
            "exposure_doses": doses if any(d is not None for d in doses) else [],
            "dates": [s.text("DateTime") for s in self.sections if s.text("DateTime")],
        }
        return {key: value for key, value in found.items() if value}


def company(path: Path, shape: tuple[int, int, int]) -> Company:
    """Read the texts beside an MRC file; a faulty one becomes a note, never an error.

    Parameters
    ----------
    path : Path
        The MRC file.
    shape : tuple of int
        Its (sections, rows, columns).
    """
    notes: list[str] = []
    mdoc = _mdoc(path, shape, notes)
    sections = () if mdoc is None else mdoc.of("ZValue")
    maps = _maps(path, shape[0], notes)
    return Company(mdoc, sections, maps, tuple(notes), shape[0])


def _mdoc(path: Path, shape: tuple[int, int, int], notes: list[str]) -> Autodoc | None:
    for place in (path.with_name(f"{path.name}.mdoc"), path.with_suffix(".mdoc")):
        if not place.is_file():
            continue
        try:
            found = read_autodoc(place)
        except ReadError as error:
            notes.append(f"Its mdoc was left aside: {error}")
            continue
        named = base_name(found.head.text("ImageFile"))
        if place.name != f"{path.name}.mdoc" and named and named != path.name:
            continue
        size = found.head.numbers("ImageSize", 2)
        if size and (int(size[0]), int(size[1])) != (shape[2], shape[1]):
            notes.append(
                f"{place.name} describes images of {size[0]:g} x {size[1]:g} pixels, not "
                f"{shape[2]} x {shape[1]}, and was left aside."
            )
            continue
        return found
    return None


def _maps(path: Path, count: int, notes: list[str]) -> tuple[tuple[int, NavItem], ...]:
    """Find the maps of a file in the Navigator files of its folder, the latest file first."""
    found: dict[int, NavItem] = {}
    for place in _navigators(path.absolute().parent):
        try:
            status = place.stat()
            items = _navigator(place, status.st_mtime_ns, status.st_size).maps_of(path.name)
        except ReadError as error:
            notes.append(f"{place.name} was left aside: {error}")
            continue
        for item in items:
            if not 0 <= item.section < count:
                continue
            known = found.setdefault(item.section, item)
            if known is not item and not _same_place(known, item):
                notes.append(
                    f"Map {item.label!r} of {place.name} places section {item.section} elsewhere "
                    f"than map {known.label!r}, which is used."
                )
    return tuple(sorted(found.items()))


@lru_cache(maxsize=4)
def _navigator(path: Path, changed: int, size: int) -> Navigator:  # noqa: ARG001
    """Read a Navigator file once for all the maps of its folder, until it changes."""
    return read_navigator(path)


def _navigators(folder: Path) -> Sequence[Path]:
    files = [p for p in folder.iterdir() if p.suffix.lower() == ".nav" and p.is_file()]
    return sorted(files, key=lambda p: (-p.stat().st_mtime_ns, p.name))


def _same_place(a: NavItem, b: NavItem) -> bool:
    return a.scale_matrix == b.scale_matrix and a.stage[1:] == b.stage[1:]


def placed(image: Stored, about: Company, section: int | None) -> Stored:
    """Add stage position, and where a map says so pixel size and place on the stage.

    MapScaleMat counts for placing: it was measured on the stage, PixelSpacing was not.

    Parameters
    ----------
    image : Stored
        The file or one of its sections.
    about : Company
        What lies beside it.
    section : int or None
        Which section it is; None for a whole stack.
    """
    item = None if section is None else dict(about.maps).get(section)
    image = replace(
        image,
        stage=_stage(about, section, item),
        missing=image.missing + _doubts(image, about, section, item),
    )
    return _on_stage(image, item)


def placed_montage(image: Stored, about: Company, section: int) -> Stored:
    """Add to a joined montage what its map and its MontSection say; see :func:`placed`.

    Parameters
    ----------
    image : Stored
        The montage.
    about : Company
        What lies beside its file.
    section : int
        Which montage of the file it is.
    """
    item = dict(about.maps).get(section)
    whole = () if about.mdoc is None else about.mdoc.of("MontSection")
    described = replace(about, sections=whole)
    image = replace(
        image,
        stage=_stage(described, section, item),
        missing=image.missing + _doubts(image, described, section, item),
    )
    return _on_stage(image, item)


def _on_stage(image: Stored, item: NavItem | None) -> Stored:
    """Lay an image on the stage as its map says."""
    if item is None:
        return image
    rows, columns = image.levels[0].shape[-2:]
    to_stage = item.pixel_to_stage(rows, columns)
    meta = {**image.meta, "map": {"label": item.label, **plain(item.section_text)}}
    if to_stage is None:
        note = f"Map {item.label!r} does not say how its pixels lie on the stage."
        return replace(image, meta=meta, missing=(*image.missing, note))
    if "y" in image.flip:
        turn = ((-1.0, 0.0, rows - 1.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
        to_stage = to_stage @ turn
    size = _map_pixel(item, columns)
    return replace(
        image,
        pixel={"y": size, "x": size},
        to_stage=tuple(tuple(float(v) for v in row) for row in to_stage),
        meta=meta,
    )


def _map_pixel(item: NavItem, columns: int) -> float | None:
    if item.pixel_size is None or item.size is None:
        return None
    return item.pixel_size * item.size[0] / columns


def _stage(about: Company, section: int | None, item: NavItem | None) -> StagePosition | None:
    """Stage of a map, or of a section; of a tilt series that of the least tilted image."""
    if item is not None:
        return StagePosition(item.stage, tilt=item.tilt, convention="serialem")
    sections = about.sections
    if not sections:
        return None
    if section is None:
        chosen = min(sections, key=lambda s: abs(s.number("TiltAngle") or 0.0))
    elif section < len(sections):
        chosen = sections[section]
    else:
        return None
    place = chosen.numbers("StagePosition", 2)
    if not place:
        return None
    z = chosen.number("StageZ")
    return StagePosition(
        (math.nan if z is None else z, place[1], place[0]),
        tilt=chosen.number("TiltAngle") if section is not None else None,
        convention="serialem",
    )


def _doubts(
    image: Stored, about: Company, section: int | None, item: NavItem | None
) -> tuple[str, ...]:
    """Compare the pixel sizes of header, mdoc and map, and speak of pieces not joined."""
    notes = []
    header, mdoc = image.pixel.get("x"), about.spacing(section)
    if is_usable(header) and is_usable(mdoc) and _differ(header, mdoc):
        notes.append(_versus("the header", header, "the mdoc", mdoc, "the header"))
    if item is not None:
        size = _map_pixel(item, image.levels[0].shape[-1])
        other = header if is_usable(header) else mdoc
        if is_usable(size) and is_usable(other) and _differ(size, other):
            notes.append(_versus("MapScaleMat", size, "PixelSpacing", other, "MapScaleMat"))
    if any(s.text("PieceCoordinates") for s in about.sections) and section is None:
        notes.append("It is a montage, shown as a series of its pieces; they are not joined.")
    return tuple(notes)


def _differ(a: float | None, b: float | None) -> bool:
    return a is not None and b is not None and abs(a / b - 1) > DISAGREEMENT


def _versus(first: str, a: float | None, second: str, b: float | None, used: str) -> str:
    values = [0.0 if value is None else value * 1e4 for value in (a, b)]
    return (
        f"Pixel size {values[0]:.4g} Å of {first} and {values[1]:.4g} Å of {second} disagree; "
        f"that of {used} is used."
    )
