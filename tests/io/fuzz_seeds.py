"""Tiny files of every format that is read, to be damaged: each maker fills a folder.

A maker gives the path to open; every file in the folder may be damaged.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
import tifffile
from handmade import mrc_bytes, ome_xml
from handmade_czi import czi_bytes
from handmade_dm import dm_bytes, tree
from handmade_leica import (
    element,
    header,
    image_xml,
    lif_bytes,
    lof_bytes,
    one_image,
    write_xlef,
)
from handmade_nd2 import nd2_bytes
from handmade_ole import ole_bytes
from handmade_zarr import write_image

MDOC = (
    "PixelSpacing = 20\nImageSize = 6 5\n[ZValue = 0]\nTiltAngle = 3\nStagePosition = 1 2\n"
    "StageZ = 3\nExposureDose = 2\n[ZValue = 1]\nTiltAngle = 6\nStagePosition = 1 2\n"
)
MONTAGE = (
    "PixelSpacing = 20\nImageSize = 6 5\n[ZValue = 0]\nPieceCoordinates = 0 0 0\n"
    "AlignedPieceCoordsVS = 0 0 0\n[ZValue = 1]\nPieceCoordinates = 5 3 0\n"
    "AlignedPieceCoordsVS = 4 3 0\n[MontSection = 0]\nStagePosition = 1 2\n"
)
NAV = (
    "AdocVersion = 2.00\n[Item = 1]\nStageXYZ = 1 2 3\nType = 2\nMapFile = a.mrc\nMapSection = 0\n"
    "MapScaleMat = 9 1 2 9\nMapWidthHeight = 6 5\nMapMontage = 1\nMapBinning = 2\nMontBinning = 1\n"
)
THERMO = (
    "[Beam]\nBeam=IBeam\n[IBeam]\nHFW=1e-6\n[Scan]\nPixelWidth=1e-7\nPixelHeight=1e-7\n"
    "[Stage]\nStageX=1e-3\nStageT=0.3\n[Image]\nResolutionX=6\nResolutionY=4\n"
)
ALN = (
    "# AreTomo Alignment / Priims bprmMn\n# RawSize = 40 30 3\n# DarkFrame = 0 0 60.00\n"
    "# SEC ROT GMAG TX TY SMEAN SFIT SCALE BASE TILT\n"
    "1 85.0 1.0 3.0 -2.0 1.0 1.0 1.0 0.0 -3.0\n2 85.0 1.0 3.0 -2.0 1.0 1.0 1.0 0.0 0.0\n"
)
MAPS = (
    '<?xml version="1.0" encoding="utf-8"?><PerseusProject xmlns="urn:fei"><Layers><anyType>'
    "<displayName>LayersData\\Layer\\a</displayName><columns>2</columns><rows>2</rows>"
    '<pixelSize Value="1e-8"/><tileHfw Value="6e-8"/><totalHfw Value="1.1e-7"/>'
    '<rotation Value="3"/><StagePosition><x>1e-3</x><y>2e-3</y></StagePosition></anyType></Layers>'
    "</PerseusProject>"
)
STEP = {"x": 1e-7, "y": 2e-7, "z": 5e-7}


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


def make_companion(folder: Path) -> Path:
    tifffile.imwrite(folder / "b.tif", data(4, 5, 6), metadata=None, photometric="minisblack")
    places = '<TiffData IFD="0" PlaneCount="4"><UUID FileName="b.tif">urn:uuid:1</UUID></TiffData>'
    path = folder / "a.companion.ome"
    path.write_text(ome_xml((1, 2, 2, 5, 6), 'PhysicalSizeX="1"', data=places))
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
    (folder / "a.mrc.mdoc").write_text(MDOC)
    return make_mrc(folder)


def make_montage(folder: Path) -> Path:
    (folder / "a.mrc.mdoc").write_text(MONTAGE)
    return make_mrc(folder)


def make_nav(folder: Path) -> Path:
    path = folder / "a.mrc"
    path.write_bytes(mrc_bytes(data(1, 5, 6), 6))
    (folder / "a.nav").write_text(NAV)
    return path


def make_lif(folder: Path) -> Path:
    path = folder / "a.lif"
    path.write_bytes(one_image(data(2, 2, 5, 6), "zcyx", STEP, tables=("Green", "Red")))
    return path


def make_tiles(folder: Path) -> Path:
    """A tile scan: two tiles side by side, one pixel of which they share."""
    xml = image_xml(data(2, 2, 5, 6), "mzyx", STEP)
    places = '<Tile PosX="0" PosY="0"/><Tile PosX="5e-7" PosY="0"/>'
    scan = f'<Attachment Name="TileScanInfo" FlipX="0">{places}</Attachment></Image>'
    inner = element("cell", xml.replace("</Image>", scan))
    path = folder / "a.lif"
    path.write_bytes(lif_bytes(header(inner), {"MemBlock_1": data(2, 2, 5, 6).tobytes()}))
    return path


def make_lof(folder: Path) -> Path:
    path = folder / "a.lof"
    path.write_bytes(lof_bytes(data(2, 5, 6), "zyx", STEP))
    return path


def make_xlef(folder: Path) -> Path:
    return write_xlef(folder, data(2, 5, 6), "zyx", STEP)


def make_xradia(folder: Path) -> Path:
    numbers = {
        "ImageWidth": 6,
        "ImageHeight": 5,
        "NoOfImages": 4,
        "ImagesTaken": 4,
        "DataType": 5,
        "MosiacRows": 0,
        "MosiacColumns": 0,
        "MosiacMode": 0,
    }
    streams = {f"ImageInfo/{k}": struct.pack("<i", v) for k, v in numbers.items()}
    for name in ("Angles", "Energy", "ExpTimes", "XPosition", "YPosition", "ZPosition"):
        streams[f"ImageInfo/{name}"] = struct.pack("<4f", 1, 2, 3, 4)
    streams["ImageInfo/PixelSize"] = struct.pack("<f", 0.02)
    for i, plane in enumerate(data(4, 5, 6), 1):
        streams[f"ImageData1/Image{i}"] = plane.tobytes()
    streams["ReferenceData/Image"] = data(5, 6).tobytes()
    path = folder / "a.txrm"
    path.write_bytes(ole_bytes(streams))
    return path


def make_mosaic(folder: Path) -> Path:
    path = make_xradia(folder)
    raw = path.read_bytes()
    for name in ("MosiacRows", "MosiacColumns"):
        # the mini stream holds these numbers; four of them are 0
        place = raw.index(name.encode("utf-16-le"))
        start = struct.unpack_from("<I", raw, place + 116)[0]
        root = struct.unpack_from("<I", raw, raw.index("Root Entry".encode("utf-16-le")) + 116)[0]
        at = (root + 1) * 512 + start * 64
        raw = raw[:at] + struct.pack("<i", 2) + raw[at + 4 :]
    path.write_bytes(raw)
    return path


def make_dm3(folder: Path) -> Path:
    path = folder / "a.dm3"
    stage = {"X": 1.0, "Y": 2.0, "Z": 3.0, "Alpha": 4.0}
    path.write_bytes(dm_bytes(tree([(0.5, "nm"), (0.5, "nm")], data(5, 6), stage=stage)))
    return path


def make_dm4(folder: Path) -> Path:
    path = folder / "a.dm4"
    path.write_bytes(dm_bytes(tree([(0.5, "nm")] * 3, data(2, 5, 6)), 4))
    return path


def make_alba(folder: Path) -> Path:
    path = folder / "a.hdf5"
    with h5py.File(path, "w") as file:
        sample = file.create_group("NXtomo/instrument/sample")
        sample.create_dataset("data", data=data(2, 5, 6), compression="gzip", chunks=(1, 5, 6))
        sample["x_pixel_size"], sample["y_pixel_size"] = 0.01, 0.01
        sample["ExpTimes"] = [1.0, 2.0]
        file["NXtomo/sample/rotation_angle"] = [-1.0, 1.0]
        file["NXtomo/instrument/source/energy"] = 520.0
        file["NXtomo/instrument/bright_field/data"] = data(2, 5, 6)
    return path


def make_czi(folder: Path) -> Path:
    path = folder / "a.czi"
    tiles = [(plane, {"X": 4 * i, "M": i, "C": 0}, {}) for i, plane in enumerate(data(2, 5, 6))]
    coarse = (data(3, 5), {"X": 0, "C": 0}, {"binned": 2})
    path.write_bytes(czi_bytes([*tiles, coarse]))
    return path


def make_nd2(folder: Path) -> Path:
    path = folder / "a.nd2"
    path.write_bytes(nd2_bytes(data(2, 2, 5, 6), z_step=0.5))
    return path


def make_zarr(folder: Path) -> Path:
    return write_image(folder / "a.ome.zarr", data(2, 5, 6), compress=True)


def make_maps(folder: Path) -> Path:
    place = folder / "LayersData" / "Layer" / "a"
    place.mkdir(parents=True)
    for row in (1, 2):
        for column in (1, 2):
            tifffile.imwrite(place / f"Tile_00{row}-00{column}-0.tif", data(5, 6), metadata=None)
    (folder / "MapsProject.xml").write_text(MAPS)
    return folder


def make_aln(folder: Path) -> Path:
    path = folder / "a.aln"
    path.write_text(ALN)
    return path


def make_xf(folder: Path) -> Path:
    path = folder / "a.xf"
    path.write_text("0.99 0.1 -0.1 0.99 3.5 -2.5\n1 0 0 1 0 0\n")
    (folder / "a.tlt").write_text("-3.0\n3.0\n")
    return path


if find_spec("nd2") is None:  # an extra
    del make_nd2

MAKERS: dict[str, Callable[[Path], Path]] = {
    name.removeprefix("make_"): maker
    for name, maker in sorted(globals().items())
    if name.startswith("make_")
}
