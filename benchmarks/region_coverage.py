"""How often the predicted 95 % region holds the truth, link by link, over seeded point grids.

``python benchmarks/region_coverage.py --grids 200`` draws grids as points (true pairs, realistic
localisation errors), links them exactly as the automatic chain does, and compares the predicted
with the true places of the held targets. Content links are stood in for by blocks with the
scatter that correlation leaves on the sample.

The targets of a grid share the errors of its links, so the intervals come from drawing whole grids
anew (bootstrap by grid), not from counting targets. Places more than four predicted sd off are
listed one by one. Each way is looked at between the two frames it names; which links it leads
through is the graph's choice, as in the window.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from napari_clxem.errors import ClxemError
from napari_clxem.frames import Affine, fit
from napari_clxem.samples import FramePoints, PointGrid, point_grid
from napari_clxem.samples.points import HEIGHTS
from napari_clxem.samples.visibility import visible_beads
from napari_clxem.session.beads import STITCH_SD, bead_link
from napari_clxem.session.chain import WITHIN_INSTRUMENT, seen_along_z
from napari_clxem.session.description import OBLIQUE_VIEW, UPRIGHT
from napari_clxem.session.geometry import estimate, graph
from napari_clxem.session.model import Frame, Landmark, Link, Session

BLOCK_SD = 0.02
WITHIN = 5.991  # squared distance that holds 95 % in a plane
FAR = 4.0  # predicted sd
AIM = (0.93, 0.97)
DRAWS = 4000
MAPS = (
    ("fluorescence map → SXT mosaic", "fluorescence-map", "sxt-mosaic"),
    ("SEM overview → fluorescence map", "sem-overview", "fluorescence-map"),
)


@dataclass(frozen=True)
class Outcome:
    """True and predicted errors at the held targets of one way through one grid, in the plane.

    `squares` are squared misses over their predicted covariance.
    """

    name: str
    seed: int
    site: str
    by: tuple[str, ...]
    true: np.ndarray
    predicted: np.ndarray
    squares: np.ndarray


def session_of(grid: PointGrid, rng: np.random.Generator) -> Session:
    """Link a grid of points as the automatic chain would."""
    frames = tuple(
        Frame(
            name=name,
            ndim=points.pose.ndim,
            z=HEIGHTS[points.pose.modality] if points.pose.ndim == 2 else None,
        )
        for name, points in grid.frames.items()
    )
    links = []
    for moving, fixed in (
        ("fluorescence-map", "sxt-mosaic"),
        ("sem-overview", "fluorescence-map"),
        *((f"confocal-{site}", "sxt-mosaic") for site in "ABC"),
        *((f"confocal-{site}", f"tomogram-{site}") for site in "ABC"),
    ):
        try:
            links.append(paired(grid, moving, fixed, rng))
        except ClxemError:  # too few beads: the chain leaves such a link out as well
            continue
    links += [content(grid, f"tomogram-{site}", rng) for site in "ABC"]
    links += [picked(grid, index) for index in range(len(grid.picks))]
    return Session(frames=frames, links=tuple(links))


def paired(grid: PointGrid, moving: str, fixed: str, rng: np.random.Generator) -> Link:
    """Pair two frames' beads by their true identity; the mosaic's tiles are a little off."""
    one, other = grid.frames[moving], grid.frames[fixed]
    common = np.intersect1d(one.ids[one.ids >= 0], other.ids[other.ids >= 0])
    a, b = (chosen(points, common) for points in (one, other))
    height = 2.0 if one.pose.ndim == other.pose.ndim == 2 else 0.0
    places, spread = b
    if fixed == "sxt-mosaic":
        places = places + STITCH_SD * rng.standard_normal(places.shape)
        spread = np.hypot(spread, STITCH_SD)
    return bead_link(moving, fixed, a, (places, spread), height)


def chosen(points: FramePoints, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give positions and sd of beads by id."""
    rows = [int(np.flatnonzero(points.ids == index)[0]) for index in ids]
    variance = np.einsum("nii->ni", points.covariances[rows])
    return points.positions[rows], np.sqrt(variance)


