"""Lamella: what to cut, and what the cut holds."""

from napari_clxem.lamella.capture import Capture, capture_probability
from napari_clxem.lamella.fib_view import ViewFit, fib_projection, project, register_view
from napari_clxem.lamella.intersection import Overlap, PlanOverlap, overlap, plan_overlap
from napari_clxem.lamella.milling import Instrument, film_angle, film_tilt, milling_angle
from napari_clxem.lamella.slab import Lamella

__all__ = [
    "Capture",
    "Instrument",
    "Lamella",
    "Overlap",
    "PlanOverlap",
    "ViewFit",
    "capture_probability",
    "fib_projection",
    "film_angle",
    "film_tilt",
    "milling_angle",
    "overlap",
    "plan_overlap",
    "project",
    "register_view",
]
