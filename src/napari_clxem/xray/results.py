"""What an analysis of density finds: masses, clusters, and the map with its limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_clxem.xray.contrast import Contrast
from napari_clxem.xray.noise import Limits


@dataclass(frozen=True)
class Mass:
    """A mass with its standard deviation, pg; the latter with that of the contrast."""

    value: float
    sd: float

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval, pg."""
        return self.value - 1.96 * self.sd, self.value + 1.96 * self.sd


@dataclass(frozen=True)
class Cluster:
    """One labelled cluster.

    Attributes
    ----------
    name : int
        Its number in the labels.
    centre : tuple of float
        (z, y, x), µm.
    voxels : int
        Labelled ones.
    mass : Mass
        Over the cluster and its surroundings, divided by what the wedge leaves of it.
    thresholded : float
        Mass of the labelled voxels alone, as they show it, pg.
    density, density_sd : float
        Of the core, divided by what the wedge leaves of it, g/cm³.
    diameter, diameter_sd : float
        Of a sphere that would look as wide along the beam, µm.
    significance : float
        Peak (slightly smoothed) over the standard deviation of a voxel of the background.
    """

    name: int
    centre: tuple[float, float, float]
    voxels: int
    mass: Mass
    thresholded: float
    density: float
    density_sd: float
    diameter: float
    diameter_sd: float
    significance: float


@dataclass(frozen=True, eq=False)
class Density:
    """Density of the element's compound, its clusters and their masses.

    Attributes
    ----------
    data : (nz, ny, nx) float32 array
        g/cm³ as shown, background taken off, not corrected for the wedge.
    spacing : tuple of float
        Voxel size, µm.
    contrast : Contrast
        The difference of mass attenuation used, with its source.
    scale : float
        Share of the absorption at the lower energy that was taken off.
    offset, sigma : float
        Middle and standard deviation of the background, g/cm³.
    noise : (nz, ny, nx) float32 array
        Standard deviation of the background at each voxel, g/cm³.
    level, seed : float
        Standard deviations there that a cluster's voxels, and its peak, exceed.
    limits : Limits
        What can be told from nothing, by size.
    labels : (nz, ny, nx) int32 array
        Clusters, numbered from 1.
    clusters : tuple of Cluster
    total : Mass
        Sum over the clusters.
    masked : Mass
        Over a generous mask, not divided by anything: what streaks carry out of it is missing.
    projection : Mass or None
        From the projection without tilt alone.
    negative : int
        Clusters found alike in the negative of the map: as many are expected to be false.
    notes : tuple of str
        What a reader must know.
    """

    data: NDArray[np.float32]
    spacing: tuple[float, ...]
    contrast: Contrast
    scale: float
    offset: float
    sigma: float
    noise: NDArray[np.float32]
    level: float
    seed: float
    limits: Limits
    labels: NDArray[np.int32]
    clusters: tuple[Cluster, ...]
    total: Mass
    masked: Mass
    projection: Mass | None
    negative: int
    notes: tuple[str, ...]

    def rows(self) -> list[dict[str, float]]:
        """Give one row per cluster for a table or CSV; units are in the names."""
        return [
            {
                "cluster": cluster.name,
                "z (um)": cluster.centre[0],
                "y (um)": cluster.centre[1],
                "x (um)": cluster.centre[2],
                "mass (pg)": cluster.mass.value,
                "mass low (pg)": cluster.mass.interval[0],
                "mass high (pg)": cluster.mass.interval[1],
                "mass above threshold (pg)": cluster.thresholded,
                "density (g/cm3)": cluster.density,
                "density sd (g/cm3)": cluster.density_sd,
                "diameter (um)": cluster.diameter,
                "diameter sd (um)": cluster.diameter_sd,
                "voxels": cluster.voxels,
                "peak over noise": cluster.significance,
            }
            for cluster in self.clusters
        ]
