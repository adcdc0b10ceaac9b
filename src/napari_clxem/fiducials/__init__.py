"""What ties frames together: fiducial detection and matching, and links by content."""

from __future__ import annotations

from napari_clxem.fiducials.compiling import warm
from napari_clxem.fiducials.content import align
from napari_clxem.fiducials.contrasts import ContentMatch, relate
from napari_clxem.fiducials.detection import Beads, Rejected, detect
from napari_clxem.fiducials.matching import Match, match

__all__ = [
    "Beads",
    "ContentMatch",
    "Match",
    "Rejected",
    "align",
    "detect",
    "match",
    "relate",
    "warm",
]
