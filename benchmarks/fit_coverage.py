"""How often the 95 % region of a fit holds the truth: per model, weighted or not, near or far.

``python benchmarks/fit_coverage.py --trials 1000`` draws maps, landmarks and their localisation
errors, fits, and counts how often a target's true place lies in the region that ``predict_error``
and ``region`` give. "Inside" are targets within the landmarks' hull, "outside" up to twice as far
out. Fits with few landmarks stand below the line; chains and closed loops at the end.
``--plot`` writes docs/images/fit-coverage.svg.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import Delaunay
from scipy.spatial.transform import Rotation

from napari_clxem.frames import Affine, Calibration, FrameGraph, fit
from napari_clxem.frames.orthographic import warm

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "fit-coverage.svg"
SIGMA = np.array([0.06, 0.03, 0.03])  # (z, y, x) µm
FIELD = 12.0

# model, axes in and out, landmarks: enough of them, and few
CASES = [
    ("translation", 2, 2, 3),
    ("translation", 3, 3, 3),
    ("rigid", 2, 2, 5),
    ("rigid", 3, 3, 6),
    ("similarity", 2, 2, 5),
    ("similarity", 3, 3, 7),
    ("affine", 2, 2, 7),
    ("affine", 3, 3, 12),
    ("affine", 3, 2, 12),
    ("projection", 3, 2, 8),
    ("tps", 2, 2, 20),
    ("tps", 3, 3, 30),
]
FEW = [
    ("rigid", 2, 2, 2),
    ("rigid", 2, 2, 3),
    ("rigid", 3, 3, 3),
    ("rigid", 3, 3, 4),
    ("similarity", 2, 2, 2),
    ("similarity", 2, 2, 3),
    ("similarity", 3, 3, 4),
    ("affine", 2, 2, 3),
    ("affine", 2, 2, 4),
    ("affine", 3, 3, 4),
    ("affine", 3, 3, 6),
    ("affine", 3, 3, 8),
    ("projection", 3, 2, 4),
    ("projection", 3, 2, 5),
]


@dataclass
class Row:
    """One line of the table: shares of targets in their region."""

    name: str
    weighted: tuple[float, float]
    plain: tuple[float, float]


def drawn(rng: np.random.Generator, model: str, d_in: int, d_out: int) -> Affine:
    """Draw a map of the class."""
    turn = Affine.planar(rng.uniform(0, 360)).linear
    if d_in == 3:
        turn = Rotation.random(rng=rng).as_matrix()
    linear = {
        "translation": np.eye(d_in),
        "rigid": turn,
        "similarity": 1.1 * turn,
        "affine": turn @ (np.eye(d_in) + 0.05 * rng.normal(size=(d_in, d_in))),
        "projection": 0.9 * turn,
        "tps": turn,
    }[model]
    return Affine.from_parts(linear[-d_out:], rng.uniform(-100, 100, d_out))


def bent(rng: np.random.Generator, points: np.ndarray, amount: float = 0.4) -> np.ndarray:
    """Draw a random warp with thin-plate covariance at all points at once."""
    scaled = points / FIELD
    far = np.linalg.norm(scaled[:, np.newaxis] - scaled, axis=2)
    waves = far**2 * np.log(np.maximum(far, 1e-12)) if points.shape[1] == 2 else -far
    trend = np.column_stack([scaled, np.ones(len(points))])
    rest = np.linalg.qr(trend, mode="complete")[0][:, trend.shape[1] :]
    root = np.linalg.cholesky(rest.T @ waves @ rest)
    return amount * rest @ root @ rng.normal(size=(rest.shape[1], points.shape[1]))


def spaced(rng: np.random.Generator, count: int, ndim: int) -> np.ndarray:
    """Draw landmarks 2 µm apart at least: a spline through nearer ones folds on their noise."""
    found: list[np.ndarray] = []
    while len(found) < count:
        place = rng.uniform(-FIELD, FIELD, ndim)
        if all(np.linalg.norm(place - other) > 2.0 for other in found):
            found.append(place)
    return np.array(found)


def places(rng: np.random.Generator, moving: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw two targets inside the hull of the landmarks and two outside."""
    ndim = moving.shape[1]
    shares = rng.dirichlet(np.ones(len(moving)), 2)
    within = shares @ moving
    hull, out = None, []
    if len(moving) > ndim + 1:
        hull = Delaunay(moving, qhull_options="QJ")
    while len(out) < 2:
        place = rng.uniform(-2 * FIELD, 2 * FIELD, ndim)
        if hull is None or hull.find_simplex(place) < 0:
            out.append(place)
    return within, np.array(out)


