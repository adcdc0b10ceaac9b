"""What looking at the sample costs: dose of every exposure, where, and what is left.

Scripts ask :func:`cumulative`, :func:`budget`, :func:`plan` and :func:`check`. A viewer keeps one
:class:`History` per frame, moves through it with :class:`Replay`, draws :func:`outlines` and
:func:`map_contours`, says :func:`breakdown` at the cursor and :func:`target_table` beside it, warns
of :func:`conflicts` and :func:`duplicates`, and calls :func:`warm_kernels` in the background.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_clxem.dose.exposure import Exposure

if TYPE_CHECKING:
    from napari_clxem.dose.accumulation import (
        DoseWarning,
        cumulative,
        cumulative_map,
    )
    from napari_clxem.dose.clashes import (
        Conflict,
        Duplicate,
        conflicts,
        duplicates,
        unrecorded,
    )
    from napari_clxem.dose.consistency import (
        Relation,
        Report,
        check,
    )
    from napari_clxem.dose.derivation import (
        Derivation,
        derive,
    )
    from napari_clxem.dose.drawing import (
        covered,
        map_contours,
        outlines,
    )
    from napari_clxem.dose.edges import (
        Contour,
        contours,
    )
    from napari_clxem.dose.exposures import (
        mosaic,
        tile_aims,
        tile_pitch,
    )
    from napari_clxem.dose.fluence import (
        electrons_from_rate,
        photons_from_counts,
        photons_from_flux,
    )
    from napari_clxem.dose.goals import (
        Goal,
        Plan,
        Verdict,
    )
    from napari_clxem.dose.history import (
        History,
    )
    from napari_clxem.dose.intervals import (
        Interval,
    )
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
    from napari_clxem.dose.packing import (
        warm_kernels,
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
    from napari_clxem.dose.planning import (
        plan,
    )
    from napari_clxem.dose.presets import (
        PRESETS,
        Preset,
    )
    from napari_clxem.dose.raster import (
        Grid,
    )
    from napari_clxem.dose.replay import (
        Replay,
    )
    from napari_clxem.dose.review import (
        Breakdown,
        Row,
        TargetDose,
        breakdown,
        target_table,
    )
    from napari_clxem.dose.tables import (
        exposures_csv,
        targets_csv,
    )
    from napari_clxem.materials import Material, mass_attenuation

_MODULES: dict[str, tuple[str, ...]] = {
    "napari_clxem.dose.accumulation": (
        "DoseWarning",
        "cumulative",
        "cumulative_map",
    ),
    "napari_clxem.dose.clashes": (
        "Conflict",
        "Duplicate",
        "conflicts",
        "duplicates",
        "unrecorded",
    ),
    "napari_clxem.dose.consistency": (
        "Relation",
        "Report",
        "check",
    ),
    "napari_clxem.dose.derivation": (
        "Derivation",
        "derive",
    ),
    "napari_clxem.dose.edges": (
        "Contour",
        "contours",
    ),
    "napari_clxem.dose.exposures": (
        "mosaic",
        "tile_aims",
        "tile_pitch",
    ),
    "napari_clxem.dose.fluence": (
        "electrons_from_rate",
        "photons_from_counts",
        "photons_from_flux",
    ),
    "napari_clxem.dose.history": ("History",),
    "napari_clxem.dose.intervals": ("Interval",),
    "napari_clxem.dose.layers": (
        "damage_layer",
        "electron_range",
        "scanned_fluence",
        "surface_dose",
        "usable_thickness",
    ),
    "napari_clxem.dose.limits": (
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
    "napari_clxem.dose.packing": ("warm_kernels",),
    "napari_clxem.dose.physics": (
        "conversion_factor",
        "conversion_source",
        "depth_mean",
        "electron_dose",
        "stopping_power",
        "tilted_mean",
        "xray_dose",
        "xray_fluence",
    ),
    "napari_clxem.dose.goals": (
        "Goal",
        "Plan",
        "Verdict",
    ),
    "napari_clxem.dose.planning": ("plan",),
    "napari_clxem.dose.drawing": (
        "covered",
        "map_contours",
        "outlines",
    ),
    "napari_clxem.dose.presets": (
        "PRESETS",
        "Preset",
    ),
    "napari_clxem.dose.raster": ("Grid",),
    "napari_clxem.dose.replay": ("Replay",),
    "napari_clxem.dose.tables": (
        "exposures_csv",
        "targets_csv",
    ),
    "napari_clxem.dose.review": (
        "Breakdown",
        "Row",
        "TargetDose",
        "breakdown",
        "target_table",
    ),
    "napari_clxem.materials": ("Material", "mass_attenuation"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "PRESETS",
    "Breakdown",
    "Budget",
    "Conflict",
    "Contour",
    "Derivation",
    "DoseWarning",
    "Duplicate",
    "Estimate",
    "Exposure",
    "Goal",
    "Grid",
    "History",
    "Interval",
    "Material",
    "Plan",
    "Preset",
    "Relation",
    "Replay",
    "Report",
    "Row",
    "TargetDose",
    "Verdict",
    "amplitude_left",
    "breakdown",
    "budget",
    "check",
    "conflicts",
    "contours",
    "contrast_of",
    "conversion_factor",
    "conversion_source",
    "covered",
    "critical_exposure",
    "cumulative",
    "cumulative_map",
    "damage_layer",
    "depth_mean",
    "derive",
    "dose_for_amplitude",
    "duplicates",
    "electron_dose",
    "electron_equivalent",
    "electron_range",
    "electrons_from_rate",
    "exposures_csv",
    "map_contours",
    "mass_attenuation",
    "mosaic",
    "outlines",
    "photons_from_counts",
    "photons_from_flux",
    "plan",
    "required_dose",
    "required_fluence",
    "scanned_fluence",
    "stopping_power",
    "supported_resolution",
    "surface_dose",
    "target_table",
    "targets_csv",
    "tile_aims",
    "tile_pitch",
    "tilted_mean",
    "unrecorded",
    "usable_thickness",
    "warm_kernels",
    "xray_dose",
    "xray_fluence",
]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(import_module(_MODULE_OF[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
