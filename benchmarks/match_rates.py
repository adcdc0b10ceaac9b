"""How often matching is right, how often it is wrong and sure of it, and how long it takes.

``python -P benchmarks/match_rates.py --sets 400 --peer 10`` draws seeded sets of points per task,
true and foreign ones, and prints rates; the reliability of the confidence is plotted. The peer is
pycpd, where it is installed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parent))  # with -P, which spares numba our coverage.py

from bead_plots import line_plot
from scipy.stats import beta

from napari_clxem.errors import NoMatch, PointsError
from napari_clxem.fiducials import View, match, warm
from napari_clxem.frames import Affine
from napari_clxem.samples import point_grid

Sets = tuple[np.ndarray, np.ndarray, dict[int, int], dict]
LEAST, SURE = 0.8, 0.95
EDGES = (0.0, 0.1, 0.3, 0.5, 0.8, 0.95, 1.0)


@dataclass(frozen=True)
class Outcome:
    """What one match gave: 1 right, -1 wrong, 0 none; its confidence, clock and processor time."""

    task: str
    foreign: bool
    verdict: int
    confidence: float
    clock: float
    processor: float


def spread(rng: np.random.Generator, count: int, side: float, apart: float = 1.2) -> np.ndarray:
    """Places in a square that keep their distance, as beads on a film do."""
    places, found = np.full((count, 2), np.inf), 0
    while found < count:
        place = rng.uniform(0, side, 2)
        if np.all(((places[:found] - place) ** 2).sum(axis=1) > apart**2):
            places[found] = place
            found += 1
    return places


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


def field(rng: np.random.Generator, foreign: bool, error: float) -> Sets:
    """Six points of a 13 µm field, four of them true, against 60 in a square of 90 µm.

    `error` is that of a pair: both sides' together.
    """
    count = 0 if foreign else 4
    while True:
        there = spread(rng, 60, 90.0)
        low = rng.uniform(0, 77, 2)
        inside = np.flatnonzero(np.all((there >= low) & (there <= low + 13), axis=1))
        if len(inside) >= count:
            break
    sigma = error / np.sqrt(2)
    true = rng.permutation(inside)[:count]
    seen = np.vstack([there[true], low + rng.uniform(0, 13, (6 - count, 2))])
    here = turned(rng, seen) + rng.normal(0, sigma, seen.shape)
    options = {"moving_sigma": sigma, "fixed_sigma": sigma}
    return (
        here, there + rng.normal(0, sigma, there.shape), dict(enumerate(true.tolist())), options
    )  # fmt: skip


def unsaid(rng: np.random.Generator, foreign: bool) -> Sets:
    """A field with an error of 0.05 µm that `match` is not told."""
    here, there, truth, _ = field(rng, foreign, 0.05)
    return here, there, truth, {}


def crowded(rng: np.random.Generator, foreign: bool) -> Sets:
    """Beads in clusters, as on a film they often lie: 40 against 40, 24 of them the same."""
    nests = rng.uniform(0, 90, (10, 2))
    there = nests[rng.integers(0, 10, 40)] + rng.normal(0, 2.5, (40, 2))
    own = there if not foreign else nests[rng.integers(0, 10, 40)] + rng.normal(0, 2.5, (40, 2))
    more = nests[rng.integers(0, 10, 16)] + rng.normal(0, 2.5, (16, 2))
    here = turned(rng, np.vstack([own[:24], more])) + rng.normal(0, 0.07, (40, 2))
    truth = {} if foreign else {row: row for row in range(24)}
    options = {"moving_sigma": 0.07, "fixed_sigma": 0.07}
    return here, there + rng.normal(0, 0.07, there.shape), truth, options


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


def grazing(rng: np.random.Generator, foreign: bool, known: bool) -> Sets:
    """A confocal volume's beads and the marks of a FIB view, half of them ice crystals.

    Cells lift the beads up to 4 µm over a film that bends; the beam comes in at 8 to 20 degrees.
    """
    bend = rng.normal(0, 0.01, 2)

    def beads() -> np.ndarray:
        places = spread(rng, 24, 40.0)
        lift = rng.uniform(0, 4, 24) * (rng.uniform(size=24) < 0.5)
        return np.column_stack([lift + (places - 20) ** 2 @ bend, places])

    there = beads()
    angle, azimuth = rng.uniform(8, 20), rng.uniform(0, 360)
    view = seen_from(angle, azimuth) * rng.normal(1, 0.02)
    source = beads() if foreign else there
    shown = rng.permutation(24)[:16]
    marks = source[shown] @ view.T
    low, high = marks.min(axis=0), marks.max(axis=0)
    marks = np.vstack([marks, rng.uniform(low, high, (16, 2))]) + rng.normal(0, 0.05, (32, 2))
    sigma = np.array([0.1, 0.035, 0.035])
    said = View(angle=angle + rng.normal(0, 2)) if known else None
    options = {"model": "projection", "moving_sigma": np.tile(sigma, (24, 1))}
    options |= {"fixed_sigma": 0.05, "view": said}
    truth = {} if foreign else {int(row): place for place, row in enumerate(shown)}
    return there + sigma * rng.standard_normal((24, 3)), marks, truth, options


def seen_from(angle: float, azimuth: float) -> np.ndarray:
    """Rows down and right (z, y, x) of a level view from `angle` degrees over the plane."""
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    ca, sa = np.cos(np.deg2rad(azimuth)), np.sin(np.deg2rad(azimuth))
    return np.array([[-c, -s * ca, s * sa], [0.0, -sa, -ca]])


def anywhere(rng: np.random.Generator, foreign: bool) -> Sets:
    """A volume's beads seen from any side, half of the marks false."""
    there = rng.uniform(0, [8, 30, 30], (20, 3))
    source = rng.uniform(0, [8, 30, 30], (20, 3)) if foreign else there
    axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    marks = source[:14] @ axes[:, :2] * rng.normal(1, 0.02)
    marks = np.vstack([marks, rng.uniform(marks.min(axis=0), marks.max(axis=0), (14, 2))])
    truth = {} if foreign else {row: row for row in range(14)}
    options = {"model": "projection", "moving_sigma": 0.05, "fixed_sigma": 0.05}
    noise = rng.normal(0, 0.05, (20, 3)), rng.normal(0, 0.05, (28, 2))
    return there + noise[0], marks + noise[1], truth, options


