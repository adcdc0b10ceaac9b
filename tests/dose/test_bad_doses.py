"""Bad input to every public function of doses ends in one sentence, never in a traceback."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from napari_clxem import dose
from napari_clxem.errors import ClxemError

NAN, INF = float("nan"), float("inf")
BAD = (
    *(None, -1, 0, NAN, INF, 1e300, -1e300, 1 + 2j, True),
    *("x", "", "2 um", b"1", np.array(["a"])),
    *([], {}, [1, 2, 3], [[1, 2], [3]], (1,), (-1, -1), object()),
    *(np.zeros((2, 2)), np.zeros((0, 2)), np.zeros((3, 5))),
)
# No number of these is any of the above but 0 and -1, which some take.
NUMBERS = {"fluence", "energy", "voltage", "d", "dose", "points", "origin", "pixel", "pitch"}


def sxt(**fields):
    return dose.Exposure.tilt_series(
        **{
            "modality": "sxt",
            "frame": "a",
            "aim": (0, 0),
            "beam_radius": 10.0,
            "tilts": np.arange(-65, 66),
            "dose_per_image": 1.0,
            "energy": 520.0,
            **fields,
        }
    )


ONE, PLANNED = sxt(), sxt(planned=True)
BOTH = [ONE, PLANNED]
HISTORY = dose.History(BOTH)
EVERY = {
    "mass_attenuation": (dose.mass_attenuation, {"material": "cell", "energy": 520}),
    "xray_dose": (dose.xray_dose, {"fluence": 1e9, "energy": 520, "material": "cell"}),
    "xray_fluence": (dose.xray_fluence, {"dose": 1, "energy": 520, "material": "cell"}),
    "electron_dose": (dose.electron_dose, {"fluence": 1, "voltage": 300, "material": "ice"}),
    "conversion_factor": (dose.conversion_factor, {"voltage": 300, "material": "ice"}),
    "conversion_source": (dose.conversion_source, {"voltage": 300, "material": "ice"}),
    "stopping_power": (dose.stopping_power, {"voltage": 300, "material": "ice"}),
    "critical_exposure": (dose.critical_exposure, {"d": 4, "voltage": 300}),
    "tilt_series": (
        dose.Exposure.tilt_series,
        {
            "modality": "sxt",
            "frame": "a",
            "aim": (0, 0),
            "beam_radius": 10.0,
            "tilts": [0, 1],
            "dose_per_image": 1.0,
            "axis_azimuth": 0,
            "pretilt": 0,
            "energy": 520.0,
            "fluence": 1e7,
            "material": "cell",
            "images": 1,
            "halo": ((1, 0.5),),
            "axis_height": 0.0,
            "weights": (1, 1),
            "times": ("", ""),
            "depth": None,
            "planned": False,
            "time": "",
            "id": "x",
            "source": "",
            "basis": "",
            "beam_turn": 0.0,
            "lower_bound": False,
            "ion": "",
            "wavelengths": (),
            "light": None,
            "group": "",
        },
    ),
    "tilt_series_rect": (
        dose.Exposure.tilt_series,
        {
            "modality": "sem",
            "frame": "a",
            "aim": (0, 0),
            "beam_size": (10.0, 5.0),
            "tilts": 0,
            "fluence": 1.0,
            "energy": 2000.0,
        },
    ),
    "dose_at": (ONE.dose_at, {"points": [[0, 0]]}),
    "hits_at": (ONE.hits_at, {"points": [[0, 0]]}),
    "in_material": (ONE.in_material, {"material": "ice"}),
    "cumulative": (
        dose.cumulative,
        {"exposures": BOTH, "points": [[0, 0]], "graph": None, "frame": "a", "material": "cell"},
    ),
    "cumulative_map": (
        dose.cumulative_map,
        {
            "exposures": BOTH,
            "origin": (0, 0),
            "shape": (5, 5),
            "pixel": 1.0,
            "graph": None,
            "frame": "a",
            "material": "cell",
        },
    ),
    "budget": (dose.budget, {"d": 20, "material": "cell", "voltage": 300, "stability": 550}),
    "amplitude_left": (
        dose.amplitude_left,
        {"d": 20, "dose": 10, "material": "cell", "voltage": 300},
    ),
    "dose_for_amplitude": (
        dose.dose_for_amplitude,
        {"d": 20, "amplitude": 0.5, "material": "cell", "voltage": 300},
    ),
    "electron_equivalent": (
        dose.electron_equivalent,
        {"dose": 1, "material": "cell", "voltage": 300},
    ),
    "supported": (dose.supported_resolution, {"dose": 1, "material": "cell", "voltage": 300}),
    "required_fluence": (
        dose.required_fluence,
        {"d": 30, "contrast": 1.2, "signal_to_noise": 5, "efficiency": 1, "transmission": 1},
    ),
    "required_dose": (
        dose.required_dose,
        {
            "d": 30,
            "energy": 520,
            "detail": "protein",
            "surround": "ice",
            "material": "cell",
            "efficiency": 0.1,
        },
    ),
    "contrast_of": (dose.contrast_of, {"energy": 520, "detail": "protein", "surround": "ice"}),
    "plan": (
        dose.plan,
        {
            "steps": [PLANNED],
            "goal": None,
            "recorded": [ONE],
            "target": (0, 0),
            "graph": None,
            "frame": "a",
            "sxt": 30,
            "et": 20,
            "amplitude": 0.6,
            "stability": 500,
            "material": "cell",
            "voltage": 300,
            "detail": "protein",
            "surround": "ice",
            "signal_to_noise": 5,
            "efficiency": 0.1,
            "transmission": 0.4,
        },
    ),
    "check": (
        dose.check,
        {
            "flux": 1e10,
            "area": 169,
            "exposure_time": 1,
            "fluence_per_image": 6e7,
            "kind": "x-ray",
            "material": "ice",
            "tolerance": 0.002,
        },
    ),
    "check_text": (dose.check, {"declared": "flux = 1e10\narea = 169\nfluence_rate = 6e7"}),
    "derive": (
        dose.derive,
        {
            "given": {"flux": 1e10, "area": 169.0},
            "goals": ("dose",),
            "kind": None,
            "material": "cell",
        },
    ),
    "mosaic": (
        dose.mosaic,
        {
            "aims": [[0, 0], [1, 1]],
            "modality": "sxt",
            "frame": "a",
            "beam_radius": 1.0,
            "dose_per_image": 1.0,
            "group": "m",
        },
    ),
    "tile_aims": (dose.tile_aims, {"centre": (0, 0), "tiles": (2, 2), "pitch": 1.0}),
    "tile_pitch": (dose.tile_pitch, {"tile": 1.0, "overlap": 0.1}),
    "electrons_from_rate": (dose.electrons_from_rate, {"rate": 1, "pixel": 1, "time": 1}),
    "photons_from_counts": (
        dose.photons_from_counts,
        {"counts": 1, "pixel": 1, "counts_per_photon": 1, "efficiency": 1, "transmission": 1},
    ),
    "photons_from_flux": (
        dose.photons_from_flux,
        {"flux": 1, "area": 1, "time": 1, "slit": 1, "measured": "field", "field": 2},
    ),
    "scanned_fluence": (dose.scanned_fluence, {"current": 1, "dwell": 1, "pixel": 1}),
    "surface_dose": (
        dose.surface_dose,
        {"fluence": 1, "energy": 2000, "material": "cell", "depth": 0.1},
    ),
    "electron_range": (dose.electron_range, {"energy": 2000, "material": "ice"}),
    "damage_layer": (dose.damage_layer, {"ion": "Ga", "voltage": 30}),
    "usable_thickness": (dose.usable_thickness, {"thickness": 0.3, "damage": 0.06}),
    "depth_mean": (dose.depth_mean, {"transmission": 0.5}),
    "tilted_mean": (dose.tilted_mean, {"optical_depth": 0.5, "tilts": [0, 1]}),
    "breakdown": (dose.breakdown, {"history": HISTORY, "point": (0, 0), "upto": 2, "z": 0.0}),
    "target_table": (
        dose.target_table,
        {"history": HISTORY, "targets": [("a", (0, 0), 1.0)], "limit": dose.budget(20)},
    ),
    "conflicts": (dose.conflicts, {"history": HISTORY, "limit": 100}),
    "duplicates": (dose.duplicates, {"exposures": BOTH}),
    "contours": (dose.contours, {"exposure": ONE, "shares": (0, 1)}),
    "outlines": (dose.outlines, {"history": HISTORY, "indices": [0], "shares": (0, 1), "z": 0.0}),
    "covered": (dose.covered, {"history": HISTORY, "indices": [0], "share": 0.0, "z": 0.0}),
    "map_contours": (
        dose.map_contours,
        {"values": np.zeros((5, 5)), "level": 1.0, "origin": (0, 0), "pixel": 1.0},
    ),
    "history.at": (HISTORY.at, {"points": [[0, 0]], "upto": 1, "z": 0.0}),
    "history.map": (
        HISTORY.map,
        {"origin": (0, 0), "shape": (5, 5), "pixel": 1.0, "upto": 1, "z": 0.0},
    ),
    "interval": (HISTORY.interval, {"points": [[0, 0]], "z": 0.0}),
    "interval_map": (HISTORY.interval_map, {"origin": (0, 0), "shape": (5, 5), "pixel": 1.0}),
    "nearest": (HISTORY.nearest, {"point": (0, 0), "count": 3}),
    "Replay": (dose.Replay, {"history": HISTORY, "origin": (0, 0), "shape": (5, 5), "pixel": 1.0}),
    "upto": (dose.Replay(HISTORY, (0, 0), (5, 5), 1.0).upto, {"count": 1}),
    "preset": (
        dose.PRESETS["Mistral 40 nm"].exposure,
        {"frame": "a", "aim": (0, 0), "beam_radius": 3.0},
    ),
    "History": (dose.History, {"exposures": BOTH, "graph": None, "frame": "a", "material": "cell"}),
    "Material": (dose.Material, {"name": "x", "parts": (("H2O", 1.0),), "density": 1.0}),
}


@pytest.mark.parametrize("name", sorted(EVERY))
def test_bad_input_is_refused_in_one_sentence(name):
    function, good = EVERY[name]
    function(**good)
    refused = 0
    for key in good:
        for bad in BAD:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", dose.DoseWarning)
                try:
                    found = function(**{**good, key: bad})
                except ClxemError as error:
                    text = str(error)
                    assert "\n" not in text
                    assert 20 < len(text) < 400
                    refused += 1
                else:
                    if isinstance(found, float | np.ndarray):
                        assert np.isfinite(found).all(), (key, bad)
    assert refused >= 10 * len(NUMBERS & good.keys())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: dose.xray_dose(-1e9, 520), "must not be negative"),
        (lambda: dose.xray_dose(1e9, 20), "outside the attenuation tables"),
        (lambda: dose.electron_dose(10, 30), "60-1000 kV"),
        (lambda: dose.conversion_factor(2e6), "60-1000 kV"),
        (lambda: dose.electron_dose("10", 300), "give a number"),
        (lambda: dose.mass_attenuation("unobtainium", 520), "neither a known material"),
        (lambda: dose.budget(0), "above zero"),
        (lambda: dose.critical_exposure(4, 100), "200 and 300 kV"),
        (lambda: sxt(dose_per_image=0), "leave it out where it is unknown"),
        (lambda: sxt(dose_per_image=[1, 2, 3]), "3 values of dose_per_image for 131 tilts"),
        (lambda: sxt(times=("",)), "1 time stamps for 131 tilts"),
        (lambda: sxt(beam_size=(1, 1)), "either its beam_radius or its beam_size"),
        (lambda: sxt(tilts=[]), "give one angle or a list"),
        (lambda: sxt(tilts=[0, NAN]), "finite"),
        (lambda: sxt().dose_at([[0, 0, 0, 0]]), "shape"),
        (lambda: dose.photons_from_flux(1e10, 169, -1), "exposure time is -1"),
        (lambda: dose.Material("x", (("H2O", 0.5),), 1.0), "add up to 0.5"),
        (lambda: dose.plan([]), "at least one step"),
        (lambda: dose.plan([PLANNED], nonsense=1), "no such number: nonsense"),
        (lambda: dose.tile_pitch(10, 1.0), "below 1"),
        (lambda: dose.damage_layer("Ar"), "is not known; known are Ga"),
        (lambda: dose.required_dose(30, 520, nonsense=1), "takes no nonsense"),
    ],
)
def test_the_sentence_says_what_is_wrong(call, words):
    with pytest.raises(ClxemError, match=words):
        call()