def true_map(grid: PointGrid, moving: str, fixed: str) -> Affine:
    """Give the true map from a volume to any frame."""
    back = np.linalg.inv(grid.frames[moving].from_grid)
    return Affine(grid.frames[fixed].from_grid @ back)


def content(grid: PointGrid, moving: str, rng: np.random.Generator) -> Link:
    """Stand in for the correlation of a tomogram's projection with the mosaic."""
    pose = grid.frames[moving].pose
    extent = (np.array(pose.shape) - 1) * pose.spacing
    rows = np.array([(i + 0.5, j + 0.5) for i in range(4) for j in range(4)]) / 4
    blocks = np.column_stack([np.full(16, extent[0] / 2), rows * extent[1:]])
    places = true_map(grid, moving, "sxt-mosaic").transform(blocks)
    places = places + BLOCK_SD * rng.standard_normal(places.shape)
    found = fit(
        blocks[:, 1:],
        places + STITCH_SD * rng.standard_normal(2),
        "affine",
        fixed_sigma=BLOCK_SD,
        prior=replace(WITHIN_INSTRUMENT, tilt_sd=None),
    )
    return Link(
        id=f"content-{moving}",
        moving=moving,
        fixed="sxt-mosaic",
        kind="content",
        estimate=estimate(seen_along_z(found, extent / 2)),
    )


def picked(grid: PointGrid, index: int) -> Link:
    """Make the link of a landmark file."""
    picks = grid.picks[index]
    rows = zip(picks.ids, picks.moving, picks.fixed, picks.moving_sd, picks.fixed_sd, strict=True)
    return Link(
        id=f"picked-{picks.moving_frame}-{picks.fixed_frame}",
        moving=picks.moving_frame,
        fixed=picks.fixed_frame,
        model="affine",
        prior=OBLIQUE_VIEW,
        upright=grid.frames[picks.fixed_frame].pose.modality in UPRIGHT,
        landmarks=tuple(
            Landmark(
                id=name,
                moving=tuple(a.tolist()),
                fixed=tuple(b.tolist()),
                moving_sigma=tuple(c.tolist()),
                fixed_sigma=tuple(d.tolist()),
            )
            for name, a, b, c, d in rows
        ),
    )


def outcomes(seed: int) -> list[Outcome]:
    """Link one grid and compare at its targets, along every way between its frames."""
    grid = point_grid(seed)
    session = session_of(grid, np.random.default_rng([seed, 7]))
    found = []
    for name, moving, fixed in MAPS:
        found.append(compared(session, grid, (f"{name}, at beads", moving, fixed, ""),
                              left_out(grid, moving, fixed)))  # fmt: skip
    for site in "ABC":
        targets = np.array([t.position for t in grid.targets if t.site == site])
        for name, moving, fixed in (
            *MAPS,
            ("confocal → SXT mosaic", f"confocal-{site}", "sxt-mosaic"),
            ("tomogram → SXT mosaic", f"tomogram-{site}", "sxt-mosaic"),
            ("confocal → tomogram", f"confocal-{site}", f"tomogram-{site}"),
            ("confocal → FIB view", f"confocal-{site}", f"fib-{site}"),
            ("tomogram → TEM map", f"tomogram-{site}", f"tem-{site}"),
            ("confocal → TEM map", f"confocal-{site}", f"tem-{site}"),
        ):
            if fixed not in grid.frames:
                continue
            held = targets if fixed != f"tem-{site}" else in_lamella(grid, site, targets)
            found.append(compared(session, grid, (name, moving, fixed, site), held))
    return [one for one in found if one is not None]


def compared(
    session: Session, grid: PointGrid, way: tuple[str, str, str, str], held: np.ndarray
) -> Outcome | None:
    """Compare predicted with true places along one way; None where there is none."""
    name, moving, fixed, site = way
    if not len(held):
        return None
    one, other = (true_places(grid, frame, held) for frame in (moving, fixed))
    try:
        route = graph(session).transform(moving, fixed, one)
    except ClxemError:
        return None
    miss = (route.transform(one) - other)[:, -2:]
    spread = route.predict_error(one)[:, -2:, -2:]
    return Outcome(
        name,
        grid.scene.seed,
        site,
        route.links,
        np.linalg.norm(miss, axis=1),
        np.sqrt(np.einsum("nii->n", spread)),
        np.einsum("ni,nij,nj->n", miss, np.linalg.inv(spread), miss),
    )


