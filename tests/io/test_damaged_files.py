"""Seeded damage to tiny files: each opens and gives a block of pixels, or says why not."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from handmade import mrc_bytes, ome_xml

from napari_clxem.errors import ClxemError
from napari_clxem.io import contrast_limits, open_images, read_navigator

MUTATIONS = 150
# Bytes by which the process may grow while damaged files are opened and a block of each is read.
MEMORY = 300 * 1024 * 1024
SECONDS = 5.0

SPECIAL = (0, 1, 0x7F, 0x80, 0xFF)

MDOC = (
    "PixelSpacing = 20\nImageSize = 6 5\n[ZValue = 0]\nTiltAngle = 3\nStagePosition = 1 2\n"
    "StageZ = 3\nExposureDose = 2\n[ZValue = 1]\nTiltAngle = 6\nStagePosition = 1 2\n"
)
NAV = (
    "AdocVersion = 2.00\n[Item = 1]\nStageXYZ = 1 2 3\nType = 2\nMapFile = a.mrc\nMapSection = 0\n"
    "MapScaleMat = 9 1 2 9\nMapWidthHeight = 6 5\nMapMontage = 1\nMapBinning = 2\nMontBinning = 1\n"
)
THERMO = (
    "[Beam]\nBeam=IBeam\n[IBeam]\nHFW=1e-6\n[Scan]\nPixelWidth=1e-7\nPixelHeight=1e-7\n"
    "[Stage]\nStageX=1e-3\nStageT=0.3\n[Image]\nResolutionX=6\nResolutionY=4\n"
)


def data(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)


def make_ome(folder: Path) -> Path:
    inner = '<Channel Name="a" Color="255" EmissionWavelength="500"/><Channel Name="b"/>'
    planes = '<Plane TheZ="0" TheC="0" TheT="0" PositionX="1" PositionXUnit="mm"/>'
    sizes = 'PhysicalSizeX="0.1" PhysicalSizeY="0.1" PhysicalSizeZ="1" PhysicalSizeZUnit="nm"'
    xml = ome_xml((1, 2, 2, 5, 6), sizes, inner, data='<TiffData IFD="0" PlaneCount="4"/>' + planes)
    path = folder / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=False) as file:
        for i, plane in enumerate(data(4, 5, 6)):
            text = xml.encode() if i == 0 else None
            file.write(plane, description=text, metadata=None, compression="zlib", contiguous=False)
    return path


def make_pyramid(folder: Path) -> Path:
    path = folder / "a.ome.tif"
    tiled = {"tile": (16, 16), "compression": "zlib"}
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(data(2, 40, 40), subifds=1, metadata={"axes": "ZYX"}, **tiled)
        file.write(data(2, 20, 20), subfiletype=1, **tiled)
    return path


def make_imagej(folder: Path) -> Path:
    metadata = {"axes": "ZCYX", "unit": "nm", "spacing": 3.0}
    path = folder / "a.tif"
    tifffile.imwrite(path, data(3, 2, 5, 6), imagej=True, resolution=(1, 2), metadata=metadata)
    return path


def make_plain(folder: Path) -> Path:
    path = folder / "a.tif"
    tifffile.imwrite(
        path,
        data(3, 5, 6),
        resolution=(1e5, 1e5),
        resolutionunit="CENTIMETER",
        metadata=None,
        photometric="minisblack",
        compression="zlib",
        predictor=True,
        rowsperstrip=2,
    )
    return path


def make_thermo(folder: Path) -> Path:
    extra = [(34682, "s", 0, THERMO.encode() + b"\0", True)]
    path = folder / "a.tif"
    tifffile.imwrite(path, data(6, 6), metadata=None, extratags=extra)
    return path


def make_mrc(folder: Path) -> Path:
    path = folder / "a.mrc"
    path.write_bytes(mrc_bytes(data(2, 5, 6), 6, imod_flags=1, extended=bytes(64)))
    return path


def make_mdoc(folder: Path) -> Path:
    make_mrc(folder)
    path = folder / "a.mrc.mdoc"
    path.write_text(MDOC)
    return path


def make_nav(folder: Path) -> Path:
    (folder / "a.mrc").write_bytes(mrc_bytes(data(1, 5, 6), 6))
    path = folder / "a.nav"
    path.write_text(NAV)
    return path


def mutated(raw: bytes, rng: np.random.Generator) -> bytes:
    """Damage some bytes, cut the end off, or copy a piece elsewhere."""
    damaged = bytearray(raw)
    match rng.integers(6):
        case 0:
            return bytes(damaged[: rng.integers(len(raw))])
        case 1:
            length = int(rng.integers(1, 64))
            source, target = rng.integers(max(len(raw) - length, 1), size=2)
            damaged[target : target + length] = raw[source : source + length]
        case 2:
            digits = [i for i, byte in enumerate(raw) if 48 <= byte <= 57]
            for place in rng.choice(digits, size=3) if digits else ():
                damaged[place] = int(rng.integers(45, 58))
        case _:
            # headers of all these formats lie within the first kilobytes
            limit = min(len(raw), int(rng.choice([64, 512, 4096])))
            for place in rng.integers(limit, size=int(rng.integers(1, 9))):
                damaged[place] = int(
                    rng.choice(SPECIAL) if rng.random() < 0.6 else rng.integers(256)
                )
    return bytes(damaged)


def peak() -> int:
    """Most memory that the process ever held, bytes; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def look_at(path: Path) -> None:
    for image in open_images(path):
        for level in image.levels:
            block = np.asarray(level[tuple(slice(0, 3) for _ in level.shape)])
            assert block.ndim == len(image.axes)
        low, high = contrast_limits(image.levels)
        assert low < high
        assert image.scale is None or all(1e-5 <= value <= 1e4 for value in image.scale)


@pytest.mark.parametrize(
    "make",
    [
        make_ome,
        make_pyramid,
        make_imagej,
        make_plain,
        make_thermo,
        make_mrc,
        make_mdoc,
        make_nav,
    ],
)
def test_damage_is_told_or_harmless(make: Callable[[Path], Path], tmp_path: Path) -> None:
    path = make(tmp_path)
    raw = path.read_bytes()
    image = tmp_path / "a.mrc" if path.suffix in (".mdoc", ".nav") else path
    look_at(image)
    rng = np.random.default_rng(20)
    told, before = 0, peak()
    for number in range(MUTATIONS):
        path.write_bytes(mutated(raw, rng))
        started = time.perf_counter()
        try:
            look_at(image)
            if path.suffix == ".nav":
                read_navigator(path)
        except ClxemError:
            told += 1
        assert time.perf_counter() - started < SECONDS, number
    assert told < MUTATIONS
    assert peak() - before < MEMORY
