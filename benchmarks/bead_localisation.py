"""How near localisation comes to the Cramér-Rao bound, and what it costs beside its peers.

``python -P benchmarks/bead_localisation.py`` draws beads from their physics per modality, finds
them with `detect` and compares errors with the bound of the drawn model (position, amplitude and
linear background unknown, Poisson noise), each ratio with its standard error. What is above 1.2,
or further than a tenth from 1 in units of the reported sigma, by two standard errors is marked.
Then batches of 200 windows of 11 x 17 x 17 voxels are timed against SciPy, trackpy and
scikit-image in the same process.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

sys.path.append(str(Path(__file__).parent))  # with -P, which spares numba our coverage.py

from bead_plots import line_plot
from bead_scenes import draw_balls, draw_projection, draw_volume, lattice

from napari_clxem.fiducials import detect

SNRS = (5.0, 10.0, 20.0, 40.0)
CASES = {False: (("flat", 0.0), ("slope", 0.15)), True: (("border", 0.0), ("both", 0.15))}
"""Background's slope over its level, 1/µm, away from the border of the image and beside it."""

INWARD = (0.55, 0.75)
"""Beads beside a border are so far from its pixels' middles, µm."""

PHASES = 8
"""Places at which the bound is taken."""


@dataclass(frozen=True)
class Look:
    """How beads show in a modality: peak over background, pixel size and blur."""

    name: str
    kind: str
    spacing: tuple[float, ...]
    psf: float | tuple[float, float]
    opacity: float
    contrast: float

    def draw(self, shape: tuple[int, ...], places: np.ndarray) -> np.ndarray:
        """Draw beads of unit peak."""
        if len(self.spacing) == 3 and self.psf[0] == self.psf[1]:
            return draw_balls(shape, self.spacing[0], places, self.psf[0])
        if len(self.spacing) == 3:
            return draw_volume(shape, self.spacing, places, self.psf)
        image = draw_projection(shape, self.spacing[0], places, self.psf, self.opacity)
        middle = np.zeros((1, 2))
        return image / draw_projection((1, 1), self.spacing[0], middle, self.psf, self.opacity)

    @property
    def sign(self) -> float:
        return 1.0 if self.kind == "bright" else -1.0

    @property
    def apart(self) -> float:
        """Distance of beads in an image, µm."""
        return 3.5 if len(self.spacing) == 2 or self.spacing[0] < 0.1 else 4.5

    @property
    def deep(self) -> float:
        """Depth of a volume, µm."""
        return 3.0 if self.spacing[0] < 0.1 else 4.2


@dataclass(frozen=True)
class Errors:
    """Errors (n, d) of the beads of an image, µm, over bound and sigma; what was lost or false."""

    miss: np.ndarray
    by_bound: np.ndarray
    by_sigma: np.ndarray
    lost: int
    false: int


LOOKS = (
    Look("confocal stack", "bright", (0.3, 0.1, 0.1), (1.0, 0.35), 0.0, 5.0),
    Look("fluorescence map", "bright", (0.1, 0.1), 0.35, 0.0, 5.0),
    Look("SXT projection", "dark", (0.025, 0.025), 0.05, 1.0, 0.5),
    Look("SXT mosaic", "dark", (0.1, 0.1), 0.09, 1.0, 0.5),
    Look("tomogram", "bright", (0.05, 0.05, 0.05), (0.06, 0.06), 0.0, 1.0),
    Look("SEM disc", "bright", (0.05, 0.05), 0.1, 30.0, 1.0),
)


def levels(look: Look, snr: float) -> tuple[float, float]:
    """Background and amplitude in counts, so that peak above background over its noise is snr."""
    # amplitude = contrast * background; noise at the peak is its square root
    peak = 1.0 + look.sign * look.contrast
    background = snr**2 * peak / look.contrast**2
    return background, look.sign * look.contrast * background