def sample(rng: np.random.Generator, foreign: bool) -> Sets:
    """Beads of a sample grid's stack against marks of its FIB view, or of another site's."""
    grid = point_grid(int(rng.integers(2**31)))
    site = "ABC"[rng.integers(3)]
    other = grid if not foreign else point_grid(int(rng.integers(2**31)))
    stack, image = grid.frames[f"confocal-{site}"], other.frames[f"fib-{site}"]
    way = image.from_grid @ np.linalg.inv(stack.from_grid)
    down, right = way[:, :3] / np.linalg.norm(way[1, :3])
    angle = np.rad2deg(np.arcsin(np.clip(np.cross(down, right)[0], -1, 1)))
    rows = {int(name): row for row, name in enumerate(image.ids) if name >= 0}
    truth = {row: rows[int(n)] for row, n in enumerate(stack.ids) if int(n) in rows}
    options = {"model": "projection", "moving_sigma": stack.covariances}
    options |= {"fixed_sigma": image.covariances, "view": View(angle=angle + rng.normal(0, 2))}
    return stack.positions, image.positions, {} if foreign else truth, options


TASKS: dict[str, Callable[[np.random.Generator, bool], Sets]] = {
    "60 x 300, half spurious": square,
    "4 of 6 in 13 µm, 0.05 µm": partial(field, error=0.05),
    "4 of 6 in 13 µm, 0.1 µm": partial(field, error=0.1),
    "4 of 6 in 13 µm, 0.2 µm": partial(field, error=0.2),
    "4 of 6 in 13 µm, 0.4 µm": partial(field, error=0.4),
    "the same, 0.05 µm, no sigma": unsaid,
    "clusters": crowded,
    "20 x 60 in a volume": volume,
    "from above, half false": projection,
    "FIB view, half false, angle": partial(grazing, known=True),
    "FIB view, half false": partial(grazing, known=False),
    "from any side, half false": anywhere,
    "sample grid's FIB view": sample,
}


def judge(task: str, foreign: bool, sets: Sets) -> Outcome:
    """Match, refusing nothing, and compare with the truth."""
    here, there, truth, options = sets
    clock, processor = time.perf_counter(), time.process_time()
    found = None
    with suppress(NoMatch, PointsError):
        found = match(here, there, least_confidence=1e-12, **options)
    taken = time.perf_counter() - clock, time.process_time() - processor
    if found is None:
        return Outcome(task, foreign, 0, 0.0, *taken)
    good = sum(truth.get(int(i)) == int(k) for i, k in found.pairs)
    right = good >= max(3, 0.6 * len(found.pairs))
    return Outcome(task, foreign, 1 if right else -1, found.confidence, *taken)


def interval(count: int, total: int) -> str:
    """Give a share with its 95 % interval (Clopper and Pearson 1934)."""
    low = beta.ppf(0.025, count, total - count + 1) if count else 0.0
    high = beta.ppf(0.975, count + 1, total - count) if count < total else 1.0
    digits = 1 if count > 0.1 * total else 2
    return f"{count / total:.{digits}%} ({100 * low:.{digits}f}-{100 * high:.{digits}f})"


