"""Pixel facts: what truth.json says is where the files of a tiny grid show it."""

from __future__ import annotations

import csv
import filecmp
import io
import json
import struct
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter, map_coordinates

from napari_clxem.errors import ClxemError
from napari_clxem.samples import write_grid

STACKS = [f"confocal-{site}" for site in "ABC"]
TOMOGRAMS = [f"tomogram-{site}" for site in "ABC"]


class Written:
    """A written grid, read here without the package's own readers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.truth = json.loads((folder / "truth.json").read_text())
        self.grid = json.loads((folder / "grid.json").read_text())
        self.files = {d["frame"]: folder / d["file"] for d in self.grid["datasets"]}

    def image(self, frame: str) -> np.ndarray:
        path = self.files[frame]
        if path.suffix in (".rec", ".mrc"):
            return self._mrc(path).astype(float)
        data = tifffile.imread(path)
        if frame.startswith("confocal"):
            data = data[3]
        elif frame == "fluorescence-map":
            data = data[0]
        return data[..., : self.truth["frames"][frame]["shape"][-2], :].astype(float)

    @staticmethod
    def _mrc(path: Path) -> np.ndarray:
        with mrcfile.open(path) as file:
            header, data = file.header, np.array(file.data)
        names = {1: "x", 2: "y", 3: "z"}
        order = [names[int(header[key])] for key in ("maps", "mapr", "mapc")]
        signed = struct.unpack_from("<i", path.read_bytes()[:1024], 156)[0] & 1
        data = data if signed else data.view(np.uint8)
        if data.ndim == 2:
            return data[::-1]
        return data.transpose([order.index(axis) for axis in "zyx"])[:, ::-1]

    def project(self, frame: str, points: np.ndarray) -> np.ndarray:
        matrix = np.asarray(self.truth["frames"][frame]["from_grid"])
        ndim = self.truth["frames"][frame]["ndim"]
        return np.asarray(points) @ matrix[:ndim, :3].T + matrix[:ndim, 3]

    def beads(self, frame: str) -> np.ndarray:
        position = {bead["id"]: bead["position"] for bead in self.truth["beads"]}
        ids = self.truth["frames"][frame]["beads"]
        return np.array([position[i] for i in ids]).reshape(-1, 3)

    def values(self, frame: str, image: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Image values at grid points."""
        spacing = self.truth["frames"][frame]["spacing"]
        index = self.project(frame, points) / spacing
        return map_coordinates(image, index.T, order=1, mode="nearest")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return Written(write_grid(tmp_path_factory.mktemp("tiny"), size="tiny"))


def _contrast(written, frame, image, points, radius=0.75, first=0):
    """Values at points against the median around them, `radius` µm away in the image."""
    spacing = np.asarray(written.truth["frames"][frame]["spacing"])
    centre = written.project(frame, points)
    around = []
    for angle in np.linspace(0, 2 * np.pi, 12, endpoint=False):
        moved = centre.copy()
        moved[:, -2:] += radius * np.array([np.sin(angle), np.cos(angle)])
        around.append(map_coordinates(image, (moved / spacing).T, order=1, mode="nearest"))
    return written.values(frame, image, points) - np.median(around, axis=0)


@pytest.mark.parametrize("frame", ["fluorescence-map", "vlm-map", *STACKS])
def test_fluorescent_beads_shine_where_the_truth_says(written, frame):
    image = written.image(frame)
    points = written.beads(frame)
    assert len(points) >= 7
    assert np.all(_contrast(written, frame, image, points) > 0)
    assert np.median(written.values(frame, image, points)) > np.percentile(image, 97)


@pytest.mark.parametrize("site", "AB")
def test_beads_absorb_in_tomograms_after_orientation(written, site):
    frame = f"tomogram-{site}"
    image, points = written.image(frame), written.beads(frame)
    assert len(points) >= 5
    assert written.values(frame, image, points).min() > np.percentile(image, 98)
    for mirrored in (image[::-1], image[:, ::-1], image[:, :, ::-1]):
        assert np.median(written.values(frame, mirrored, points)) < np.percentile(image, 90)


