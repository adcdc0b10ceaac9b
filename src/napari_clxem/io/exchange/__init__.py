"""Points, targets, positions and transforms in the formats of other programs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_clxem.io.exchange.bigwarp import read_bigwarp, write_bigwarp
    from napari_clxem.io.exchange.ec_clem import (
        read_ec_clem_csv,
        read_ec_clem_xml,
        write_ec_clem_csv,
        write_ec_clem_xml,
    )
    from napari_clxem.io.exchange.imod import ModelObject, read_model, write_model
    from napari_clxem.io.exchange.listing import Entry, read_list, write_list
    from napari_clxem.io.exchange.navigation import (
        NavPoint,
        NavPolygon,
        stage_of,
        write_navigator,
        written_items,
    )
    from napari_clxem.io.exchange.odemis import Feature, read_features, write_features
    from napari_clxem.io.exchange.openfibsem import (
        Correlation,
        StagePoint,
        read_correlation,
        read_positions,
        write_correlation,
        write_positions,
    )
    from napari_clxem.io.exchange.page import Shape, write_page
    from napari_clxem.io.exchange.points import NamedPoint, Pixels, PointPair
    from napari_clxem.io.exchange.tdct import (
        TdctReport,
        correlated_points,
        read_tdct_points,
        read_tdct_report,
        report_text,
        write_tdct_points,
    )
    from napari_clxem.io.exchange.transforms import (
        NamedTransform,
        read_matrix,
        read_ngff,
        write_matrix,
        write_ngff,
    )

_PUBLIC = {
    "Correlation": "openfibsem",
    "Entry": "listing",
    "Feature": "odemis",
    "ModelObject": "imod",
    "NamedPoint": "points",
    "NamedTransform": "transforms",
    "NavPoint": "navigation",
    "NavPolygon": "navigation",
    "Pixels": "points",
    "PointPair": "points",
    "Shape": "page",
    "StagePoint": "openfibsem",
    "TdctReport": "tdct",
    "correlated_points": "tdct",
    "read_bigwarp": "bigwarp",
    "read_correlation": "openfibsem",
    "read_ec_clem_csv": "ec_clem",
    "read_ec_clem_xml": "ec_clem",
    "read_features": "odemis",
    "read_list": "listing",
    "read_matrix": "transforms",
    "read_model": "imod",
    "read_ngff": "transforms",
    "read_positions": "openfibsem",
    "read_tdct_points": "tdct",
    "read_tdct_report": "tdct",
    "report_text": "tdct",
    "stage_of": "navigation",
    "write_bigwarp": "bigwarp",
    "write_correlation": "openfibsem",
    "write_ec_clem_csv": "ec_clem",
    "write_ec_clem_xml": "ec_clem",
    "write_features": "odemis",
    "write_list": "listing",
    "write_matrix": "transforms",
    "write_model": "imod",
    "write_navigator": "navigation",
    "write_ngff": "transforms",
    "write_page": "page",
    "write_positions": "openfibsem",
    "write_tdct_points": "tdct",
    "written_items": "navigation",
}

__all__ = [
    "Correlation",
    "Entry",
    "Feature",
    "ModelObject",
    "NamedPoint",
    "NamedTransform",
    "NavPoint",
    "NavPolygon",
    "Pixels",
    "PointPair",
    "Shape",
    "StagePoint",
    "TdctReport",
    "correlated_points",
    "read_bigwarp",
    "read_correlation",
    "read_ec_clem_csv",
    "read_ec_clem_xml",
    "read_features",
    "read_list",
    "read_matrix",
    "read_model",
    "read_ngff",
    "read_positions",
    "read_tdct_points",
    "read_tdct_report",
    "report_text",
    "stage_of",
    "write_bigwarp",
    "write_correlation",
    "write_ec_clem_csv",
    "write_ec_clem_xml",
    "write_features",
    "write_list",
    "write_matrix",
    "write_model",
    "write_navigator",
    "write_ngff",
    "write_page",
    "write_positions",
    "write_tdct_points",
    "written_items",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
