from __future__ import annotations

import h5py
import numpy as np
import pytest

from napari_clxem.errors import ReadError
from napari_clxem.io import open_image, open_images

SHAPE = (3, 4, 5)


def stack(offset=0, dtype="<u2"):
    return (np.arange(60).reshape(SHAPE) + offset).astype(dtype)


def put(file, entries, units=None):
    for name, value in entries.items():
        file[name] = value
        if units and name in units:
            file[name].attrs["units"] = units[name]


def raw(path, root="NXtomo", images=None, translation_unit="um", compressed=False):
    """As the beamline's converter writes a tilt series."""
    images = stack() if images is None else images
    count = len(images)
    sample = f"{root}/instrument/sample"
    with h5py.File(path, "w") as file:
        if compressed:
            file.create_dataset(f"{sample}/data", data=images, compression="gzip", chunks=(1, 2, 5))
        else:
            file[f"{sample}/data"] = images
        entries = {
            f"{sample}/x_pixel_size": 0.010,
            f"{sample}/y_pixel_size": 0.012,
            f"{sample}/ExpTimes": np.full(count, 2.0, "f4"),
            f"{sample}/current": np.arange(count) + 149.0,
            f"{sample}/magnification": 1300.0,
            f"{root}/instrument/source/energy": 520.0,
            f"{root}/sample/rotation_angle": np.arange(count) * 2.0 - 2,
            f"{root}/sample/x_translation": np.arange(count) + 100.0,
            f"{root}/sample/y_translation": np.arange(count) - 50.0,
            f"{root}/sample/z_translation": np.zeros(count) + 7.0,
            f"{root}/instrument/bright_field/data": stack(1000)[:2],
            f"{root}/instrument/bright_field/ExpTimes": np.array([1.0, 1.0]),
            f"{root}/instrument/bright_field/current": np.array([148.0, 148.5]),
            f"{root}/instrument/dark_field/data": stack(2000)[:1],
        }
        units = {f"{sample}/{a}_pixel_size": "um" for a in "xy"}
        units |= {f"{root}/sample/{a}_translation": translation_unit for a in "xyz"}
        put(file, entries, units)
    return path


@pytest.mark.parametrize("compressed", [False, True])
def test_raw_tilt_series_with_flats_and_darks(tmp_path, compressed):
    images = open_images(raw(tmp_path / "a.hdf5", compressed=compressed))
    sample, flat, dark = images
    assert [image.meta.get("role") for image in images] == [None, "flat", "dark"]
    assert sample.axes == ("t", "y", "x")
    np.testing.assert_array_equal(np.asarray(sample.data), stack())
    np.testing.assert_array_equal(np.asarray(sample.data[1, 1:3, ::-2]), stack()[1, 1:3, ::-2])
    assert sample.scale == pytest.approx((0.012, 0.010))
    assert sample.meta["tilt_angles"] == [-2.0, 0.0, 2.0]
    assert sample.meta["energies"] == [520.0] * 3
    assert sample.meta["exposure_times"] == [2.0] * 3
    assert sample.meta["currents"] == [149.0, 150.0, 151.0]
    assert sample.meta["positions"][2] == [7.0, -48.0, 102.0]
    assert sample.stage.position == (7.0, -49.0, 101.0)
    np.testing.assert_array_equal(np.asarray(flat.data), stack(1000)[:2])
    assert flat.meta["currents"] == [148.0, 148.5]
    assert flat.meta["energies"] == [520.0] * 2
    assert dark.data.shape == (4, 5)


def test_mosaic_translations_are_micrometres_whatever_their_label(tmp_path):
    path = raw(tmp_path / "a.hdf5", "NXmosaic", stack()[:1], translation_unit="mm")
    image = open_image(path)
    assert image.axes == ("y", "x")
    assert image.stage.position == (7.0, -50.0, 100.0)


def test_mosaic_of_tiles_is_a_series_and_says_so(tmp_path):
    image = open_image(raw(tmp_path / "a.hdf5", "NXmosaic"))
    assert image.axes == ("t", "y", "x")
    assert "not joined" in image.missing[0]