def left_out(grid: PointGrid, moving: str, fixed: str) -> np.ndarray:
    """Give the true places of beads that show in both frames and took no part in their link."""
    sets = [(grid.frames[name], visible_beads(grid.scene, grid.frames[name].pose))
            for name in (moving, fixed)]  # fmt: skip
    shown = np.intersect1d(sets[0][1], sets[1][1])
    used = np.intersect1d(sets[0][0].ids, sets[1][0].ids)
    return grid.scene.beads.centres[np.setdiff1d(shown, used)]


def in_lamella(grid: PointGrid, site: str, targets: np.ndarray) -> np.ndarray:
    """Give the targets that a lamella cuts or nearly cuts: only these show in its map."""
    lamella = grid.lamellae[site]
    return targets[np.abs((targets - lamella.centre) @ lamella.normal) < 0.5]


def true_places(grid: PointGrid, frame: str, points: np.ndarray) -> np.ndarray:
    """Take grid points to a frame as it truly lies."""
    return Affine(grid.frames[frame].from_grid).transform(points)


def interval(found: list[Outcome]) -> tuple[float, float, float]:
    """Give the share of targets in their region, with the 95 % interval of a bootstrap by grid."""
    seeds = sorted({one.seed for one in found})
    inside, count = np.zeros((2, len(seeds)))
    for one in found:
        inside[seeds.index(one.seed)] += (one.squares <= WITHIN).sum()
        count[seeds.index(one.seed)] += len(one.squares)
    drawn = np.random.default_rng(0).integers(len(seeds), size=(DRAWS, len(seeds)))
    low, high = np.quantile(inside[drawn].sum(axis=1) / count[drawn].sum(axis=1), [0.025, 0.975])
    return float(inside.sum() / count.sum()), float(low), float(high)


def verdict(low: float, high: float) -> str:
    """Say where an interval lies beside what is aimed at."""
    if high < AIM[0]:
        return "too small"
    return "too large" if low > AIM[1] else ""


def report(rows: dict[str, list[Outcome]]) -> None:
    """Print a line for each way, then every place far off."""
    print(
        f"{'way':42s}{'grids':>6s}{'targets':>8s}{'true median':>13s}{'true rms':>10s}"
        f"{'predicted':>11s}{'in 95 %':>9s}{'(by grid)':>16s}"
    )
    for name, found in rows.items():
        true, predicted = (
            np.concatenate([getattr(o, part) for o in found]) for part in ("true", "predicted")
        )
        share, low, high = interval(found)
        print(
            f"{name:42s}{len({o.seed for o in found}):6d}{len(true):8d}"
            f"{np.median(true) * 1e3:13.0f}{np.sqrt((true**2).mean()) * 1e3:10.0f}"
            f"{np.sqrt((predicted**2).mean()) * 1e3:11.0f}{share:9.1%}"
            f"{f'{low:.1%}–{high:.1%}':>16s}  {verdict(low, high)}"
        )
    far = [one for found in rows.values() for one in found if one.squares.max() > FAR**2]
    print(f"\n{len(far)} ways through a site with a target more than {FAR:.0f} predicted sd off")
    for one in far:
        worst = int(one.squares.argmax())
        print(
            f"  {one.name}, seed {one.seed}, site {one.site}: {one.true[worst] * 1e3:.0f} nm, "
            f"predicted {one.predicted[worst] * 1e3:.0f} nm, "
            f"{np.sqrt(one.squares[worst]):.1f} sd, by {', '.join(one.by)}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grids", type=int, default=200)
    parser.add_argument("--first", type=int, default=1000, help="first seed")
    options = parser.parse_args()
    rows: dict[str, list[Outcome]] = defaultdict(list)
    for seed in range(options.first, options.first + options.grids):
        for outcome in outcomes(seed):
            rows[outcome.name].append(outcome)
    print(f"{options.grids} grids from seed {options.first}; errors in the plane, nm")
    report(rows)


if __name__ == "__main__":
    main()
