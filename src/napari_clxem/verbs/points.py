"""The verbs ``landmarks`` and ``targets``: points to and from the files of other programs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_clxem.errors import SessionError
from napari_clxem.verbs.landmark_formats import LANDMARK_FORMATS, names_of, read, write
from napari_clxem.verbs.printing import Verbs, listed, positive, verb
from napari_clxem.verbs.target_formats import TARGET_FORMATS, export

if TYPE_CHECKING:
    from napari_clxem.session.model import Landmark, Link, Session


def add_to(verbs: Verbs) -> None:
    """Add the verbs on points."""
    marks = verbs.add_parser("landmarks", help="export or import the landmarks of a link")
    ways = marks.add_subparsers(dest="way", required=True)
    one = verb(ways, "export", export_landmarks, "write the landmarks of a link")
    _landmark_arguments(one)
    one = verb(ways, "import", import_landmarks, "read landmarks into a link, and save")
    _landmark_arguments(one)
    one.add_argument("--replace", action="store_true", help="drop those that the link has")
    one.add_argument("--moving-sd", type=positive, help="localisation sd, µm (as it was, or none)")
    one.add_argument("--fixed-sd", type=positive, help="the same of the fixed side")
    aims = verbs.add_parser("targets", help="export the targets of a session")
    ways = aims.add_subparsers(dest="way", required=True)
    one = verb(ways, "export", export_targets, "write targets as seen in one image")
    one.add_argument("session", help="a .clxem.json file")
    one.add_argument("file", help="the file to write")
    one.add_argument("--format", required=True, choices=sorted(TARGET_FORMATS))
    one.add_argument("--frame", help="of the image to place them in (that of the targets)")
    one.add_argument("--onto", help="a Navigator file whose items come first")


def _landmark_arguments(one: argparse.ArgumentParser) -> None:
    one.add_argument("session", help="a .clxem.json file")
    one.add_argument("link", help="its id, or 'moving -> fixed'")
    one.add_argument("file", help="the file; formats without pairs put -moving and -fixed to it")
    one.add_argument("--format", required=True, choices=sorted(LANDMARK_FORMATS))


def export_landmarks(options: argparse.Namespace) -> int:
    """Write the landmarks of a link, and print the files."""
    from napari_clxem.session import load

    session = load(options.session)
    link = found_link(session, options.link)
    if not link.landmarks:
        raise SessionError(f"Link {link.id} has no landmarks to export.")
    written, notes = write(session, link, Path(options.file), options.format)
    for path in written:
        print(path)
    listed("To know", notes)
    return 0


def import_landmarks(options: argparse.Namespace) -> int:
    """Read landmarks into a link, save the session, and print what has come in."""
    from napari_clxem.session import Store, edits, recoverable
    from napari_clxem.session.model import Link

    if recoverable(options.session) is not None:
        raise SessionError(
            f"{Path(options.session).name} has steps that were not saved; open it in napari and "
            "save or discard them first."
        )
    store = Store(path=options.session)
    try:
        link = found_link(store.session, options.link)
        new = read(store.session, link, Path(options.file), options.format)
        marks = tuple(_with_errors(one, link, options) for one in new)
        if not marks:
            raise SessionError(f"{Path(options.file).name} holds no landmarks.")
        before = {one.id for one in link.landmarks}

        def edit(session: Session) -> Session:
            if options.replace:
                session = edits.amend(session, Link, link.id, landmarks=())
            return edits.put_landmarks(session, link.id, *marks)

        store.commit(edit, f"Import {Path(options.file).name}")
        store.save()
    finally:
        store.close(discard=True)
    moved = sum(one.id in before for one in marks)
    print(f"{len(marks) - moved} landmarks added to {link.id}, {moved} replaced")
    if options.replace:
        print(f"{len(before) - moved} dropped")
    _print_fit(store.session, link.id)
    return 0


def _with_errors(one: Landmark, link: Link, options: argparse.Namespace) -> Landmark:
    """Give an imported landmark its errors: as given, as in the file, else as they were."""
    from dataclasses import replace

    known = next((mark for mark in link.landmarks if mark.id == one.id), None)
    values: dict[str, Any] = {}
    for side in ("moving", "fixed"):
        position, name = getattr(one, side), f"{side}_sigma"
        given = getattr(options, f"{side}_sd")
        kept = getattr(known, name, None)
        if position is None:
            values[name] = None
        elif given is not None:
            values[name] = (given,) * len(position)
        elif getattr(one, name) is None and kept is not None and len(kept) == len(position):
            values[name] = kept
    return replace(one, **values)


def _print_fit(session: Session, name: str) -> None:
    from napari_clxem.session.pairs import found, problem
    from napari_clxem.session.summary import nanometres

    link = next(one for one in session.links if one.id == name)
    fitted = found(link)
    print(problem(link) if fitted is None else f"FRE {nanometres(fitted.fre)}")
    bare = sum(one.moving_sigma is None and one.fixed_sigma is None for one in link.landmarks)
    if bare:
        print(
            f"{bare} landmarks have no localisation error, so errors take no part in the fit; give "
            "them with --moving-sd and --fixed-sd."
        )


def found_link(session: Session, name: str) -> Link:
    """Find a link by landmarks by its id, or by its frames as ``moving -> fixed``."""
    ends = tuple(part.strip() for part in name.replace("→", "->").split("->"))
    named = [link for link in session.links if name == link.id]
    found = named or [link for link in session.links if ends == (link.moving, link.fixed)]
    found = [link for link in found if link.kind == "landmarks"] or found
    if not found:
        known = ", ".join(one.id for one in session.links if one.kind == "landmarks")
        raise SessionError(f"There is no link {name!r}; those by landmarks are {known or 'none'}.")
    if len(found) > 1:
        raise SessionError(f"{name!r} may be {names_of(found)}; give the id of one.")
    if found[0].kind != "landmarks":
        raise SessionError(f"Link {found[0].id} is by {found[0].kind} and has no landmarks.")
    return found[0]


def export_targets(options: argparse.Namespace) -> int:
    """Write targets as they lie in an image, and print which."""
    from napari_clxem.session import load

    lines, notes = export(load(options.session), options)
    print(lines)
    listed("To know", notes)
    return 0
