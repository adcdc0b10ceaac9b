from __future__ import annotations

import json
import math

import pytest

from napari_clxem.errors import ClxemError
from napari_clxem.materials import (
    MATERIALS,
    Material,
    find_material,
    linear_attenuation,
    mass_attenuation,
)

# μ/ρ at 520 eV by the independent tables of xraylib and Chantler, cm²/g
OTHER_TABLES = {"H2O": (1061.0, 1178.0), "H50C30N9O10S": (9667.0, 9754.0)}


@pytest.mark.parametrize(("formula", "values"), OTHER_TABLES.items())
def test_520_ev_agrees_with_other_tables_as_well_as_they_with_each_other(formula, values):
    value = mass_attenuation(formula, 520.0)
    assert 0.95 * min(values) < value < 1.06 * max(values)


def test_reference_values_of_the_same_table(shared_data):
    vectors = json.loads((shared_data / "dose_vectors.json").read_text())["vectors"]
    formulas = {"h2o": "ice", "protein": "protein"}
    seen = 0
    for vector in vectors:
        name = vector["name"]
        if name.startswith("mu_m_") and name.endswith("periodictable_henke"):
            _, _, material, energy, *_ = name.split("_")
            value = mass_attenuation(formulas[material], float(energy))
            assert value == pytest.approx(vector["expected"]["value"], rel=vector["rtol"]), name
            seen += 1
    assert seen >= 6


def test_linear_attenuation_of_ice_is_a_tenth_per_micrometre():
    assert linear_attenuation("ice", 520.0) == pytest.approx(0.1032, rel=0.01)


def test_cell_is_the_weighted_mean_of_water_and_protein():
    expected = 0.75 * mass_attenuation("H2O", 520.0) + 0.25 * mass_attenuation("protein", 520.0)
    assert mass_attenuation("cell", 520.0) == pytest.approx(expected, rel=1e-12)


def test_gold_is_opaque_and_polystyrene_stronger_than_cell():
    assert math.exp(-5 * linear_attenuation("gold", 520.0)) < 1e-40
    assert linear_attenuation("polystyrene", 520.0) > 2 * linear_attenuation("cell", 520.0)


def test_weight_fractions_add_up():
    for material in MATERIALS.values():
        assert sum(weight for _, weight in material.parts) == pytest.approx(1.0)


def test_own_material():
    half = Material("half", (("H2O", 0.5), ("C8H8", 0.5)), 1.0)
    assert find_material(half) is half
    assert linear_attenuation(half, 520.0) == pytest.approx(
        1e-4 * (mass_attenuation("H2O", 520.0) + mass_attenuation("C8H8", 520.0)) / 2
    )


@pytest.mark.parametrize(
    ("material", "energy", "words"),
    [
        ("ice", 540.0, "oxygen K edge"),
        ("ice", 5.0, "outside the attenuation tables"),
        ("ice", math.nan, "outside the attenuation tables"),
        ("not a formula!", 520.0, "chemical formula"),
        ("", 520.0, "empty formula"),
    ],
)
def test_what_cannot_be_answered_is_refused(material, energy, words):
    with pytest.raises(ClxemError, match=words):
        mass_attenuation(material, energy)


def test_the_oxygen_edge_does_not_stop_materials_without_oxygen():
    assert mass_attenuation("C8H8", 540.0) > 0


def test_a_bare_formula_has_no_density():
    with pytest.raises(ClxemError, match="No material is called"):
        linear_attenuation("H2O", 520.0)
