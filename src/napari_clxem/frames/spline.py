"""Thin-plate splines as the best linear prediction of a smooth warp (kriging).

A warp is an affine map plus a random smooth part whose covariance is the thin-plate kernel times
τ²; localisation errors come on top. Its best prediction *is* the (smoothing) thin-plate spline
(Kimeldorf & Wahba 1970; Wahba 1990, Spline Models for Observational Data), and brings along the
error of the prediction. τ is found by restricted maximum likelihood, or is its mean over the
likelihood where that is larger: what is not known of τ must not make the prediction surer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from napari_clxem.frames.affine import Floats

_LEVELS = 241  # of τ² that are tried, evenly on a logarithmic scale


@dataclass(frozen=True, eq=False)
class Spline:
    """A thin-plate spline through landmarks.

    Parameters
    ----------
    nodes, values : (n, d) array
        Moving and fixed landmarks, µm.
    noise : (n, d, d) array
        Covariance of the values, µm².
    roughness : float
        τ², µm²: variance of the smooth part at distances near the nodes' spread.
    exact : bool
        Whether the spline goes through its landmarks, whatever their noise.
    """

    nodes: Floats
    values: Floats
    noise: Floats
    roughness: float
    exact: bool

    @cached_property
    def _centre(self) -> Floats:
        return np.asarray(self.nodes.mean(axis=0))

    @cached_property
    def _scale(self) -> float:
        return _spread(self.nodes)

    @property
    def _stiffness(self) -> float:
        """Give τ², or 1 where the spline's shape does not depend on it."""
        return 1.0 if self.exact else self.roughness

    @cached_property
    def _inverse(self) -> Floats:
        """Inverse of kriging's bordered matrix [[V, X], [Xᵀ, 0]], (n + d + 1, d) squared."""
        count, ndim = self.nodes.shape
        free, size = count * ndim, self._stiffness
        covariance = size * _every_axis(
            kernel(self._scaled(self.nodes), self._scaled(self.nodes)), ndim
        )
        if not self.exact:
            covariance = covariance + block_diagonal(self.noise)
        trend = _every_axis(self._trend(self.nodes), ndim)
        unit = float(np.abs(covariance).max())
        zero = np.zeros((trend.shape[1],) * 2)
        found = np.linalg.inv(np.block([[covariance / unit, trend], [trend.T, zero]]))
        found[:free, :free] /= unit
        found[free:, free:] *= unit
        return (found + found.T) / 2

    @cached_property
    def _coefficients(self) -> Floats:
        """Of the kernels at the nodes, then of the trend: (n + d + 1, d)."""
        count, ndim = self.nodes.shape
        found = self._inverse[:, : count * ndim] @ self.values.ravel()
        return np.asarray(found.reshape(-1, ndim))

    def transform(self, points: Floats) -> Floats:
        """Map points (n, d), µm."""
        return np.asarray(self._basis(points) @ self._coefficients)

    def jacobian(self, points: Floats) -> Floats:
        """Give the derivatives (n, d_out, d_in) at points."""
        count, ndim = self.nodes.shape
        slopes = np.zeros((len(points), len(self._coefficients), ndim))
        slopes[:, :count] = kernel_slope(self._scaled(points), self._scaled(self.nodes))
        slopes[:, :count] *= self._stiffness
        slopes[:, count:-1] = np.eye(ndim)
        return np.asarray(np.einsum("nka,kb->nba", slopes, self._coefficients) / self._scale)

    def covariance(self, points: Floats, others: Floats) -> Floats:
        """Covariance between the prediction's errors at points and at others, (n, m, d, d)."""
        count, ndim = self.nodes.shape
        here, there = self._shares(points), self._shares(others)
        found = -np.einsum("niaj,ma->nmij", here, self._basis(others))
        between = kernel(self._scaled(points), self._scaled(others))
        found += self._stiffness * between[:, :, np.newaxis, np.newaxis] * np.eye(ndim)
        if self.exact:  # its shape is that without noise; what noise there is goes through it
            shaken = np.einsum("niaj,ajk->niak", here[:, :, :count], self.noise)
            found = self.roughness * found
            found += np.einsum("niak,mlak->nmil", shaken, there[:, :, :count])
        return np.asarray(found)

    def variance(self, points: Floats) -> Floats:
        """Covariance of the prediction's error at each point, (n, d, d) µm²."""
        count = len(self.nodes)
        here = self._shares(points)
        found = -np.einsum("niaj,na->nij", here, self._basis(points))
        if self.exact:
            weights = here[:, :, :count]
            shaken = np.einsum("niaj,ajk->niak", weights, self.noise)
            found = self.roughness * found + np.einsum("niak,nlak->nil", shaken, weights)
        return np.asarray(found)

    def leave_one_out(self) -> tuple[Floats, Floats]:
        """Miss of each node by the spline through the others (n, d), and its covariance (n, d, d).

        In closed form, at the same τ (Dubrule 1983, Math. Geol. 15:687).
        """
        count, ndim = self.nodes.shape
        top = self._inverse[: count * ndim, : count * ndim].reshape(count, ndim, count, ndim)
        spreads = np.linalg.inv(top[np.arange(count), :, np.arange(count)])
        misses = np.einsum("nij,nj->ni", spreads, self._coefficients[:count])
        if self.exact:
            weights = np.einsum("nij,njak->niak", spreads, top)
            shaken = np.einsum("niaj,ajk->niak", weights, self.noise)
            spreads = self.roughness * spreads + np.einsum("niak,nlak->nil", shaken, weights)
        return misses, spreads

    def smoothing_trace(self) -> float:
        """Give the parameters the spline spends: the trace of its smoother."""
        count, ndim = self.nodes.shape
        if self.exact:
            return float(count * ndim)
        top = self._inverse[: count * ndim, : count * ndim]
        return float(count * ndim - np.trace(block_diagonal(self.noise) @ top))

    def _shares(self, points: Floats) -> Floats:
        """Give what each value adds to the prediction at points, (n, d, n + d + 1, d)."""
        ndim = self.nodes.shape[1]
        size = len(self._inverse) // ndim
        inverse = self._inverse.reshape(size, ndim * size * ndim)
        return (self._basis(points) @ inverse).reshape(len(points), ndim, size, ndim)

    def _scaled(self, points: Floats) -> Floats:
        return np.asarray((points - self._centre) / self._scale)

    def _trend(self, points: Floats) -> Floats:
        return np.column_stack([self._scaled(points), np.ones(len(points))])

    def _basis(self, points: Floats) -> Floats:
        waves = self._stiffness * kernel(self._scaled(points), self._scaled(self.nodes))
        return np.hstack([waves, self._trend(points)])


