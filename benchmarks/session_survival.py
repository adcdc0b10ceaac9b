"""Kill a process with signal 9 at random moments while it edits and saves; nothing may be lost.

    python benchmarks/session_survival.py --kills 200

Each child goes on from what the one before it left: it opens the session, moves landmarks, undoes,
redoes, saves, and says on a pipe what it is about to do and what it has done. After each kill
the session file must open, and the recovered session must be the last one told, or the one that
was being made. Before the first save the session lives in the user's own folder only.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import numpy as np

from napari_clxem.session import (
    Frame,
    Landmark,
    Link,
    Session,
    Store,
    edits,
    load,
    recoverable,
    unsaved,
)

LINKS, LANDMARKS = 5, 40


def first_session() -> Session:
    """Make a session whose every landmark lies at 0."""
    marks = tuple(
        Landmark(id=str(i), moving=(0.0,) * 3, fixed=(0.0,) * 3) for i in range(LANDMARKS)
    )
    links = tuple(Link(id=str(j), moving="a", fixed="b", landmarks=marks) for j in range(LINKS))
    return Session(id="trial", name="0", frames=(Frame(name="a"), Frame(name="b")), links=links)


def moved(session: Session, value: int) -> Session:
    """Give the session of a number: its name, and where some of its landmarks lie."""
    here = (float(value), value / 3.0, -float(value))
    for link in range(LINKS):
        session = edits.move_landmark(session, str(link), str(value % LANDMARKS), "fixed", here)
    return edits.rename(session, str(value))


def value_of(session: Session) -> int:
    """Read the number of a session, and make sure that all of it belongs to that number."""
    value = int(session.name)
    found = {link.landmarks[value % LANDMARKS].fixed for link in session.links}
    if found != {(float(value), value / 3.0, -float(value))}:
        raise AssertionError(f"the session of {value} has landmarks at {found}")
    return value


def opened(path: Path) -> Store:
    """Open the session wherever the last process left it."""
    if path.exists():
        return Store.open(path)
    left = unsaved()
    return Store.recover(left[0]) if left else Store(first_session())


def work(path: Path, tell: Callable[[str], object], seed: int) -> None:
    """Edit and save until killed."""
    rng = np.random.default_rng(seed)
    store = opened(path)
    now = value_of(store.session)
    tell(f"done {now}")
    while True:
        act = rng.choice(["commit"] * 12 + ["undo", "redo", "save", "draft", "draft"])
        if act == "commit":
            tell(f"try {now + 1}")
            store.commit(lambda s: moved(s, value_of(s) + 1), "Move")
        elif act == "save":
            store.save(path)
        elif act == "draft":  # as the window saves: beside it, while steps may go on
            draft = store.draft(path)
            writing = Thread(target=draft.write)
            writing.start()
            if rng.random() < 0.3:
                tell(f"try {now + 1}")
                store.commit(lambda s: moved(s, value_of(s) + 1), "Move")
                tell(f"done {now + 1}")
            writing.join()
            store.finish(draft)
        elif act == "undo" and store.can_undo and store.undo_label == "Move":
            tell(f"try {now - 1}")
            store.undo()
        elif act == "redo" and store.can_redo:
            tell(f"try {now + 1}")
            store.redo()
        now = value_of(store.session)
        tell(f"done {now}")


def trial(path: Path, delay: float, seed: int) -> list[str]:
    """Let a child work for `delay` seconds after its first word, kill it, give its words."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            work(path, lambda line: os.write(writer, f"{line}\n".encode()), seed)
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb", buffering=0) as words:
        told = words.read(64)
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        told += b"".join(iter(lambda: words.read(65536), b""))
    os.waitpid(child, 0)
    return told.decode().splitlines()


def judge(path: Path, told: list[str]) -> str:
    """Compare what is left with what was told; empty where they agree."""
    if not told:
        return "the child died before it had opened the session"
    allowed = {int(told[-1].split()[1])}
    if told[-1].startswith("try"):
        allowed.add(int(told[-2].split()[1]))
    if path.exists():
        saved = load(path)
        value_of(saved)
        left = recoverable(path)
        found = value_of(saved if left is None else left.session)
    else:
        states = unsaved()
        found = value_of(states[0].session) if states else 0
    return "" if found in allowed else f"{found} came back, not one of {sorted(allowed)}"


def main() -> int:
    """Run the trials and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--longest", type=float, default=0.08, help="longest life, s")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    rng = np.random.default_rng(chosen.seed)
    lost, steps, saves = [], 0, 0
    with tempfile.TemporaryDirectory() as name:
        os.environ["CLXEM_STATE"] = str(Path(name) / "state")
        path = Path(name) / "grid.clxem.json"
        for number in range(chosen.kills):
            if number % 10 == 0:  # begin with a session that has no file
                for one in (path, *(state.journal for state in unsaved())):
                    one.unlink(missing_ok=True)
                path.with_name("grid.clxem.journal").unlink(missing_ok=True)
            told = trial(path, rng.uniform(0.0, chosen.longest), int(rng.integers(2**31)))
            steps += sum(word.startswith("done") for word in told)
            saves += path.exists()
            if problem := judge(path, told):
                lost.append(f"kill {number}: {problem}; told {told[-3:]}")
        opened(path).close()
        litter = [one.name for one in Path(name).iterdir() if one.suffix == ".tmp"]
    result = {"kills": chosen.kills, "actions": steps, "with_file": saves, "lost": lost}
    print(json.dumps(result | {"litter": litter}))
    return bool(lost)


if __name__ == "__main__":
    # Imported on first use otherwise, in every child anew.
    Store(first_session(), journal=False).commit(lambda s: moved(s, 1), "Move")
    sys.exit(main())