def table(every: list[Outcome]) -> None:
    """Print rates by task, as `match` answers by default: refusing below 0.8."""
    heads = "right", "wrong", "foreign", "best right"
    print(f"{'':30s}" + "".join(f"{head:>21s}" for head in heads) + f"{'sets':>12s}"
          f"{'s, right':>10s}{'refused':>9s}{'worst':>7s}")  # fmt: skip
    for task in TASKS:
        own = [o for o in every if o.task == task and not o.foreign]
        alien = [o for o in every if o.task == task and o.foreign]
        if not own or not alien:
            continue
        sure = [o for o in own if o.confidence >= LEAST]
        taken = [o.processor for o in sure if o.verdict == 1]
        waited = [o.processor for o in own + alien if o.confidence < LEAST]
        shares = (
            interval(sum(o.verdict == 1 for o in sure), len(own)),
            interval(sum(o.verdict == -1 for o in sure), len(own)),
            interval(sum(o.confidence >= LEAST for o in alien), len(alien)),
            interval(sum(o.verdict == 1 for o in own), len(own)),
        )
        print(
            f"{task:30s}{''.join(f'{share:>21s}' for share in shares)}{len(own):6d}+{len(alien):5d}"
            f"{np.median(taken) if taken else np.nan:10.2f}"
            f"{np.median(waited) if waited else np.nan:9.2f}"
            f"{max(o.processor for o in own + alien):7.2f}"
        )
    print("95 % intervals in brackets; times are of the processor, median and worst")


def reliability(every: list[Outcome]) -> None:
    """Print and plot how often answers of each confidence are right, half of them foreign."""
    answers = [o for o in every if o.verdict != 0]
    print(f"\nconfidence of {len(answers)} answers when none is refused, half of the sets foreign")
    said, was = [], []
    for low, high in pairwise(EDGES):
        some = [o for o in answers if low < o.confidence <= high]
        if some:
            right = sum(o.verdict == 1 for o in some)
            said.append(float(np.mean([o.confidence for o in some])))
            was.append(right / len(some))
            print(f"  {low:5.3f} to {high:5.3f}: {len(some):5d} answers, said {said[-1]:.3f}, "
                  f"right {interval(right, len(some))}")  # fmt: skip
    print("of answers with a confidence over 0.95, wrong:")
    for task in (*TASKS, ""):
        sure = [o for o in every if o.confidence > SURE and task in (o.task, "")]
        if sure:
            wrong = sum(o.verdict == -1 for o in sure)
            print(f"  {task or 'all':30s}{wrong:5d} of {len(sure):5d}, "
                  f"{interval(wrong, len(sure))}")  # fmt: skip
    said = [round(value, 2) for value in said]
    line_plot(
        "match-reliability", "Confidence of a match and how often it is right",
        ("confidence", "share right"),
        [("measured", said, was), ("ideal", [0.0, 1.0], [0.0, 1.0])], 0.0, 1.0,
    )  # fmt: skip


def drifted(rounds: int, seed: int) -> None:
    """Compare with coherent point drift (pycpd), which is given the matches `match` looks for.

    It starts from the identity and has no share of missing points but its weight `w`, so it is
    also tried from 12 turns, the best of which counts.
    """
    from pycpd import RigidRegistration

    rng = np.random.default_rng(seed)
    right = {"match": 0, "pycpd": 0}
    taken = {"match": 0.0, "pycpd": 0.0}
    for _ in range(rounds):
        here, there, truth, options = square(rng, False)
        begin = time.perf_counter()
        right["match"] += judge("", False, (here, there, truth, options)).verdict == 1
        taken["match"] += time.perf_counter() - begin
        begin = time.perf_counter()
        best = np.inf, None
        for angle in range(0, 360, 30):
            start = Affine.planar(angle).linear
            moved = (here - here.mean(axis=0)) @ start.T + there.mean(axis=0)
            run = RigidRegistration(X=there, Y=moved, w=0.5, max_iterations=60)
            mapped, _ = run.register()
            best = min(best, (run.sigma2, mapped), key=lambda one: one[0])
        taken["pycpd"] += time.perf_counter() - begin
        near = np.linalg.norm(best[1][:, None] - there[None], axis=2)
        good = sum(near[i, k] < 1.0 for i, k in truth.items())
        right["pycpd"] += good >= 0.6 * len(truth)
    print(f"\n60 x 300, half spurious, any turn, {rounds} sets")
    for name, count in right.items():
        print(f"  {name:8s} right {count / rounds:6.1%}, {taken[name] / rounds:7.2f} s each")
    print(f"  pycpd takes {taken['pycpd'] / taken['match']:.0f} times as long")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=100, help="per task, true and foreign each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tasks", nargs="*", default=[], help="parts of the names of tasks")
    parser.add_argument(
        "--rows", type=Path, help="file of outcomes: those in it are not drawn again"
    )
    parser.add_argument("--peer", type=int, default=0, help="sets for the comparison with pycpd")
    options = parser.parse_args()
    warm(block=True)
    every = []
    if options.rows and options.rows.exists():
        every = [Outcome(**json.loads(line)) for line in options.rows.read_text().splitlines()]
    for number, (task, make) in enumerate(TASKS.items()):
        if options.tasks and not any(part in task for part in options.tasks):
            continue
        for k in range(sum(o.task == task for o in every), 2 * options.sets):
            rng = np.random.default_rng([options.seed, number, k])
            every.append(judge(task, k % 2 == 1, make(rng, k % 2 == 1)))
            if options.rows:
                with options.rows.open("a") as file:
                    file.write(json.dumps(asdict(every[-1])) + "\n")
    table(every)
    reliability(every)
    if options.peer:
        drifted(options.peer, options.seed)


if __name__ == "__main__":
    main()
