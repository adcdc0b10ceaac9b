"""Draw the pictures of the dose pages as SVG: ``python docs/dose_pictures.py``."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from napari_clxem.dose import (
    PRESETS,
    Exposure,
    History,
    amplitude_left,
    budget,
    contours,
    electron_dose,
    map_contours,
    mosaic,
    outlines,
    tile_aims,
    xray_dose,
)

IMAGES = Path(__file__).parent / "images"
INK, FAINT = "#222222", "#bbbbbb"
ICE, CELL, ELECTRONS, LIMIT = "#0072b2", "#d55e00", "#009e73", "#cc3311"
# A perceptually even map from dark to bright, by a few of its colours.
RAMP = ("#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58")
RAMP += ("#b5de2b", "#fde725")


def colours(values: np.ndarray) -> np.ndarray:
    """Give RGB bytes of values between 0 and 1."""
    anchors = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in RAMP], float)
    place = np.clip(values, 0, 1) * (len(RAMP) - 1)
    low = np.minimum(place.astype(int), len(RAMP) - 2)
    part = (place - low)[..., np.newaxis]
    return np.rint(anchors[low] * (1 - part) + anchors[low + 1] * part).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    """Write RGB bytes (rows, columns, 3) as PNG."""
    rows, columns, _ = pixels.shape
    raw = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(raw, 9))
        + chunk(b"IEND", b"")
    )


@dataclass
class Axes:
    """A frame with two axes, onto which data are drawn."""

    box: tuple[float, float, float, float]  # left, top, width, height
    x: tuple[float, float]
    y: tuple[float, float]
    parts: list[str] = field(default_factory=list)

    def place(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        left, top, width, height = self.box
        across = left + (np.asarray(x, float) - self.x[0]) / (self.x[1] - self.x[0]) * width
        down = top + height - (np.asarray(y, float) - self.y[0]) / (self.y[1] - self.y[0]) * height
        return across, down

    def line(self, x, y, colour, width=2.0, dash="", closed=False) -> None:
        across, down = self.place(x, y)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across, down, strict=True))
        kind = "polygon" if closed else "polyline"
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<{kind} points="{points}" fill="none" stroke="{colour}" stroke-width="{width}"'
            f"{dashes}/>"
        )

    def text(self, x, y, words, colour=INK, anchor="start", size=13) -> None:
        across, down = self.place(x, y)
        self.parts.append(write(float(across), float(down), words, colour, anchor, size))

    def frame(self, xticks, yticks, xlabel, ylabel) -> None:
        left, top, width, height = self.box
        self.parts.append(
            f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" '
            f'stroke="{INK}"/>'
        )
        for value in xticks:
            across, _ = self.place(value, self.y[0])
            self.parts.append(stroke(across, top + height, across, top + height + 5))
            self.parts.append(write(across, top + height + 19, f"{value:g}", anchor="middle"))
        for value in yticks:
            _, down = self.place(self.x[0], value)
            self.parts.append(stroke(left - 5, down, left, down))
            self.parts.append(write(left - 8, down + 4, f"{value:g}", anchor="end"))
        self.parts.append(write(left + width / 2, top + height + 38, xlabel, anchor="middle"))
        middle = top + height / 2
        self.parts.append(
            f'<g transform="rotate(-90 {left - 46} {middle})">'
            + write(left - 46, middle, ylabel, anchor="middle")
            + "</g>"
        )


def write(x, y, words, colour=INK, anchor="start", size=13) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" '
        f'font-family="sans-serif" font-size="{size}">{words}</text>'
    )


def stroke(x0, y0, x1, y1, colour=INK, width=1.0) -> str:
    return (
        f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{colour}" '
        f'stroke-width="{width}"/>'
    )


def save(name: str, size: tuple[int, int], parts: list[str], title: str) -> None:
    body = "\n".join(parts)
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" '
        f'width="{size[0]}" height="{size[1]}" role="img">\n<title>{title}</title>\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )
    (IMAGES / name).write_text(text, encoding="utf-8")


def series(**changes) -> Exposure:
    """The X-ray series of the paper, as it counts it: 76.2 MGy in ice."""
    return PRESETS["Mistral 40 nm"].exposure(
        "map", (0.0, 0.0), material="ice", dose_per_image=76.2 / 131, **changes
    )


def wings() -> None:
    one = series()
    axes = Axes((70, 20, 400, 260), (-26, 44), (0, 85))
    x = np.linspace(-26, 26, 1041)
    axes.line(x, one.dose_at(np.column_stack([np.zeros_like(x), x])), ICE)
    axes.line([-10, -10], [0, 85], FAINT, 1, "4 3")
    axes.line([10, 10], [0, 85], FAINT, 1, "4 3")
    for place, words in ((12.0, "64 images"), (19.9, "12 images")):
        dose = float(one.dose_at([[0.0, place]])[0])
        axes.parts.append(
            f'<circle cx="{axes.place(place, dose)[0]:.1f}" cy="{axes.place(place, dose)[1]:.1f}" '
            f'r="3.5" fill="{ICE}"/>'
        )
        axes.text(place + 1.2, dose + 2, f"{words}, {dose:.1f} MGy", anchor="start", size=12)
    axes.text(0, 79, "131 images, 76.2 MGy", anchor="middle", size=12)
    axes.frame((-20, -10, 0, 10, 20), (0, 20, 40, 60, 80), "across the tilt axis, µm", "dose, MGy")
    plan = Axes((545, 20, 270, 260), (-26, 26), (-25.04, 25.04))
    for line, width in zip(
        contours(one, (0.0, 0.25, 0.5, 0.75, 1.0)), (1, 1, 1.5, 1.5, 3), strict=True
    ):
        plan.line(line.polygon[:, 1], line.polygon[:, 0], ICE, width, closed=True)
    plan.line([0, 0], [-25, 25], FAINT, 1, "2 4")
    plan.text(0.6, 21, "tilt axis", FAINT, size=12)
    plan.frame((-20, 0, 20), (-20, 0, 20), "µm", "µm")
    save(
        "dose-wings.svg",
        (835, 340),
        axes.parts + plan.parts,
        "Dose of an X-ray tilt series across its tilt axis, and its footprint from above",
    )


def grid() -> list[Exposure]:
    """A square of the paper's kind: a mosaic, three cells by X-rays, two lamellae by electrons."""
    overview = mosaic(
        tile_aims((60.0, 90.0), (11, 16), 11.7),
        modality="sxt",
        frame="map",
        beam_radius=10.0,
        energy=520.0,
        fluence=6.57e7,
        material="ice",
        group="mosaic",
    )
    cells = [(35.0, 40.0), (78.0, 95.0), (45.0, 140.0)]
    found = [replace(one, time="2026-01-01") for one in overview]
    for number, aim in enumerate(cells):
        one = PRESETS["Mistral 40 nm"].exposure("map", aim, axis_azimuth=12.0, material="ice")
        found.append(
            replace(one, planned=False, time=f"2026-01-02T0{number}:00", id=f"cell-{number}")
        )
    for number, aim in enumerate((cells[0], cells[1])):
        one = PRESETS["Krios 300 kV"].exposure("map", aim, axis_azimuth=-80.0, material="ice")
        found.append(replace(one, planned=False, time=f"2026-03-0{number + 1}", id=f"et-{number}"))
    planned = PRESETS["Mistral 40 nm"].exposure("map", (70.0, 122.0), axis_azimuth=12.0)
    return [*found, replace(planned, material="ice", id="planned")]


