"""How often matching is right, how often it is wrong and sure of it, and how long it takes.

``python -P benchmarks/match_rates.py --sets 100`` draws seeded sets of points per task, true and
foreign ones, and prints rates; the reliability of the confidence is plotted.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parent))  # with -P, which spares numba our coverage.py

from bead_plots import line_plot

from napari_clxem.errors import NoMatch
from napari_clxem.fiducials import match
from napari_clxem.frames import Affine

Sets = tuple[np.ndarray, np.ndarray, dict[int, int], dict]
EDGES = (0.0, 0.5, 0.8, 0.95, 0.99, 0.999, 1.0)


@dataclass(frozen=True)
class Outcome:
    """What one match gave: 1 right, -1 wrong, 0 refused; its confidence and time."""

    verdict: int
    confidence: float
    seconds: float


def spread(rng: np.random.Generator, count: int, side: float, apart: float = 1.2) -> np.ndarray:
    """Places in a square that keep their distance, as beads on a film do."""
    places: list[np.ndarray] = []
    while len(places) < count:
        place = rng.uniform(0, side, 2)
        if all(np.hypot(*(place - other)) > apart for other in places):
            places.append(place)
    return np.array(places)


def turned(rng: np.random.Generator, points: np.ndarray) -> np.ndarray:
    """See points turned, shifted and scaled by two percent."""
    turn = Affine.planar(rng.uniform(0, 360), rng.normal(1, 0.02), rng.uniform(-100, 100, 2))
    return turn.inverse(points)


def square(rng: np.random.Generator, foreign: bool) -> Sets:
    """60 points against 300, half of the 60 spurious."""
    there = spread(rng, 300, 200.0)
    true = rng.permutation(300)[: 0 if foreign else 30]
    low = rng.uniform(0, 110, 2)
    inside = np.flatnonzero(np.all((there > low) & (there < low + 90), axis=1))
    true = rng.permutation(inside)[: len(true)]
    seen = np.vstack([there[true], low + rng.uniform(0, 90, (60 - len(true), 2))])
    here = turned(rng, seen) + rng.normal(0, 0.05, seen.shape)
    truth = dict(enumerate(true.tolist()))
    return here, there + rng.normal(0, 0.05, there.shape), truth, {
        "moving_sigma": 0.05, "fixed_sigma": 0.05
    }  # fmt: skip


def field(rng: np.random.Generator, foreign: bool, sigma: float = 0.035) -> Sets:
    """Six points of a 13 µm field, four of them true, against 60 in a square of 90 µm."""
    count = 0 if foreign else 4
    while True:
        there = spread(rng, 60, 90.0)
        low = rng.uniform(0, 77, 2)
        inside = np.flatnonzero(np.all((there >= low) & (there <= low + 13), axis=1))
        if len(inside) >= count:
            break
    true = rng.permutation(inside)[:count]
    seen = np.vstack([there[true], low + rng.uniform(0, 13, (6 - count, 2))])
    here = turned(rng, seen) + rng.normal(0, sigma, seen.shape)
    options = {"moving_sigma": sigma, "fixed_sigma": sigma}
    return (
        here, there + rng.normal(0, sigma, there.shape), dict(enumerate(true.tolist())), options
    )  # fmt: skip


def vague(rng: np.random.Generator, foreign: bool) -> Sets:
    """The same with an error of 0.2 µm."""
    return field(rng, foreign, 0.14)


def volume(rng: np.random.Generator, foreign: bool) -> Sets:
    """A volume of 20 beads in one of 60, a third spurious."""
    there = np.column_stack([rng.uniform(0, 6, 60), spread(rng, 60, 60.0)])
    near = np.argsort(np.linalg.norm(there - there[rng.integers(60)], axis=1))[:14]
    seen = there[near]
    if foreign:
        seen = np.column_stack([rng.uniform(0, 6, 14), rng.uniform(0, 25, (14, 2))])
    seen = np.vstack([seen, seen.mean(axis=0) + rng.uniform(-1, 1, (6, 3)) * (3, 12, 12)])
    flat = np.eye(3)
    flat[1:, 1:] = Affine.planar(rng.uniform(0, 360)).linear
    here = (seen - 20) @ flat * rng.normal(1, 0.02) + rng.normal(0, 0.04, seen.shape)
    truth = {} if foreign else dict(enumerate(near.tolist()))
    return here, there + rng.normal(0, 0.04, there.shape), truth, {
        "moving_sigma": 0.04, "fixed_sigma": 0.04
    }  # fmt: skip


def projection(rng: np.random.Generator, foreign: bool) -> Sets:
    """A volume's beads seen from nearly above, half of the marks false."""
    there = np.column_stack([rng.uniform(0, 4, 24), spread(rng, 24, 40.0)])
    lean = rng.normal(0, np.deg2rad(3), 2)
    camera = Affine.planar(rng.uniform(0, 360)).linear
    matrix = np.column_stack([camera @ np.sin(lean), camera])
    source = there if not foreign else np.column_stack([rng.uniform(0, 4, 24), spread(rng, 24, 40)])
    seen = source[:16] @ matrix.T + rng.normal(0, 0.05, (16, 2))
    low, high = seen.min(axis=0), seen.max(axis=0)
    marks = np.vstack([seen, rng.uniform(low, high, (16, 2))])
    truth = {} if foreign else {row: row for row in range(16)}
    options = {"model": "projection", "moving_sigma": 0.05, "fixed_sigma": 0.05}
    return there, marks, truth, options