def test_beads_and_bars_absorb_in_the_mosaic(written):
    frame = "sxt-mosaic"
    image = written.image(frame)
    assert np.all(_contrast(written, frame, image, written.beads(frame), 0.9) < 0)
    bars = np.array([[0, 52.0, 10.0], [0, -10.0, 52.0], [0, -52.0, -5.0]])
    open_film = np.array([[0, 30.0, -30.0], [0, -35.0, 0.0], [0, 38.0, 20.0]])
    dark = written.values(frame, image, bars)
    assert dark.max() < 0.1 * written.values(frame, image, open_film).min()


def test_mosaic_has_seams_between_tiles(written):
    image = gaussian_filter(written.image("sxt-mosaic"), (0, 3))
    steps = np.abs(np.diff(np.log(np.maximum(image, 1)), axis=0))
    rows = np.median(steps, axis=1)
    side = round(11.7 / 0.2)
    seams = rows[side - 1 :: side][: len(rows) // side]
    assert np.median(seams) > 1.5 * np.median(rows)


@pytest.mark.parametrize("frame", ["sem-overview", "fib-A", "fib-B", "fib-C"])
def test_beads_stand_out_in_scanned_images(written, frame):
    image = written.image(frame)
    points = written.beads(frame)
    matrix = np.asarray(written.truth["frames"][frame]["from_grid"])
    up = -matrix[0, :3] / np.linalg.norm(matrix[0, :3])
    # the upper rim of a bead, which no ice hides, is brighter than what is above it
    if frame == "sem-overview":
        rim = _contrast(written, frame, gaussian_filter(image, 0.7), points, 1.0)
    else:
        smooth = gaussian_filter(image, 0.7)
        rim = written.values(frame, smooth, points + 0.4 * up)
        rim = rim - written.values(frame, smooth, points + 0.85 * up)
    assert len(points) >= 10
    assert np.mean(rim > 0) > 0.85
    assert np.median(rim) > 8


def test_contamination_looks_like_beads_in_the_sem(written):
    spurious = np.asarray(written.truth["frames"]["sem-overview"]["spurious"])
    image = gaussian_filter(written.image("sem-overview"), 0.7)
    spacing = written.truth["frames"]["sem-overview"]["spacing"]
    values = map_coordinates(image, (spurious / spacing).T, order=1)
    assert len(spurious) >= 15
    assert np.median(values) > np.median(image) - 5


@pytest.mark.parametrize("site", "ABC")
def test_target_vesicles_shine_in_the_acidic_channel_and_absorb(written, site):
    targets = np.array([t["position"] for t in written.truth["targets"] if t["site"] == site])
    stack = tifffile.imread(written.files[f"confocal-{site}"])[2].astype(float)
    shine = _contrast(written, f"confocal-{site}", stack, targets, 0.9)
    assert np.median(shine) > 5
    assert np.mean(shine > 0) >= 0.8
    volume = gaussian_filter(written.image(f"tomogram-{site}"), 1.0)
    absorbed = _contrast(written, f"tomogram-{site}", volume, targets, 0.9)
    assert np.median(absorbed) > 4


@pytest.mark.parametrize("site", "AB")
def test_iron_of_the_target_is_dark_in_the_lamella_map(written, site):
    frame = f"tem-{site}"
    target = next(t for t in written.truth["targets"] if t["id"] == f"{site}1")
    image = written.image(frame)
    spacing = np.asarray(written.truth["frames"][frame]["spacing"])
    place = written.project(frame, [target["position"]])[0] / spacing
    y, x = np.ogrid[: image.shape[0], : image.shape[1]]
    distance = np.hypot(y - place[0], x - place[1]) * spacing[0]
    within = image[distance < 0.7 * target["radius"]]
    around = image[(distance > 1.2 * target["radius"]) & (distance < 1.8 * target["radius"])]
    assert np.percentile(within, 10) < np.median(around) - 15


@pytest.mark.parametrize("site", "AB")
def test_lamella_is_bright_against_the_bulk_beside_it(written, site):
    frame = f"tem-{site}"
    lamella = next(item for item in written.truth["lamellae"] if item["site"] == site)
    image = gaussian_filter(written.image(frame), 1)
    centre, across = np.asarray(lamella["centre"]), np.asarray(lamella["across"])
    edge = lamella["width"] / 2
    for side in (-1, 1):
        inner = written.values(frame, image, [centre + side * (edge - 0.4) * across])
        outer = written.values(frame, image, [centre + side * (edge + 0.5) * across])
        assert inner[0] > outer[0] + 30


def _landmarks(path):
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# Simulated human picks")
    return list(csv.DictReader(lines[1:]))


def test_landmark_files_hold_picks_near_the_truth(written):
    records = written.grid["landmarks"]
    assert {(r["moving"], r["fixed"]) for r in records} == {
        *((f"confocal-{s}", f"fib-{s}") for s in "ABC"),
        *((f"tomogram-{s}", f"tem-{s}") for s in "AB"),
    }
    beads = {bead["id"]: bead["position"] for bead in written.truth["beads"]}
    for record in records:
        rows = _landmarks(written.folder / record["file"])
        assert record["model"] == "affine"
        assert len(rows) >= (8 if record["fixed"].startswith("tem") else 6)
        for row in rows:
            assert row["fixed_z"] == ""
            assert all(0.02 < float(sd) < 0.07 for sd in row["fixed_sigma"].split())
            assert len(row["moving_sigma"].split()) == 3
            if row["id"].startswith("bead-"):
                point = [beads[int(row["id"][5:])]]
                moving = written.project(record["moving"], point)[0] * [1.45, 1, 1]
                found = [float(row[f"moving_{axis}"]) for axis in "zyx"]
                assert np.abs(found - moving).max() < 0.4
                fixed = [float(row["fixed_y"]), float(row["fixed_x"])]
                off = np.abs(fixed - written.project(record["fixed"], point)[0])
                assert off.max() < 0.25


@pytest.mark.parametrize("site", "AB")
def test_organelle_picks_agree_with_a_projection(written, site):
    rows = _landmarks(written.folder / f"landmarks/tem-{site}.csv")
    moving = np.array([[float(row[f"moving_{a}"]) for a in "zyx"] for row in rows])
    fixed = np.array([[float(row[f"fixed_{a}"]) for a in "yx"] for row in rows])
    tomogram = np.asarray(written.truth["frames"][f"tomogram-{site}"]["from_grid"])
    on_grid = np.linalg.solve(tomogram, np.c_[moving, np.ones(len(moving))].T).T[:, :3]
    off = fixed - written.project(f"tem-{site}", on_grid)
    assert 0.015 < np.sqrt(np.mean(off**2)) < 0.09


def test_target_suggestions_are_close_but_not_true(written):
    truth = {target["id"]: target for target in written.truth["targets"]}
    assert len(written.grid["targets"]) == 6
    for record in written.grid["targets"]:
        true = written.project(record["frame"], [truth[record["name"]]["position"]])[0]
        off = np.asarray(record["position"]) - true * [1.45, 1, 1]
        assert 0.001 < np.linalg.norm(off) < 0.9


def test_grid_json_says_nothing_of_the_truth(written):
    text = (written.folder / "grid.json").read_text()
    for word in ("from_grid", "truth", "1.47", "spurious", "centre"):
        assert word not in text
    assert "Only tests and benchmarks may read" in written.truth["notice"]
    for record in written.grid["datasets"]:
        assert (written.folder / record["file"]).is_file()
        assert ("z" in record) == (record["ndim"] == 2)


def test_mrc_files_are_valid_and_state_their_scale(written):
    for frame in (*TOMOGRAMS, "tem-A", "tem-B"):
        path = written.files[frame]
        if not frame.endswith("B"):  # mrcfile knows no unsigned bytes
            said = io.StringIO()
            assert mrcfile.validate(path, print_file=said), said.getvalue()
        with mrcfile.open(path, header_only=True) as file:
            voxel = [float(file.voxel_size[axis]) * 1e-4 for axis in "xyz"]
        expected = written.truth["frames"][frame]["spacing"][-1]
        assert voxel == pytest.approx([expected] * 3, rel=1e-5)
    stamp = struct.unpack_from("<i", written.files["tomogram-A"].read_bytes()[:1024], 152)[0]
    assert stamp == 1146047817
    stored = np.asarray(mrcfile.read(written.files["tomogram-A"])).shape
    z, y, x = written.truth["frames"]["tomogram-A"]["shape"]
    assert stored == (y, z, x)


def test_navigator_places_the_lamella_maps(written):
    text = (written.folder / "tem/tem.nav").read_text()
    items = text.split("[Item")[1:]
    assert len(items) == 2
    for block, site in zip(items, "AB", strict=True):
        entries = dict(line.split(" = ", 1) for line in block.splitlines()[1:] if " = " in line)
        matrix = np.array(entries["MapScaleMat"].split(), float).reshape(2, 2)
        width, height = map(int, entries["MapWidthHeight"].split())
        assert [height, width] == written.truth["frames"][f"tem-{site}"]["shape"]
        stage = np.array(entries["StageXYZ"].split()[:2], float)
        corners = np.stack([np.array(entries[k].split(), float) for k in ("PtsX", "PtsY")], 1)
        pixels = (corners - stage) @ matrix.T + [width / 2, height / 2]
        expected = [[0, 0], [width, 0], [width, height], [0, height], [0, 0]]
        assert pixels == pytest.approx(np.array(expected, float), abs=0.01)
        spacing = written.truth["frames"][f"tem-{site}"]["spacing"][0]
        assert abs(np.linalg.det(matrix)) ** -0.5 == pytest.approx(spacing, rel=1e-6)
        mdoc = written.files[f"tem-{site}"].with_suffix(".mrc.mdoc").read_text()
        assert f"StagePosition = {entries['StageXYZ'].rsplit(' ', 1)[0]}" in mdoc
        assert "Voltage = 300" in mdoc


def test_ome_files_state_scale_channels_and_stage(written):
    from xml.etree import ElementTree

    with tifffile.TiffFile(written.files["confocal-A"]) as file:
        assert file.is_ome
        assert file.series[0].axes == "CZYX"
        root = ElementTree.fromstring(file.ome_metadata)
    space = {"o": "http://www.openmicroscopy.org/Schemas/OME/2016-06"}
    pixels = root.find(".//o:Pixels", space)
    sizes = [float(pixels.get(f"PhysicalSize{axis}")) for axis in "ZYX"]
    assert sizes == written.truth["frames"]["confocal-A"]["spacing"]
    names = [channel.get("Name") for channel in pixels.findall("o:Channel", space)]
    assert names == ["nuclei", "mitochondria", "acidic vesicles", "beads"]
    planes = pixels.findall("o:Plane", space)
    heights = [float(plane.get("PositionZ")) for plane in planes[:5]]
    assert np.diff(heights) == pytest.approx(sizes[0], abs=2e-3)
    assert root.find(".//o:Objective", space).get("LensNA") == "0.9"


def test_imagej_and_thermo_files_state_their_scale(written):
    with tifffile.TiffFile(written.files["vlm-map"]) as file:
        assert file.is_imagej
        assert file.imagej_metadata["unit"] == "micron"
        across, metres = file.pages[0].tags["XResolution"].value
        expected = written.truth["frames"]["vlm-map"]["spacing"][0]
        assert metres / across == pytest.approx(expected, rel=1e-4)
    for frame, tilt, volts in (("sem-overview", 45.0, 2000), ("fib-B", 17.0, 30000)):
        with tifffile.TiffFile(written.files[frame]) as file:
            helios = file.fei_metadata
            rows = file.pages[0].shape[0]
        truth = written.truth["frames"][frame]
        assert helios["Scan"]["PixelWidth"] == pytest.approx(truth["spacing"][0] * 1e-6)
        assert helios["Image"]["ResolutionY"] == truth["shape"][0] < rows
        assert np.rad2deg(helios["Stage"]["StageT"]) == pytest.approx(tilt, abs=0.01)
        assert helios["Beam"]["HV"] == volts


def test_same_seed_gives_the_same_bytes(written, tmp_path):
    again = write_grid(tmp_path / "again", size="tiny")
    paths = [p.relative_to(written.folder) for p in written.folder.rglob("*") if p.is_file()]
    assert len(paths) >= 25
    same, different, missing = filecmp.cmpfiles(
        written.folder, again, [str(path) for path in paths], shallow=False
    )
    assert different == []
    assert missing == []
    assert len(same) == len(paths)


def test_unknown_size_is_refused(tmp_path):
    with pytest.raises(ClxemError, match="tiny"):
        write_grid(tmp_path, size="huge")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ClxemError, match="could not be written"):
        write_grid(tmp_path / "taken", size="tiny")
