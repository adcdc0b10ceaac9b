"""TIFF files that say of themselves no more than baseline tags do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_clxem.errors import ReadError
from napari_clxem.io.image import Channel
from napari_clxem.io.readers.tiff_arrays import OpenTiff, level_arrays, planes_missing
from napari_clxem.io.readers.tiff_axes import Laid, laid
from napari_clxem.io.stored import Stored

if TYPE_CHECKING:
    from tifffile import TiffPage

_RGB = (Channel("red", "#ff0000"), Channel("green", "#00ff00"), Channel("blue", "#0000ff"))
# Dots per inch that programs write by default: they size a print, not a pixel.
_COARSE_DPI = (1, 72, 75, 90, 96, 100, 120, 144, 150, 180, 200, 220, 240, 250, 254)
_PRINT_DPI = (*_COARSE_DPI, 300, 330, 350, 360, 400, 600, 720, 1200, 2400)
_PHOTOMETRIC = {0: "inverted (0 is white)", 3: "numbers of colours in a table"}
# µm per unit of the ResolutionUnit tag
_UNITS = {2: 25400.0, 3: 10000.0}


def read(tiff: OpenTiff, *notes: str) -> tuple[Stored, ...]:
    """Give the images of a file; `notes` are sentences for each of them."""
    return tuple(stored_series(tiff, index, notes) for index in range(count(tiff)))


def count(tiff: OpenTiff) -> int:
    """Count the images; at least one."""
    if not tiff.series:
        raise ReadError(f"{tiff.path.name} holds no image that can be read; it seems damaged.")
    return len(tiff.series)


def stored_series(tiff: OpenTiff, index: int, notes: tuple[str, ...]) -> Stored:
    """Describe one series by its baseline tags."""
    series = tiff.series[index]
    page = series.keyframe
    found = laid(level_arrays(tiff, index), series.axes, tiff.path.name)
    pixel, note = tag_pixel_size(page)
    return Stored(
        levels=found.levels,
        axes=found.axes,
        pixel=pixel,
        pixel_note=note,
        channels=channels(found),
        name=image_name(tiff, index),
        meta={"format": "tiff", **tag_meta(page)},
        missing=(*notes, *faults(tiff, index, found)),
    )


def image_name(tiff: OpenTiff, index: int) -> str:
    """Name an image after its file, with its number where there are several."""
    stem = tiff.path.name
    for suffix in (".ome.tif", ".ome.tiff", ".tif", ".tiff", ".btf", ".ome.btf"):
        if stem.lower().endswith(suffix):
            stem = stem[: -len(suffix)]
            break
    return stem if len(tiff.series) == 1 else f"{stem} [{index}]"


def channels(found: Laid) -> tuple[Channel, ...]:
    """Name the channels of a file that does not: by colour if RGB, else by number."""
    if "c" not in found.axes:
        return (Channel(""),)
    size = found.levels[0].shape[found.axes.index("c")]
    if found.samples in (3, 4) and size == found.samples:
        return (*_RGB, Channel("alpha"))[:size]
    return tuple(Channel(f"channel {i}") for i in range(size))


def faults(tiff: OpenTiff, index: int, found: Laid) -> tuple[str, ...]:
    """Say what is missing in a series, each as a sentence."""
    sentences = []
    if found.unnamed:
        sentences.append(
            f"The file does not say what its {found.unnamed} pages are; they are taken as "
            f"{'sections (z)' if 'z' in found.axes else 'images'}."
        )
    kind = _PHOTOMETRIC.get(int(tiff.series[index].keyframe.photometric))
    if kind:
        sentences.append(f"Its pixels are {kind}; they are shown as they are stored.")
    gone = planes_missing(tiff.series[index])
    if gone:
        sentences.append(f"{gone} planes are not in the file and show as zeros.")
    sentences += [f"The file has a fault: {message}" for message in tiff.warnings[:5]]
    return tuple(sentences)


def tag_meta(page: TiffPage) -> dict[str, Any]:
    """Baseline tags that say where an image comes from."""
    tags = {"date": 306, "software": 305, "make": 271, "model": 272, "artist": 315}
    found = {key: page.tags.valueof(code) for key, code in tags.items()}
    return {key: value for key, value in found.items() if isinstance(value, str) and value}


def tag_pixel_size(page: TiffPage) -> tuple[dict[str, float | None], str]:
    """Read the resolution tags as pixel size in µm, or say why they are none.

    Pixels per inch or centimetre; TIFF 6.0, section 8.
    """
    unit = page.tags.valueof(296, 2)
    per_unit = {"y": ratio(page.tags.valueof(283)), "x": ratio(page.tags.valueof(282))}
    if unit not in _UNITS or None in per_unit.values():
        return {}, ""
    sizes = {axis: _UNITS[unit] / value for axis, value in per_unit.items() if value}
    if is_print_size(*sizes.values()):
        dots = round(25400.0 / sizes.get("x", sizes.get("y", 1.0)))
        return {}, (
            f"The file states {dots} dots per inch, a default for printing and no pixel size; "
            "give it in µm as scale."
        )
    return dict(sizes), ""


def ratio(value: Any) -> float | None:
    """Read a rational tag; None where it is absent or no positive number."""
    try:
        top, bottom = value
        return top / bottom if top > 0 and bottom > 0 else None
    except (TypeError, ValueError):
        return None


def is_print_size(*sizes: float | None) -> bool:
    """Tell whether a pixel size in µm is a resolution that programs write by default."""
    dots = [25400.0 / size for size in sizes if size is not None and size > 0]
    return any(abs(d / known - 1) < 2e-3 for d in dots for known in (*_PRINT_DPI, 2.54))
