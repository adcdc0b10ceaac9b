"""How much of one image others explain at every shift, summed from parts of the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.fiducials.profiles import Floats

_SIDES = 4
_DRAWS = 60
_LEAST_OVERLAP = 0.4


@dataclass(frozen=True, eq=False)
class Parts:
    """Sums over parts of the template at every shift: what all answers are made from.

    `cross` (p, c, *shifts), `power` (p, c, c, *shifts) and `own` (p, *shifts) are the products of
    template with channels, channels with channels, and template with itself, over valid pixels;
    `valid` (p, *shifts) is the share of the part's pixels that these are.
    """

    cross: Floats
    power: Floats
    own: Floats
    valid: Floats

    @classmethod
    def of(cls, template: Floats, channels: list[Floats], reach: NDArray[np.intp]) -> Parts:
        """Sum over parts of a template (z, y, x), NaN where it has no pixels.

        Channels reach `reach` pixels further on every side, NaN likewise.
        """
        from scipy import fft

        seen = np.isfinite(template)
        known = np.all([np.isfinite(c) for c in channels], axis=0)
        filled = [np.where(known, c, 0.0) for c in channels]
        edges = [np.linspace(0, n, _SIDES + 1).astype(int) for n in template.shape[1:]]
        shifts = tuple(2 * reach + 1)
        parts = []
        for i in range(_SIDES):
            for j in range(_SIDES):
                box = (slice(None), slice(*edges[0][i : i + 2]), slice(*edges[1][j : j + 2]))
                mask = seen[box]
                if mask.mean() < _LEAST_OVERLAP:
                    continue
                part = np.where(mask, template[box], 0.0)
                wide = tuple(
                    slice(s.start or 0, (s.stop or n) + 2 * r)
                    for s, n, r in zip(box, template.shape, reach, strict=True)
                )
                wide = (slice(0, known.shape[0]), *wide[1:])
                size = [fft.next_fast_len(int(n), real=True) for n in known[wide].shape]

                def slide(
                    kernel: Floats,
                    image: Floats,
                    wide: Any = wide,
                    size: Any = size,
                ) -> Floats:
                    # correlation at shifts 0 ... 2 reach
                    product = fft.rfftn(image[wide], size) * np.conj(fft.rfftn(kernel, size))
                    full = fft.irfftn(product, size)
                    return np.asarray(full[tuple(slice(0, s) for s in shifts)], np.float32)

                ones = mask.astype(np.float32)
                pairs = [[slide(ones, a * b) for b in filled] for a in filled]
                parts.append(
                    (
                        np.array([slide(part, c) for c in filled]),
                        np.array(pairs),
                        slide(part**2, known.astype(np.float32)),
                        slide(ones, known.astype(np.float32)) / mask.sum(),
                    )
                )
        if not parts:
            return cls(*(np.zeros((0, 1, *shifts)) for _ in range(4)))
        return cls(*(np.array([p[k] for p in parts]) for k in range(4)))

    @property
    def count(self) -> int:
        """How many parts there are."""
        return len(self.own)

    def explained(self, weights: Floats) -> Floats:
        """Share of the template's power that the channels explain together, per shift.

        NaN where too little of the template overlaps.
        """
        if not self.count:
            return np.full(self.own.shape[-3:], np.nan)
        cross = np.tensordot(weights, self.cross, 1)
        power = np.tensordot(weights, self.power, 1)
        own = np.tensordot(weights, self.own, 1)
        valid = np.tensordot(weights, self.valid, 1) / weights.sum()
        c = np.moveaxis(cross, 0, -1)
        p = np.moveaxis(power, (0, 1), (-2, -1))
        ridge = 1e-3 * np.einsum("...cc->...", p) + 1e-6
        p = p + ridge[..., None, None] * np.eye(len(cross))
        fitted = np.einsum("...c,...c->...", c, np.linalg.solve(p, c[..., None])[..., 0])
        share = np.where(valid >= _LEAST_OVERLAP, fitted / np.maximum(own, 1e-9), np.nan)
        return np.asarray(share)

    def drawn(self, rng: np.random.Generator) -> list[Floats]:
        """Give the same for parts drawn anew with replacement."""
        draws = rng.multinomial(self.count, np.full(self.count, 1.0 / self.count), _DRAWS)
        return [self.explained(some.astype(float)) for some in draws]
