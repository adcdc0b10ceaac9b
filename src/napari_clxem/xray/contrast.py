"""How much more strongly an element absorbs above its edge: the one number every mass hangs on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_clxem.errors import ImageError
from napari_clxem.materials import mass_attenuation

#: Published or tabulated differences for iron(III) oxide between 700 and 709 eV, cm²/g, with where
#: they come from. None of the tables has the L3 white line, so they disagree by more than tenfold.
FE2O3_709_700: tuple[tuple[float, str], ...] = (
    (3292.0, "Elam tables (xraydb, xraylib): smooth step, no white line"),
    (6634.0, "Chantler tables (f2): smooth step, no white line"),
    (10976.0, "Henke tables (CXRO, periodictable): smeared step, no white line"),
    (
        112000.0 - 4950.0,
        "white-line peak from an attenuation length of 17 nm in haematite (5.25 g/cm³), less the "
        "tabulated absorption below the edge",
    ),
)


@dataclass(frozen=True)
class Contrast:
    """Difference of the mass attenuation of a substance between two energies.

    Parameters
    ----------
    value : float
        ``μ_m(high) - scale · μ_m(low)``, cm²/g; positive for an edge between the two.
    source : str
        Where it comes from: a measured spectrum, a publication, a table. Required, since sources
        differ by more than tenfold.
    sd : float
        Standard deviation, cm²/g; 0 where it is not known.

    Raises
    ------
    ImageError
        Where the value is not positive, or no source is given.
    """

    value: float
    source: str
    sd: float = 0.0

    def __post_init__(self) -> None:
        if not np.isfinite(self.value) or self.value <= 0:
            raise ImageError(
                f"A contrast of {self.value:g} cm²/g has the wrong sign: it is the attenuation "
                "at the upper energy less that at the lower one, which is positive across an edge."
            )
        if not self.source.strip():
            raise ImageError(
                "The contrast has no source; say where the number comes from, since tables differ "
                "by more than tenfold at an edge."
            )
        if not (np.isfinite(self.sd) and self.sd >= 0):
            raise ImageError(f"A standard deviation of {self.sd:g} cm²/g is not usable.")


def tabulated_contrast(formula: str, energies: tuple[float, float], scale: float = 1.0) -> Contrast:
    """Take a contrast from the Henke tables, which know no white line.

    Parameters
    ----------
    formula : str
        Chemical formula, such as ``"Fe2O3"``, or a known material.
    energies : (low, high)
        eV.
    scale : float
        See :func:`~napari_clxem.xray.pairing.difference`.

    Returns
    -------
    Contrast
        Whose source says what the tables lack.

    Raises
    ------
    ImageError
        Where the table holds no edge between the energies.
    """
    low, high = energies
    value = mass_attenuation(formula, high) - scale * mass_attenuation(formula, low)
    return Contrast(
        value,
        f"Henke tables (CXRO) for {formula} at {low:g} and {high:g} eV: no white line, masses may "
        "be too large by up to tenfold; replace by a measured spectrum",
    )
