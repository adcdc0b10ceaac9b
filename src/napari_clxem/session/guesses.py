"""What an image is, and which site it shows, guessed from its header and its name, with the reason.

A guess is shown to the user, who may change it; nothing is built on it unseen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from napari_clxem.io.image import OpenedImage

MODALITIES = ("fluorescence", "confocal", "vlm", "sxt", "sem", "fib", "tem")

# Words by which files and folders are called; the first that is found decides.
_WORDS = (
    ("vlm", r"vlm|visible light|in ?line"),
    ("sxt", r"sxt|txm|(?:soft )?x ?rays?|mistral|nxtomo"),
    ("confocal", r"confocal|airyscan|spinning disk|stellaris"),
    ("fluorescence", r"fluorescence|fluo|flm|widefield|light microscope|lm"),
    ("fib", r"fib|ion|ion beam"),
    ("sem", r"sem|scanning electron"),
    ("tem", r"tem|lamella map|cryo ?et|tilt series"),
)
# Formats of one instrument only.
_FORMATS = (("sxt", "xrm"), ("sxt", "txrm"), ("sxt", "nxtomo"), ("sxt", "alba"))
_LIGHT = ("confocal", "fluorescence")
_WHOLE_GRID = re.compile(r"\b(map|mosaic|overview|atlas|montage|grid|full|tiles)\d*\b")
_SITE = re.compile(
    r"\b(site|cell|square|roi|region|pos|position|lamella|lam|stack|tomo|tomogram|fov|field)"
    r" ?(\d+|[a-z]\d*)\b"
)
# A transmission microscope starts here, a scanning one ends below it, kV.
_TRANSMISSION_KV = 60.0


@dataclass(frozen=True)
class Guess:
    """A value and what it rests on; an empty value where nothing tells."""

    value: str
    reason: str


def guess_modality(image: OpenedImage, path: PurePath) -> Guess:
    """Guess what took an image: its header first, then the names of file and folders.

    Parameters
    ----------
    image : OpenedImage
        The image.
    path : PurePath
        Its file, from the folder that is being looked through.
    """
    for found in (_by_header(image.meta, image), _by_text(image.meta), _by_name(path)):
        if found is not None:
            return _with_depth(found, image.ndim_spatial)
    if len(image.channels) > 1 or any(one.wavelength for one in image.channels):
        return _with_depth(Guess("confocal", "it has light channels"), image.ndim_spatial)
    return Guess("", "neither its header nor its name tells")


def guess_site(path: PurePath) -> Guess:
    """Guess the site that a file shows from its name: ``stack-A``, ``cell 3``, ``lamella_02``.

    An empty value stands for the grid as a whole.

    Parameters
    ----------
    path : PurePath
        The file, from the folder that is being looked through.
    """
    stem = _words(path.name.split(".")[0])
    folders = [_words(part) for part in reversed(path.parts[:-1])]
    if found := _SITE.search(stem):
        return Guess(_site_name(found), f"its name says “{found[0]}”")
    if found := _WHOLE_GRID.search(stem):
        whole = found[1]
        for folder in folders:
            if found := _SITE.search(folder):
                return Guess(_site_name(found), f"its folder says “{found[0]}”")
        return Guess("", f"its name says “{whole}”")
    for folder in folders:
        if found := _SITE.search(folder):
            return Guess(_site_name(found), f"its folder says “{found[0]}”")
    return Guess("", "its name has no site")


def _by_header(meta: Mapping[str, Any], image: OpenedImage) -> Guess | None:
    beam = str(meta.get("beam", "")).lower()
    if beam.startswith("ion"):
        return Guess("fib", "its header says ion beam")
    if beam.startswith("electron"):
        return Guess("sem", "its header says electron beam")
    kind = str(meta.get("format", "")).lower()
    for modality, part in _FORMATS:
        if part in kind:
            return Guess(modality, f"its format is {meta['format']}")
    voltage = _voltage(meta)
    if voltage is not None and voltage >= _TRANSMISSION_KV:
        return Guess("tem", f"its header says {voltage:g} kV")
    if image.stage is not None and image.stage.convention == "serialem":
        return Guess("tem", "its stage is SerialEM’s")
    return None


def _voltage(meta: Mapping[str, Any]) -> float | None:
    mdoc = meta.get("mdoc")
    found = meta.get("voltage_kv", mdoc.get("Voltage") if isinstance(mdoc, Mapping) else None)
    return float(found) if isinstance(found, int | float) else None


def _by_text(meta: Mapping[str, Any]) -> Guess | None:
    said = [meta.get(name) for name in ("description", "Info", "system", "titles", "labels")]
    for modality, word in _found(_flat(said)):
        return Guess(modality, f"its header says “{word}”")
    return None


def _by_name(path: PurePath) -> Guess | None:
    for number, part in enumerate(reversed(path.parts)):
        for modality, word in _found([part]):
            return Guess(modality, f"its {'folder' if number else 'name'} says “{word}”")
    return None


def _found(texts: Iterable[str]) -> Iterable[tuple[str, str]]:
    said = " · ".join(_words(text) for text in texts).replace("fib sem", "")
    for modality, pattern in _WORDS:
        if found := re.search(rf"\b(?:{pattern})\b", said):
            yield modality, found[0]


def _flat(values: Iterable[Any]) -> list[str]:
    found: list[str] = []
    for value in values:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += [str(one) for one in value]
    return found


def _with_depth(found: Guess, ndim: int) -> Guess:
    """Tell a stack from a map of the light microscope."""
    if found.value not in _LIGHT:
        return found
    deep = ndim == 3
    what = "a stack" if deep else "a plane"
    return Guess("confocal" if deep else "fluorescence", f"{found.reason}, and it is {what}")


def _site_name(found: re.Match[str]) -> str:
    name = found[2].upper()
    return str(int(name)) if name.isdigit() else name


def _words(text: str) -> str:
    """Write a name as lower-case words: ``SXT_TomoCell-03`` is ``sxt tomo cell 03``."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", " ", text)
    return re.sub(r"[^a-z0-9]+", " ", apart.lower()).strip()
