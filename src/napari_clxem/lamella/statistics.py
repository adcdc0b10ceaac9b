"""Many lamellae at a glance: one row a site, and the share above half overlap."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from io import StringIO

import numpy as np

from napari_clxem.errors import LamellaError
from napari_clxem.lamella.intersection import Interval, Overlap

#: What the source paper reports of samples aimed at by eye.
BY_EYE = 0.15
HALF = 0.5


@dataclass(frozen=True)
class CampaignRow:
    """One site of one session.

    Parameters
    ----------
    session, site : str
    overlap : Overlap or None
        Of the milled lamella with its tomogram; None where it was lost or not milled.
    promised : float or None
        Expected captured fraction when it was planned.
    verdict : str
        What became of it, in a few words.
    """

    session: str
    site: str
    overlap: Overlap | None = None
    promised: float | None = None
    verdict: str = ""


@dataclass(frozen=True)
class Campaign:
    """Statistics over rows.

    Attributes
    ----------
    rows : tuple of CampaignRow
        In the order of their overlap in plan view, the largest first, those without at the end.
    measured : int
        Rows with an overlap.
    above : int
        Of these, with more than the threshold.
    share : float
        ``above / measured``; NaN without a row.
    interval : tuple of float
        95 % interval of the share (Wilson 1927, JASA 22:209).
    mean_area, mean_volume : float
        Mean area and volume fraction; NaN without a row.
    threshold : float
    """

    rows: tuple[CampaignRow, ...]
    measured: int
    above: int
    share: float
    interval: Interval
    mean_area: float
    mean_volume: float
    threshold: float

    @property
    def sentence(self) -> str:
        """Say it: "4 of 9 above 50 %"."""
        if not self.measured:
            return "No lamella has been compared with its tomogram yet."
        return (
            f"{self.above} of {self.measured} above {self.threshold:.0%} overlap "
            f"({self.share:.0%}, 95 % interval {self.interval[0]:.0%} to {self.interval[1]:.0%})."
        )


def campaign(rows: Iterable[CampaignRow], threshold: float = HALF) -> Campaign:
    """Sum up the overlaps of many sites.

    Parameters
    ----------
    rows : iterable of CampaignRow
    threshold : float
        Area fraction that counts as a hit.
    """
    if not 0.0 <= threshold < 1.0:
        raise LamellaError(f"A threshold of {threshold} cannot be passed; give one from 0 to 1.")
    found = tuple(
        sorted(rows, key=lambda row: -row.overlap.area_fraction if row.overlap else np.inf)
    )
    overlaps = [row.overlap for row in found if row.overlap is not None]
    above = sum(one.area_fraction > threshold for one in overlaps)
    nothing = float("nan")
    return Campaign(
        rows=found,
        measured=len(overlaps),
        above=above,
        share=above / len(overlaps) if overlaps else nothing,
        interval=share_interval(above, len(overlaps)),
        mean_area=float(np.mean([o.area_fraction for o in overlaps])) if overlaps else nothing,
        mean_volume=float(np.mean([o.volume_fraction for o in overlaps])) if overlaps else nothing,
        threshold=threshold,
    )


def share_interval(hits: int, count: int, z: float = 1.959964) -> Interval:
    """Give the 95 % interval of a share (Wilson 1927, JASA 22:209); (0, 1) without a count."""
    if count == 0:
        return (0.0, 1.0)
    share = hits / count
    middle = share + z**2 / (2 * count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    below = 1 + z**2 / count
    return float(max((middle - half) / below, 0.0)), float(min((middle + half) / below, 1.0))


def campaign_table(found: Campaign) -> str:
    """Write a campaign as CSV text; blank where nothing is known."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        (
            *("session", "site", "area_fraction", "area_low", "area_high", "field_fraction"),
            *("iou", "volume_fraction", "volume_low", "volume_high", "volume_um3"),
            *("promised", "verdict"),
        )
    )
    for row in found.rows:
        o = row.overlap
        cells: tuple[object, ...] = ("",) * 9
        if o is not None:
            low, high = o.area_interval or ("", "")
            small, large = o.volume_interval or ("", "")
            cells = (
                *(o.area_fraction, low, high, o.field_fraction, o.iou),
                *(o.volume_fraction, small, large, o.volume),
            )
        promised = "" if row.promised is None else row.promised
        writer.writerow(
            [row.session, row.site]
            + [f"{cell:.4f}" if isinstance(cell, float) else cell for cell in (*cells, promised)]
            + [row.verdict]
        )
    return text.getvalue()


_WIDE, _HIGH, _LEFT = 300.0, 150.0, 34.0


def campaign_plot(found: Campaign, ink: str = "#222222", paper: str = "#ffffff") -> str:
    """Draw a campaign as SVG: the overlap of each lamella, the largest first, with its interval.

    Those above the threshold are filled, the others open.

    Parameters
    ----------
    found : Campaign
    ink, paper : str
        Colours of lines and ground.
    """
    from xml.sax.saxutils import escape

    base, top = _HIGH - 20.0, 10.0
    rows = [(row, row.overlap) for row in found.rows if row.overlap is not None]
    step = (_WIDE - _LEFT - 8.0) / max(len(rows), 1)
    size = max(1.5, min(4.0, 0.35 * step))

    def height(share: float) -> float:
        return base - (base - top) * share

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE:g} {_HIGH:g}" '
        f'font-family="sans-serif" font-size="10" fill="{ink}">',
        f'<rect width="{_WIDE:g}" height="{_HIGH:g}" fill="{paper}"/>',
    ]
    for share in (0.0, 0.5, 1.0):
        y = height(share)
        parts += [
            f'<path d="M{_LEFT:g} {y:.1f}H{_WIDE - 8:g}" stroke="{ink}" stroke-opacity="0.25"/>',
            f'<text x="{_LEFT - 4:g}" y="{y + 3.5:.1f}" text-anchor="end">{share:.0%}</text>',
        ]
    y = height(found.threshold)
    parts.append(
        f'<path d="M{_LEFT:g} {y:.1f}H{_WIDE - 8:g}" stroke="{ink}" stroke-dasharray="4 3"/>'
    )
    for index, (row, overlap) in enumerate(rows):
        x, y = _LEFT + step * (index + 0.5), height(overlap.area_fraction)
        if overlap.area_interval is not None:
            low, high = (height(one) for one in overlap.area_interval)
            parts.append(f'<path d="M{x:.1f} {low:.1f}V{high:.1f}" stroke="{ink}"/>')
        fill = ink if overlap.area_fraction > found.threshold else paper
        name = escape(f"{row.session} {row.site}".strip())
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}" fill="{fill}" stroke="{ink}">'
            f"<title>{name}: {overlap.area_fraction:.0%}</title></circle>"
        )
    said = "lamellae, by overlap in plan view" if rows else "no overlap yet"
    parts += [
        f'<text x="{(_LEFT + _WIDE) / 2:g}" y="{_HIGH - 6:g}" text-anchor="middle">{said}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"
