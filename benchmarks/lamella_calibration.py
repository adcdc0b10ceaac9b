"""Whether 70 % promised is 70 %: targets placed through the chain, over seeded point grids.

``python benchmarks/lamella_calibration.py --grids 500`` links each grid as the automatic chain
does, aims lamellae at targets in the FIB view, and compares what was promised with what the true
grid says was captured. Half of the boxes sit on the target, the others were dragged off by up to
0.4 µm, so that all probabilities occur; every target counts once. Nothing of the truth enters
before the last step.

The second part is the share of lamellae that overlap their tomogram by more than half, aimed so
and aimed by eye: 1 µm sd along each axis of the FIB image, and the film's depth unknown to 1 µm
sd. A lamella is what the beam leaves of the film, so a miss across the beam moves it along the
film by the miss over the sine of the milling angle.

``--plot FILE.svg`` draws the calibration. ``--keep FILE.csv`` keeps the outcomes and ``--join
FILE.csv ...`` sums up what several runs have kept. ``--axial-sd 0.05`` shows what promises become
where the calibration of the stacks is believed less than it deserves.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np
from region_coverage import paired, picked

from napari_clxem.errors import ClxemError
from napari_clxem.frames import Affine, Fit
from napari_clxem.lamella import (
    BY_EYE,
    CampaignRow,
    Lamella,
    campaign,
    capture_in_view,
    overlap,
    propose,
    share_interval,
    upright,
)
from napari_clxem.samples import PointGrid, point_grid
from napari_clxem.session.geometry import estimate, graph, solve
from napari_clxem.session.model import Frame, Link, Session

# How well a target is picked in a stack and in a tomogram, µm, and a box placed at the FIB.
PICK_SD = {"confocal": (0.15, 0.06, 0.06), "tomogram": (0.04, 0.035, 0.035)}
PLACE_SD = 0.05
THICKNESS = (0.2, 0.3, 0.3, 0.4)
DRAGGED = 0.4
SIZE = (12.0, 10.0)
LEAST = 400


@dataclass(frozen=True)
class Outcome:
    """What was promised of one target and what came true."""

    promised: float
    captured: bool
    expected: float
    fraction: float
    by_chain: float
    by_eye: float


def session_of(grid: PointGrid, rng: np.random.Generator) -> Session:
    """Link stacks, tomograms and FIB views of a grid as the chain does."""
    frames = tuple(
        Frame(name=name, ndim=points.pose.ndim, z=(0.0, 2.0) if points.pose.ndim == 2 else None)
        for name, points in grid.frames.items()
    )
    links = []
    for site in "ABC":
        try:
            links.append(paired(grid, f"confocal-{site}", f"tomogram-{site}", rng))
        except ClxemError:  # too few beads: the chain leaves such a link out as well
            continue
    views = [i for i, picks in enumerate(grid.picks) if picks.fixed_frame.startswith("fib")]
    return Session(frames=frames, links=(*links, *(righted(picked(grid, i)) for i in views)))


def righted(link: Link) -> Link:
    """Take, where few beads fit a view both ways up, the way up that the microscope knows."""
    found = solve(link)
    if not isinstance(found, Fit) or upright(found) is found:
        return link
    return replace(link, kind="declared", landmarks=(), estimate=estimate(upright(found)))


def believed(session: Session, axial_sd: float) -> Session:
    """Give a session whose links trust the axial scaling of stacks to `axial_sd`."""
    links = tuple(
        replace(one, prior=replace(one.prior, axial_sd=axial_sd)) if one.prior else one
        for one in session.links
    )
    return replace(session, links=links)


def outcomes(seed: int, axial_sd: float | None = None) -> Iterator[Outcome]:
    """Aim at every target of a grid."""
    grid, rng = point_grid(seed), np.random.default_rng([seed, 11])
    session = session_of(grid, rng)
    known = graph(believed(session, axial_sd) if axial_sd else session)
    stage = stage_axes(grid)
    for target in grid.targets:
        kind = rng.choice(list(PICK_SD))
        frame, view = f"{kind}-{target.site}", f"fib-{target.site}"
        sd = np.array(PICK_SD[kind])
        seen = Affine(grid.frames[frame].from_grid).transform(target.position)
        pick = seen + sd * rng.standard_normal(3)
        try:
            route = known.transform(frame, view, pick)
        except ClxemError:
            continue
        own = np.diag(sd**2)[np.newaxis]
        spread = route.predict_error(pick, own)[0] + PLACE_SD**2 * np.eye(2)
        aim = route.transform(pick)[0]
        thickness = float(rng.choice(THICKNESS))
        radius = target.radius * rng.uniform(0.2, 1.0)
        box = proposed(aim, radius, spread, thickness)
        if rng.random() < 0.5:
            box[0] += rng.uniform(-DRAGGED, DRAGGED)
        told = capture_in_view(box, aim, radius, spread, thickness=thickness, width=SIZE[0])
        milled = box + PLACE_SD * rng.standard_normal(2)
        true = Affine(grid.frames[view].from_grid).transform(target.position)[0]
        real = capture_in_view(milled, true, radius, thickness=thickness, width=SIZE[0])
        miss = aim + PLACE_SD * rng.standard_normal(2) - true
        eye = rng.standard_normal(2)
        angle = grid.lamellae[next(iter(grid.lamellae))].angle
        eye[0] += rng.standard_normal() * np.cos(np.deg2rad(angle))
        yield Outcome(
            told.centre,
            bool(real.centre > 0.5),
            told.volume_fraction,
            real.volume_fraction,
            shared(grid, target, stage, angle, miss),
            shared(grid, target, stage, angle, eye),
        )


def proposed(aim: np.ndarray, radius: float, spread: np.ndarray, thickness: float) -> np.ndarray:
    """Give the middle (row, column) of the box proposed in the view for a target seen there."""
    full = np.zeros((3, 3))
    full[np.ix_([0, 2], [0, 2])] = spread
    # across the beam and along the image's columns, as the FIB sees it
    place = (-aim[0], 0.0, -aim[1])
    found = propose(place, radius, full, angles=(0.0, 0.0), usual=0.0, thickness=thickness)
    return -np.array(found.lamella.centre)[[0, 2]]


def stage_axes(grid: PointGrid) -> np.ndarray:
    """Give the stage's axes (z, y, x) at the FIB-SEM as rows, in the grid frame."""
    lamella = next(iter(grid.lamellae.values()))
    c, s = np.cos(np.deg2rad(lamella.angle)), np.sin(np.deg2rad(lamella.angle))
    return np.array(
        [
            c * lamella.normal - s * lamella.along,
            s * lamella.normal + c * lamella.along,
            lamella.across,
        ]
    )


