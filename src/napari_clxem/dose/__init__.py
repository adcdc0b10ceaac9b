"""What looking at the sample costs: dose of every exposure, where, and what is left."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_clxem.dose.exposure import Exposure

if TYPE_CHECKING:
    from napari_clxem.dose.accumulation import (
        DoseWarning,
        History,
        Interval,
        cumulative,
        cumulative_map,
    )
    from napari_clxem.dose.exposures import mosaic, tile_aims
    from napari_clxem.dose.footprint import Contour, contours
    from napari_clxem.dose.layers import (
        damage_layer,
        electron_range,
        scanned_fluence,
        surface_dose,
        usable_thickness,
    )
    from napari_clxem.dose.limits import (
        Budget,
        Estimate,
        amplitude_left,
        budget,
        contrast_of,
        critical_exposure,
        dose_for_amplitude,
        electron_equivalent,
        required_dose,
        required_fluence,
        supported_resolution,
    )
    from napari_clxem.dose.physics import (
        conversion_factor,
        conversion_source,
        depth_mean,
        electron_dose,
        stopping_power,
        tilted_mean,
        xray_dose,
        xray_fluence,
    )
    from napari_clxem.materials import Material, mass_attenuation

_PUBLIC = {
    "accumulation": ("DoseWarning", "History", "Interval", "cumulative", "cumulative_map"),
    "exposures": ("mosaic", "tile_aims"),
    "footprint": ("Contour", "contours"),
    "layers": (
        "damage_layer",
        "electron_range",
        "scanned_fluence",
        "surface_dose",
        "usable_thickness",
    ),
    "limits": (
        "Budget",
        "Estimate",
        "amplitude_left",
        "budget",
        "contrast_of",
        "critical_exposure",
        "dose_for_amplitude",
        "electron_equivalent",
        "required_dose",
        "required_fluence",
        "supported_resolution",
    ),
    "physics": (
        "conversion_factor",
        "conversion_source",
        "depth_mean",
        "electron_dose",
        "stopping_power",
        "tilted_mean",
        "xray_dose",
        "xray_fluence",
    ),
}
_MODULE_OF = {name: f"{__name__}.{module}" for module, names in _PUBLIC.items() for name in names}
_MODULE_OF |= dict.fromkeys(("Material", "mass_attenuation"), "napari_clxem.materials")

__all__ = ["Exposure", *sorted(_MODULE_OF)]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(import_module(_MODULE_OF[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
