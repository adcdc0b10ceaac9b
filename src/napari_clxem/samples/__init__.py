"""A synthetic grid with ground truth: images in real formats, or points for statistics.

``make_scene`` draws the physical model, ``write_grid`` renders it through every modality,
``point_grid`` gives what detection would find without rendering, and ``sample_folder`` tells
where the grid that ships with the package lies.
"""

from __future__ import annotations

from napari_clxem.samples.folder import sample_folder
from napari_clxem.samples.points import FramePoints, PointGrid, point_grid
from napari_clxem.samples.scene import Scene, make_scene
from napari_clxem.samples.writing import write_grid

__all__ = [
    "FramePoints",
    "PointGrid",
    "Scene",
    "make_scene",
    "point_grid",
    "sample_folder",
    "write_grid",
]
