"""The verbs wiener, align-tilts, fsc-series and local-resolution."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from napari_clxem import xray
from napari_clxem.cli import main
from napari_clxem.io import open_image
from napari_clxem.verbs.pixels import write_mrc
from napari_clxem.xray.phantom import spheres

PIXEL = 0.02
TILTS = np.arange(-60.0, 61.0, 6.0)
SHAPE = (40, 32, 48)
SHARP = ("--out", "{t}/o.st", "--snr", "9", "--mtf")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A series of optical density with noise, of transmission, and its tilts."""
    place = tmp_path_factory.mktemp("series")
    rng = np.random.default_rng(8)
    spots = rng.uniform((10, 5, 10), (30, 27, 38), (60, 3)) * PIXEL
    volume = spheres(SHAPE, spots, rng.uniform(2, 6, 60) * PIXEL, 8.0, PIXEL)
    density = xray.project(volume, TILTS, PIXEL)
    density += rng.normal(0, 0.2, density.shape).astype(np.float32)
    write_mrc(str(place / "od.st"), density, (PIXEL, PIXEL), stack=True)
    write_mrc(str(place / "t.st"), np.exp(-density), (PIXEL, PIXEL), stack=True)
    (place / "tilts.tlt").write_text("".join(f"{tilt}\n" for tilt in TILTS))
    return place


def test_one_series_gives_two_halves_and_their_resolution(folder, tmp_path, capsys):
    arguments = ["--tilts", str(folder / "tilts.tlt"), "--thickness", "0.8"]
    out, table = tmp_path / "half.mrc", tmp_path / "curve.csv"
    arguments += ["--out", str(out), "--csv", str(table)]
    assert main(["fsc-series", str(folder / "od.st"), *arguments]) == 0
    printed = capsys.readouterr().out
    data = np.asarray(open_image(folder / "od.st").data)
    volumes = [
        xray.reconstruct(part, angles, PIXEL, thickness=40).data
        for part, angles in xray.split(data, TILTS)
    ]
    for name, volume in zip(("even", "odd"), volumes, strict=True):
        written = open_image(tmp_path / f"half-{name}.mrc")
        assert np.allclose(written.data, volume, atol=1e-5)
    curve = xray.fsc(*volumes, PIXEL, xray.round_mask(SHAPE, PIXEL))
    line = next(one for one in printed.splitlines() if one.startswith("0.25")).split()
    assert float(line[1]) == pytest.approx(1e3 * curve.resolution(0.25), rel=1e-3)
    assert "share its missing wedge" in printed
    with table.open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(curve.frequency)
    taken = ["fsc-series", str(folder / "t.st"), "--transmission", *arguments[:4]]
    assert main(taken) == 0
    same = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("0.25")).split()
    assert float(same[1]) == pytest.approx(float(line[1]), rel=0.02)


def test_the_resolution_is_mapped(tmp_path, capsys):
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(5)
    signal = 10 * gaussian_filter(rng.normal(size=(96, 96)), 1.0)
    noise = np.where(np.arange(96) < 48, 0.05, 3.0)
    for name in "ab":
        write_mrc(str(tmp_path / f"{name}.mrc"), signal + noise * rng.normal(size=signal.shape),
                  (0.01, 0.01))  # fmt: skip
    out = tmp_path / "map.mrc"
    arguments = ["--window", "32", "--step", "32", "--out", str(out)]
    halves = [str(tmp_path / "a.mrc"), str(tmp_path / "b.mrc")]
    assert main(["local-resolution", *halves, *arguments]) == 0
    said = capsys.readouterr()
    assert "9 windows" in said.out
    found = open_image(out)
    assert found.scale[-1] == pytest.approx(0.32)
    one, two = (np.asarray(open_image(path).data) for path in halves)
    expected, _ = xray.local_resolution(one, two, 0.01, window=32, step=32)
    written = np.asarray(found.data).reshape(expected.shape)
    assert np.allclose(written, np.nan_to_num(1e3 * expected), rtol=1e-4)


def test_sharpening_is_that_of_the_library(folder, tmp_path, capsys):
    out = tmp_path / "sharp.st"
    arguments = ["wiener", str(folder / "t.st"), "--out", str(out), "--snr", "20"]
    assert main([*arguments, "--zone", "0.04"]) == 0
    data = np.asarray(open_image(folder / "t.st").data)
    mtf = xray.zone_plate_mtf(0.04)
    expected = xray.wiener(data, PIXEL, mtf, 20)
    assert np.allclose(open_image(out).data, expected, atol=1e-5)
    assert "21 images" in capsys.readouterr().out
    frequency = np.linspace(0, 40, 401)
    table = tmp_path / "mtf.csv"
    rows = zip(frequency, mtf(frequency), strict=True)
    table.write_text("frequency,transfer\n" + "".join(f"{f},{t}\n" for f, t in rows))
    assert main([*arguments, "--mtf", str(table)]) == 0
    assert np.allclose(open_image(out).data, expected, atol=2e-3)


