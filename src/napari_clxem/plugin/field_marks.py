"""Fields for X-ray tomograms as napari layers, in display µm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_clxem.frames.affine import Floats
from napari_clxem.io.image import SPATIAL
from napari_clxem.lamella import FieldRecord
from napari_clxem.plugin.lamella_marks import OTHER_BOX, OUTLINE, outline_lines
from napari_clxem.plugin.layers import UNIT, LayerData

# Width of outlines, µm.
LINE = 0.2
# A symbol besides the word: states are told apart in any colour.
SYMBOLS = {"planned": "square", "taken": "disc", "dropped": "x"}


def field_lines(boxes: Sequence[Floats]) -> LayerData:
    """Describe the outlines (4, 2) of fields."""
    return outline_lines(boxes, 2, "SXT fields", OUTLINE, LINE)


def halo_lines(halos: Sequence[Floats]) -> LayerData:
    """Describe the outlines (n, 2) of what their tilt series irradiate."""
    return outline_lines(halos, 2, "SXT halos", OTHER_BOX, LINE)


def field_points(fields: Sequence[tuple[FieldRecord, Floats, bool]]) -> LayerData:
    """Describe a corner of each field, to be dragged: square planned, disc taken, cross dropped.

    Parameters
    ----------
    fields : sequence of (FieldRecord, (4, 2) array, bool)
        Field, its outline in the display, and whether it is the one chosen.
    """
    data = np.array([box[0] for _, box, _ in fields]).reshape(len(fields), 2)
    arguments = {
        "name": "SXT field corners",
        "ndim": 2,
        "units": (UNIT,) * 2,
        "axis_labels": SPATIAL[-2:],
        "metadata": {"clxem": {"marks": True}},
        "blending": "translucent_no_depth",
        "size": [0.8 if chosen else 0.5 for _, _, chosen in fields] or 0.5,
        "symbol": [SYMBOLS[one.status] for one, _, _ in fields] or "square",
        "face_color": OUTLINE,
        "border_color": np.array([0.0, 0.0, 0.0, 1.0]),
        "border_width": 0.15,
        "canvas_size_limits": (8, 14),
        "features": {
            "id": [one.id for one, _, _ in fields],
            "said": [f"{one.name} {one.status}" for one, _, _ in fields],
        },
        "text": {
            "string": "{said}",
            "color": OUTLINE,
            "size": 11,
            "anchor": "upper_left",
            "blending": "translucent_no_depth",
        },
    }
    return data, arguments, "points"
