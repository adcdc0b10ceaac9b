"""One exposure of the sample, recorded or planned, of any modality."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import ClxemError
from napari_clxem.frames.affine import Floats
from napari_clxem.materials import Material

if TYPE_CHECKING:
    from typing import Self

#: Light leaves no dose, and ions a damage layer: neither enters a sum of MGy.
LIGHT = frozenset({"confocal", "widefield", "fluorescence", "vlm", "light"})
IONS = frozenset({"fib"})
UNCOUNTED = LIGHT | IONS
XRAYS = frozenset({"sxt", "xray", "x-ray"})
#: Electrons that end in a surface layer.
SCANNED = frozenset({"sem"})


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """One look at the sample: where the beam was, how it was turned, and what it left.

    A footprint is kept analytically: beam shape, tilts and dose per image, never as a raster.

    Parameters
    ----------
    id : str
        Stable identifier.
    modality : str
        ``"confocal"``, ``"sxt"``, ``"sem"``, ``"fib"``, ``"tem"`` ...
    frame : str
        Frame in which `aim` is given.
    aim : tuple of float
        Centre of the beam (y, x), µm.
    beam_radius : float or None
        Radius of a round beam, µm.
    beam_size : tuple of float or None
        Full size of a rectangular beam, µm: along the tilt axis (y), then across it (x); one of
        radius and size is given.
    beam_turn : float
        How a rectangular beam is turned from the tilt axis, from +y towards -x, degrees.
    halo : tuple of (float, float)
        Weaker light around the beam: how far beyond its edge, µm, and which part of the beam's
        fluence reaches so far; growing distances.
    tilts : tuple of float
        Stage tilt of each image, degrees.
    axis_azimuth : float
        Tilt axis from +y towards -x, degrees: the axis runs along (-sin, cos) in (x, y).
    axis_height : float
        Height z of the tilt axis in a 3D frame, µm.
    pretilt : float
        Stage tilt at which the frame's plane is perpendicular to the beam, degrees.
    dose_per_image : float or None
        Entrance dose of one image in `material`, MGy; None means unknown, never zero.
    weights : tuple of float
        Dose of the images at each tilt in units of `dose_per_image`; empty where all are alike.
    fluence : float or None
        Per image, integrated over its time: photons/µm², for electrons e⁻/Å².
    material : str
        Material the dose is stated for.
    energy : float or None
        Photon energy, eV, or electron energy, eV.
    images : int
        Images per tilt.
    time : str
        ISO 8601 time stamp, or empty.
    times : tuple of str
        Time stamp of each tilt, where the file has them.
    planned : bool
        True for an exposure that has not happened yet.
    source : str
        File the record was made from, or empty.
    basis : str
        How the dose is known, as a sentence.
    lower_bound : bool
        True where the dose is only known to be at least as given.
    depth : float or None
        Depth below the surface that takes the dose, µm; None: all through the sample (for a
        scanning microscope: the electrons' range).
    ion : str
        ``"Ga"`` or ``"Xe"`` for a focused ion beam.
    wavelengths : tuple of float
        Of light, nm.
    light : float or None
        Light energy per area, J/cm².
    group : str
        What it is part of, such as the name of a mosaic.
    """

    id: str
    modality: str
    frame: str
    aim: tuple[float, float]
    beam_radius: float | None = None
    beam_size: tuple[float, float] | None = None
    tilts: tuple[float, ...] = (0.0,)
    axis_azimuth: float = 0.0
    pretilt: float = 0.0
    dose_per_image: float | None = None
    material: str = "cell"
    energy: float | None = None
    images: int = 1
    time: str = ""
    planned: bool = False
    source: str = ""
    beam_turn: float = 0.0
    halo: tuple[tuple[float, float], ...] = ()
    axis_height: float = 0.0
    weights: tuple[float, ...] = ()
    fluence: float | None = None
    times: tuple[str, ...] = ()
    basis: str = ""
    lower_bound: bool = False
    depth: float | None = None
    ion: str = ""
    wavelengths: tuple[float, ...] = ()
    light: float | None = None
    group: str = ""

    @classmethod
    def tilt_series(
        cls,
        *,
        modality: str,
        frame: str,
        aim: ArrayLike,
        tilts: ArrayLike,
        dose_per_image: Any = None,
        id: str | None = None,  # noqa: A002 - the field's name
        **rest: Any,
    ) -> Self:
        """Make an exposure from plain numbers and arrays, checked.

        Parameters
        ----------
        modality, frame : str
            As the fields.
        aim : (2,) array_like
            (y, x), µm; of (z, y, x) z becomes `axis_height`.
        tilts : (n,) array_like
            Degrees; one number for a single image.
        dose_per_image : float, (n,) array_like or Quantity, optional
            MGy; one number for all images or one each.
        id : str, optional
            Made up where it is left out.
        **rest
            Further fields, such as `beam_radius`, `axis_azimuth`, `pretilt`, `fluence` (which
            may be one number per image, too), `energy` and `material`.

        Raises
        ------
        ClxemError
            For a beam without shape, a dose that is negative or 0, tilts and doses of other
            lengths, or anything that is no number.
        """
        from napari_clxem.dose.exposures import checked_fields
        from napari_clxem.dose.quantities import expected

        fields = checked_fields(
            {
                "modality": modality,
                "frame": frame,
                "aim": aim,
                "tilts": tilts,
                "dose_per_image": dose_per_image,
                **rest,
            }
        )
        if id is not None:
            expected(id, str, "The id of an exposure")
        return cls(id=id or uuid4().hex[:12], **fields)

    @property
    def counts(self) -> bool:
        """Whether it enters a sum of MGy: light and ions do not."""
        return self.modality.lower() not in UNCOUNTED

    @property
    def at_surface(self) -> bool:
        """Whether its dose stays in a layer below the surface."""
        return self.depth is not None or self.modality.lower() in SCANNED

    @property
    def image_count(self) -> int:
        """Images taken, all tilts together."""
        return len(self.tilts) * self.images

    @property
    def relative_doses(self) -> Floats:
        """Dose at each tilt, `images` included, in units of one image's dose; (n,)."""
        if not self.tilts:
            raise ClxemError(f"Exposure {self.id!r} has no tilt; give 0 for an untilted image.")
        if not self.weights:
            return np.full(len(self.tilts), float(self.images))
        if len(self.weights) != len(self.tilts):
            raise ClxemError(
                f"Exposure {self.id!r} has {len(self.weights)} weights for {len(self.tilts)} "
                "tilts; give one each, or none."
            )
        return np.asarray(self.weights, float) * self.images

    def image_dose(self, material: str | Material | None = None) -> float | None:
        """Give the entrance dose of one image, MGy.

        Parameters
        ----------
        material : str or Material, optional
            Another material than the dose is stated for.

        Returns
        -------
        float or None
            `dose_per_image`, else what follows from `fluence` and `energy`; 0 where the modality
            leaves no dose; None where it is unknown.

        Raises
        ------
        ClxemError
            Where a dose is to be had in another material and the energy is not known.
        """
        from napari_clxem.dose.exposures import image_dose

        return image_dose(self, material)

    def in_material(self, material: str) -> Exposure:
        """Give the same exposure with its dose stated for another material."""
        dose = self.image_dose(material)
        return replace(self, material=material, dose_per_image=dose if self.counts else None)

    def dose_at(self, points: ArrayLike) -> Floats:
        """Give the dose at points of the exposure's own frame.

        Parameters
        ----------
        points : (n, 2) or (n, 3) array_like
            (y, x) at the height of the tilt axis, or (z, y, x), µm.

        Returns
        -------
        (n,) array
            MGy, all images that hit and the halo.

        Raises
        ------
        ClxemError
            Where the dose is unknown.
        PointsError
            For points of another shape, or NaN.
        """
        from napari_clxem.dose.footprint import relative_dose

        dose = self.image_dose()
        if dose is None:
            raise ClxemError(
                f"The dose of exposure {self.id!r} is unknown; give dose_per_image, or fluence and "
                "energy."
            )
        return dose * relative_dose(self, points)

    def hits_at(self, points: ArrayLike) -> Any:
        """Count the images whose beam covers points, (n,) int; see :meth:`dose_at`.

        The rim counts as hit; the halo does not.
        """
        from napari_clxem.dose.footprint import hits

        return hits(self, points)
