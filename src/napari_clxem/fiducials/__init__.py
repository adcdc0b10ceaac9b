"""What ties frames together: fiducial detection and matching, and links by content."""

from __future__ import annotations

from napari_clxem.fiducials.caps import find_caps
from napari_clxem.fiducials.compiling import warm
from napari_clxem.fiducials.content import align
from napari_clxem.fiducials.contrasts import ContentMatch, relate, relate_section
from napari_clxem.fiducials.detection import Beads, Rejected, detect
from napari_clxem.fiducials.lattices import Lattice, find_lattice, link_lattices
from napari_clxem.fiducials.matching import Match, match
from napari_clxem.fiducials.regions import lamella_region
from napari_clxem.fiducials.view_search import View

__all__ = [
    "Beads",
    "ContentMatch",
    "Lattice",
    "Match",
    "Rejected",
    "View",
    "align",
    "detect",
    "find_caps",
    "find_lattice",
    "lamella_region",
    "link_lattices",
    "match",
    "relate",
    "relate_section",
    "warm",
]
