"""DigitalMicrograph files put together tag by tag."""

from __future__ import annotations

import struct

import numpy as np

CODES = {"u1": 6, "i1": 9, "u2": 10, "i2": 1, "u4": 11, "i4": 7, "f4": 2, "f8": 12}
# element codes of arrays in the tag tree, which are others than the data types of images
ELEMENTS = {"u1": 10, "i1": 9, "u2": 4, "i2": 2, "u4": 5, "i4": 3, "f4": 6, "f8": 7}


def tree(calibration, data, kind=None, stage=None, image_type=None):
    """A tag tree of a thumbnail and one image; `calibration` is [(scale, unit)] for x, y, z."""
    name = data.dtype.str[1:]
    image = {
        "ImageData": {
            "Calibrations": {
                "Dimension": [
                    {"Origin": 0.0, "Scale": scale, "Units": unit} for scale, unit in calibration
                ]
            },
            "Data": data,
            "DataType": ("L", CODES[name] if image_type is None else image_type),
            "Dimensions": [("L", n) for n in data.shape[::-1]],
        },
        "ImageTags": {
            "Microscope Info": {"Voltage": 200000.0, "Operation Mode": "IMAGING"},
        },
    }
    if stage:
        image["ImageTags"]["Microscope Info"]["Stage Position"] = {
            f"Stage {axis}": value for axis, value in stage.items()
        }
    small = {
        "ImageData": {
            "Data": np.zeros((2, 2), "<u4"),
            "DataType": ("L", 23),
            "Dimensions": [("L", 2), ("L", 2)],
        }
    }
    return {
        "ImageList": [small, image],
        "Thumbnails": [{"ImageIndex": ("L", 0)}],
        "Rectangle": ("struct", (1, 2, 3, 4)),
    }


def dm_bytes(tags, version=3, order="<"):
    """Write a tag tree as version 3 or 4."""
    wide = ">Q" if version == 4 else ">I"

    def number(value):
        return struct.pack(wide, value)

    def group(content):
        named = content.items() if isinstance(content, dict) else [("", v) for v in content]
        body = b"".join(entry(name, value) for name, value in named)
        return b"\1\0" + number(len(content)) + body

    def entry(name, value):
        label = name.encode("latin-1")
        nested = isinstance(value, dict | list)
        body = group(value) if nested else b"%%%%" + values(value)
        head = struct.pack(">BH", 20 if nested else 21, len(label)) + label
        return head + (struct.pack(">Q", len(body)) if version == 4 else b"") + body

    def described(*numbers):
        return number(len(numbers)) + b"".join(number(n) for n in numbers)

    def values(value):
        match value:
            # Before the pairs: NumPy 2.5 counts arrays among the sequences.
            case np.ndarray():
                raw = value.astype(value.dtype.newbyteorder(order)).tobytes()
                return described(20, ELEMENTS[value.dtype.str[1:]], value.size) + raw
            case float():
                return described(7) + struct.pack(order + "d", value)
            case ("L", int(count)):
                return described(5) + struct.pack(order + "I", count)
            case ("struct", fields):
                kinds = [part for _ in fields for part in (0, 3)]
                return described(15, 0, len(fields), *kinds) + struct.pack(
                    f"{order}{len(fields)}i", *fields
                )
            case str():
                letters = value.encode("utf-16-le" if order == "<" else "utf-16-be")
                return described(20, 4, len(value)) + letters
            case _:
                raise TypeError(f"no tag holds {value!r}")

    body = group(tags)
    little = struct.pack(">I", 1 if order == "<" else 0)
    return struct.pack(">I", version) + number(len(body)) + little + body + bytes(8)
