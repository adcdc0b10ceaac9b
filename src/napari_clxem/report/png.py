"""Pictures as PNG, written into the page itself."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np

# Colour type by the number of values a pixel (ISO/IEC 15948, 11.2.2).
_KINDS = {1: 0, 3: 2, 4: 6}


def png(picture: Any) -> bytes:
    """Encode a picture.

    Parameters
    ----------
    picture : (ny, nx), (ny, nx, 3) or (ny, nx, 4) array of uint8
        Grey, red–green–blue, or that with opacity.

    Returns
    -------
    bytes
        Of a PNG file (ISO/IEC 15948), 8 bits a value.
    """
    pixels = np.ascontiguousarray(picture, dtype=np.uint8)
    ny, nx = pixels.shape[:2]
    values = pixels.reshape(ny, nx, -1).shape[2]
    head = struct.pack(">IIBBBBB", nx, ny, 8, _KINDS[values], 0, 0, 0)
    rows = pixels.reshape(ny, nx * values)
    # every row after its filter: 2, the difference to the row above, packs images best
    above = np.vstack([np.zeros((1, nx * values), np.uint8), rows[:-1]])
    lines = np.hstack([np.full((ny, 1), 2, np.uint8), rows - above]).tobytes()
    parts = [
        b"\x89PNG\r\n\x1a\n",
        _chunk(b"IHDR", head),
        _chunk(b"IDAT", zlib.compress(lines, 9)),
        _chunk(b"IEND", b""),
    ]
    return b"".join(parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def address(picture: Any) -> str:
    """Give a picture as a ``data:`` address, for the page that holds it."""
    return "data:image/png;base64," + base64.b64encode(png(picture)).decode("ascii")