def shared(
    grid: PointGrid, target: object, stage: np.ndarray, angle: float, miss: np.ndarray
) -> float:
    """Give the area fraction of a lamella that misses its target by (row, column) in the view."""
    slip = -miss[0] / np.sin(np.deg2rad(angle))
    centre = stage @ target.position + [0.0, slip, -miss[1]]
    lamella = Lamella(tuple(centre), angle, width=SIZE[0], length=SIZE[1])
    pose = grid.frames[f"tomogram-{target.site}"]
    to_box = Affine(pose.from_grid) @ Affine.from_parts(stage.T, np.zeros(3))
    box = np.array([np.zeros(3), np.array(pose.pose.shape) * pose.pose.spacing])
    return overlap(lamella, box, to_box=to_box).area_fraction


def bins(found: list[Outcome]) -> list[tuple[float, float, int, tuple[float, float]]]:
    """Part the outcomes by promise into tenths, joined where they hold too few."""
    promised = np.array([one.promised for one in found])
    captured = np.array([one.captured for one in found])
    rows, waiting = [], np.zeros(len(found), bool)
    for step in range(10):
        high = promised <= (step + 1) / 10 if step < 9 else np.ones(len(found), bool)
        waiting |= (promised >= step / 10) & high & ((promised < (step + 1) / 10) | (step == 9))
        count = int(waiting.sum())
        if count >= LEAST:
            hits = int(captured[waiting].sum())
            mean = float(promised[waiting].mean())
            rows.append((mean, hits / count, count, share_interval(hits, count)))
            waiting[:] = False
    return rows