def test_normalised_series_has_lost_its_units(tmp_path):
    path = tmp_path / "a_norm.hdf5"
    data = stack(dtype="<f4") / 100
    with h5py.File(path, "w") as file:
        put(
            file,
            {
                "TomoNormalized/TomoNormalized": data,
                "TomoNormalized/rotation_angle": [-1.0, 0.0, 1.0],
                "TomoNormalized/energy": [700.0, 709.0, 700.0],
                "TomoNormalized/x_pixel_size": 0.01,
                "TomoNormalized/y_pixel_size": 0.01,
                "TomoNormalized/ExpTimesTomo": [1.0, 2.0, 3.0],
                "TomoNormalized/CurrentsTomo": [150.0, 151.0, 152.0],
                "TomoNormalized/FFNormalized": data[:2] + 1,
                "TomoNormalized/AverageFF": data[0] + 2,
            },
        )
    image, flats, average = open_images(path)
    np.testing.assert_array_equal(np.asarray(image.data), data)
    assert image.scale == pytest.approx((0.01, 0.01))
    assert image.meta["energies"] == [700.0, 709.0, 700.0]
    assert image.meta["exposure_times"] == [1.0, 2.0, 3.0]
    assert (flats.meta["role"], average.meta["role"]) == ("flat", "flat")
    np.testing.assert_array_equal(np.asarray(average.data), data[0] + 2)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("MosaicNormalized/mosaic_normalized", (6, 7)),
        ("SpecNormalized/spectroscopy_normalized", SHAPE),
        ("FastAligned/tomo_aligned", SHAPE),
        ("FastAligned/spec_aligned", SHAPE),
    ],
)
def test_stages_without_a_pixel_size_ask_for_one(tmp_path, name, shape):
    path = tmp_path / "a.hdf5"
    data = np.arange(np.prod(shape), dtype="<f4").reshape(shape)
    with h5py.File(path, "w") as file:
        file[name] = data
    image = open_image(path)
    np.testing.assert_array_equal(np.asarray(image.data), data)
    assert image.scale is None
    assert "give it in µm" in image.missing[0]


def test_image_converted_from_xradia(tmp_path):
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        put(
            file,
            {
                "data": stack()[0],
                "metadata/angle": -1.5,
                "metadata/energy": 520.0,
                "metadata/pixel_size": 0.01,
                "metadata/x_position": 12.0,
                "metadata/y_position": 34.0,
            },
        )
    image = open_image(path)
    assert image.scale == pytest.approx((0.01, 0.01))
    assert image.stage.position[1:] == (34.0, 12.0)
    assert image.stage.tilt == -1.5
    assert image.meta["energies"] == [520.0]


def test_links_within_the_file_are_followed(tmp_path):
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        file["store/images"] = stack()
        file["TomoNormalized/TomoNormalized"] = h5py.SoftLink("/store/images")
    np.testing.assert_array_equal(np.asarray(open_image(path).data), stack())


def test_nothing_outside_the_file_is_opened(tmp_path):
    other = tmp_path / "other.hdf5"
    with h5py.File(other, "w") as file:
        file["images"] = stack()
    links = {
        "link": lambda f: f.__setitem__(
            "TomoNormalized/TomoNormalized", h5py.ExternalLink("other.hdf5", "images")
        ),
        "group": lambda f: f.__setitem__("TomoNormalized", h5py.ExternalLink("other.hdf5", "/")),
        "soft": lambda f: (
            f.update({"a": h5py.ExternalLink("other.hdf5", "/")})
            or f.create_group("TomoNormalized").__setitem__(
                "TomoNormalized", h5py.SoftLink("/a/images")
            )
        ),
        "external": lambda f: f.create_dataset(
            "TomoNormalized/TomoNormalized", (3, 4, 5), "u1", external=[(str(other), 0, 60)]
        ),
    }
    for name, make in links.items():
        path = tmp_path / f"{name}.hdf5"
        with h5py.File(path, "w") as file:
            make(file)
        with pytest.raises(ReadError, match="not opened"):
            open_image(path)
    layout = h5py.VirtualLayout(SHAPE, "u2")
    layout[:] = h5py.VirtualSource(other, "images", SHAPE)
    with h5py.File(tmp_path / "virtual.hdf5", "w") as file:
        file.create_virtual_dataset("TomoNormalized/TomoNormalized", layout)
    with pytest.raises(ReadError, match="not opened"):
        open_image(tmp_path / "virtual.hdf5")


def test_links_that_lead_round(tmp_path):
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        file["TomoNormalized/TomoNormalized"] = h5py.SoftLink("/TomoNormalized/TomoNormalized")
    with pytest.raises(ReadError, match="leads round"):
        open_image(path)


def test_more_stated_than_held(tmp_path):
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "TomoNormalized/TomoNormalized", (2, 200_000, 200_000), "f4", chunks=(1, 1000, 1000)
        )
    with pytest.raises(ReadError, match="holds 0"):
        open_image(path)


def test_other_hdf5(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["something/else"] = [1, 2]
    with pytest.raises(ReadError, match="Mistral"):
        open_image(path)
    raw_bytes = path.read_bytes()
    path.write_bytes(raw_bytes[:60])
    with pytest.raises(ReadError, match="truncated"):
        open_image(path)