def jacobian(look: Look, place: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Derivatives (p, m) of a bead of unit amplitude: position, amplitude, background, slope."""
    step = 1e-3
    rows = []
    for axis in range(len(shape)):
        away = np.zeros(len(shape))
        away[axis] = step
        high = look.draw(shape, (place + away)[None])
        low = look.draw(shape, (place - away)[None])
        rows.append((high - low).ravel() / (2 * step))
    rows += [look.draw(shape, place[None]).ravel(), np.ones(np.prod(shape))]
    grid = np.indices(shape).reshape(len(shape), -1)
    rows += [line - line.mean() for line in grid.astype(float)]
    return np.stack(rows)


def bound(look: Look, snr: float, raised: float, unit: np.ndarray) -> np.ndarray:
    """Cramér-Rao bound of one bead per axis, µm, on a background `raised` by a share of itself."""
    background, amplitude = levels(look, snr)
    ndim = len(look.spacing)
    rows = unit.copy()
    rows[:ndim] *= amplitude
    expected = background * (1 + raised) + amplitude * unit[ndim]
    covariance = np.linalg.inv((rows / np.maximum(expected, 1e-9)) @ rows.T)
    return np.sqrt(np.diag(covariance)[:ndim])


@lru_cache(maxsize=2)
def jacobians(look: Look, border: bool) -> tuple[np.ndarray, list[np.ndarray]]:
    """Derivatives of beads at some distances from the first row, µm: all pixels within 1.7 µm.

    Away from a border the distances stand for nothing but parts of a pixel.
    """
    crop = [2 * int(np.ceil(1.7 / s)) + 1 for s in look.spacing]
    if len(crop) == 3:
        crop[0] = round(look.deep / look.spacing[0])
    middle = np.array(look.spacing) * [n // 2 for n in crop]
    spots = np.random.default_rng(0).uniform(-0.5, 0.5, (PHASES, len(crop))) * look.spacing
    inward = np.linspace(*INWARD, PHASES) if border else spots[:, -2] + middle[-2]
    places = middle + spots
    places[:, -2] = inward
    return inward, [jacobian(look, place, tuple(crop)) for place in places]


def bounds(look: Look, snr: float, raised: float, border: bool, inward: np.ndarray) -> np.ndarray:
    """Bounds (n, d) of beads `inward` (n,) µm from the nearest row; their mean if off it."""
    some, units = jacobians(look, border)
    rows = np.array([bound(look, snr, raised, unit) for unit in units])
    if not border:
        return np.broadcast_to(np.sqrt((rows**2).mean(axis=0)), (len(inward), rows.shape[1]))
    return np.array([np.interp(inward, some, column) for column in rows.T]).T


@lru_cache(maxsize=8)
def field(look: Look, border: bool, beads: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of beads and their image of unit amplitude, in the middle of an image or along it."""
    rng = np.random.default_rng(seed)
    count = int(np.ceil(np.sqrt(beads)))
    side = look.apart
    if border:
        # Nothing of the bead is missing, but some of the window: beads beside first and last row.
        count = -(-beads // 2)
        along = (np.arange(count) + 0.5) * side
        high = round(6.0 / look.spacing[-2]) * look.spacing[-2] - look.spacing[-2]
        rows = rng.uniform(*INWARD, 2 * count)
        rows[count:] = high - rows[count:]
        places = np.column_stack([rows, np.tile(along, 2) + rng.uniform(-0.3, 0.3, 2 * count)])
        size = [6.0, count * side]
    else:
        places = lattice(rng, count * side + 2.0, side, side / 2 + 0.5, 0.3)
        size = [count * side + 2.0] * 2
    if len(look.spacing) == 3:
        middle = look.deep / 2
        places = np.column_stack([rng.uniform(middle - 0.2, middle + 0.2, len(places)), places])
        size = [look.deep, *size]
    shape = tuple(round(length / step) for length, step in zip(size, look.spacing, strict=True))
    return places, look.draw(shape, places)


def errors(look: Look, snr: float, slope: float, border: bool, beads: int, seed: int) -> Errors:
    """Errors of the beads of one image over bound and over reported sigma."""
    rng = np.random.default_rng([seed, int(snr), int(100 * slope)])
    background, amplitude = levels(look, snr)
    places, unit = field(look, border, beads, seed)
    # a slope of so much of the background per µm, folded half way between the beads
    first = 0.0 if border else 0.5
    line = (np.arange(unit.shape[-1]) * look.spacing[-1] - first) % (2 * look.apart) - look.apart
    level = background * (1 + slope * np.abs(line)) + amplitude * unit
    image = rng.poisson(np.maximum(level, 0)).astype(np.uint16)
    found = detect(image, look.spacing, kind=look.kind, threshold=5.0)
    distance, index = cKDTree(places).query(found.positions) if len(found) else (np.array([]),) * 2
    true = distance < 0.4
    index = index[true].astype(int)
    miss = found.positions[true] - places[index]
    high = (unit.shape[-2] - 1) * look.spacing[-2]
    inward = np.minimum(places[index, -2], high - places[index, -2])
    limit = bounds(look, snr, slope * look.apart / 2, border, inward)
    return Errors(
        miss, miss / limit, miss / found.sigma[true], len(places) - len(np.unique(index)),
        int((~true).sum()),
    )  # fmt: skip


def rms(values: np.ndarray) -> tuple[float, float]:
    """Root mean square of (n, d) errors of n beads, and its standard error."""
    squares = (values**2).mean(axis=1)
    whole = np.sqrt(squares.mean())
    return whole, squares.std(ddof=1) / np.sqrt(len(squares)) / (2 * whole)


def windows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw windows of 11 x 17 x 17 voxels and the true places, in voxels."""
    rng = np.random.default_rng(seed)
    spacing, shape = (0.3, 0.1, 0.1), (11, 17, 17)
    places = (np.array([5, 8, 8]) + rng.uniform(-0.5, 0.5, (count, 3))) * spacing
    stack = np.empty((count, *shape))
    for row, place in enumerate(places):
        stack[row] = rng.poisson(20 + 500 * draw_volume(shape, spacing, place[None], (1.0, 0.35)))
    return stack, places / spacing


def ours(stack: np.ndarray) -> np.ndarray:
    """Fit windows until they settle, with covariance and what the fits leave: places in voxels."""
    from napari_clxem.fiducials.localisation import fit_beads
    from napari_clxem.fiducials.modelling import NoiseModel, Windows
    from napari_clxem.fiducials.profiles import solid_ball

    spacing, half = np.array([0.3, 0.1, 0.1]), np.array([5, 8, 8])
    axial, lateral = (
        float(np.hypot(psf / 2.3548, pixel / 12**0.5)) for psf, pixel in ((1.0, 0.3), (0.35, 0.1))
    )
    profile = solid_ball(1.0, axial, lateral)
    axes = [np.arange(-h, h + 1) * s for h, s in zip(half, spacing, strict=True)]
    grid = np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")])
    inside = np.flatnonzero(((grid / ((half + 0.5) * spacing)[:, None]) ** 2).sum(axis=0) <= 1)
    inside = np.random.default_rng(0).permutation(inside)
    data = stack.reshape(len(stack), -1)[:, inside]
    cut = Windows(data, grid[None][:, :, inside], np.zeros((len(stack), 3)), 0.003)
    fits = fit_beads(
        profile, cut, np.zeros((len(stack), 1, 3)), NoiseModel(0.0, 1.0, 1.0),
        np.full(3, 0.5),
    )  # fmt: skip
    return fits.positions / spacing + half


def by_scipy(stack: np.ndarray) -> np.ndarray:
    """Fit a 3D Gaussian with offset by least squares."""
    from scipy.optimize import curve_fit

    grid = np.indices(stack.shape[1:]).reshape(3, -1).astype(float)

    def gauss(g: np.ndarray, z: float, y: float, x: float, a: float, b: float, s: float, t: float):
        return b + a * np.exp(
            -((g[0] - z) ** 2) / (2 * s * s) - ((g[1] - y) ** 2 + (g[2] - x) ** 2) / (2 * t * t)
        )

    places = []
    for window in stack:
        start = (5, 8, 8, window.max() - window.min(), window.min(), 1.6, 2.7)
        places.append(curve_fit(gauss, grid, window.ravel(), p0=start)[0][:3])
    return np.array(places)


def by_trackpy(stack: np.ndarray) -> np.ndarray:
    """Locate the brightest feature of each window."""
    import trackpy

    places = []
    for window in stack:
        frame = trackpy.locate(window.astype(np.uint16), (7, 11, 11))
        best = frame.sort_values("mass").iloc[-1] if len(frame) else {"z": 0, "y": 0, "x": 0}
        places.append([best["z"], best["y"], best["x"]])
    return np.array(places)


def by_skimage(stack: np.ndarray) -> np.ndarray:
    """Take the strongest blob of each window."""
    from skimage.feature import blob_log

    places = []
    for window in stack:
        blobs = blob_log(window / window.max(), min_sigma=(1, 2, 2), max_sigma=(2.5, 4, 4),
                         num_sigma=4, threshold=0.05)  # fmt: skip
        places.append(blobs[0][:3] if len(blobs) else [0, 0, 0])
    return np.array(places)


def timed() -> None:
    """Print cost and error of 200 windows, ours first."""
    from napari_clxem.fiducials.compiling import warm

    warm(block=True)
    stack, places = windows(200, 7)
    print("\n200 windows of 11 x 17 x 17 voxels, peak 500 on 20 counts; ms per bead")
    print(
        f"{'':28s}{'clock':>8s}{'ratio':>7s}{'processor':>11s}{'ratio':>7s}   rms z, y, x (voxels)"
    )
    base = None
    for name, fit, rows in (
        ("this package", ours, 200),
        ("SciPy Gaussian + offset", by_scipy, 40),
        ("trackpy.locate", by_trackpy, 40),
        ("skimage blob_log", by_skimage, 40),
    ):
        clock = used = np.inf
        for _ in range(25 if rows == 200 else 1):
            start, cpu = time.perf_counter(), time.process_time()
            found = fit(stack[:rows])
            clock = min(clock, (time.perf_counter() - start) / rows * 1e3)
            used = min(used, (time.process_time() - cpu) / rows * 1e3)
        base = base or (clock, used)
        miss = found - places[:rows]
        rms = np.sqrt(np.median(miss**2, axis=0) / 0.455)
        print(
            f"{name:28s}{clock:8.3f}{clock / base[0]:7.0f}{used:11.3f}{used / base[1]:7.0f}   "
            f"{np.round(rms, 3)}"
        )


def compared(beads: int, seeds: int) -> None:
    """Print errors and draw them."""
    print(f"{'':18s}{'':8s}{'SNR':>4s}{'rms/bound':>14s}{'miss/sigma':>16s}{'found':>10s}"
          f"{'false':>6s}{'bias nm':>9s}{'bound nm':>10s}")  # fmt: skip
    series = []
    for look in LOOKS:
        cells: dict[tuple[str, float], list[Errors]] = {}
        for border in (False, True):
            for seed in range(1, seeds + 1):
                for case, slope in CASES[border]:
                    for snr in SNRS:
                        got = errors(look, snr, slope, border, beads, seed)
                        cells.setdefault((case, snr), []).append(got)
        ratios = []
        for (case, snr), parts in cells.items():
            ratio, doubt = rms(np.concatenate([part.by_bound for part in parts]))
            scatter, unsure = rms(np.concatenate([part.by_sigma for part in parts]))
            miss = np.concatenate([part.miss for part in parts])
            limit = np.concatenate([part.miss / part.by_bound for part in parts])
            lost = sum(part.lost for part in parts)
            print(
                f"{look.name:18s}{case:8s}{snr:4.0f}{ratio:8.3f} ±{doubt:5.3f}{scatter:9.3f} "
                f"±{unsure:5.3f}{len(miss):6d}/{len(miss) + lost:3d}"
                f"{sum(part.false for part in parts):6d}"
                f"{np.abs(miss.mean(axis=0)).max() * 1e3:9.2f}"
                f"{np.median(limit[:, -1]) * 1e3:10.3f}"
                f"{'' if ratio - 2 * doubt <= 1.2 else '  rms'}"
                f"{'' if abs(scatter - 1) - 2 * unsure <= 0.1 else '  sigma'}",
                flush=True,
            )
            if case == "flat":
                ratios.append(ratio)
        series.append((look.name, SNRS, ratios))
    line_plot(
        "bead-localisation", "Localisation error over the Cramér–Rao bound",
        ("SNR of the peak pixel", "rms error / bound"), series, 0.8, 1.6, (1.0, 1.2), True,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beads", type=int, default=100, help="per image")
    parser.add_argument("--seeds", type=int, default=4, help="images per condition")
    parser.add_argument("--part", choices=("errors", "time", "all"), default="all")
    options = parser.parse_args()
    if options.part != "time":
        compared(options.beads, options.seeds)
    if options.part != "errors":
        timed()


if __name__ == "__main__":
    main()
