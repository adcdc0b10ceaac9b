"""Every site in pictures: each of its images around the first target."""

from __future__ import annotations

import numpy as np

from napari_clxem.errors import ClxemError
from napari_clxem.report.crops import Crop, crop
from napari_clxem.report.drawing import Drawing
from napari_clxem.report.head import STATUS
from napari_clxem.report.markup import (
    Html,
    element,
    figure,
    heading,
    joined,
    listed,
    missing,
    section,
)
from napari_clxem.report.subject import Subject, label_of, name_of
from napari_clxem.report.words import length
from napari_clxem.session.geometry import Place, place
from napari_clxem.session.model import Dataset, Site, Target

TITLE = "Sites in pictures"
# Half the side of every picture, µm, at least, and in units of the largest 95 % radius.
HALF, RADII = 3.0, 1.6
# Fewer pixels than this across show nothing.
PIXELS = 60
LARGEST = 60.0


def pictures(subject: Subject) -> Html:
    """Draw the images of every site around its first target."""
    parts = [_site(subject, one) for one in subject.session.sites]
    if not parts:
        parts = [missing("The session has no site, so none is pictured.")]
    if subject.targets(None):
        parts.append(
            _around(subject, heading("Targets of no site"), None, subject.targets(None)[0])
        )
    return section("pictures", TITLE, *parts)


def _site(subject: Subject, site: Site) -> Html:
    title = heading(f"Site {label_of(site)} · {STATUS[site.status]} {site.status}")
    targets = subject.targets(site)
    if not targets:
        return joined(title, missing(f"Site {label_of(site)} has no target to be pictured around."))
    return _around(subject, title, site, targets[0])


def _around(subject: Subject, title: Html, site: Site | None, first: Target) -> Html:
    """Draw the images of a site, and those of the grid, around a target."""
    images = (
        [*subject.datasets(site), *subject.datasets(None)]
        if site
        else [
            one for one in subject.session.datasets if one.site is None or one.frame == first.frame
        ]
    )
    placed = [(one, place(subject.session, first, one.frame)) for one in images if one.frame]
    half = half_side([found for one, found in placed if found and (one.site or site is None)])
    drawn: list[Html] = []
    said: list[str] = []
    for dataset, found in placed:
        subject.step(f"drawing {name_of(dataset)} at {label_of(first)}")
        picture = _picture(subject, dataset, first, found, half)
        if isinstance(picture, Html):
            drawn.append(picture)
        else:
            said.append(picture)
    row = element("div", joined(*drawn), class_="pictures") if drawn else ""
    lost = listed((joined("▢", one, between=" ") for one in said), "missing")
    return element("div", joined(title, row, lost), class_="site")


def half_side(found: list[Place]) -> float:
    """Choose half the side of the pictures of a site, so that the ellipses fit, µm."""
    radii = [one.radius for one in found if np.isfinite(one.radius)]
    return float(min(max([HALF, *(RADII * one for one in radii)]), LARGEST))


def _picture(
    subject: Subject, dataset: Dataset, target: Target, found: Place | None, half: float
) -> Html | str:
    """Draw one image about a target, or say why not."""
    name = name_of(dataset)
    if found is None:
        return f"{name}: no links lead there from {target.frame}."
    image = subject.image(dataset)
    if isinstance(image, str):
        return image
    centre = np.array(found.position[-2:])
    wide = RADII * found.radius if np.isfinite(found.radius) else 0.0
    side = float(min(max(half, wide, PIXELS / 2 * (image.scale or (0.0,))[-1]), LARGEST))
    z = found.position[0] if len(found.position) == 3 else None
    try:
        piece = crop(image, name, centre, side, z)
    except ClxemError as error:
        return f"{name} is not shown: {error}"
    if piece is None:
        return f"{name}: {label_of(target)} lies outside of it."
    return figure(
        _drawn(subject, dataset, target, centre, side, piece), _caption(dataset, found, piece)
    )


def _drawn(
    subject: Subject, dataset: Dataset, target: Target, centre: np.ndarray, half: float, piece: Crop
) -> Html:
    title = f"{name_of(dataset)} around {label_of(target)}"
    drawing = Drawing(centre - half, centre + half, title, text=62.0)
    drawing.ground("#d9d9d9")
    drawing.picture(piece)
    drawing.bar()
    near = []
    for one in subject.session.targets:
        if one.site not in (None, target.site):
            continue
        seen = place(subject.session, one, dataset.frame)
        if seen is None:
            continue
        spot = np.array(seen.position[-2:])
        if (np.abs(spot - centre) > half).any():
            continue
        drawing.ellipse(spot, np.array(seen.covariance)[-2:, -2:], seen.radius)
        drawing.cross(spot, arm=26.0)
        near.append((one, spot))
    for one, spot in near:
        drawing.label(spot, label_of(one), away=34.0)
    return drawing.svg()


def _caption(dataset: Dataset, found: Place, piece: Crop) -> Html:
    said: list[object] = [
        element("b", name_of(dataset)),
        f" ± {length(found.lateral)} (95 %: {length(found.radius)})",
    ]
    if piece.z is not None:
        said.append(f", z = {piece.z:.2f} µm")
    if piece.channels:
        signs = [
            element("span", class_="swatch", style=f"background:{c}") for _, c in piece.channels
        ]
        pairs = zip(signs, piece.channels, strict=True)
        names = (joined(sign, name, between=" ") for sign, (name, _) in pairs)
        said += ["; ", joined(*names, between=", ")]
    return joined(*said, between="")
