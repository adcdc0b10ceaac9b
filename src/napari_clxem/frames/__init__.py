"""Where things are: frames, transforms, fits and their predicted error."""

from napari_clxem.frames.adjustment import Adjustment
from napari_clxem.frames.affine import Affine, as_points
from napari_clxem.frames.fitted import Fit
from napari_clxem.frames.fitting import fit
from napari_clxem.frames.gain import Gain, error_map, next_landmark
from napari_clxem.frames.graph import AdjustedGraph, FrameGraph
from napari_clxem.frames.models import Calibration
from napari_clxem.frames.outliers import Outlier, outliers
from napari_clxem.frames.recommendation import Recommendation, landmarks_needed, recommend
from napari_clxem.frames.refraction import actual_positions, axial_scaling, stage_positions
from napari_clxem.frames.route import Closure, Route
from napari_clxem.frames.uncertainty import UncertainAffine
from napari_clxem.frames.warp import Warp

__all__ = [
    "AdjustedGraph",
    "Adjustment",
    "Affine",
    "Calibration",
    "Closure",
    "Fit",
    "FrameGraph",
    "Gain",
    "Outlier",
    "Recommendation",
    "Route",
    "UncertainAffine",
    "Warp",
    "actual_positions",
    "as_points",
    "axial_scaling",
    "error_map",
    "fit",
    "landmarks_needed",
    "next_landmark",
    "outliers",
    "recommend",
    "stage_positions",
]
