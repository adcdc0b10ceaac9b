"""Published and independently computed numbers on two-energy absorption density and its wedge."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from napari_clxem.errors import ImageError
from napari_clxem.materials import mass_attenuation
from napari_clxem.xray import (
    DECISION,
    DETECTION,
    FE2O3_709_700,
    Contrast,
    Correlation,
    align_pair,
    density,
    detectable_edge,
    project,
    projected_mass,
    reconstruct,
    smeared_density,
    tabulated_contrast,
)
from napari_clxem.xray.pairing import enlarge

SHARED = Path(os.environ.get("CLXEM_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
FILE = SHARED / "dose_vectors.json"
VECTORS = {v["name"]: v for v in json.loads(FILE.read_text())["vectors"]} if FILE.is_file() else {}
pytestmark = pytest.mark.skipif(not VECTORS, reason=f"no reference data at {SHARED}")

PIXEL = 0.01444
NANOPARTICLE = 0.014**3 * 4.86  # pg


def table(name):
    """Expected value of a vector."""
    return VECTORS[name]["expected"]["value"]


def seen(value, contrast, side=40, block=slice(12, 24), **options):
    """Density of a block that absorbs so much more at the upper energy, 1/µm, in a noisy volume."""
    noise = np.random.default_rng(5).normal(0.0, 1e-3, (side,) * 3)
    change = noise + 0.0
    change[block, block, block] += value
    return density(change, None, PIXEL, contrast, **options)


def cell():
    """A cell of 90 µm³ with 11.5 pg of the oxide in 12.78 µm³ of it, as the paper has it."""
    inside = np.zeros((40, 40, 40), dtype=bool)
    inside[5:35, 5:35, 5:35] = True
    spacing = (90 / inside.sum()) ** (1 / 3)
    oxide = np.zeros((16, 16, 15), dtype=bool)
    oxide.ravel()[: round(12.78 / spacing**3)] = True
    contrast = Contrast(1e4, "made up")
    volume = np.random.default_rng(6).normal(0.0, 1e-3, inside.shape)
    volume[12:28, 12:28, 12:27] += oxide * (11.5 / 12.78)
    return density(volume, None, spacing, contrast, mask=inside), spacing**3


def fraction():
    found, voxel = cell()
    return (found.labels > 0).sum() * voxel / 90


def over_cell():
    found, _ = cell()
    return found.masked.value / 90


def edge_shift():
    """How far what is 7.1 µm from the axis moves, in pixels of 14.44 nm."""
    y, x = np.mgrid[:31, :1101] - np.array([15.0, 550.0])[:, None, None]
    spot = np.exp(-(y**2 + (x - 7.1 / PIXEL) ** 2) / 18.0)
    moved = enlarge(spot, 709 / 700)
    return float((moved * x).sum() / moved.sum() - (spot * x).sum() / spot.sum())


def magnification():
    rng = np.random.default_rng(7)
    from scipy.ndimage import gaussian_filter

    low = gaussian_filter(rng.normal(0, 1, (160, 160)), 2)
    low = 0.5 + 0.2 * low / low.std()
    return align_pair(low, enlarge(low, 700 / 709), (700, 709)).magnification


def two_sided():
    """Half width of a 99.9 % interval over that of one standard deviation."""
    frequency = np.linspace(0.0, 5.0, 101)
    curve = Correlation(
        frequency=frequency,
        correlation=1 / (1 + np.exp(4 * (frequency - 2.5))),
        samples=np.full(101, 4e4),
        nyquist=5.0,
    )

    def reach(level):
        fine, coarse = curve.interval(0.25, level)
        return 1 / fine - 1 / coarse

    return reach(0.999) / reach(0.6826894921)


TABLE = {
    "neasxt_volume_fraction": fraction,
    "neasxt_mean_density_over_cell": over_cell,
    "neasxt_mag_ratio": magnification,
    "neasxt_edge_shift": edge_shift,
    "neasxt_sign": lambda: np.sign(seen(1.0, Contrast(1e4, "made up")).total.value),
    "fe_oxide_L3_peak_mu_m": lambda: FE2O3_709_700[-1][0] + mass_attenuation("Fe2O3", 700),
    "np_mass": lambda: (
        # 14 nm of 4.86 g/cm³ at 10 000 cm²/g
        1e-12 * projected_mass([[4.86 * 14e-7 * 1e4]], 0.014, Contrast(1e4, "made up")).value
    ),
    "np_density_in_14.44_nm_cube": lambda: smeared_density(NANOPARTICLE, PIXEL),
    "np_density_in_50_nm_cube": lambda: smeared_density(NANOPARTICLE, 0.05),
    "np_detectable_cube_edge": lambda: 1e3 * detectable_edge(NANOPARTICLE, 0.3),
    "z_one_sided_0.999": lambda: DECISION,
    "z_two_sided_0.999": two_sided,
    "rho_from_delta_mu_1_per_um_henke_periodictable": lambda: shown(
        tabulated_contrast("Fe2O3", (700, 709))
    ),
    **{
        f"rho_from_delta_mu_1_per_um_{name}": lambda name=name: shown(
            Contrast(table(f"fe2o3_mu_m_709_{name}") - table(f"fe2o3_mu_m_700_{name}"), name)
        )
        for name in ("elam", "chantler_f2")
    },
}


def shown(contrast):
    """Density of what absorbs 1/µm more."""
    return float(seen(1.0, contrast).data[14:22, 14:22, 14:22].mean())


@pytest.mark.parametrize("name", sorted(TABLE))
def test_vector(name):
    expected = VECTORS[name]
    assert TABLE[name]() == pytest.approx(table(name), rel=expected["rtol"], abs=1e-15)


def test_the_printed_sign_is_refused():
    with pytest.raises(ImageError, match="swapped"):
        seen(-1.0, Contrast(1e4, "made up"))


def test_what_really_is_at_the_limit_is_found_twice_as_far_out():
    assert pytest.approx(2 * table("z_one_sided_0.999"), rel=1e-3) == DETECTION


@pytest.mark.parametrize("name", ["elam", "chantler_f2", "xraylib", "henke_periodictable"])
def test_tables_of_iron_oxide_agree_below_the_edge_only(name):
    low, high = (table(f"fe2o3_mu_m_{energy}_{name}") for energy in (700, 709))
    assert mass_attenuation("Fe2O3", 700) == pytest.approx(low, rel=0.05)
    listed = [value for value, _ in FE2O3_709_700]
    assert min(abs(high - low - value) / value for value in listed) < 0.005
    assert "no white line" in tabulated_contrast("Fe2O3", (700, 709)).source


@pytest.mark.slow
@pytest.mark.parametrize(("textbook", "scikit"), [(0.0243, "0.01"), (0.3645, "0.15")])
def test_wedge(textbook, scikit):
    """What the wedge leaves of two discs, against a full-angle reconstruction made alike."""
    side = 160
    away = np.hypot(*(np.mgrid[:side, :side] - (side - 1) / 2))
    discs = np.stack([away <= 5, away <= 15], axis=1).astype(np.float32)

    def mean(tilts):
        series = project(discs, tilts, 1.0)
        found = reconstruct(
            series,
            tilts,
            1.0,
            iterations=15,
            relaxation=textbook,
            thickness=side,
            support="cylinder",
        ).data
        return (found * discs).sum(axis=(0, 2)) / discs.sum(axis=(0, 2))

    ratio = mean(np.arange(-70.0, 71.0, 2.0)) / mean(np.arange(-90.0, 90.0, 2.0))
    for found, radius in zip(ratio, (5, 15), strict=True):
        name = {
            (5, "0.01"): "wedge70_ratio_r5_relax0.01",
            (15, "0.01"): "wedge70_ratio_r15_relax0.01",
            (5, "0.15"): "wedge70_ratio_r5_relax0.15",
            (15, "0.15"): "wedge70_ratio_r15_relax0.15",
        }[radius, scikit]
        assert found == pytest.approx(table(name), rel=VECTORS[name]["rtol"])
