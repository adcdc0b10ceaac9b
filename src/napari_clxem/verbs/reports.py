"""The verb ``report``: all that a session knows of its grid, as one page to read and print."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_clxem.verbs.printing import Progress, Verbs, positive, verb


def add_to(verbs: Verbs) -> None:
    """Add the verb on reports."""
    one = verb(verbs, "report", report, "write a session as one HTML page with pictures, to print")
    one.add_argument("session", help="a .clxem.json file")
    one.add_argument("page", help="the .html file to write")
    one.add_argument("--frame", default="", help="frame of overview and doses (the widest map's)")
    one.add_argument("--material", default="cell", help="what doses are stated for (cell)")
    one.add_argument("--resolution", type=positive, default=20.0, help="full period, Å (20)")
    one.add_argument("--voltage", type=positive, default=300.0, help="of the electrons, kV (300)")


def report(options: argparse.Namespace) -> int:
    """Write the report of a session and print where it is."""
    from napari_clxem.dose import budget
    from napari_clxem.report import write_report
    from napari_clxem.session import load

    home = Path(options.session).expanduser().absolute()
    limit = budget(options.resolution, options.material, options.voltage)
    written = write_report(
        load(home),
        options.page,
        home=home,
        frame=options.frame,
        limit=limit,
        progress=Progress(after=2.0),
    )
    print(written)
    return 0
