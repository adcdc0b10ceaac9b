"""The head of the report: what it is about, and what it rests on."""

from __future__ import annotations

from importlib.metadata import version

from napari_clxem.errors import ClxemError
from napari_clxem.report.files import rests_on
from napari_clxem.report.markup import (
    Html,
    element,
    joined,
)
from napari_clxem.report.subject import Subject
from napari_clxem.report.words import several
from napari_clxem.session.files import fingerprint as state_of
from napari_clxem.session.files import load, written
from napari_clxem.session.model import Session, SiteStatus
from napari_clxem.session.places import detached

# A sign besides the word: the states are told apart in any colour.
STATUS: dict[SiteStatus, str] = {
    "candidate": "○",
    "imaged": "◐",
    "x-rayed": "●",
    "milled": "◆",
    "lost": "✕",
}


def title_of(session: Session) -> str:
    """Name the grid of a session."""
    return session.grid.name or session.name or "Unnamed grid"


def head(subject: Subject) -> Html:
    """Say what the report is about, and what it rests on."""
    session = subject.session
    grid = session.grid
    facts: list[tuple[str, object]] = [
        ("Grid", title_of(session)),
        ("Type", grid.type),
        ("Finder marks", grid.finder_marks),
        ("Has been", "; ".join(grid.history)),
        ("Session", session.name if session.name != title_of(session) else ""),
        ("Made", subject.made.strftime("%Y-%m-%d %H:%M %Z").strip()),
        ("Software", f"napari-clxem {version('napari-clxem')}"),
        ("Revision", revision(subject)),
        ("Holds", _counts(session)),
        ("Rests on", rests_on(subject)),
    ]
    shown = [
        joined(element("dt", name), element("dd", value), between="")
        for name, value in facts
        if value
    ]
    parts = [
        element("h1", f"Report on {title_of(session)}"),
        element("dl", joined(*shown), class_="facts"),
    ]
    return element("header", joined(*parts))


def revision(subject: Subject) -> Html:
    """Give id and state of the session, and whether its file holds that state."""
    session = subject.session
    state = state_of(written(detached(session)))
    parts: list[object] = [
        "session ",
        element("code", session.id),
        ", state ",
        element("code", state),
    ]
    parts.append(f", schema {session.schema}; {_file_state(subject)}")
    return joined(*parts, between="")


def _file_state(subject: Subject) -> str:
    if subject.home is None:
        return "the session has no file yet"
    try:
        same = load(subject.home) == subject.session
    except ClxemError:
        return f"{subject.home.name} cannot be read to compare"
    if same:
        return f"as in {subject.home.name}"
    return f"with steps that are not in {subject.home.name} yet"


def _counts(session: Session) -> str:
    return ", ".join(
        (
            several(len(session.sites), "site"),
            several(len(session.datasets), "image"),
            several(len(session.links), "link"),
            several(len(session.targets), "target"),
            several(len(session.exposures), "exposure"),
            several(len(session.lamellae), "lamella", "lamellae"),
            several(len(session.fields), "tomogram field"),
        )
    )
