"""Independent random streams: each part of a sample draws from its own, named one.

So a part drawn more or less often never changes another part of the same seed.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np


def stream(seed: int, *labels: str) -> np.random.Generator:
    """Make the generator of the part named by `labels` for this seed."""
    return np.random.default_rng([seed, *(crc32(label.encode()) for label in labels)])