TASKS: dict[str, Callable[[np.random.Generator, bool], Sets]] = {
    "60 x 300, half spurious": square,
    "4 of 6 in 13 µm, 0.05 µm": field,
    "4 of 6 in 13 µm, 0.2 µm": vague,
    "20 x 60 in a volume": volume,
    "3D to 2D, half false": projection,
}


def judge(sets: Sets, least: float) -> Outcome:
    """Match and compare with the truth."""
    here, there, truth, options = sets
    begin = time.perf_counter()
    try:
        found = match(here, there, least_confidence=least, **options)
    except NoMatch:
        return Outcome(0, 0.0, time.perf_counter() - begin)
    seconds = time.perf_counter() - begin
    good = sum(truth.get(int(i)) == int(k) for i, k in found.pairs)
    right = good >= max(3, 0.6 * len(found.pairs))
    return Outcome(1 if right else -1, found.confidence, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=100, help="per task, true and foreign each")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    judge(square(np.random.default_rng(99), False), 0.95)  # imports
    print(f"{'':28s}{'right':>8s}{'wrong':>8s}{'refused':>9s}{'foreign':>9s}{'s, right':>10s}"
          f"{'s, refused':>12s}")  # fmt: skip
    every: list[Outcome] = []
    for name, make in TASKS.items():
        rng = np.random.default_rng(options.seed)
        true = [judge(make(rng, False), 0.95) for _ in range(options.sets)]
        alien = [judge(make(rng, True), 0.95) for _ in range(options.sets)]
        verdicts = np.array([o.verdict for o in true])
        taken = [o.seconds for o in true if o.verdict == 1]
        waited = [o.seconds for o in true + alien if o.verdict == 0]
        print(
            f"{name:28s}{np.mean(verdicts == 1):8.1%}{np.mean(verdicts == -1):8.1%}"
            f"{np.mean(verdicts == 0):9.1%}{np.mean([o.verdict != 0 for o in alien]):9.1%}"
            f"{np.median(taken) if taken else np.nan:10.2f}"
            f"{np.quantile(waited, 0.95) if waited else np.nan:12.2f}"
        )
        rng = np.random.default_rng(options.seed + 1)
        every += [judge(make(rng, k % 2 == 1), 1e-9) for k in range(options.sets)]
    reliability(every)


def reliability(every: list[Outcome]) -> None:
    """Print and plot how often answers of each confidence are right."""
    answers = [o for o in every if o.verdict != 0]
    print(f"\nconfidence of {len(answers)} answers when none is refused, half of the sets foreign")
    said, was = [], []
    for low, high in pairwise(EDGES):
        some = [o for o in answers if low < o.confidence <= high]
        if some:
            said.append(float(np.mean([o.confidence for o in some])))
            was.append(float(np.mean([o.verdict == 1 for o in some])))
            print(f"  {low:5.3f} to {high:5.3f}: {len(some):5d} answers, said {said[-1]:.3f}, "
                  f"right {was[-1]:.3f}")  # fmt: skip
    sure = [o for o in every if o.confidence > 0.95]
    wrong = np.mean([o.verdict == -1 for o in sure]) if sure else 0.0
    print(f"  over 0.95: {len(sure)} answers, wrong {wrong:.2%}")
    line_plot(
        "match-reliability", "Confidence of a match and how often it is right",
        ("confidence", "share right"),
        [("measured", said, was), ("ideal", [0.0, 1.0], [0.0, 1.0])], 0.0, 1.0,
    )  # fmt: skip


if __name__ == "__main__":
    main()