def heat_map() -> None:
    history = History(grid(), material="ice")
    shape, pixel, top = (480, 720), 0.25, 160.0
    values = history.map((0.0, 0.0), shape, pixel, upto=len(history) - 1)
    axes = Axes((60, 20, 720, 480), (0, 180), (120, 0))
    encoded = base64.b64encode(png(colours(values / top))).decode()
    axes.parts.append(
        f'<image x="60" y="20" width="720" height="480" image-rendering="pixelated" '
        f'href="data:image/png;base64,{encoded}"/>'
    )
    for line in map_contours(values, budget(20, "ice").dose, (0, 0), pixel):
        axes.line(line[:, 1], line[:, 0], LIMIT, 2.5)
    for index, one in enumerate(history.exposures):
        if one.group:
            continue
        dash = "6 4" if one.planned else ""
        for line in outlines(history, [index])[index]:
            axes.line(line.polygon[:, 1], line.polygon[:, 0], "white", 1.2, dash, closed=True)
    axes.text(128, 97, "planned: touches a spent wing", "white", "middle", 12)
    axes.frame((0, 50, 100, 150), (0, 50, 100), "x, µm", "y, µm")
    bar = np.repeat(np.linspace(1, 0, 256)[:, np.newaxis], 8, axis=1)
    encoded = base64.b64encode(png(colours(bar))).decode()
    axes.parts.append(
        f'<image x="800" y="20" width="18" height="480" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{encoded}"/>'
    )
    scale = Axes((800, 20, 18, 480), (0, 1), (0, top))
    for value in (0, 40, 80, 120, 160):
        _, down = scale.place(0, value)
        scale.parts.append(write(824, down + 4, f"{value}"))
    _, down = scale.place(0, budget(20, "ice").dose)
    scale.parts.append(stroke(800, down, 818, down, LIMIT, 3))
    scale.parts.append(write(800, 540, "MGy in ice", size=13))
    save(
        "dose-map.svg",
        (880, 560),
        axes.parts + scale.parts,
        "Cumulative dose of a grid square with footprints and the budget for 20 Å",
    )


