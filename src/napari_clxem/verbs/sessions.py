"""The verbs ``pack``, ``unpack`` and ``merge``: a session travels and comes back."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_clxem.errors import SessionError
from napari_clxem.verbs.printing import Progress, Verbs, aligned, listed, say, verb

if TYPE_CHECKING:
    from napari_clxem.session.merging import Merge
    from napari_clxem.session.travel import Copy


def add_to(verbs: Verbs) -> None:
    """Add the verbs on sessions."""
    one = verb(verbs, "pack", pack_session, "write a session with small pictures as one zip")
    one.add_argument("session", help="a .clxem.json file")
    one.add_argument("package", help="the .clxem.zip to write")
    one = verb(verbs, "unpack", unpack_session, "unpack a travel package into a session")
    one.add_argument("package", help="a .clxem.zip")
    one.add_argument("folder", nargs="?", help="where to (a folder of its name beside it)")
    one = verb(verbs, "merge", merge_copies, "compare two copies of a session, and merge them")
    one.add_argument("a", help="our copy, a .clxem.json file")
    one.add_argument("b", help="the other copy, a .clxem.json or .clxem.zip file")
    one.add_argument("--out", help="the .clxem.json to write; without it they are compared only")
    one.add_argument(
        "--take", choices=("ours", "theirs"), help="which copy goes first in conflicts"
    )
    one.add_argument(
        "--theirs", nargs="+", default=[], metavar="KEY", help="conflicts in which the other goes"
    )
    one.add_argument(
        "--ours", nargs="+", default=[], metavar="KEY", help="conflicts in which ours goes first"
    )


def pack_session(options: argparse.Namespace) -> int:
    """Write a travel package."""
    from napari_clxem.session import load, open_dataset
    from napari_clxem.session.travel import SUFFIX, pack

    if not options.package.endswith(SUFFIX):
        raise SessionError(f"{options.package} does not end in {SUFFIX}; name the package so.")
    home = Path(options.session).expanduser().absolute()
    found = pack(
        load(home),
        options.package,
        lambda dataset: open_dataset(home.parent, dataset),
        home=home,
        progress=Progress(),
    )
    print(f"{found.path}: {found.size / 1e6:.2f} MB")
    listed("Without", found.left_out)
    return 0


def unpack_session(options: argparse.Namespace) -> int:
    """Unpack a travel package and print where its session is."""
    from napari_clxem.session.travel import unpack

    print(unpack(options.package, options.folder))
    return 0


def merge_copies(options: argparse.Namespace) -> int:
    """Print what merging two copies brings; write it; status 1 where decisions are open."""
    from napari_clxem.session import load
    from napari_clxem.session.merging import merge
    from napari_clxem.session.travel import another_copy

    home = Path(options.a).expanduser().absolute()
    ours = load(home)
    copy = another_copy(options.b, ours, home)
    found = merge(ours, copy.session, copy.base)
    choices, undecided = _choices(options, found)
    _print_merge(found, copy)
    if options.out is None:
        return 1 if undecided else 0
    if undecided:
        say(
            f"{undecided} conflicts are not decided, so nothing was written; give --take ours or "
            "--take theirs, or name them with --ours and --theirs."
        )
        return 1
    _write_merged(options, found, copy, choices)
    return 0


def _print_merge(found: Merge, copy: Copy) -> None:
    if copy.base is None:
        print("The common start is not known: nothing is removed, and every difference is asked.")
    listed("Comes in", found.gains)
    listed("So that they go together", found.notes)
    if found.conflicts:
        rows = [[one.key, one.what, one.ours, one.theirs] for one in found.conflicts]
        print("\nBoth changed:")
        print(aligned(["key", "what", "ours", "theirs"], rows, left=range(4)))
    elif not found.gains:
        print("Nothing in the other copy is new.")


def _choices(
    options: argparse.Namespace, found: Merge
) -> tuple[dict[str, Literal["ours", "theirs"]], int]:
    choices: dict[str, Literal["ours", "theirs"]] = {}
    if options.take:
        choices = {one.key: options.take for one in found.conflicts}
    unknown = {*options.ours, *options.theirs} - {one.key for one in found.conflicts}
    if unknown:
        raise SessionError(
            f"There is no conflict {min(unknown)!r} to decide; name one of the keys."
        )
    both = set(options.ours) & set(options.theirs)
    if both:
        raise SessionError(f"{min(both)} is named with --ours and with --theirs; name it once.")
    choices |= dict.fromkeys(options.ours, "ours")
    choices |= dict.fromkeys(options.theirs, "theirs")
    return choices, sum(one.key not in choices for one in found.conflicts)


def _write_merged(
    options: argparse.Namespace,
    found: Merge,
    copy: Copy,
    choices: dict[str, Literal["ours", "theirs"]],
) -> None:
    from napari_clxem.session import Store
    from napari_clxem.session.pictures import keep_pictures

    merged = found.session(choices)
    listed("Kept, because the other copy refers to it", found.restored(choices))
    place = Path(options.out).expanduser().absolute()
    store = Store(found.ours)
    try:
        store.commit(merged, f"Merge {Path(options.b).name}")
        keep_pictures(place, found.ours, copy.pictures)
        store.save(place)
        for sentence in store.notices:
            say(sentence)
    finally:
        store.close(discard=True)
    print(f"\nSession saved as {place}")
