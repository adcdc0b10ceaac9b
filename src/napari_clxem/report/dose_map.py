"""The cumulative dose drawn over the plane, with a colour bar and the line of the budget."""

from __future__ import annotations

import numpy as np

from napari_clxem.dose import Budget, History, map_contours
from napari_clxem.errors import ClxemError
from napari_clxem.frames.affine import Floats
from napari_clxem.report import words
from napari_clxem.report.crops import Bytes, Crop
from napari_clxem.report.drawing import WIDTH, Drawing
from napari_clxem.report.markup import Html, figure, missing
from napari_clxem.report.subject import Subject, corners, label_of
from napari_clxem.session.extents import axes_of
from napari_clxem.session.geometry import place

# Pixels along the longer side.
MOST = 480
BUDGET = "#ff3b4e"
NO_MAP = "No exposure leaves a known dose inside the sample, so no map of it is drawn."
# Perceptually uniform: ten stops of viridis (van der Walt & Smith 2015, CC0), the rest between.
_STOPS = np.array(
    [
        *([68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142]),
        *([31, 158, 137], [53, 183, 121], [110, 206, 88], [181, 222, 43], [253, 231, 37]),
    ],
    dtype=float,
)


def dose_map(subject: Subject, past: History) -> Html:
    """Draw the dose of all exposures inside the sample, recorded and planned."""
    window = around(past)
    if window is None:
        return missing(NO_MAP)
    low, high = within(subject, *window)
    pixel = float((high - low).max()) / MOST
    ny, nx = (int(np.ceil(side / pixel)) + 1 for side in high - low)
    height = typical_height(subject)
    try:
        values = past.map(low, (ny, nx), pixel, z=height)
        rings = map_contours(values, subject.limit.dose, low, pixel)
    except ClxemError as error:
        return missing(f"The map of the dose cannot be drawn: {error}")
    most = float(values.max())
    edge = np.array([ny - 0.5, nx - 0.5]) * pixel + low
    drawing = Drawing(
        low - pixel / 2, edge, f"Cumulative dose in {past.frame}, up to {words.dose(most)} MGy"
    )
    drawing.picture(Crop(coloured(values, most), low - pixel / 2, edge, None))
    drawing.bar()
    for ring in rings:
        whole = bool(np.allclose(ring[0], ring[-1]))  # others end at the edge of the map
        drawing.polygon(ring, BUDGET, (14, 7), 3.0, closed=whole)
    for target in subject.session.targets:
        found = place(subject.session, target, past.frame)
        if found is not None:
            spot = np.array(found.position[-2:])
            if ((spot >= drawing.low) & (spot <= drawing.high)).all():
                drawing.cross(spot)
                drawing.label(spot, label_of(target))
    over = reached(values, len(rings), subject.limit)
    at = "" if height is None else f" at z = {height:.2f} µm"
    caption = (
        f"Cumulative dose inside the sample in {past.frame}{at}, MGy in {past.material}, all "
        f"exposures recorded and planned. {over}"
    )
    return figure(Html(drawing.svg() + colour_bar(most)), caption, "half block")


def reached(values: Floats, lines: int, limit: Budget) -> str:
    """Say where in a map the budget is reached."""
    if lines:
        return f"The dashed line is {limit.dose:.4g} MGy, what {limit.d:g} Å stands."
    if float(values.max()) < limit.dose:
        return f"Nowhere is the budget of {limit.dose:.4g} MGy reached."
    return f"Everywhere here the budget of {limit.dose:.4g} MGy is reached."


def typical_height(subject: Subject) -> float | None:
    """Give the height at which a map in a 3D frame is drawn: the targets' mean, µm."""
    if axes_of(subject.session, subject.frame) == 2:
        return None
    found = [place(subject.session, one, subject.frame) for one in subject.session.targets]
    heights = [one.position[0] for one in found if one is not None]
    return float(np.mean(heights)) if heights else 0.0


def around(past: History) -> tuple[Floats, Floats] | None:
    """Give the corners (y, x) of what got a dose, µm; None where nothing did."""
    centres, radii = past.extents
    chosen = past.placed(surface=False) & np.isfinite(radii)
    if not chosen.any():
        return None
    far = radii[chosen, np.newaxis]
    return (centres[chosen] - far).min(axis=0), (centres[chosen] + far).max(axis=0)


def within(subject: Subject, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Leave out what lies beyond the map of the overview, where anything is left then."""
    box = None if subject.map is None else corners(subject.session, subject.map)
    if box is None:
        return low, high
    first, last = (
        np.maximum(low, box[:, -2:].min(axis=0)),
        np.minimum(high, box[:, -2:].max(axis=0)),
    )
    return (first, last) if (last > first).all() else (low, high)


def coloured(values: Floats, most: float) -> Bytes:
    """Give doses as colours, from 0 to the highest."""
    share = np.clip(values / (most or 1.0), 0.0, 1.0) * (len(_STOPS) - 1)
    stops = np.arange(len(_STOPS))
    parts = [np.interp(share, stops, _STOPS[:, channel]) for channel in range(3)]
    return np.asarray(np.rint(np.stack(parts, axis=-1)), dtype=np.uint8)


def colour_bar(most: float) -> str:
    """Draw the colours with the doses that they stand for."""
    stops = "".join(
        f'<stop offset="{n / (len(_STOPS) - 1):.3f}" stop-color="rgb({r:.0f},{g:.0f},{b:.0f})"/>'
        for n, (r, g, b) in enumerate(_STOPS)
    )
    ticks = "".join(
        f'<text x="{30 + share * (WIDTH - 60):.0f}" y="66" text-anchor="middle">'
        f"{words.dose(share * most)}</text>"
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="Colour bar: 0 to '
        f'{words.dose(most)} MGy" viewBox="0 0 {WIDTH:g} 84" font-family="Arial, sans-serif" '
        f'font-size="26"><defs><linearGradient id="dose-colours">{stops}</linearGradient></defs>'
        f'<rect x="30" y="8" width="{WIDTH - 60:g}" height="26" fill="url(#dose-colours)" '
        'stroke="#444"/>'
        f"{ticks}</svg>"
    )
