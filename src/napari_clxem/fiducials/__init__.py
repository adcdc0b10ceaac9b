"""What ties frames together: fiducial detection and matching."""

from __future__ import annotations

from napari_clxem.fiducials.detection import Beads, Rejected, detect

__all__ = ["Beads", "Rejected", "detect"]
