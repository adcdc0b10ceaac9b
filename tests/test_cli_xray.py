"""The verbs fsc, normalise, align-pair, reconstruct and density, on a small phantom."""

from __future__ import annotations

import csv

import mrcfile
import numpy as np
import pytest
import tifffile

from napari_clxem import xray
from napari_clxem.cli import main
from napari_clxem.io import open_image
from napari_clxem.verbs.pixels import write_mrc
from napari_clxem.xray.phantom import photograph, spheres

PIXEL = 0.02
TILTS = np.arange(-60.0, 61.0, 4.0)
SHAPE = (40, 32, 48)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    """A folder with two series of counts, flats, and tilts."""
    folder = tmp_path_factory.mktemp("phantom")
    rng = np.random.default_rng(3)
    places = np.array([(18, 10, 14), (22, 22, 34)]) * PIXEL
    iron = spheres(SHAPE, places, np.array([8, 7]) * PIXEL, [1.4, 1.2], PIXEL)
    cell = spheres(SHAPE, np.array([[20, 16, 24]]) * PIXEL, 0.7, 0.95, PIXEL)
    low, high = photograph(iron, cell, TILTS, PIXEL, (4973, 15950), 0.969, 20000, 0.3, rng)
    for name, counts in (("low", low * 20000), ("high", high * 20000)):
        write_mrc(str(folder / f"{name}.st"), counts, (PIXEL, PIXEL), stack=True)
    flats = np.full((2, *SHAPE[1:]), 20000.0)
    write_mrc(str(folder / "flats.st"), flats, (PIXEL, PIXEL), stack=True)
    (folder / "tilts.tlt").write_text("".join(f"{tilt}\n" for tilt in TILTS))
    return folder


@pytest.fixture(scope="module")
def tomograms(phantom):
    """Both energies through the verbs normalise and reconstruct."""
    for name in ("low", "high"):
        density, out = phantom / f"{name}-od.st", phantom / f"{name}.mrc"
        flats = ["--flats", str(phantom / "flats.st"), "--density"]
        assert main(["normalise", str(phantom / f"{name}.st"), "--out", str(density), *flats]) == 0
        thick = ["--thickness", str(SHAPE[0] * PIXEL), "--tilts", str(phantom / "tilts.tlt")]
        assert main(["reconstruct", str(density), "--out", str(out), *thick]) == 0
    return phantom


def test_what_is_written_reads_back_the_same(tmp_path):
    rng = np.random.default_rng(1)
    volume = rng.normal(size=(4, 6, 9)).astype(np.float32)
    write_mrc(str(tmp_path / "v.mrc"), volume, (0.03, 0.02, 0.01))
    found = open_image(tmp_path / "v.mrc")
    assert found.axes == ("z", "y", "x")
    assert found.scale == pytest.approx((0.03, 0.02, 0.01))
    assert np.array_equal(found.data, volume)
    write_mrc(str(tmp_path / "s.st"), volume, (0.02, 0.01), stack=True)
    found = open_image(tmp_path / "s.st")
    assert found.axes == ("t", "y", "x")
    assert np.array_equal(found.data, volume)
    with mrcfile.open(tmp_path / "v.mrc") as file:  # IMOD counts rows from the bottom
        assert np.array_equal(file.data[:, ::-1], volume)
        assert file.voxel_size.x == pytest.approx(100.0)


def test_normalising_gives_the_same_as_the_library(phantom, tmp_path, capsys):
    out = tmp_path / "t.st"
    flats = ["--flats", str(phantom / "flats.st")]
    assert main(["normalise", str(phantom / "low.st"), "--out", str(out), *flats]) == 0
    counts = open_image(phantom / "low.st").data
    expected = xray.normalise(counts, np.full((1, *SHAPE[1:]), 20000.0)).data
    assert np.allclose(open_image(out).data, expected, atol=1e-6)
    assert "pixels of transmission" in capsys.readouterr().out
    times = ["--exposure", "2", "--flat-exposure", "1", "--current", "100", "--flat-current", "100"]
    assert main(["normalise", str(phantom / "low.st"), "--out", str(out), *flats, *times]) == 0
    assert np.allclose(open_image(out).data, expected / 2, atol=1e-6)


