"""Zeiss CZI files put together segment by segment."""

from __future__ import annotations

import struct

import numpy as np

PIXELS = {"u1": 0, "u2": 1, "f4": 2}
XML = """<?xml version="1.0" encoding="utf-8"?><ImageDocument><Metadata><Scaling><Items>
<Distance Id="X"><Value>1e-07</Value></Distance><Distance Id="Y"><Value>2e-07</Value></Distance>
<Distance Id="Z"><Value>5e-07</Value></Distance></Items></Scaling>
<Information><Image><AcquisitionDateAndTime>2024-05-06T07:08:09Z</AcquisitionDateAndTime>
<Dimensions><Channels><Channel Id="Channel:0" Name="DAPI">
<EmissionWavelength>461</EmissionWavelength></Channel>
<Channel Id="Channel:1" Name="beads"/></Channels><S><Scenes>
<Scene Index="0"><CenterPosition>1000.5,-2000.25</CenterPosition></Scene>
<Scene Index="1"><CenterPosition>3,4</CenterPosition></Scene></Scenes></S></Dimensions></Image>
<Instrument><Objectives><Objective Name="Plan 20x"><LensNA>0.8</LensNA></Objective></Objectives>
</Instrument></Information><DisplaySetting><Channels><Channel Id="Channel:0">
<Color>#FF0000FF</Color></Channel></Channels></DisplaySetting></Metadata></ImageDocument>"""


def segment(name, content):
    """A segment: its name, twice its length, and what it holds."""
    return struct.pack("<16sqq", name, len(content), len(content)) + content


def entry(block, position):
    """The directory entry of a block: (pixels, {axis: start}, options)."""
    pixels, start, options = block
    kind = options.get("kind", PIXELS[pixels.dtype.str[1:]])
    scale = options.get("binned", 1)
    sizes = {"X": pixels.shape[1] * scale, "Y": pixels.shape[0] * scale}
    stored = {"X": pixels.shape[1], "Y": pixels.shape[0]}
    axes = [("X", start.get("X", 0)), ("Y", start.get("Y", 0))]
    axes += [(a, v) for a, v in start.items() if a not in "XY"]
    raw = b"DV" + struct.pack("<iqii", kind, position, 0, options.get("compression", 0))
    raw += bytes([2 if scale > 1 else 0]) + bytes(5) + struct.pack("<i", len(axes))
    for axis, first in axes:
        size, kept = sizes.get(axis, 1), stored.get(axis, 1)
        raw += struct.pack("<4siifi", axis.encode(), first, size, float(first), kept)
    return raw


def czi_bytes(blocks, xml=XML):
    """A file of blocks [(pixels, {axis: start}, options)]."""
    found = bytes(32 + 512)
    entries = []
    for block in blocks:
        pixels, _, options = block
        raw = options.get("packed", np.ascontiguousarray(pixels).tobytes())
        position = len(found)
        described = entry(block, position)
        entries.append(described)
        extra = b"<METADATA/>"
        fixed = struct.pack("<iiq", len(extra), 0, len(raw)) + described
        fixed = fixed.ljust(256, b"\0")
        found += segment(b"ZISRAWSUBBLOCK", fixed + extra + raw)
    metadata = len(found)
    text = xml.encode()
    found += segment(b"ZISRAWMETADATA", struct.pack("<ii", len(text), 0).ljust(256, b"\0") + text)
    directory = len(found)
    listed = struct.pack("<i", len(entries)).ljust(128, b"\0") + b"".join(entries)
    found += segment(b"ZISRAWDIRECTORY", listed)
    head = struct.pack("<iiii", 1, 0, 0, 0) + bytes(32)
    head += struct.pack("<iqqiq", 0, directory, metadata, 0, 0)
    return segment(b"ZISRAWFILE", head.ljust(512, b"\0")) + found[32 + 512 :]
