"""Trial views without compiled kernels: the same answers, for the first match on a machine."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_clxem.fiducials.profiles import Floats

_TOGETHER = 100_000
"""Triples of marks looked at at once."""


def views(
    first: Floats,
    triple: Any,
    others: Any,
    second: Floats,
    between: Floats,
    allowed: Any,
    scale: tuple[float, float],
    slack: float,
    known: Floats,
    index: Any,
    origin: Floats,
    cell: float,
    low: Floats,
    high: Floats,
    tolerance: Floats,
    gain: Floats,
    loss: Floats,
    few: int,
    keep: int,
) -> tuple[Floats, int]:
    """Do as the kernel of this name does."""
    mean, most = scale
    one, two = first[triple[1]] - first[triple[0]], first[triple[2]] - first[triple[0]]
    body = _frames(one, two)
    one_may, two_may, third_may = (
        (between <= most * np.linalg.norm(edge) + slack) & ~np.eye(len(second), dtype=bool)
        for edge in (one, two, two - one)
    )
    one_may &= np.outer(allowed[triple[0]], allowed[triple[1]])
    two_may &= allowed[triple[2]]
    limit = slack + (most - mean) * (np.linalg.norm(one) + np.linalg.norm(two))
    arms = mean * (first[others] - first[triple[0]])
    parts, tried = [np.zeros((0, 9))], 0
    step = max(1, _TOGETHER // len(second) ** 2)
    for start in range(0, len(second), step):
        k, i = np.nonzero(one_may[start : start + step])
        k += start
        row, j = np.nonzero(two_may[k] & third_may[i])
        k, i = k[row], i[row]
        seen = _laid(second[i] - second[k], second[j] - second[k], mean * one, mean * two)
        image = _frames(seen[:, 0], seen[:, 1])
        laid = np.stack([one, two]) @ body.T @ image  # where the edges come to lie
        near = ((seen - mean * laid)[:, :, 1:] ** 2).sum(axis=(1, 2)) <= limit**2
        turned, k = _both(image[near]).swapaxes(1, 2) @ body, np.repeat(k[near], 2)
        right = _as_known(turned, known)
        turned, k = turned[right], k[right]
        tried += len(k)
        alive, score = np.ones(len(k), bool), np.zeros(len(k))
        met = np.zeros(len(k), int)
        for part in (slice(0, few), slice(few, None)):
            places = second[k[alive], None] + arms[part] @ turned[alive, 1:].swapaxes(1, 2)
            hit = _hits(places, second, index, origin, cell, tolerance[part])
            inside = np.all((places >= low) & (places <= high), axis=2)
            score[alive] += np.where(hit, gain[part], np.where(inside, loss[part], 0.0)).sum(axis=1)
            met[alive] += hit.sum(axis=1)
            alive = met > 0
        best = np.flatnonzero(alive)
        best = best[np.argsort(-score[best], kind="stable")[:keep]]
        linear = mean * turned[best, 1:]
        shift = second[k[best]] - linear @ first[triple[0]]
        parts.append(np.column_stack([linear.reshape(-1, 6), shift, score[best]]))
    found = np.concatenate(parts)
    return found[np.argsort(-found[:, 8], kind="stable")[:keep]], tried


def _laid(one: Floats, two: Floats, body_one: Floats, body_two: Floats) -> Floats:
    """Give edges in an image their depths: (n, 2, 3)."""
    edges = np.zeros((len(one), 2, 3))
    edges[:, 0, 1:], edges[:, 1, 1:] = one, two
    left = np.stack([body_one @ body_one - (one**2).sum(1), body_two @ body_two - (two**2).sum(1)])
    edges[:, :, 0] = np.sqrt(np.maximum(left, 0.0)).T
    edges[:, 1, 0] *= np.where(body_one @ body_two < (one * two).sum(axis=1), -1.0, 1.0)
    return edges


def _frames(one: Floats, two: Floats) -> Floats:
    """Give orthonormal rows: along `one`, towards `two`, and across both; (..., 3, 3)."""
    frames = np.empty((*one.shape, 3))
    along, towards = frames[..., 0, :], frames[..., 1, :]
    along[:] = one / (np.sqrt((one**2).sum(axis=-1, keepdims=True)) + 1e-12)
    towards[:] = two - (along * two).sum(axis=-1, keepdims=True) * along
    towards /= np.sqrt((towards**2).sum(axis=-1, keepdims=True) + 1e-24)
    for p in range(3):
        q, r = (p + 1) % 3, (p + 2) % 3
        frames[..., 2, p] = along[..., q] * towards[..., r] - along[..., r] * towards[..., q]
    return frames


def _both(image: Floats) -> Floats:
    """Add to each frame the one of opposite depths; (2 n, 3, 3)."""
    other = image * [-1.0, 1.0, 1.0]
    other[:, 2] *= -1.0
    return np.stack([image, other], axis=1).reshape(-1, 3, 3)


def _as_known(turned: Floats, known: Floats) -> Any:
    """Tell which views the instrument may have taken; see the kernel of this name."""
    up, toward, aside = turned[:, 0].T
    azimuth = -toward * known[2] + aside * known[3] >= known[4] * np.hypot(toward, aside)
    down, right = turned[:, 1, 0], turned[:, 2, 0]
    rotation = -down * known[5] - right * known[6] >= known[7] * np.hypot(down, right)
    high = (up >= known[0]) & (up <= known[1])
    return high & (azimuth | (known[4] <= -1.0)) & (rotation | (known[7] <= -1.0))


def _hits(
    places: Floats, second: Floats, index: Any, origin: Floats, cell: float, tolerance: Floats
) -> Any:
    """Tell which places lie within their tolerance of a mark; (n, k)."""
    y, x = np.moveaxis((places - origin) / cell + 0.5, 2, 0)
    within = (y >= 0) & (y < index.shape[0]) & (x >= 0) & (x < index.shape[1])
    near = index[np.where(within, y, 0).astype(int), np.where(within, x, 0).astype(int)]
    away = ((places - second[near]) ** 2).sum(axis=2)
    return within & (near >= 0) & (away <= tolerance**2)