def through(nodes: Floats, values: Floats, noise: Floats | None) -> Spline:
    """Lay a spline through landmarks: smoothing where their noise (n, d, d) µm² is known.

    Where it is not, the spline goes through every landmark; noise and roughness are estimated
    together and count in the predicted error only.
    """
    count, ndim = nodes.shape
    scaled = (nodes - nodes.mean(axis=0)) / _spread(nodes)
    trend = _every_axis(np.column_stack([scaled, np.ones(count)]), ndim)
    rest = np.linalg.qr(trend, mode="complete")[0][:, trend.shape[1] :]
    rough = rest.T @ _every_axis(kernel(scaled, scaled), ndim) @ rest
    seen = rest.T @ values.ravel()
    if noise is not None:
        floor = 1e-9 * np.trace(noise.sum(axis=0)) / (count * ndim)
        known = block_diagonal(noise + floor * np.eye(ndim))
        return Spline(nodes, values, noise, _roughness(rough, rest.T @ known @ rest, seen), False)
    roughness, variance = _shares_of_variance(rough, seen)
    spread = np.broadcast_to(variance * np.eye(ndim), (count, ndim, ndim))
    return Spline(nodes, values, spread, roughness, True)


def _roughness(rough: Floats, noise: Floats, seen: Floats) -> float:
    """Give the τ² of the highest restricted likelihood beside known noise."""
    root = np.linalg.cholesky(noise)
    left = np.linalg.solve(root, np.linalg.solve(root, rough).T)
    values, turn = np.linalg.eigh((left + left.T) / 2)
    values, squares = np.maximum(values, 0.0), (turn.T @ np.linalg.solve(root, seen)) ** 2
    levels = np.geomspace(1e-6 / values[-1], 1e12 / values[-1], _LEVELS)
    total = 1 + np.outer(levels, values)
    chances = _chances(-(np.log(total) + squares / total).sum(axis=1) / 2)
    return float(max(levels[chances.argmax()], chances @ levels))


def _shares_of_variance(rough: Floats, seen: Floats) -> tuple[float, float]:
    """Give τ² and the variance of the noise, both estimated."""
    values, turn = np.linalg.eigh((rough + rough.T) / 2)
    values, squares = np.maximum(values, 0.0), (turn.T @ seen) ** 2
    ratios = np.geomspace(1e-9 * values[-1], 1e6 * values[-1], _LEVELS)
    total = values + ratios[:, np.newaxis]
    scale = (squares / total).mean(axis=1)
    likelihood = -np.log(total).sum(axis=1) - len(values) * np.log(np.maximum(scale, 1e-300))
    chances = _chances(likelihood / 2)
    best = int(chances.argmax())
    variances = ratios * scale
    return (
        float(max(scale[best], chances @ scale)),
        float(max(variances[best], chances @ variances)),
    )


def _chances(likelihood: Floats) -> Floats:
    """Weigh levels by their likelihood: those above the likeliest count in the predicted error."""
    found = np.exp(likelihood - likelihood.max())
    return np.asarray(found / found.sum())


def kernel(points: Floats, nodes: Floats) -> Floats:
    """Thin-plate kernel between points: r² log r in the plane, -r in space (Duchon 1977)."""
    squares = _squares(points, nodes)
    if points.shape[1] == 3:
        return np.asarray(-np.sqrt(squares))
    return np.asarray(0.5 * squares * np.log(np.maximum(squares, 1e-300)))


def kernel_slope(points: Floats, nodes: Floats) -> Floats:
    """Differentiate the kernel by the points, (n, m, d)."""
    arms = points[:, np.newaxis] - nodes
    squares = (arms**2).sum(axis=2)[:, :, np.newaxis]
    if points.shape[1] == 3:
        return np.asarray(-arms / np.sqrt(np.maximum(squares, 1e-300)))
    return np.asarray(arms * (np.log(np.maximum(squares, 1e-300)) + 1))


def _squares(points: Floats, nodes: Floats) -> Floats:
    found = np.zeros((len(points), len(nodes)))
    for axis in range(points.shape[1]):
        found += (points[:, axis, np.newaxis] - nodes[:, axis]) ** 2
    return found


def _spread(points: Floats) -> float:
    return float(np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean()))


def _every_axis(matrix: Floats, ndim: int) -> Floats:
    return np.kron(matrix, np.eye(ndim))


def block_diagonal(blocks: Floats) -> Floats:
    """Lay (n, d, d) blocks along the diagonal of an (n d, n d) matrix."""
    count, ndim, _ = blocks.shape
    found = np.zeros((count, ndim, count, ndim))
    found[np.arange(count), :, np.arange(count)] = blocks
    return found.reshape(count * ndim, count * ndim)
