"""How near localisation comes to the Cramér-Rao bound, and what it costs beside its peers.

``python -P benchmarks/bead_localisation.py`` draws beads from their physics per modality, finds
them with `detect` and compares errors with the bound of the drawn model (position, amplitude and
linear background unknown, Poisson noise). Then batches of 200 windows of 11 x 17 x 17 voxels are
timed against SciPy, trackpy and scikit-image in the same process.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

sys.path.append(str(Path(__file__).parent))  # with -P, which spares numba our coverage.py

from bead_plots import line_plot
from bead_scenes import draw_balls, draw_projection, draw_volume, lattice

from napari_clxem.fiducials import detect

SNRS = (5.0, 10.0, 20.0, 40.0)


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
        alone = draw_projection(
            (65, 65), self.spacing[0], np.array([[32.0, 32.0]]) * self.spacing[0], self.psf,
            self.opacity,
        )  # fmt: skip
        return image / alone.max()

    @property
    def sign(self) -> float:
        return 1.0 if self.kind == "bright" else -1.0


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


def bound(
    look: Look, snr: float, raised: float, place: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Cramér-Rao bound of one bead per axis, µm, on a background `raised` by a share of itself.

    Position, amplitude, and background with its slope are unknown; all pixels within 1.7 µm count.
    """
    background, amplitude = levels(look, snr)
    step = 1e-3
    columns = []
    for axis in range(len(shape)):
        away = np.zeros(len(shape))
        away[axis] = step
        high = look.draw(shape, (place + away)[None])
        low = look.draw(shape, (place - away)[None])
        columns.append(amplitude * (high - low).ravel() / (2 * step))
    unit = look.draw(shape, place[None])
    columns.append(unit.ravel())
    columns.append(np.ones(unit.size))
    grid = np.indices(shape).reshape(len(shape), -1)
    columns += [line - line.mean() for line in grid.astype(float)]
    expected = background * (1 + raised) + amplitude * unit.ravel()
    jacobian = np.stack(columns)
    covariance = np.linalg.inv((jacobian / np.maximum(expected, 1e-9)) @ jacobian.T)
    return np.sqrt(np.diag(covariance)[: len(shape)])


def bounds(
    look: Look, snr: float, raised: float, inward: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Bounds (n, d) of beads in image of `shape`, `inward` (n,) µm from its first row."""
    crop = [2 * np.ceil(1.7 / s) + 1 for s in look.spacing]
    if len(crop) == 3:
        crop[0] = min(crop[0], shape[0])
    middle = (np.array(crop) // 2) * look.spacing
    nearest, furthest = inward.min(), min(inward.max(), middle[-2])
    some = np.linspace(nearest, furthest, 4) if nearest < furthest else np.array([middle[-2]])
    rows = []
    for away in some:
        place = middle.copy()
        place[-2] = away
        rows.append(bound(look, snr, raised, place, tuple(int(n) for n in crop)))
    columns = np.array(rows).T
    return np.array([np.interp(inward, some, column) for column in columns]).T


def errors(look: Look, snr: float, slope: float, border: bool, beads: int, seed: int) -> dict:
    """Rms error over bound, scatter over reported sigma, and how many were found."""
    rng = np.random.default_rng(seed)
    background, amplitude = levels(look, snr)
    ndim = len(look.spacing)
    side = {3: 4.5, 2: 3.5}[ndim]
    count = int(np.ceil(np.sqrt(beads)))
    field = count * side + 2.0
    flat = lattice(rng, field, side, side / 2 + 0.5, 0.3)
    if border:
        # bead middles 0.6 µm from the edge: some of the window is missing, none of the bead
        count = beads // 2
        along = (np.arange(count) + 0.5) * side + rng.uniform(-0.3, 0.3, count)
        places = np.column_stack([rng.uniform(0.55, 0.75, count), along])
        field = count * side
    else:
        places = flat
    size = [round(field / p) for p in look.spacing[-2:]]
    if border:
        size[0] = round(6.0 / look.spacing[-2])
    if ndim == 3:
        deep = 4.2 if look.spacing[0] > 0.1 else 3.0
        places = np.column_stack([
            rng.uniform(deep / 2 - 0.2, deep / 2 + 0.2, len(places)), places
        ])  # fmt: skip
        size = [round(deep / look.spacing[0]), *size]
    shape = tuple(size)
    unit = look.draw(shape, places)
    # a slope of so much of the background per µm, folded half way between the beads
    line = (np.arange(shape[-1]) * look.spacing[-1] - 0.5) % (2 * side) - side
    level = background * (1 + slope * np.abs(line)) + amplitude * unit
    image = rng.poisson(np.maximum(level, 0)).astype(np.uint16)
    found = detect(image, look.spacing, kind=look.kind, threshold=5.0)
    distance, index = cKDTree(places).query(found.positions) if len(found) else (np.array([]),) * 2
    true = distance < 0.4
    miss = found.positions[true] - places[index[true].astype(int)]
    inward = places[index[true].astype(int), -2]
    limit = bounds(look, snr, slope * side / 2, inward if border else inward + 9.0, shape)
    return {
        "ratio": float(np.sqrt(((miss / limit) ** 2).mean())),
        "scatter": float(np.sqrt(((miss / found.sigma[true]) ** 2).mean())),
        "found": int(true.sum()), "of": len(places), "false": int((~true).sum()),
        "bias": float(np.abs(miss.mean(axis=0)).max() * 1e3),
    }  # fmt: skip


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


def compared(beads: int, seed: int) -> None:
    """Print errors and draw them."""
    print(f"{'':18s}{'':9s}{'SNR':>5s}{'rms/CRB':>9s}{'miss/sigma':>11s}{'found':>10s}"
          f"{'false':>6s}{'bias nm':>9s}")  # fmt: skip
    series = []
    for look in LOOKS:
        ratios = []
        for case, slope, border in (
            ("flat", 0, False),
            ("slope", 0.15, False),
            ("border", 0, True),
        ):
            # drawing a tomogram takes its time
            fewer = look.name == "tomogram"
            some = beads // 3 if fewer else beads
            for snr in SNRS[::2] if fewer and case != "flat" else SNRS:
                got = errors(look, snr, slope, border, some, seed)
                print(
                    f"{look.name:18s}{case:9s}{snr:5.0f}{got['ratio']:9.2f}{got['scatter']:11.2f}"
                    f"{got['found']:6d}/{got['of']:3d}{got['false']:6d}{got['bias']:9.1f}"
                )
                if case == "flat":
                    ratios.append(got["ratio"])
        series.append((look.name, SNRS, ratios))
    line_plot(
        "bead-localisation", "Localisation error over the Cramér–Rao bound",
        ("SNR of the peak pixel", "rms error / bound"), series, 0.8, 1.6, (1.0, 1.2), True,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beads", type=int, default=99, help="per condition")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", choices=("errors", "time", "all"), default="all")
    options = parser.parse_args()
    if options.part != "time":
        compared(options.beads, options.seed)
    if options.part != "errors":
        timed()


if __name__ == "__main__":
    main()
