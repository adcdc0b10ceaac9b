"""Time one step, saving and opening of a session of 20 links with 100 landmarks each.

python benchmarks/session_speed.py
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from napari_clxem.session import Frame, Landmark, Link, Session, Store, edits, load, recover, save
from napari_clxem.session.fingerprint import fingerprint


def document(links: int = 20, landmarks: int = 100) -> Session:
    """Make a session with positions of full length."""
    return Session(
        frames=(Frame(name="confocal"), Frame(name="sxt")),
        links=tuple(
            Link(
                id=f"link{j}",
                moving="confocal",
                fixed="sxt",
                landmarks=tuple(
                    Landmark(
                        id=f"mark{i}",
                        moving=(i / 3, j / 7, i / 11),
                        fixed=(i / 13, j / 17, i / 19),
                        moving_sigma=(0.1 / 3, 0.05 / 3, 0.05 / 3),
                    )
                    for i in range(landmarks)
                ),
            )
            for j in range(links)
        ),
    )


def timed(action: Callable[[int], object], times: int) -> float:
    """Give the median time of `action`, s."""
    found = []
    for number in range(times):
        start = time.perf_counter()
        action(number)
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["CLXEM_STATE"] = str(folder / "state")
        session, path = document(), folder / "grid.clxem.json"
        save(session, path)
        store = Store(path=path)
        quiet = Store(session, journal=False)

        def step(store: Store, number: int) -> None:
            store.commit(
                lambda s: edits.move_landmark(
                    s, "link7", "mark42", "fixed", (number / 3, number / 7, number / 11)
                ),
                "Move landmark",
            )

        step(store, -1)
        journal = folder / "grid.clxem.journal"
        before = journal.stat().st_size
        result = {"commit_us": 1e6 * timed(lambda n: step(store, n), 500)}
        result["journal_bytes"] = (journal.stat().st_size - before) / 500
        result["commit_without_journal_us"] = 1e6 * timed(lambda n: step(quiet, n), 500)
        result["undo_us"] = 1e6 * timed(lambda _: store.undo(), 200)
        store.close()
        result["recover_500_steps_ms"] = 1e3 * timed(lambda _: recover(path), 5)
        result["store_save_ms"] = 1e3 * timed(lambda _: quiet.save(folder / "b.clxem.json"), 15)
        result["save_ms"] = 1e3 * timed(lambda _: save(session, path), 15)
        result["load_ms"] = 1e3 * timed(lambda _: load(path), 15)
        result["file_kb"] = path.stat().st_size / 1e3
        large = folder / "large.mrc"
        large.touch()
        os.truncate(large, 64 * 2**30)
        result["fingerprint_64_gb_ms"] = 1e3 * timed(lambda _: fingerprint(large), 15)
    print(json.dumps({name: round(value, 2) for name, value in result.items()}, indent=1))


if __name__ == "__main__":
    main()