def jumbled(rng, angle=4.0):
    """A series with beads, turned about the beam and shifted; and the shifts, pixels."""
    shape = (64, 96, 120)
    spots = np.array(
        [(22, 24, 36), (40, 34, 78), (28, 46, 50), (44, 56, 84), (20, 66, 66), (36, 74, 40)]
    )
    beads = spheres(shape, spots * PIXEL, 6 * PIXEL, 8.0, PIXEL)
    density = xray.project(beads, TILTS, PIXEL)
    shifts = rng.uniform(-3, 3, (len(TILTS), 2))
    turn = np.radians(angle)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    maps = np.stack([np.column_stack([matrix, shift]) for shift in shifts])
    raw = np.exp(-xray.resample(density, maps))
    raw += rng.normal(0, 0.01, raw.shape).astype(np.float32)
    return raw.astype(np.float32), density, maps


def test_beads_bring_the_axis_to_y(tmp_path, capsys):
    raw, density, _ = jumbled(np.random.default_rng(3))
    write_mrc(str(tmp_path / "raw.st"), raw, (PIXEL, PIXEL), stack=True)
    (tmp_path / "t.tlt").write_text("".join(f"{tilt}\n" for tilt in TILTS))
    out, table = tmp_path / "aligned.st", tmp_path / "shifts.csv"
    arguments = ["--tilts", str(tmp_path / "t.tlt"), "--csv", str(table), "--reach", "0.4"]
    assert (
        main(["align-tilts", str(tmp_path / "raw.st"), "--out", str(out), "--beads", "0.12",
              *arguments]) == 0
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert "6 followed" in printed
    with table.open(encoding="utf-8") as file:
        residuals = [float(row["residual_nm"]) for row in csv.DictReader(file)]
    assert len(residuals) == len(TILTS)
    assert max(residuals) < 1e3 * PIXEL  # a pixel
    # aligned images obey one geometry: their tomogram explains them
    inner = (slice(None), slice(20, -20), slice(20, -20))

    def left(series):
        taken = -np.log(np.clip(series, 0.05, None))
        found = xray.reconstruct(taken, TILTS, PIXEL, thickness=64, iterations=3)
        return found.residuals[-1]

    aligned = np.asarray(open_image(out).data)
    assert left(aligned) < 0.4 * left(raw)
    assert aligned[inner].shape == density[inner].shape


def test_an_alignment_of_imod_is_applied(tmp_path, capsys):
    raw, _, maps = jumbled(np.random.default_rng(3))
    write_mrc(str(tmp_path / "raw.st"), raw, (PIXEL, PIXEL), stack=True)
    back = np.linalg.inv(np.concatenate([maps, np.tile([[[0, 0, 1.0]]], (len(maps), 1, 1))], 1))
    mirror = np.diag([-1.0, 1.0, 1.0])  # IMOD counts rows from the bottom
    stored = mirror @ back @ mirror
    lines = [
        f"{m[1, 1]:.7f} {m[1, 0]:.7f} {m[0, 1]:.7f} {m[0, 0]:.7f} {m[1, 2]:.3f} {m[0, 2]:.3f}\n"
        for m in stored
    ]
    (tmp_path / "raw.xf").write_text("".join(lines))
    (tmp_path / "raw.tlt").write_text("".join(f"{tilt}\n" for tilt in TILTS))
    out, tilts = tmp_path / "aligned.st", tmp_path / "out.tlt"
    arguments = ["--alignment", str(tmp_path / "raw.xf"), "--tilts-out", str(tilts)]
    assert main(["align-tilts", str(tmp_path / "raw.st"), "--out", str(out), *arguments]) == 0
    expected = xray.resample(raw, back[:, :2])
    assert np.allclose(open_image(out).data, expected, atol=0.02)
    assert len(tilts.read_text().split()) == len(TILTS)
    capsys.readouterr()
    (tmp_path / "raw.xf").write_text(lines[0] * 30)
    assert main(["align-tilts", str(tmp_path / "raw.st"), "--out", str(out), *arguments[:2]]) == 2
    assert "alignment of this series" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["wiener", "{f}/t.st", *SHARP, "{t}/no.csv"], "no table"),
        (["wiener", "{f}/t.st", *SHARP, "{t}/m.csv"], "two columns"),
        (["align-tilts", "{f}/t.st", "--out", "{t}/o.st", "--beads", "0.1"], "states no tilts"),
        (["align-tilts", "{f}/t.st", "--out", "{t}/o.st", "--alignment", "{t}/no.xf"], "no.xf"),
        (
            ["fsc-series", "{f}/od.st", "--tilts", "{f}/tilts.tlt", "--thickness", "900"],
            "thickness in µm",
        ),
        (
            ["local-resolution", "{f}/od.st", "{f}/od.st", "--out", "{t}/m.mrc"],
            "axes (t, y, x)",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_said_in_one_sentence(folder, tmp_path, arguments, expected, capsys):
    (tmp_path / "m.csv").write_text("1,2,3\n4,5,6\n")
    assert main([one.format(f=folder, t=tmp_path) for one in arguments]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert expected in err
    assert err.count("\n") == 1
