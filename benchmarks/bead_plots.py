"""Line plots as SVG, so that figures need no plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

IMAGES = Path(__file__).parent.parent / "docs" / "images"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
WIDTH, HEIGHT = 560, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 28, 48

Series = tuple[str, Sequence[float], Sequence[float]]


def line_plot(
    name: str,
    title: str,
    axes: tuple[str, str],
    series: Sequence[Series],
    low: float,
    high: float,
    levels: Sequence[float] = (),
    logarithmic: bool = False,
) -> Path:
    """Write docs/images/<name>.svg: one line per series, dashed lines at `levels`."""
    import math

    def scale(value: float) -> float:
        return math.log10(value) if logarithmic else value

    xs = [x for _, some, _ in series for x in some]
    first, last = scale(min(xs)), scale(max(xs))
    span = (last - first) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (scale(x) - first) / span * (WIDTH - LEFT - RIGHT)
        y = min(max(y, low), high)
        return across, HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-size="13">{title}</text>',
        f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" '
        f'height="{HEIGHT - TOP - BOTTOM}" fill="none" stroke="#333"/>',
    ]
    for x in sorted(set(xs)):
        across, down = place(x, low)
        parts.append(
            f'<text x="{across:.1f}" y="{down + 16:.1f}" text-anchor="middle">{x:g}</text>'
        )
    for step in range(6):
        y = low + (high - low) * step / 5
        across, down = place(min(xs), y)
        parts.append(
            f'<text x="{across - 8:.1f}" y="{down + 4:.1f}" text-anchor="end">{y:.3g}</text>'
            f'<path d="M{across:.1f} {down:.1f}h{WIDTH - LEFT - RIGHT}" stroke="#e5e5e5"/>'
        )
    for y in levels:
        across, down = place(min(xs), y)
        parts.append(
            f'<path d="M{across:.1f} {down:.1f}h{WIDTH - LEFT - RIGHT}" stroke="#888" '
            'stroke-dasharray="5 4"/>'
        )
    for index, (label, some, values) in enumerate(series):
        colour = COLOURS[index % len(COLOURS)]
        places = [place(x, y) for x, y in zip(some, values, strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        row = TOP + 14 + 18 * index
        parts.append(
            f'<path d="M{WIDTH - RIGHT + 12} {row - 4}h18" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{WIDTH - RIGHT + 36}" y="{row}">{label}</text>'
        )
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">{axes[0]}</text>'
        f'<text x="16" y="{HEIGHT / 2}" text-anchor="middle" '
        f'transform="rotate(-90 16 {HEIGHT / 2})">{axes[1]}</text></svg>'
    )
    path_out = IMAGES / f"{name}.svg"
    path_out.write_text("\n".join(parts) + "\n", encoding="utf-8")
    return path_out
