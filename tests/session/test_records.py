"""Exposures made from what files say, and only from that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_clxem.dose import PRESETS, History, cumulative, duplicates, electron_dose, xray_dose
from napari_clxem.errors import ClxemError, MissingScaleError, SessionError
from napari_clxem.io import open_image, read_autodoc
from napari_clxem.io.image import Channel, OpenedImage, Orientation
from napari_clxem.io.readers.autodoc import parse_autodoc, plain
from napari_clxem.samples import sample_folder
from napari_clxem.session import Dataset, FileRef, Session
from napari_clxem.session.records import (
    prior_doses,
    record_dataset,
    record_image,
    without_known,
)
from napari_clxem.session.stamps import iso_time

SERIES = """
PixelSpacing = 3.1
Voltage = 300
{sections}
"""


def series(doses, tilts=None, seconds=None, extra="", **fields):
    tilts = range(len(doses)) if tilts is None else tilts
    seconds = range(len(doses)) if seconds is None else seconds
    sections = "\n".join(
        f"[ZValue = {i}]\nTiltAngle = {tilt}\nExposureDose = {dose}\nPixelSpacing = 3.1\n"
        f"RotationAngle = 175.3\nDateTime = 30-Nov-15  15:21:{second:02d}\n{extra}"
        for i, (dose, tilt, second) in enumerate(zip(doses, tilts, seconds, strict=True))
    )
    return opened(parse_autodoc(SERIES.format(sections=sections)), len(doses), **fields)


def opened(mdoc, count, scale=(3.1e-4, 3.1e-4), shape=(40, 60), **fields):
    meta = {"mdoc": plain(mdoc.head), "sections": [plain(s) for s in mdoc.of("ZValue")]}
    return OpenedImage(
        levels=(np.zeros((count, *shape), np.uint8),),
        axes=("t", "y", "x"),
        scale=scale,
        name="ts",
        meta={**meta, **fields},
    )


def test_a_tilt_series_takes_dose_tilts_and_axis_from_its_mdoc():
    image = series([2.5, 3.5, 3.0], tilts=[0, 3, -3])
    record = record_image(image, "ts", beam_radius=0.9, pretilt=0.0)
    (one,) = record.exposures
    assert one.modality == "tem"
    assert one.tilts == (0.0, 3.0, -3.0)
    assert one.axis_azimuth == pytest.approx(-85.3)
    assert one.time == "2015-11-30T15:21:00"
    assert one.aim == pytest.approx((19.5 * 3.1e-4, 29.5 * 3.1e-4))
    expected = electron_dose(9.0, 300, "cell")
    assert one.dose_at([one.aim])[0] == pytest.approx(expected)
    assert not one.lower_bound
    assert record.notes == ()


def test_the_pretilt_is_asked_for():
    image = series([2.5, 2.5], tilts=[0, 3])
    assert any("pretilt" in note for note in record_image(image, "ts").notes)
    (one,) = record_image(image, "ts", pretilt=10.0).exposures
    assert one.pretilt == 10.0


def test_entries_that_are_no_numbers_are_missing_ones():
    odd = series([2.5, 2.5])
    meta = {**odd.meta, "mdoc": {"Voltage": "high"}}
    meta["sections"] = [{**s, "ExposureDose": "much", "DateTime": "once"} for s in meta["sections"]]
    record = record_image(replace(odd, meta=meta), "ts", beam_radius=1.0)
    assert record.exposures[0].image_dose() is None
    assert record.exposures[0].time == ""
    assert any("voltage" in note for note in record.notes)


def test_images_are_sorted_by_time_not_by_tilt(shared_data):
    mdoc = read_autodoc(shared_data / "formats/serialem/tilt_series.mdoc")
    image = opened(mdoc, len(mdoc.of("ZValue")))
    (one,) = record_image(image, "ts", energy=300e3).exposures
    assert list(one.times) == sorted(one.times)
    assert one.tilts[:4] == pytest.approx((0.001, 3.001, -2.999, -5.999), abs=1e-3)
    assert one.axis_azimuth == pytest.approx(-85.3)


def test_a_dose_of_zero_is_unknown_never_zero(shared_data):
    mdoc = read_autodoc(shared_data / "formats/serialem/tilt_series.mdoc")
    record = record_image(opened(mdoc, len(mdoc.of("ZValue"))), "ts", energy=300e3)
    assert record.exposures[0].image_dose() is None
    assert any("0 means unknown" in note for note in record.notes)
    history = History(record.exposures)
    assert history.unknown == record.exposures


def test_known_and_unknown_images_of_one_series_are_kept_apart():
    record = record_image(series([2.5, 0, 2.5]), "ts", beam_radius=0.9)
    known, unknown = sorted(record.exposures, key=lambda one: one.fluence is None)
    assert known.image_count == 2
    assert unknown.image_count == 1
    assert unknown.image_dose() is None
    assert "1 of 3 images" in " ".join(record.notes)


def test_dose_rate_behind_the_sample_is_a_lower_bound():
    extra = "DoseRate = 10\nExposureTime = 2\nBinning = 2\n"
    image = series([0, 0], extra=extra)
    (one,) = record_image(image, "ts", beam_radius=0.9).exposures
    assert one.lower_bound
    assert one.fluence == pytest.approx(10 * 2 / 1.55**2)
    (told,) = record_image(image, "ts", beam_radius=0.9, rate_in_vacuum=True).exposures
    assert not told.lower_bound
    assert told.fluence == one.fluence


def test_a_stated_dose_counts_before_the_rate():
    extra = "DoseRate = 10\nExposureTime = 2\nBinning = 1\n"
    (one,) = record_image(series([3.39, 3.39], extra=extra), "ts").exposures
    assert one.fluence == pytest.approx(3.39)
    assert not one.lower_bound


def test_missing_doses_follow_from_the_steps_of_the_prior_dose():
    text = SERIES.format(
        sections="\n".join(
            f"[ZValue = {i}]\nTiltAngle = {3 * i}\nPriorRecordDose = {2.7 * i + 4}"
            for i in range(3)
        )
    )
    record = record_image(opened(parse_autodoc(text), 3), "ts", beam_radius=1.0)
    known = [one for one in record.exposures if one.fluence is not None]
    assert [one.fluence for one in known] == pytest.approx([2.7])
    assert known[0].tilts == (0.0, 3.0)
    assert any("4 e⁻/Å² were recorded here before" in note for note in record.notes)


def test_prior_dose_of_the_reference_vector(shared_data):
    assert prior_doses([2.7, 2.7, 2.7], ["a", "b", "c"]) == pytest.approx([0, 2.7, 5.4])
    assert prior_doses([1.0, 2.0, 4.0], ["c", "a", "b"]) == pytest.approx([6.0, 0.0, 2.0])


def test_real_frame_sets_state_their_doses(shared_data):
    mdoc = read_autodoc(shared_data / "formats/serialem/frame_set_multiple.mdoc")
    sections = mdoc.of("ZValue")
    record = record_image(opened(mdoc, len(sections)), "ts", energy=300e3, beam_radius=1.0)
    total = sum(one.fluence * one.image_count for one in record.exposures)
    assert total == pytest.approx(sum(s.number("ExposureDose") for s in sections))


def test_without_a_beam_the_camera_field_stands_for_it_along_the_image():
    record = record_image(series([2.5, 2.5], tilts=[0, 0]), "ts")
    (one,) = record.exposures
    assert one.hits_at([[0.0, 0.0], [39 * 3.1e-4, 59 * 3.1e-4]]).tolist() == [2, 2]
    assert one.hits_at([[41 * 3.1e-4, 0.0], [0.0, 61 * 3.1e-4]]).tolist() == [0, 0]
    assert any("camera's field stands for it" in note for note in record.notes)


def test_pieces_of_a_montage_lie_side_by_side():
    text = SERIES.format(
        sections="\n".join(
            f"[ZValue = {i}]\nPieceCoordinates = {50 * (i // 2)} {30 * (i % 2)} 0\nTiltAngle = 0\n"
            "ExposureDose = 0.1\nRotationAngle = 90"
            for i in range(4)
        )
    )
    mdoc = parse_autodoc(text)
    image = OpenedImage(
        levels=(np.zeros((70, 110), np.uint8),),
        axes=("y", "x"),
        scale=(1.0, 1.0),
        orientation=Orientation(flip=("y",)),
        meta={
            "mdoc": plain(mdoc.head),
            "sections": [plain(s) for s in mdoc.of("ZValue")],
            "montage": {"pieces": 4, "section": 0, "coordinates": "planned"},
        },
    )
    found = record_image(image, "map").exposures
    assert sorted(one.aim for one in found) == [
        (19.5, 29.5),
        (19.5, 79.5),
        (49.5, 29.5),
        (49.5, 79.5),
    ]
    corner, seam, cross = cumulative(found, [[0.0, 0.0], [0.0, 55.0], [35.0, 55.0]])
    assert seam == pytest.approx(2 * corner)
    assert cross == pytest.approx(4 * corner)


def xray_image(**meta):
    records = {
        "format": "xrm",
        "tilt_angles": [-1.0, 0.0, 1.0],
        "energies": [520.0] * 3,
        "exposure_times": [1.0, 1.0, 2.0],
        "dates": ["2015-11-09T18:19:21", "2015-11-09T18:19:29", "2015-11-09T18:19:38"],
    }
    return OpenedImage(
        levels=(np.zeros((3, 100, 100), np.float32),),
        axes=("t", "y", "x"),
        scale=(0.1, 0.1),
        meta={**records, **meta},
    )


def test_x_rays_need_a_flux_and_take_the_times_of_the_file():
    bare = record_image(xray_image(), "sxt", beam_radius=10.0)
    assert bare.exposures[0].image_dose() is None
    assert any("flux is not in the file" in note for note in bare.notes)
    (one,) = record_image(xray_image(), "sxt", beam_radius=10.0, flux=1e10, area=100.0).exposures
    assert one.modality == "sxt"
    assert one.dose_at([one.aim])[0] == pytest.approx(xray_dose(4e8, 520))
    assert one.energy == 520.0


def test_a_preset_gives_the_flux():
    preset = PRESETS["Mistral 40 nm"]
    (one,) = record_image(xray_image(), "sxt", preset=preset).exposures
    assert one.beam_radius == 10.0
    assert one.dose_at([one.aim])[0] == pytest.approx(xray_dose(4 * preset.image_fluence, 520))


def test_energies_are_kept_apart():
    image = xray_image(energies=[700.0, 700.0, 709.0])
    found = record_image(image, "sxt", flux=1e10, area=100.0).exposures
    assert {one.energy: one.image_count for one in found} == {700.0: 2, 709.0: 1}


def test_mistral_series_and_their_bright_fields():
    series = xray_image(format="alba", dates=[])
    (one,) = record_image(series, "sxt", flux=1e10, area=100.0).exposures
    assert one.image_count == 3
    assert one.times == ()
    field = record_image(xray_image(format="alba", role="bright_field"), "sxt")
    assert field.exposures == ()
    assert "without the sample" in field.notes[0]


def test_tiles_that_lie_side_by_side_are_no_series():
    places = [[0.0, 0.0, 0.0], [0.0, 0.0, 9.0], [0.0, 9.0, 0.0]]
    record = record_image(xray_image(format="alba", positions=places), "sxt", flux=1e9, area=10.0)
    assert record.exposures == ()
    assert any("tiles are not joined" in note for note in record.notes)


def test_tiles_of_a_stitched_mosaic_lie_edge_to_edge():
    image = replace(
        xray_image(mosaic=[2, 2], tilt_angles=[0.0], energies=[520.0], exposure_times=[1.0]),
        levels=(np.zeros((100, 100), np.float32),),
        axes=("y", "x"),
    )
    found = record_image(image, "mosaic", flux=1e10, area=100.0).exposures
    assert sorted(one.aim for one in found) == [
        pytest.approx(p) for p in ((2.45, 2.45), (2.45, 7.45), (7.45, 2.45), (7.45, 7.45))
    ]
    middles = cumulative(found, [[2.45, 2.45], [7.45, 7.45]])
    assert middles == pytest.approx(np.full(2, xray_dose(1e8, 520)))


def test_a_missing_exposure_time_leaves_the_dose_unknown():
    record = record_image(xray_image(exposure_times=[]), "sxt", flux=1e10, area=100.0)
    assert record.exposures[0].image_dose() is None
    assert any("exposure time" in note for note in record.notes)


def test_at_the_oxygen_edge_exposures_are_listed_not_summed():
    image = xray_image(energies=[540.0] * 3)
    found = record_image(image, "sxt", flux=1e10, area=100.0).exposures
    history = History(found)
    assert history.unknown == found
    assert "oxygen K edge" in history.reasons[found[0].id]


def test_a_real_xradia_series(shared_data):
    image = open_image(shared_data / "formats/xrm/txrm_test_chip_tomo.txrm")
    (one,) = record_image(image, "sxt", source="chip.txrm", flux=1e9, area=1000.0).exposures
    assert one.image_count == 7
    assert one.tilts[0] == pytest.approx(-45.018)
    assert one.energy == pytest.approx(9200.0, abs=0.1)
    assert one.fluence == pytest.approx(5e6)
    assert one.times[0] == "2015-11-09T18:19:21"


def test_the_sample_grid_is_recorded():
    folder = sample_folder()
    tem = record_image(open_image(folder / "tem/lamella-B.mrc"), "tem-B").exposures[0]
    assert tem.dose_at([tem.aim])[0] == pytest.approx(electron_dose(0.08, 300, "cell"))
    sem = record_image(open_image(folder / "sem/overview.tif"), "sem").exposures[0]
    assert sem.at_surface
    assert 0 < sem.image_dose() < 0.1
    fib = record_image(open_image(folder / "fib/site-A.tif"), "fib-A", ion="Ga").exposures[0]
    assert (fib.modality, fib.ion, fib.image_dose()) == ("fib", "Ga", 0.0)
    light = open_image(folder / "vlm/map.tif")
    (view,) = record_image(light, "vlm", modality="vlm").exposures
    assert view.image_dose() == 0.0
    assert view.hits_at([view.aim])[0] == 1


def test_light_keeps_its_wavelengths():
    image = OpenedImage(
        levels=(np.zeros((2, 8, 8)),),
        axes=("c", "y", "x"),
        scale=(1.0, 1.0),
        channels=(Channel("green", wavelength=510.0), Channel("red")),
    )
    (one,) = record_image(image, "map", modality="confocal").exposures
    assert one.wavelengths == (510.0,)
    assert cumulative([one], [one.aim]) == pytest.approx([0.0])


def test_two_copies_of_an_mdoc_are_recognised():
    first = record_image(series([2.5] * 4), "ts", source="a/ts.mrc").exposures
    again = record_image(series([2.5] * 4), "ts", source="b/copy.mrc").exposures
    session = Session(exposures=first)
    found = without_known(session, again)
    assert found.exposures == ()
    assert "recorded already" in found.notes[0]


def test_of_a_series_that_went_on_only_the_new_images_are_added():
    first = record_image(series([2.5] * 4), "ts").exposures
    longer = record_image(series([2.5] * 6), "ts").exposures
    found = without_known(Session(exposures=first), longer)
    assert "4 of 6 images" in found.notes[0]
    place = [first[0].aim]
    together = cumulative([*first, *found.exposures], place)
    assert together == pytest.approx(cumulative(longer, place))
    assert duplicates([*first, *found.exposures]) == ()
    assert without_known(Session(exposures=(*first, *found.exposures)), longer).exposures == ()


def test_a_dataset_without_frame_is_not_recorded():
    dataset = Dataset(name="ts", file=FileRef(path="ts.mrc"))
    with pytest.raises(SessionError, match="lies in no frame"):
        record_dataset(dataset, series([1.0]))
    (one,) = record_dataset(replace(dataset, frame="f"), series([1.0])).exposures
    assert one.frame == "f"
    assert one.source == "ts.mrc"


def test_an_image_without_pixel_size_is_refused():
    with pytest.raises(MissingScaleError, match="no pixel size"):
        record_image(series([1.0], scale=None), "ts")


def test_what_is_not_known_by_that_name_is_refused():
    with pytest.raises(ClxemError, match="Nothing is known by the name colour"):
        record_image(series([1.0]), "ts", colour=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30-Nov-15  15:21:38", "2015-11-30T15:21:38"),
        ("08-Oct-2021 07:47:29", "2021-10-08T07:47:29"),
        ("12/14/2022 01:53:39 PM", "2022-12-14T13:53:39"),
        ("12/14/2022 12:00:00 AM", "2022-12-14T00:00:00"),
        ("2015-11-09T18:19:21", "2015-11-09T18:19:21"),
        ("31-Feb-21 10:00:00", ""),
        ("1-Xyz-21 10:00:00", ""),
        ("", ""),
        ("yesterday", ""),
    ],
)
def test_time_stamps(text, expected):
    assert iso_time(text) == expected
