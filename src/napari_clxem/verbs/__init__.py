"""Verbs of the terminal that do without a window what the docks do, one module per subject."""

from __future__ import annotations

from napari_clxem.verbs import (
    alignments,
    doses,
    halves,
    points,
    reports,
    sessions,
    tilt_series,
    tomograms,
    volumes,
)
from napari_clxem.verbs.printing import Verbs

__all__ = ["Verbs", "add_verbs"]


def add_verbs(verbs: Verbs) -> None:
    """Add every verb to the parser's; each sets `run`, which takes the options.

    `run` gives the exit status: 0, or 1 where what was asked for was done and the answer is bad.
    """
    shown = (doses, tilt_series, alignments, tomograms, halves)
    for subject in (*shown, sessions, points, volumes, reports):
        subject.add_to(verbs)
