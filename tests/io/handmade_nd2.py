"""Nikon ND2 files of version 3, put together chunk by chunk."""

from __future__ import annotations

import struct

import numpy as np

MAGIC = 0x0ABECEDA


def name_of(name):
    return bytes([len(name) + 1]) + (name + "\0").encode("utf-16-le")


def lite(content):
    """Nikon's binary metadata: an entry per key, nested where the value is a dict."""
    found = b""
    for key, value in content.items():
        match value:
            case bool():
                found += b"\1" + name_of(key) + bytes([value])
            case int():
                found += b"\3" + name_of(key) + struct.pack("<I", value)
            case float():
                found += b"\6" + name_of(key) + struct.pack("<d", value)
            case str():
                found += b"\x08" + name_of(key) + (value + "\0").encode("utf-16-le")
            case dict():
                head = b"\x0b" + name_of(key)
                inner = lite(value)
                length = len(head) + 12 + len(inner)
                found += head + struct.pack("<IQ", len(value), length) + inner
                found += bytes(8 * len(value))
    return found


def chunk(name, data):
    """A chunk; pixels begin 4072 bytes behind its header, as the vendor aligns them."""
    label = name.encode().ljust(4096 - 24, b"\0")
    return struct.pack("<IIQ", MAGIC, len(label), len(data)) + label + data


def nd2_bytes(data, pixel=0.1, z_step=None, stage=(10.0, 20.0, 30.0), names=("a", "b")):
    """A file of data (frames, channels, rows, columns), frames along z where there is a step."""
    count, channels, rows, columns = data.shape
    item = data.dtype.itemsize
    attributes = {
        "uiWidth": columns,
        "uiWidthBytes": columns * channels * item,
        "uiHeight": rows,
        "uiComp": channels,
        "uiBpcInMemory": 8 * item,
        "uiBpcSignificant": 8 * item,
        "uiSequenceCount": count,
        "uiTileWidth": columns,
        "uiTileHeight": rows,
        "eCompression": 2,
    }
    planes = {
        f"a{i}": {
            "uiCompCount": 1,
            "uiSampleIndex": 0,
            "sDescription": name,
            "uiColor": 255 << 8 * i,
            "pFluorescentProbe": {
                "m_EmissionSpectrum": {
                    "uiCount": 1,
                    "pPoint": {"Point0": {"eType": 1, "dWavelength": 500.0 + i, "dTValue": 1.0}},
                }
            },
        }
        for i, name in enumerate(names[:channels])
    }
    picture = {
        "sPicturePlanes": {"uiCount": channels, "uiCompCount": channels, "sPlaneNew": planes},
        "dCalibration": pixel,
        "bCalibrated": True,
        "dXPos": stage[0],
        "dYPos": stage[1],
        "dZPos": stage[2],
    }
    loop = {"eType": 4, "uLoopPars": {"uiCount": count, "dZStep": z_step or 0.0, "iType": 0}}
    chunks = {
        "ImageAttributesLV!": lite({"SLxImageAttributes": attributes}),
        "ImageMetadataSeqLV|0!": lite({"SLxPictureMetadata": picture}),
        "CustomData|AcqTimesCache!": np.arange(count, dtype="<f8").tobytes(),
    }
    if count > 1:
        chunks["ImageMetadataLV!"] = lite({"SLxExperiment": loop})
    for i, frame in enumerate(data):
        # channels run fastest; a number of eight bytes, the time, comes before the pixels
        raw = np.ascontiguousarray(frame.transpose(1, 2, 0)).tobytes()
        chunks[f"ImageDataSeq|{i}!"] = bytes(8) + raw
    found = struct.pack("<IIQ", MAGIC, 32, 64) + b"ND2 FILE SIGNATURE CHUNK NAME01!"
    found = (found + b"Ver3.0".ljust(64, b"\0")).ljust(4096, b"\0")
    listed = b""
    for name, content in chunks.items():
        listed += name.encode() + struct.pack("<QQ", len(found), len(content))
        found += chunk(name, content)
    start = len(found)
    listed += b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", start)
    label = b"ND2 FILEMAP SIGNATURE NAME 0001!"
    return found + struct.pack("<IIQ", MAGIC, len(label), len(listed)) + label + listed