def test_flats_darks_and_records_of_one_file(tmp_path, capsys):
    import h5py

    path, out, tilts = tmp_path / "raw.hdf5", tmp_path / "t.st", tmp_path / "t.tlt"
    with h5py.File(path, "w") as file:
        place = "NXtomo/instrument"
        for name, counts, images, time in (("sample", 5100, 3, 2.0), ("bright_field", 10100, 2, 1)):
            file[f"{place}/{name}/data"] = np.full((images, 6, 8), counts, np.float32)
            file[f"{place}/{name}/ExpTimes"] = np.full(images, time)
            file[f"{place}/{name}/current"] = np.linspace(100.0, 150.0, images)
        file[f"{place}/dark_field/data"] = np.full((1, 6, 8), 100, np.float32)
        file[f"{place}/sample/x_pixel_size"] = 0.013
        file["NXtomo/sample/rotation_angle"] = [-10.0, 0.0, 10.0]
    assert main(["normalise", str(path), "--out", str(out), "--tilts-out", str(tilts)]) == 0
    flat = 0.5 * (10000 / 100 + 10000 / 150)
    expected = 5000 / 2 / np.array([100.0, 125.0, 150.0]) / flat
    found = open_image(out)
    assert np.allclose(found.data, expected[:, np.newaxis, np.newaxis], atol=1e-5)
    assert found.scale == pytest.approx((0.013, 0.013))
    assert "by exposure and current" in capsys.readouterr().out
    assert tilts.read_text().split() == ["-10.000", "0.000", "10.000"]
    with h5py.File(tmp_path / "done.hdf5", "w") as file:
        file["TomoNormalized/TomoNormalized"] = np.full((3, 6, 8), 0.5)
    assert main(["normalise", str(tmp_path / "done.hdf5"), "--out", str(out)]) == 2
    assert "normalised already" in capsys.readouterr().err


def test_the_tomogram_is_that_of_the_library(tomograms, tmp_path, capsys):
    found = open_image(tomograms / "low.mrc")
    series = open_image(tomograms / "low-od.st").data
    made = xray.reconstruct(series, TILTS, PIXEL, thickness=SHAPE[0])
    assert found.data.shape == SHAPE
    assert found.scale == pytest.approx((PIXEL,) * 3)
    assert np.allclose(found.data, made.data, atol=1e-4)
    # from transmission, by another method, in fewer passes
    out, flats = tmp_path / "t.st", ["--flats", str(tomograms / "flats.st")]
    assert main(["normalise", str(tomograms / "low.st"), "--out", str(out), *flats]) == 0
    thick = ["--thickness", "0.8", "--tilts", str(tomograms / "tilts.tlt"), "--transmission"]
    other = ["--method", "SIRT", "--iterations", "2"]
    capsys.readouterr()
    rec = str(tmp_path / "r.rec")
    assert main(["reconstruct", str(out), "--out", rec, *thick, *other]) == 0
    text = capsys.readouterr().out
    assert "40 x 32 x 48 voxels (z, y, x) of 20 nm" in text
    assert "by SIRT" in text
    made = xray.reconstruct(series, TILTS, PIXEL, thickness=SHAPE[0], method="SIRT", iterations=2)
    assert np.allclose(open_image(rec).data, made.data, atol=1e-4)


def test_density_weighs_the_iron(tomograms, tmp_path, capsys):
    table, out = tmp_path / "d.csv", tmp_path / "d.mrc"
    given = ["--contrast", str(15950 - 0.969 * 4973), "--source", "as the phantom was made"]
    volumes = [str(tomograms / "high.mrc"), str(tomograms / "low.mrc")]
    more = ["--scale", "0.969", "--csv", str(table), "--out", str(out)]
    wedge = ["--tilts", str(tomograms / "tilts.tlt")]
    assert main(["density", *volumes, *given, *more, *wedge]) == 0
    text = capsys.readouterr().out
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    true = sum(np.pi / 6 * (n * PIXEL) ** 3 * rho for n, rho in ((8, 1.4), (7, 1.2)))
    assert sum(float(row["mass (pg)"]) for row in rows) == pytest.approx(true, rel=0.25)
    assert "as the phantom was made" in text
    assert open_image(out).data.shape == SHAPE


def test_a_pair_is_aligned(phantom, tmp_path, capsys):
    rng = np.random.default_rng(5)
    from scipy.ndimage import gaussian_filter, shift

    low = 0.6 + 0.3 * gaussian_filter(rng.normal(size=(64, 64)), 2) / 0.14
    low = np.clip(low, 0.1, 1.0)
    high = shift(low, (2.0, -3.0), order=3, mode="nearest") * 0.98 + 0.01
    for name, image in (("l", low), ("h", high)):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.stack([image] * 2).astype(np.float32))
    arguments = [str(tmp_path / "l.tif"), str(tmp_path / "h.tif"), "--pixel", "0.01"]
    out, table = tmp_path / "a.st", tmp_path / "a.csv"
    given = ["--energies", "700", "700.001", "--out", str(out), "--csv", str(table)]
    assert main(["align-pair", *arguments, *given]) == 0
    with table.open(encoding="utf-8") as file:
        (first, second) = csv.DictReader(file)
    for row in (first, second):
        assert float(row["shift_y_px"]) == pytest.approx(-2.0, abs=0.2)
        assert float(row["shift_x_px"]) == pytest.approx(3.0, abs=0.2)
    inner = (slice(8, -8), slice(8, -8))
    assert np.abs(open_image(out).data[0][inner] - low[inner]).mean() < 0.03
    assert "image 1" in capsys.readouterr().err
    assert main(["align-pair", *arguments, "--out", str(out)]) == 2
    assert "energies are not in the files" in capsys.readouterr().err


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """Two noisy halves of one image of 64 x 64 pixels of 10 nm, and a mask."""
    from scipy.ndimage import gaussian_filter

    folder = tmp_path_factory.mktemp("halves")
    rng = np.random.default_rng(2)
    signal = gaussian_filter(rng.normal(size=(24, 64, 64)), 1.5) * 20
    for name in "ab":
        noisy = signal + rng.normal(size=signal.shape)
        write_mrc(str(folder / f"{name}.mrc"), noisy, (0.01,) * 3)
    write_mrc(str(folder / "mask.mrc"), xray.round_mask(signal.shape, 0.01), (0.01,) * 3)
    return folder