def plot(rows: list[tuple[float, float, int, tuple[float, float]]], path: Path) -> None:
    """Draw promised against captured as SVG."""
    side, edge = 360, 56

    def at(x: float, y: float) -> tuple[float, float]:
        return edge + side * x, edge / 2 + side * (1 - y)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side + 1.4 * edge:.0f} '
        f'{side + 1.5 * edge:.0f}" font-family="sans-serif" font-size="13" fill="#222">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for tenth in range(0, 11, 2):
        (x, y0), (_, y1) = at(tenth / 10, 0), at(tenth / 10, 1)
        (x0, y), (x1, _) = at(0, tenth / 10), at(1, tenth / 10)
        parts += [
            f'<path d="M{x} {y0}V{y1}M{x0} {y}H{x1}" stroke="#ddd"/>',
            f'<text x="{x}" y="{y0 + 18}" text-anchor="middle">{tenth * 10}</text>',
            f'<text x="{x0 - 8}" y="{y + 4}" text-anchor="end">{tenth * 10}</text>',
        ]
    (x0, y0), (x1, y1) = at(0, 0), at(1, 1)
    parts.append(f'<path d="M{x0} {y0}L{x1} {y1}" stroke="#888" stroke-dasharray="5 4"/>')
    for mean, share, count, (low, high) in rows:
        x, y = at(mean, share)
        (_, top), (_, bottom) = at(mean, high), at(mean, low)
        parts += [
            f'<path d="M{x:.1f} {top:.1f}V{bottom:.1f}" stroke="#1b6ca8" stroke-width="2"/>',
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="#1b6ca8"><title>{count} lamellae'
            f": promised {mean:.1%}, captured {share:.1%}</title></circle>",
        ]
    middle, low = at(0.5, 0)
    parts += [
        f'<text x="{middle}" y="{low + 40}" text-anchor="middle">promised capture, %</text>',
        f'<text transform="translate(16 {edge / 2 + side / 2}) rotate(-90)" '
        'text-anchor="middle">targets captured, %</text>',
        "</svg>",
    ]
    path.write_text("\n".join(parts) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grids", type=int, default=500)
    parser.add_argument("--first", type=int, default=4000, help="first seed")
    parser.add_argument("--plot", type=Path, help="where the calibration plot goes (.svg)")
    parser.add_argument("--keep", type=Path, help="where the outcomes go (.csv)")
    parser.add_argument("--join", type=Path, nargs="+", help="outcomes kept by earlier runs")
    parser.add_argument("--axial-sd", type=float, help="believe the axial scaling to so much")
    options = parser.parse_args()
    found: list[Outcome] = []
    for path in options.join or ():
        rows_kept = np.loadtxt(path, delimiter=",", ndmin=2)
        found += [Outcome(row[0], bool(row[1]), *row[2:].tolist()) for row in rows_kept]
    if not options.join:
        seeds = range(options.first, options.first + options.grids)
        for number, seed in enumerate(seeds, start=1):
            found += outcomes(seed, options.axial_sd)
            if number % 50 == 0:
                print(f"{number} grids, {len(found)} targets", file=sys.stderr, flush=True)
        print(f"{options.grids} grids from seed {options.first}, {len(found)} targets")
    if options.keep:
        np.savetxt(options.keep, [astuple(one) for one in found], delimiter=",", fmt="%.9g")
    print(f"{'promised':>10s}{'captured':>10s}{'95 % interval':>18s}{'targets':>9s}")
    rows = bins(found)
    for mean, share, count, (low, high) in rows:
        print(f"{mean:10.1%}{share:10.1%}{low:9.1%} to {high:6.1%}{count:9d}")
    worst = max((abs(mean - share) for mean, share, *_ in rows), default=float("nan"))
    print(f"largest difference between promised and captured in a bin: {worst:.1%}")
    near = [one for one in found if 0.65 <= one.promised < 0.75]
    if near:
        mean, share = (
            np.mean([getattr(o, name) for o in near]) for name in ("promised", "captured")
        )
        print(f"promised 65 to 75 %, {mean:.1%} on average: {share:.1%} of {len(near)} captured")
    expected, fraction = (
        np.mean([getattr(o, name) for o in found]) for name in ("expected", "fraction")
    )
    print(f"volume fraction: {expected:.1%} promised on average, {fraction:.1%} captured")
    print(f"overlap with the tomogram, lamellae of {SIZE[0]:g} x {SIZE[1]:g} µm:")
    for name, key in (("through the chain", "by_chain"), ("aimed by eye", "by_eye")):
        areas = [getattr(one, key) for one in found]
        above = campaign([_row(area) for area in areas])
        low, high = above.interval
        print(
            f"  {name:18s} {above.share:.1%} above 50 % (95 % interval {low:.1%} to {high:.1%}), "
            f"mean overlap {above.mean_area:.1%}"
        )
    print(f"  the source paper, by eye: about {BY_EYE:.0%}")
    if options.plot:
        plot(rows, options.plot)


def _row(area: float) -> CampaignRow:
    from napari_clxem.lamella import Overlap

    return CampaignRow("", "", Overlap(0.0, 0.0, area, 0.0, 0.0))


if __name__ == "__main__":
    main()