def held(found, places_in: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Tell which true places lie in the predicted region."""
    miss = found.transform(places_in) - truth
    spread = found.predict_error(places_in)
    if not np.isfinite(spread).all():
        return np.full(len(miss), np.nan)
    squares = np.einsum("ni,nij,nj->n", miss, np.linalg.inv(spread), miss)
    return squares <= found.region(places_in, 0.95)


def one_fit(
    rng: np.random.Generator, case: tuple[str, int, int, int], weighted: bool
) -> np.ndarray:
    """Fit once; (2, 2) inside and outside the hull, two targets each."""
    model, d_in, d_out, count = case
    truth = drawn(rng, model, d_in, d_out)
    moving = (
        spaced(rng, count, d_in) if model == "tps" else rng.uniform(-FIELD, FIELD, (count, d_in))
    )
    near, far = places(rng, moving)
    targets = np.vstack([near, far])
    goal, true = truth(targets), truth(moving)
    if model == "tps":
        bends = bent(rng, np.vstack([moving, targets]))
        true, goal = true + bends[:count], goal + bends[count:]
    if weighted:
        spread = [SIGMA[-d:] * rng.uniform(0.5, 2.0, (count, d)) for d in (d_in, d_out)]
        seen = moving + spread[0] * rng.normal(size=moving.shape)
        fixed = true + spread[1] * rng.normal(size=true.shape)
        found = fit(seen, fixed, model, *spread)
    else:  # equal weights go with equal noise
        fixed = true + 0.05 * rng.normal(size=true.shape)
        found = fit(moving, fixed, model)
    return held(found, targets, goal).reshape(2, 2)


def row(case: tuple[str, int, int, int], trials: int) -> Row:
    """Count over many fits."""
    model, d_in, d_out, count = case
    shares = []
    for weighted in (True, False):
        rng = np.random.default_rng([len(model), d_in, d_out, count, weighted])
        inside = np.array([one_fit(rng, case, weighted) for _ in range(trials)], float)
        shares.append(tuple(inside.mean(axis=(0, 2))))
    axes = f"{d_in}D" if d_in == d_out else f"{d_in}D→{d_out}D"
    return Row(f"{model} {axes}, {count} landmarks", *shares)


def prior_row(trials: int) -> Row:
    """Count for three beads on a film under a calibration prior."""
    prior = Calibration(scale_sd=0.02, shear_sd=0.01)
    rng = np.random.default_rng(31)
    inside = []
    for _ in range(trials):
        shear = 0.01 * rng.normal(size=2) / 2
        strain = np.eye(2) + np.array([[shear[0], shear[1]], [shear[1], -shear[0]]])
        linear = (1 + 0.02 * rng.normal()) * Affine.planar(rng.uniform(0, 360)).linear @ strain
        truth = Affine.from_parts(linear, rng.uniform(-100, 100, 2))
        moving = rng.uniform(-FIELD, FIELD, (3, 2))
        fixed = truth(moving) + 0.05 * rng.normal(size=moving.shape)
        found = fit(moving, fixed, "affine", fixed_sigma=0.05, prior=prior)
        targets = np.vstack(places(rng, moving))
        inside.append(held(found, targets, truth(targets)).reshape(2, 2))
    return Row("affine 2D, 3 landmarks, prior", tuple(np.mean(inside, axis=(0, 2))), (np.nan,) * 2)


def chained(rng: np.random.Generator, adjust: bool) -> np.ndarray:
    """Take targets a - b - c, or through a closed loop."""
    truths = {"a": Affine.identity(2), "b": drawn(rng, "similarity", 2, 2)}
    truths["c"] = drawn(rng, "rigid", 2, 2) @ truths["b"]
    graph = FrameGraph()
    pairs = ("ab", "bc", "ac") if adjust else ("ab", "bc")
    for one, other in pairs:
        beads = rng.uniform(-FIELD, FIELD, (7, 2))
        seen = [truths[n](beads) + 0.05 * rng.normal(size=beads.shape) for n in (one, other)]
        graph.add_link(one, other, fit(*seen, "similarity", 0.05, 0.05))
    graph = graph.adjust() if adjust else graph
    near, far = places(rng, rng.uniform(-FIELD, FIELD, (7, 2)))
    targets = np.vstack([near, far])
    return held(graph.transform("a", "c", targets), targets, truths["c"](targets)).reshape(2, 2)


def through_view(rng: np.random.Generator) -> np.ndarray:
    """Take targets from a volume through an oblique view on to a map of that view."""
    camera = drawn(rng, "projection", 3, 2)
    turn = drawn(rng, "similarity", 2, 2)
    graph = FrameGraph()
    graph.add_frame("view", 2, z=(0.0, 1.0))
    beads = rng.uniform(-FIELD, FIELD, (10, 3))
    seen = beads + SIGMA * rng.normal(size=beads.shape)
    there = camera(beads) + 0.03 * rng.normal(size=(10, 2))
    sigma = np.tile(SIGMA, (10, 1))
    graph.add_link("stack", "view", fit(seen, there, "projection", sigma, 0.03))
    spots = rng.uniform(-FIELD, FIELD, (8, 2)) + camera(np.zeros((1, 3)))
    mapped = turn(spots) + 0.03 * rng.normal(size=spots.shape)
    graph.add_link("view", "map", fit(spots, mapped, "similarity", fixed_sigma=0.03))
    near, far = places(rng, beads)
    targets = np.vstack([near, far])
    route = graph.transform("stack", "map", targets)
    return held(route, targets, turn(camera(targets))).reshape(2, 2)


def counted(name: str, once: Callable[[np.random.Generator], np.ndarray], trials: int) -> Row:
    """Count over many draws."""
    rng = np.random.default_rng(len(name))
    inside = np.mean([once(rng) for _ in range(trials)], axis=(0, 2))
    return Row(name, tuple(inside), (np.nan, np.nan))


def picture(rows: list[Row]) -> str:
    """Draw the shares as dots over the band that is aimed at."""
    left, top, high, wide = 230, 34, 22, 360
    low, full = 0.80, 1.0

    def across(share: float) -> float:
        return left + wide * (max(share, low) - low) / (full - low)

    bottom = top + high * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + wide + 30} {bottom + 58}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{left + wide + 30}" height="{bottom + 58}" fill="white"/>',
        f'<rect x="{across(0.93):.1f}" y="{top - 8}" '
        f'width="{across(0.97) - across(0.93):.1f}" height="{bottom - top + 8}" fill="#dcefdc"/>',
        f'<text x="{left}" y="18">targets in their 95 % region</text>',
    ]
    parts += [
        f'<line x1="{across(tick):.1f}" x2="{across(tick):.1f}" y1="{top - 8}" '
        f'y2="{bottom}" stroke="#ccc"/><text x="{across(tick):.1f}" y="{bottom + 16}" '
        f'text-anchor="middle">{tick:.0%}</text>'
        for tick in (0.8, 0.85, 0.9, 0.95, 1.0)
    ]
    for index, each in enumerate(rows):
        y = top + high * index + high / 2
        parts.append(f'<text x="{left - 10}" y="{y + 4}" text-anchor="end">{each.name}</text>')
        marks = (
            (each.weighted[0], "#1f5fa8", "#1f5fa8"),
            (each.weighted[1], "#1f5fa8", "white"),
            (each.plain[0], "#c8641e", "#c8641e"),
            (each.plain[1], "#c8641e", "white"),
        )
        parts += [
            f'<circle cx="{across(share):.1f}" cy="{y}" r="4" stroke="{stroke}" fill="{fill}"/>'
            for share, stroke, fill in marks
            if np.isfinite(share)
        ]
    parts.append(
        f'<text x="20" y="{bottom + 40}"><tspan fill="#1f5fa8">errors given</tspan> · '
        '<tspan fill="#c8641e">errors from residuals</tspan> · full inside the hull, '
        "open outside</text></svg>"
    )
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--plot", action="store_true", help=f"write {PICTURE.name}")
    options = parser.parse_args()
    warm(block=True)
    print(f"targets in their 95 % region; {options.trials} fits each, two targets inside and out")
    print(f"{'':34s}{'errors given':>20s}{'from residuals':>20s}")
    print(f"{'model':34s}{'inside':>10s}{'outside':>10s}{'inside':>10s}{'outside':>10s}")
    rows: list[Row] = []

    def say(each: Row) -> None:
        rows.append(each)
        shares = (*each.weighted, *each.plain)
        cells = (f"{share:10.1%}" if np.isfinite(share) else f"{'–':>10s}" for share in shares)
        print(f"{each.name:34s}{''.join(cells)}", flush=True)

    for case in CASES:
        say(row(case, options.trials))
    say(counted("chain of two, 2D", lambda rng: chained(rng, False), options.trials))
    say(counted("closed loop of three, 2D", lambda rng: chained(rng, True), options.trials))
    say(counted("volume → view → map", through_view, options.trials))
    print("few landmarks:")
    say(prior_row(options.trials))
    for case in FEW:
        say(row(case, options.trials))
    if options.plot:
        PICTURE.write_text(picture(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
