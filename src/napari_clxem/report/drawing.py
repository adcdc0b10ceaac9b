"""Drawings to scale: SVG over an embedded picture, from places in µm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_clxem.frames.affine import Floats
from napari_clxem.report.crops import Crop
from napari_clxem.report.markup import Html, element, joined
from napari_clxem.report.png import address

# Width of every drawing in its own units: text and lines are sized in these.
WIDTH = 1000.0
_BARS = tuple(n * 10.0**power for power in range(-3, 5) for n in (1.0, 2.0, 5.0))
TARGET, ELLIPSE, SITE, LAMELLA, FIELD = "#ffe600", "#ffe600", "#ffffff", "#ff9d3b", "#7fd4ff"
_DARK = "#000000"


class Drawing:
    """A drawing of a part of a plane.

    Parameters
    ----------
    low, high : (2,) array
        Its corners (y, x), µm.
    title : str
        What it shows, for those who cannot see it.
    text : float
        Size of the text, in thousandths of the width.
    """

    def __init__(self, low: Floats, high: Floats, title: str, text: float = 22.0) -> None:
        self.low, self.high = np.asarray(low, float), np.asarray(high, float)
        self.title = title
        self.text = text
        # small pictures have large text, and lines to go with it
        self.weight = max(1.0, text / 26.0)
        size = np.maximum(self.high - self.low, 1e-9)
        self.scale = WIDTH / float(size[1])
        self.height = WIDTH * float(size[0] / size[1])
        self._parts: list[str] = []
        self._taken: list[tuple[float, float, float, float]] = []

    def at(self, place: Floats) -> tuple[float, float]:
        """Give (x, y) of a place (y, x) in the drawing's own units."""
        y, x = (np.asarray(place, float)[-2:] - self.low) * self.scale
        return float(x), float(y)

    def ground(self, colour: str = "#eeeeee") -> None:
        """Fill the ground, where no picture is known."""
        self._parts.append(f'<rect width="{WIDTH:g}" height="{self.height:.1f}" fill="{colour}"/>')

    def picture(self, crop: Crop, smooth: bool = True) -> None:
        """Lay a piece of an image down."""
        x, y = self.at(crop.low)
        wide, high = (crop.high - crop.low)[::-1] * self.scale
        style = "" if smooth else ' style="image-rendering:pixelated"'
        self._parts.append(
            f'<image x="{x:.2f}" y="{y:.2f}" width="{wide:.2f}" height="{high:.2f}" '
            f'preserveAspectRatio="none" href="{address(crop.picture)}"{style}/>'
        )

    def polygon(
        self,
        places: Floats,
        colour: str,
        dashes: Sequence[float] = (),
        width: float = 3.0,
        fill: float = 0.0,
        closed: bool = True,
    ) -> None:
        """Draw a line through places (n, 2), dark below so that it shows on any ground."""
        tag = "polygon" if closed else "polyline"
        width *= self.weight
        points = " ".join("{:.1f},{:.1f}".format(*self.at(one)) for one in places)
        under = f'<{tag} points="{points}" fill="none" stroke="{_DARK}" stroke-opacity="0.45"'
        dash = f' stroke-dasharray="{" ".join(f"{one:g}" for one in dashes)}"' if dashes else ""
        self._parts += [
            f'{under} stroke-width="{width + 2:g}"/>',
            f'<{tag} points="{points}" fill="{colour}" fill-opacity="{fill:g}" '
            f'stroke="{colour}" stroke-width="{width:g}"{dash}/>',
        ]

    def cross(self, place: Floats, colour: str = TARGET, arm: float = 12.0) -> None:
        """Mark a place."""
        x, y = self.at(place)
        path = f"M{x - arm:.1f} {y:.1f}h{2 * arm:g}M{x:.1f} {y - arm:.1f}v{2 * arm:g}"
        self._stroke(path, colour, 3.0 * self.weight)
        self._taken.append((x - arm, y - arm, x + arm, y + arm))

    def ellipse(
        self, place: Floats, covariance: Floats, radius: float, colour: str = ELLIPSE
    ) -> None:
        """Draw the region of a place whose longest half axis is known.

        Parameters
        ----------
        place : (2,) array
        covariance : (2, 2) array
            Of (y, x), µm²: gives shape and direction.
        radius : float
            Half the long axis, µm.
        """
        axes = half_axes(covariance, radius)
        if axes is None:
            return
        x, y = self.at(place)
        long, short, turn = axes
        where = (
            f'cx="0" cy="0" rx="{long * self.scale:.2f}" ry="{short * self.scale:.2f}" '
            f'transform="translate({x:.2f} {y:.2f}) rotate({turn:.2f})" fill="none"'
        )
        self._parts += [
            f'<ellipse {where} stroke="{_DARK}" stroke-opacity="0.6" '
            f'stroke-width="{4.5 * self.weight:g}"/>',
            f'<ellipse {where} stroke="{colour}" stroke-width="{2.5 * self.weight:g}"/>',
        ]

    def circle(self, place: Floats, radius: float, colour: str, dashes: Sequence[float]) -> None:
        """Draw a circle of a radius in µm."""
        around = np.linspace(0, 2 * np.pi, 73)[:-1]
        ring = np.stack([np.sin(around), np.cos(around)], axis=1)
        self.polygon(np.asarray(place)[-2:] + radius * ring, colour, dashes, 2.0)

    def label(self, place: Floats, words: str, colour: str = TARGET, away: float = 16.0) -> None:
        """Write beside a place, where nothing is written yet."""
        x, y = self.at(place)
        wide, high = 0.66 * self.text * len(words), self.text
        options = [
            (x + dx * away - (wide if dx < 0 else wide / 2 if dx == 0 else 0), y + dy * away + rise)
            for far in (1, 2, 3, 4)
            for dx, dy, rise in (
                *((far, -far, 0), (-far, -far, 0), (far, far, high), (-far, far, high)),
                *((0, -1.6 * far, 0), (0, 1.6 * far, high)),
            )
        ]
        boxes = [(left, base - high, left + wide, base) for left, base in options]
        box = min(boxes, key=lambda one: (self._clash(one), boxes.index(one)))
        self._taken.append(box)
        self._write(box[0], box[3] - 0.15 * high, words, colour, "start")

    def _clash(self, box: tuple[float, float, float, float]) -> float:
        """Tell how much of a box is taken, or off the drawing."""
        left, top, right, bottom = box
        off = max(0.0, -left) + max(0.0, -top)
        off += max(0.0, right - WIDTH) + max(0.0, bottom - self.height)
        found = 50.0 * off
        for a, b, c, d in self._taken:
            wide, high = min(right, c) - max(left, a), min(bottom, d) - max(top, b)
            if wide > 0 and high > 0:
                found += wide * high
        return found

    def bar(self) -> None:
        """Draw a scale bar of a round length, about a fifth of the width."""
        length = min(_BARS, key=lambda one: abs(np.log(one * self.scale / (0.22 * WIDTH))))
        long, size = length * self.scale, 1.15 * self.text
        words = f"{length:g} µm" if length >= 1 else f"{length * 1000:g} nm"
        x, y = 0.03 * WIDTH, self.height - 0.03 * WIDTH
        wide = max(long, 0.68 * size * len(words)) + 0.7 * size
        left, top = x - 0.35 * size, y - 1.75 * size
        self._taken.append((left, top, left + wide, top + 2.1 * size))
        self._parts.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{2.1 * size:.1f}" '
            f'fill="#000" fill-opacity="0.65"/>'
            f'<path d="M{x:.1f} {y:.1f}h{long:.2f}" stroke="#fff" stroke-width="6"/>'
            f'<text x="{x:.1f}" y="{y - 0.45 * size:.1f}" font-size="{size:g}" '
            f'fill="#fff">{Html(words)}</text>'
        )

    def _write(self, x: float, y: float, words: str, colour: str, anchor: str) -> None:
        place = f'x="{x:.1f}" y="{y:.1f}" font-size="{self.text:g}" text-anchor="{anchor}"'
        inside = element("tspan", words)
        self._parts += [
            f'<text {place} stroke="{_DARK}" stroke-width="{0.22 * self.text:.1f}" '
            f'stroke-linejoin="round" stroke-opacity="0.75">{inside}</text>',
            f'<text {place} fill="{colour}">{inside}</text>',
        ]

    def _stroke(self, path: str, colour: str, width: float) -> None:
        self._parts += [
            f'<path d="{path}" stroke="{_DARK}" stroke-opacity="0.6" '
            f'stroke-width="{width + 3:g}"/>',
            f'<path d="{path}" stroke="{colour}" stroke-width="{width:g}"/>',
        ]

    def svg(self) -> Html:
        """Give the drawing."""
        name = element("title", self.title)
        inside = joined(name, Html("".join(self._parts)), between="")
        return Html(
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" '
            f'viewBox="0 0 {WIDTH:g} {self.height:.1f}" font-family="Arial, sans-serif" '
            f'font-weight="bold" {_labelled(self.title)}>'
            # within one more, so that nothing is drawn beside it
            f'<svg width="{WIDTH:g}" height="{self.height:.1f}">{inside}</svg></svg>'
        )


def _labelled(title: str) -> str:
    from html import escape

    return f'aria-label="{escape(title)}"'


def half_axes(covariance: Floats, radius: float) -> tuple[float, float, float] | None:
    """Give long and short half axis of a region, µm, and how its long one is turned.

    Parameters
    ----------
    covariance : (2, 2) array
        Of (y, x), µm².
    radius : float
        The long half axis, µm.

    Returns
    -------
    tuple of float or None
        Long, short, and the turn from +x towards +y (down), degrees, -90 to 90; None where they
        are not known.
    """
    spread = np.asarray(covariance, float)
    if not np.isfinite(spread).all() or not np.isfinite(radius):
        return None
    values, vectors = np.linalg.eigh(spread)
    if values[1] <= 0:
        return None
    short = radius * float(np.sqrt(max(values[0], 0.0) / values[1]))
    turn = float(np.rad2deg(np.arctan2(vectors[0, 1], vectors[1, 1])))
    return radius, short, (turn + 90.0) % 180.0 - 90.0
