"""Whether the next landmark helps as predicted: over seeded grids, against the gain realised.

``python benchmarks/fit_gain.py --grids 100`` draws a grid (landmarks, candidates, targets), asks
``next_landmark`` what each candidate would help, then adds the landmark with fresh noise many
times over and looks at the true error at the targets. It prints predicted over realised error, how
the gains correlate, and how the best candidate does against one picked at random and against the
one nearest to the targets.
"""

from __future__ import annotations

import argparse

import numpy as np

from napari_clxem.frames import Affine, fit, next_landmark

SIGMA = 0.05


def grid(seed: int, model: str, ndim: int, draws: int) -> np.ndarray:
    """Give (candidates + 1, 2) predicted and realised root mean square errors, nearest last.

    The first row is without another landmark; the last repeats the candidate nearest to the
    targets.
    """
    rng = np.random.default_rng([seed, ndim, len(model)])
    truth = Affine.identity(ndim)
    least = {"similarity": 3, "rigid": 3, "affine": 4}[model] + ndim - 2
    moving = rng.uniform(-15, 15, (least + 1, ndim))
    candidates = rng.uniform(-20, 20, (6, ndim))
    targets = rng.uniform(-20, 20, (1, ndim)) + rng.uniform(-2, 2, (3, ndim))
    predicted = np.zeros(7)
    realised = np.zeros(7)
    for _ in range(draws):
        fixed = truth(moving) + SIGMA * rng.normal(size=moving.shape)
        more = truth(candidates) + SIGMA * rng.normal(size=candidates.shape)
        found = fit(moving, fixed, model, fixed_sigma=SIGMA)
        hint = next_landmark(found, candidates, targets)
        predicted += np.array([hint.before, *hint.after]) ** 2 / draws
        for row in range(7):
            after = found
            if row:
                after = fit(
                    np.vstack([moving, candidates[row - 1]]),
                    np.vstack([fixed, more[row - 1]]),
                    model,
                    fixed_sigma=SIGMA,
                )
            miss = after.transform(targets) - truth(targets)
            realised[row] += (miss**2).sum(axis=1).mean() / draws
    near = 1 + np.linalg.norm(candidates - targets.mean(axis=0), axis=1).argmin()
    rows = [*range(7), near]
    return np.sqrt(np.column_stack([predicted[rows], realised[rows]]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grids", type=int, default=40)
    parser.add_argument("--draws", type=int, default=40, help="draws of noise per grid")
    options = parser.parse_args()
    print(f"{options.grids} grids, {options.draws} draws each; errors over that before")
    print(
        f"{'model':15s}{'predicted/true':>15s}{'correlation':>13s}"
        f"{'best':>9s}{'random':>9s}{'nearest':>9s}"
    )
    for model, ndim in (("similarity", 2), ("affine", 2), ("rigid", 3), ("affine", 3)):
        found = np.array([grid(s, model, ndim, options.draws) for s in range(options.grids)])
        gains = found[:, :1] - found[:, 1:7]
        ratio = np.sqrt((found[:, :7, 0] ** 2).mean() / (found[:, :7, 1] ** 2).mean())
        together = np.corrcoef(gains[..., 0].ravel(), gains[..., 1].ravel())[0, 1]
        after = found[:, 1:7, 1] / found[:, :1, 1]
        chosen = found[:, 1:7, 0].argmin(axis=1)
        print(
            f"{model + f' {ndim}D':15s}{ratio:15.3f}{together:13.3f}"
            f"{np.mean(after[np.arange(len(after)), chosen]):9.3f}{after.mean():9.3f}"
            f"{np.mean(found[:, 7, 1] / found[:, 0, 1]):9.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
