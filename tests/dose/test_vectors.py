"""Every published or independently computed number that the dose package can be held against."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from napari_clxem.dose import (
    Exposure,
    amplitude_left,
    budget,
    check,
    contrast_of,
    conversion_factor,
    critical_exposure,
    cumulative,
    cumulative_map,
    depth_mean,
    derive,
    electron_dose,
    electron_equivalent,
    electron_range,
    electrons_from_rate,
    mass_attenuation,
    mosaic,
    photons_from_flux,
    plan,
    required_dose,
    required_fluence,
    scanned_fluence,
    stopping_power,
    surface_dose,
    tile_aims,
    tilted_mean,
    xray_dose,
    xray_fluence,
)
from napari_clxem.dose.footprint import along_axis
from napari_clxem.dose.limits import OPTIMUM
from napari_clxem.errors import ClxemError
from napari_clxem.materials import Material, linear_attenuation
from napari_clxem.session.records import prior_doses

SHARED = Path(os.environ.get("CLXEM_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
FILE = SHARED / "dose_vectors.json"
VECTORS = {v["name"]: v for v in json.loads(FILE.read_text())["vectors"]} if FILE.is_file() else {}

SLAB = 17540 / 39000
FLUENCE = 0.86e10
ET = {"dose_rate": 25.58, "pixel": 3.104, "exposure_time": 1.77, "images": 41, "voltage": 300}
SXT = {"flux": 1.11e10, "area": 169, "exposure_time": 1, "images": 131, "energy": 520}


def paper_ice():
    """Ice as the paper counts it: μ = 0.1 /µm at a density of 0.94 g/cm³."""
    return 0.1 / 0.94 * 1e4 / mass_attenuation("ice", 520)


def sxt(**where):
    return Exposure.tilt_series(
        **{
            "modality": "sxt",
            "frame": "sxt",
            "aim": (0.0, 0.0),
            "beam_radius": 10.0,
            "tilts": np.arange(-65, 66),
            "dose_per_image": 76.2 / 131,
            **where,
        }
    )


def et(tilts, dose=76.2 / 131, pretilt=0.0):
    return sxt(modality="tem", beam_radius=0.9, tilts=tilts, dose_per_image=dose, pretilt=pretilt)


def hits(exposure, x, y=0.0, z=0.0):
    return exposure.hits_at([[z, y, x]])[0]


def dose(x, y=0.0):
    return sxt().dose_at([[y, x]])[0]


def stated(kind, name, **numbers):
    """What `check` makes of a number from the others."""
    material = {"x-ray": "ice", "electron": "ice"}[kind]
    relations = check(numbers, kind=kind, material=material).relations
    return [one for one in relations if one.name == name][-1].derived


def multiplicity():
    tiles = mosaic(
        tile_aims((0, 0), (9, 9), 11.7),
        modality="sxt",
        frame="map",
        beam_radius=10.0,
        dose_per_image=1.0,
    )
    values = cumulative_map(tiles, (-11.7, -11.7), (400, 400), 23.4 / 400)
    assert values.min() == 1
    assert values.max() == 4
    return values.mean()


def scanned(pixel):
    fluence = scanned_fluence(13, 1, pixel)
    return surface_dose(fluence, 2000, "ice", depth=0.19) * 1e6


def neasxt(energies=(700, 709), material="protein"):
    per_energy = photons_from_flux(4.6e10, 14.2 * 14.1, 71)
    return sum(xray_dose(per_energy, energy, material) for energy in energies) * 1e6


TABLE = {
    "sxt_photon_energy_J": lambda: (
        xray_dose(1.0, 520, "ice") * 1e6 / (mass_attenuation("ice", 520) * 1e8 * 1e3)
    ),
    "sxt_flux_from_slit_ratio": lambda: photons_from_flux(2.08e10, 1, 1, slit=8 / 15),
    "sxt_flux_density_before": lambda: derive(SXT).values["fluence_rate"],
    "sxt_total_fluence_from_flux": lambda: derive(SXT).values["fluence"],
    "sxt_entrance_dose_paper": lambda: derive(
        {**SXT, "fluence": FLUENCE, "attenuation": 0.1, "density": 0.94}
    ).values["dose"],
    "sxt_entrance_dose_from_printed_Fb": lambda: xray_dose(131 * 6.7e7, 520, "ice") * paper_ice(),
    "sxt_absorbed_fraction": lambda: derive(
        {"counts_before": 39000, "counts_after": 17540}, kind="x-ray"
    ).values["absorbed_share"],
    "sxt_fluence_after": lambda: stated(
        "x-ray",
        "fluence_per_image_after",
        fluence_per_image=6.7e7,
        counts_before=39000,
        counts_after=17540,
        fluence_per_image_after=3.7e7,
    ),
    "sxt_total_fluence_after_printed": lambda: stated(
        "x-ray", "fluence_after", fluence_per_image_after=3.7e7, images=131, fluence_after=4.8e9
    ),
    "sxt_mean_dose_slab": lambda: 76.20 * depth_mean(SLAB),
    "sxt_path_from_T": lambda: -math.log(SLAB) / 0.1,
    "sxt_mean_dose_tilt_resolved": lambda: 76.20 * tilted_mean(0.6156, np.arange(-65, 66)).mean(),
    "sxt_entrance_dose_ice_paper": lambda: xray_dose(FLUENCE, 520, "ice") * paper_ice(),
    "sxt_entrance_dose_protein_henke": lambda: xray_dose(FLUENCE, 520, "protein"),
    "sxt_entrance_dose_cell75w25p_xraylib": lambda: xray_dose(FLUENCE, 520, "cell"),
    "sxt_eq_e_per_A2_34.23": lambda: electron_equivalent(34.23, "ice"),
    "sxt_eq_e_per_A2_41.92": lambda: electron_equivalent(41.92, "ice"),
    "em_dose_rate": lambda: derive(ET).values["fluence_rate"],
    "em_fluence_per_projection": lambda: electrons_from_rate(25.58, 3.104, 1.77),
    "em_total_from_printed_F": lambda: stated(
        "electron", "fluence", fluence_per_image=4.78178, images=41, fluence=110.48
    ),
    "em_exposure_time_for_110": lambda: 110 / 41 / derive(ET).values["fluence_rate"],
    "em_n_tilts": lambda: derive(
        {"first_tilt": -50, "last_tilt": 70, "tilt_step": 3}, kind="electron"
    ).values["images"],
    "em_total_dose_cf371": lambda: electron_dose(110, 300),
    "em_total_dose_if_1p77s": lambda: electron_dose(derive(ET).values["fluence"], 300),
    "em_after_MGy": lambda: derive(
        {"fluence": 20.61, "conversion_factor": 3.7}, kind="electron"
    ).values["dose"],
    "em_absorbed_fraction_rates": lambda: (
        1 - derive({**ET, "dose_rate_after": 4.87}).values["transmission"]
    ),
    "em_eq_MGy_150_cf3.7": lambda: derive(
        {"fluence": 150, "conversion_factor": 3.7}, kind="electron"
    ).values["dose"],
    "em_eq_MGy_150_cf3.71": lambda: electron_dose(150, 300, "ice"),
    "em_eq_MGy_200_cf3.71": lambda: electron_dose(200, 300, "ice"),
    "em_eq_MGy_30_cf3.7": lambda: derive(
        {"fluence": 30, "conversion_factor": 3.7}, kind="electron"
    ).values["dose"],
    "em_stills_per_image": lambda: derive({"fluence": 200, "images": 70, "voltage": 300}).values[
        "fluence_per_image"
    ],
    **{
        f"budget_fraction_{d:g}_of_{limit:g}": lambda d=d, limit=limit: budget(
            40, stability=limit
        ).share(d)["stability"]
        for d in (41.92, 76.2, 100)
        for limit in (550, 659.4)
    },
    "neasxt_n_tilts": lambda: derive(
        {"first_tilt": -70, "last_tilt": 70, "tilt_step": 2}, kind="x-ray"
    ).values["images"],
    "neasxt_fluence_per_energy": lambda: photons_from_flux(4.6e10, 14.2 * 14.1, 71),
    "neasxt_dose_protein_henke": neasxt,
    "neasxt_implied_mu_m": lambda: 2.5e8 / (neasxt() / mass_attenuation("protein", 704.5)),
    "gg_opt_root": lambda: OPTIMUM,
    "amplitude_left_after_76.2MGy_4A": lambda: amplitude_left(4, 76.2, "ice"),
    "amplitude_left_after_76.2MGy_10A": lambda: amplitude_left(10, 76.2, "ice"),
    "sxt_hits_x0_y0": lambda: hits(sxt(), 0),
    "sxt_dose_x0_y0": lambda: dose(0),
    "sxt_dose_x10.5_y0": lambda: dose(10.5),
    "sxt_hits_x12_y0": lambda: hits(sxt(), 12),
    "sxt_hits_x12_y3": lambda: hits(sxt(), 12, 3),
    "sxt_dose_x12_y3": lambda: dose(12, 3),
    "sxt_dose_x16_y0": lambda: dose(16),
    "sxt_hits_x23_y0": lambda: hits(sxt(), 23),
    "sxt_dose_x23_y0": lambda: dose(23),
    "sxt_dose_x23.7_y0": lambda: dose(23.7),
    "sxt_hits_x12_z2": lambda: hits(sxt(), 12, z=2),
    "fov_reach": lambda: sxt_reach(6.5),
    **{
        f"et_hits_rel_x{x:g}": lambda x=x: hits(et(np.arange(-50, 71, 3), pretilt=10), x)
        for x in (0.5, 1.2, 1.5, 2.0)
    },
    **{
        f"et_hits_stage_x{x:g}_wrong": lambda x=x: hits(et(np.arange(-50, 71, 3)), x)
        for x in (0.5, 0.95, 1.5, 1.79)
    },
    "mosaic_mean_multiplicity": multiplicity,
    "plan_total_paper": lambda: cumulative(
        (sxt(), sxt(modality="tem", dose_per_image=407 / 131)), [[0.0, 0.0]]
    )[0],
    "plan_total_if_1p77s": lambda: (
        plan(
            (sxt(energy=520.0), et(np.arange(-50, 71, 3), 714.7 / 41)), material="cell", et=None
        ).dose
    ),
    "et_fov": lambda: derive({"pixel": 3.104, "pixels": 4096}, goals=("field",)).values["field"],
    "et_fov_diag": lambda: derive({"pixel": 3.104, "pixels": 4096}).values["field_diagonal"],
    "azimuth_rotation": lambda: along_axis(sxt(axis_azimuth=30.0), [[8.5981, 8.8923]])[0, 2],
    "mdoc_prior_dose": lambda: prior_doses(
        [2.7] * 3, [f"2025-01-01T00:0{minute}" for minute in (2, 0, 1)]
    )[0],
    "slab_mean_over_entrance_0": lambda: tilted_mean(0.61556, 0),
    "slab_mean_over_entrance_60": lambda: tilted_mean(0.61556, 60),
    "ko_range_ice_2keV": lambda: electron_range(2000),
    "ko_range_ice_3keV": lambda: electron_range(3000),
    "sem_dose_2kV_200nm": lambda: scanned(200),
    "sem_dose_2kV_20nm": lambda: scanned(20),
    "rose_fluence_30nm": lambda: required_fluence(30, 1.2538),
    "rose_dose_protein_30nm": lambda: required_dose(30, 520),
    "rose_dose_protein_50nm": lambda: required_dose(50, 520),
}


def sxt_reach(radius):
    """Where the last image of a series ends, found by bisection on the footprint itself."""
    low, high = radius, 10 * radius
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if hits(sxt(beam_radius=radius), middle) else (low, middle)
    return low


def computed(name):
    if name in TABLE:
        return TABLE[name]()
    kind, *rest = name.split("_")
    if name.startswith("S_col_water"):
        return stopping_power(float(rest[-1]), "H2O")
    if name.startswith("CF_water"):
        return stopping_power(float(rest[-1]), "H2O") * 1.602176634
    if name.startswith("S_col_protein"):
        return stopping_power(float(rest[-1]), "protein")
    if name.startswith("CF_protein"):
        return stopping_power(float(rest[-1]), "protein") * 1.602176634
    if name.startswith("gg_critical"):
        return critical_exposure(float(rest[1][:-1]), float(rest[2][:-2]))
    if kind == "howells":
        return budget(float(rest[0][:-1]))["howells"].dose
    if name.endswith("periodictable_henke"):
        return mass_attenuation({"h2o": "H2O", "protein": "protein"}[rest[1]], float(rest[2]))
    if name.startswith("fe2o3") and name.endswith("henke_periodictable"):
        return mass_attenuation("Fe2O3", float(rest[2]))
    return None


# Two-energy density, single particles and the missing wedge are held against theirs beside xray.
ELSEWHERE = {
    name
    for name in VECTORS
    if name.startswith(("np_", "wedge70_", "rho_from_", "z_", "fe_oxide_", "fe2o3_"))
    and not name.endswith("henke_periodictable")
} | {
    *("neasxt_volume_fraction", "neasxt_mean_density_over_cell", "neasxt_mag_ratio"),
    *("neasxt_edge_shift", "neasxt_sign", "rho_from_delta_mu_1_per_um_henke_periodictable"),
}
# What the paper computes, and no dose is: the checker has to recognise each for what it is.
SLIPS = {
    "sxt_absorbed_times_surface": (
        "absorbed_dose",
        {"kind": "x-ray", "dose": 76.2, "absorbed_share": 0.55},
        "the absorbed share times the entrance dose, which is not a dose",
    ),
    "em_paper_division": (
        "fluence",
        {"kind": "electron", "fluence_per_image": 4.78178, "images": 41, "exposure_time": 1.77},
        "divided by the exposure time",
    ),
    "em_after_total_paper_div": (
        "fluence_after",
        {"kind": "electron", "fluence_per_image_after": 0.89, "images": 41, "exposure_time": 1.77},
        "divided by the exposure time",
    ),
    "em_absorbed_MGy": (
        "absorbed_dose",
        {"kind": "electron", "dose": 407},
        "scattered out are not absorbed",
    ),
}
REFUSED = {"mu_m_h2o_535_chantler_trap": ("H2O", 535)}
OTHER_TABLES = {
    name for name in VECTORS if name.startswith("mu_m_") and not name.endswith("henke")
} - set(REFUSED)
COMPUTED = sorted(set(VECTORS) - ELSEWHERE - OTHER_TABLES - set(SLIPS) - set(REFUSED))


@pytest.mark.parametrize("name", COMPUTED)
def test_vector(name):
    expected = VECTORS[name]["expected"]["value"]
    found = computed(name)
    assert found is not None, f"nothing computes {name}"
    assert found == pytest.approx(expected, rel=VECTORS[name]["rtol"], abs=1e-12)


@pytest.mark.parametrize("name", sorted(OTHER_TABLES))
def test_other_tables_agree_off_the_edges(name):
    _, _, material, energy, *_ = name.split("_")
    found = mass_attenuation({"h2o": "H2O", "protein": "protein"}[material], float(energy))
    assert found == pytest.approx(VECTORS[name]["expected"]["value"], rel=0.15)


@pytest.mark.parametrize("name", sorted(SLIPS))
def test_what_is_no_dose_is_recognised(name):
    about, numbers, words = SLIPS[name]
    wrong = VECTORS[name]["expected"]["value"]
    found = [one for one in check(**numbers, **{about: wrong}).open if one.name == about]
    assert any(words in one.note for one in found)
    other = check(**numbers, **{about: 1.3 * wrong}).open
    assert not any("divided" in one.note or "not a dose" in one.note for one in other)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_the_oxygen_edge_is_refused(name):
    material, energy = REFUSED[name]
    with pytest.raises(ClxemError, match="oxygen K edge"):
        mass_attenuation(material, energy)
    with pytest.raises(ClxemError, match="oxygen K edge"):
        xray_dose(1e9, energy)


def test_no_vector_is_left_untested(shared_data):
    """Each is computed here, recognised as wrong, refused, or named by a test beside its module."""
    beside = Path(__file__).parents[1] / "xray" / "test_density_vectors.py"
    text = beside.read_text(encoding="utf-8")
    for name in ELSEWHERE:
        _, _, table = name.removeprefix("fe2o3_mu_m_").partition("_")
        known = (f'"{name}"', f'"{table}"', f'"{name.removeprefix("rho_from_delta_mu_1_per_um_")}"')
        assert any(one in text for one in known), name
    assert len(VECTORS) > 140
    assert set(TABLE) <= set(COMPUTED)
    assert len(COMPUTED) > 110


def test_azimuth_of_the_vector():
    """(8.8923, 8.5981) is x' = 12, y' = 3 about an axis at 30°."""
    turned = sxt(axis_azimuth=30.0)
    assert turned.hits_at([[8.5981, 8.8923]])[0] == hits(sxt(), 12, 3) == 56
    assert sxt(axis_azimuth=-30.0).hits_at([[8.5981, 8.8923]])[0] != 56


def test_contrast_of_protein_in_ice():
    assert contrast_of(520) == pytest.approx(1.2538, rel=1e-3)


def test_absorption_of_a_material_by_hand():
    mixture = Material("wet", (("H2O", 0.9), ("C8H8", 0.1)), 1.0)
    assert linear_attenuation(mixture, 520) == pytest.approx(mass_attenuation(mixture, 520) * 1e-4)
    assert xray_fluence(xray_dose(3e9, 520, mixture), 520, mixture) == pytest.approx(3e9)
    assert conversion_factor(300, "cell") == pytest.approx(3.68)
