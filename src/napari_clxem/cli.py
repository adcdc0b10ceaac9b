"""The same verbs from a terminal.

The exit status is 0 where all is well, 1 where the answer is bad (numbers that do not add up, a
plan that does not do, conflicts left open), and 2 where nothing could be done, which one sentence
explains.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from napari_clxem.errors import ClxemError, SessionError
from napari_clxem.session.model import Session
from napari_clxem.session.summary import LinkRow, TargetRow, link_rows, nanometres, target_rows

STATUS = "Status: 0 all is well, 1 done but the answer is bad, 2 nothing could be done."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb; gives the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may know neither µ nor ±
            stream.reconfigure(errors="replace")
    options = _parser().parse_args(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = _warned
        try:
            status = int(options.run(options))
            sys.stdout.flush()
            return status
        except ClxemError as error:
            said = str(error)
        except MemoryError as error:
            said = f"There is not enough memory: {error}; crop or bin the images."
        except BrokenPipeError:  # who reads the output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except OSError as error:
            said = f"{error.filename or 'A file'} cannot be used: {error.strerror or error}."
    print(f"napari-clxem: {said}", file=sys.stderr)
    return 2


def _warned(message: Warning | str, *_where: Any, **_more: Any) -> None:
    """Say a warning as one sentence, without the line of code it comes from."""
    print(f"napari-clxem: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    from napari_clxem.verbs import add_verbs
    from napari_clxem.verbs.printing import verb

    parser = argparse.ArgumentParser(
        prog="napari-clxem", description="Cryo-CLXEM of one grid, from a terminal.", epilog=STATUS
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="verb")
    one = verb(verbs, "demo", _demo, "link the sample grid by itself and show it")
    one.add_argument("--out", default="out", help="folder for session, table and pictures")
    one.add_argument(
        "--no-window", action="store_true", help="write pictures and close, as without a screen"
    )
    one = verb(verbs, "link", _link, "link a described grid and save the session")
    one.add_argument("description", help="a grid.json, as in the sample grid")
    one.add_argument("session", help="the .clxem.json file to write")
    one = verb(verbs, "open", _open, "open a session or a folder in napari")
    one.add_argument("path", help="a .clxem.json session, .clxem.zip package, or a folder")
    one = verb(verbs, "info", _info, "print what files say of themselves")
    one.add_argument("paths", nargs="+", metavar="file", help="an image file or folder")
    add_verbs(verbs)
    return parser


def _demo(options: argparse.Namespace) -> int:
    return demo(Path(options.out), window=not options.no_window)


def _link(options: argparse.Namespace) -> int:
    return link(Path(options.description), Path(options.session))


def _open(options: argparse.Namespace) -> int:
    return open_path(Path(options.path))


def _info(options: argparse.Namespace) -> int:
    return info([Path(path) for path in options.paths])


def info(paths: Sequence[Path]) -> int:
    """Print what each file says of itself, and what is missing; status 1 where one cannot."""
    from napari_clxem.io import describe

    status = 0
    for path in paths:
        try:
            print(describe(path), end="\n\n")
        except ClxemError as error:
            print(f"napari-clxem: {error}", file=sys.stderr)
            status = 1
    return status


def demo(out: Path, window: bool = True) -> int:
    """Link the sample grid by itself; write session, results and pictures, show the window."""
    from napari_clxem.samples import sample_folder

    folder = _folder(out)
    path = folder / "grid.clxem.json"
    text, rows = _linked(sample_folder() / "grid.json", path)
    (folder / "results.txt").write_text(text + "\n", encoding="utf-8")
    write_csv(rows, folder / "links.csv")
    return _show(path, folder, window)


def link(description: Path, path: Path) -> int:
    """Link a described grid by its own images and save the session."""
    _linked(description, path)
    print(f"\nSession saved as {path}")
    return 0


def _linked(description: Path, path: Path) -> tuple[str, tuple[LinkRow, ...]]:
    """Link a grid, save it as `path`, print and give the results."""
    from napari_clxem.session.files import save
    from napari_clxem.session.linked import linked_grid

    began = time.monotonic()

    def progress(share: float, text: str) -> None:
        print(f"[{time.monotonic() - began:5.1f} s] {share:4.0%}  {text}", flush=True)

    session, failures = linked_grid(description, progress)
    save(session, path)
    text, rows = report(session, failures)
    print(text)
    return text, rows


def open_path(path: Path) -> int:
    """Open a session file in a napari window, or propose the grid of a folder there."""
    if path.is_dir():
        from napari_clxem.plugin.folder import open_folder_window
        from napari_clxem.plugin.window import wait

        open_folder_window(path)
        wait()
        return 0
    if not path.is_file():
        raise SessionError(f"There is no session at {path}; give the path of a .clxem.json file.")
    from napari_clxem.plugin.window import open_window, wait
    from napari_clxem.session.travel import session_path

    open_window(session_path(path))
    wait()
    return 0


def _show(path: Path, folder: Path, window: bool) -> int:
    from napari_clxem.plugin.window import open_window, take_pictures, wait

    viewer = open_window(path)
    pictures = take_pictures(viewer, folder)
    print(f"\n{len(pictures)} pictures written")
    print(f"Session, tables and pictures are in {folder}")
    if window:
        wait()
    else:
        viewer.close()
    return 0


def _folder(out: Path) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SessionError(
            f"The folder {out} cannot be made ({error.strerror}); choose another with --out."
        ) from error
    return out.resolve()


def report(session: Session, failures: Sequence[str] = ()) -> tuple[str, tuple[LinkRow, ...]]:
    """Write the table of links, and the targets in the frames of their sites."""
    rows = tuple(chosen_rows(session))
    parts = [link_table(rows), *(f"not linked: {failure}" for failure in failures), ""]
    for dataset in session.datasets:
        shown = [
            row
            for row in target_rows(session, dataset.frame)
            if dataset.site is not None and row.site == dataset.site and row.frame != dataset.frame
        ]
        if shown:
            parts.append(target_table(dataset.frame, shown))
    return "\n".join(parts), rows


def chosen_rows(session: Session) -> Iterator[LinkRow]:
    """Give each link once, with its error at the first target of its own site."""
    first = session.targets[0] if session.targets else None
    by_site = {target.site: target for target in reversed(session.targets)}
    for site, target in {None: first, **by_site}.items():
        for row in link_rows(session, target):
            if site_of(session, row) == site:
                yield row


def site_of(session: Session, row: LinkRow) -> str | None:
    """Give the site whose datasets a link joins; None for links of the grid."""
    link = next(link for link in session.links if link.id == row.id)
    frames = (link.moving, link.fixed)
    return next((d.site for d in session.datasets if d.frame in frames and d.site), None)


def link_table(rows: Sequence[LinkRow]) -> str:
    """Write link rows as text, one line each."""
    lines = [
        f"{'link':36s} {'by':10s} {'beads':>8s} {'FRE':>8s} {'left out':>9s} "
        f"{'predicted error at target':>26s}"
    ]
    for row in rows:
        used = f"{row.landmarks}/{row.offered}" if row.offered else "–"
        lines.append(
            f"{row.name:36s} {row.kind:10s} {used:>8s} {nanometres(row.fre):>8s} "
            f"{nanometres(row.leave_one_out):>9s} {'± ' + nanometres(row.lateral):>26s}"
        )
        lines.extend(f"    {note}" for note in row.notes)
    return "\n".join(lines)


def target_table(frame: str, rows: Sequence[TargetRow]) -> str:
    """Write target rows as text, one line each."""
    lines = [f"Targets in {frame}:"]
    for row in rows:
        depth = f", ± {nanometres(row.axial)} in depth" if row.axial is not None else ""
        lines.append(
            f"    {row.name}: ± {nanometres(row.lateral)} in the plane "
            f"(95 % within {nanometres(row.radius)}){depth}, by {row.way}"
        )
    return "\n".join(lines)


def write_csv(rows: Sequence[LinkRow], path: Path) -> None:
    """Write link rows as CSV, lengths in µm."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                "link",
                "kind",
                "model",
                "beads used",
                "beads paired",
                "FRE (um)",
                "leave-one-out rms (um)",
                "predicted error at target (um)",
                "notes",
            ]
        )
        for row in rows:
            writer.writerow(
                [
                    row.name,
                    row.kind,
                    row.model,
                    row.landmarks,
                    row.offered,
                    row.fre,
                    row.leave_one_out,
                    row.lateral,
                    "; ".join(row.notes),
                ]
            )


if __name__ == "__main__":
    raise SystemExit(main())