def resolution() -> None:
    axes = Axes((70, 20, 470, 280), (0, 40), (0, 1))
    d = np.linspace(3, 40, 200)
    curves = (
        ("78.7 MGy as ice", amplitude_left(d, 78.67, "ice"), ICE, ""),
        ("239 MGy as cell", amplitude_left(d, 239.1, "cell"), CELL, "7 4"),
    )
    for words, values, colour, dash in curves:
        axes.line(d, values, colour, 2.5, dash)
        axes.text(39, values[-1] - 0.22 * (1.4 - values[-1]) * 2, words, colour, "end")
    axes.line([0, 40], [np.exp(-0.5)] * 2, FAINT, 1, "3 3")
    axes.text(1, np.exp(-0.5) + 0.02, "critical", "#777777", size=12)
    axes.frame((0, 10, 20, 30, 40), (0, 0.25, 0.5, 0.75, 1), "full period, Å", "amplitude left")
    save("dose-resolution.svg", (570, 350), axes.parts, "Amplitude left after the X-ray series")


def chain() -> None:
    rows = []
    for material in ("ice", "cell"):
        sxt = float(xray_dose(0.86e10, 520, material))
        for words, fluence in (("planned", 110.0), ("if 1.77 s is true", 192.7)):
            electrons = float(electron_dose(fluence, 300, material))
            rows.append((f"{words}, as {material}", sxt, electrons, f"{fluence:.0f} e⁻/Å²"))
    axes = Axes((190, 20, 600, 190), (0, 1000), (4, 0))
    for number, (name, sxt, electrons, fluence) in enumerate(rows):
        start, low = axes.place(0, number + 0.2)
        _, high = axes.place(0, number + 0.8)
        middle, _ = axes.place(sxt, 0)
        end, _ = axes.place(sxt + electrons, 0)
        for left, right, colour in ((start, middle, ICE), (middle, end, ELECTRONS)):
            axes.parts.append(
                f'<rect x="{left:.1f}" y="{low:.1f}" width="{right - left:.1f}" '
                f'height="{high - low:.1f}" fill="{colour}"/>'
            )
        height = float(low + high) / 2 + 4
        axes.parts.append(write(182, height, name, anchor="end"))
        axes.parts.append(write(float(start) + 4, height, f"{sxt:.0f}", "white", size=12))
        axes.parts.append(
            write(float(middle) + 4, height, f"{electrons:.0f} ({fluence})", "white", size=12)
        )
        axes.parts.append(write(float(end) + 5, height, f"{sxt + electrons:.0f}", size=12))
    axes.line([550, 550], [0, 4], LIMIT, 2.5)
    axes.frame((0, 250, 500, 750, 1000), (), "MGy: X-rays, then electrons; line: 550 MGy", "")
    save("dose-chain.svg", (830, 265), axes.parts, "The chain of the paper, as ice and as cell")


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    wings()
    heat_map()
    resolution()
    chain()


if __name__ == "__main__":
    main()