def test_resolution_is_that_of_the_library(halves, tmp_path, capsys):
    paths = [str(halves / "a.mrc"), str(halves / "b.mrc")]
    one, two = (np.asarray(open_image(path).data) for path in paths)
    table = tmp_path / "curve.csv"
    assert main(["fsc", *paths, "--csv", str(table)]) == 0
    curve = xray.fsc(one, two, 0.01)
    lines = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line}
    for threshold in (0.25, 0.143, "half-bit"):
        period = float(lines[str(threshold)][1])
        assert period == pytest.approx(curve.resolution(threshold) * 1e3, rel=1e-3)
        assert float(lines[str(threshold)][2]) == pytest.approx(period / 2, rel=1e-3)
    with table.open(encoding="utf-8") as file:
        written = np.array([float(row["correlation"]) for row in csv.DictReader(file)])
    assert np.allclose(written, curve.correlation, equal_nan=True)


def test_the_same_half_twice_is_said_once(halves, capsys):
    path = str(halves / "a.mrc")
    assert main(["fsc", path, path]) == 0
    out, err = capsys.readouterr()
    assert out.count("same image") == 1
    assert not err


def test_masks_and_pixel_sizes(halves, capsys):
    paths = [str(halves / "a.mrc"), str(halves / "b.mrc")]
    one, two = (np.asarray(open_image(path).data) for path in paths)
    masked = xray.fsc(one, two, 0.02, xray.round_mask(one.shape, 0.02)).resolution(0.25) * 1e3
    for mask in ("soft", str(halves / "mask.mrc")):
        assert main(["fsc", *paths, "--mask", mask, "--pixel", "0.02"]) == 0
        line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("0.25"))
        assert float(line.split()[1]) == pytest.approx(masked, rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["fsc", "absent.mrc", "{a}/a.mrc"], "no file"),
        (["fsc", "{p}/low.st", "{p}/low.st"], "axes (t, y, x)"),
        (["fsc", "{a}/a.mrc", "{t}/small.mrc"], "two of one shape"),
        (["fsc", "{a}/a.mrc", "{t}/fine.mrc"], "resample one"),
        (["fsc", "{t}/plain.tif", "{t}/plain.tif"], "states no pixel size"),
        (["fsc", "{a}/a.mrc", "{a}/b.mrc", "--mask", "{t}/small.mrc"], "The mask small.mrc"),
        (["normalise", "{p}/low.st", "--out", "{t}/o.st"], "holds no flat fields"),
        (["normalise", "{p}/low.st", "--out", "{t}/o.png"], "no name of an MRC file"),
        (["normalise", "{p}/low.st", "--out", "{t}/no/o.st"], "There is no folder"),
        (
            ["normalise", "{p}/low.st", "--flats", "{p}/flats.st", "--out", "{t}/o.st",
             "--exposure", "2"],
            "give both or neither",
        ),
        (["reconstruct", "{p}/low.st", "--thickness", "1", "--out", "{t}/o.mrc"], "no tilts"),
        (
            ["reconstruct", "{p}/low.st", "--thickness", "1", "--out", "{t}/o.mrc", "--tilts",
             "{t}/few.tlt"],
            "2 tilts for the 31 images",
        ),
        (
            ["reconstruct", "{p}/low.st", "--thickness", "800", "--out", "{t}/o.mrc", "--tilts",
             "{p}/tilts.tlt"],
            "give the thickness in µm",
        ),
        (
            ["density", "{a}/a.mrc", "{a}/b.mrc", "--contrast", "9", "--source", " "],
            "no source",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(phantom, halves, tmp_path, arguments, expected, capsys):
    write_mrc(str(tmp_path / "small.mrc"), np.zeros((8, 8, 8)), (0.01,) * 3)
    write_mrc(str(tmp_path / "fine.mrc"), np.zeros((24, 64, 64)), (0.02,) * 3)
    (tmp_path / "few.tlt").write_text("0\n1\n")
    tifffile.imwrite(tmp_path / "plain.tif", np.zeros((8, 8), np.float32), metadata=None)
    places = {"a": halves, "p": phantom, "t": tmp_path}
    assert main([one.format(**places) for one in arguments]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert expected in err
    assert err.count("\n") == 1


def test_numbers_that_cannot_be_are_refused_by_the_parser(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["reconstruct", "s.st", "--thickness", "-1", "--out", "o.mrc"])
    assert stopped.value.code == 2
    assert "not a finite number above 0" in capsys.readouterr().err
