"""Stop a process dead before or after each of its file operations, and look at what is left.

Run as a script: prints one JSON line of failures. `os._exit` in a forked child ends it as kill -9
would: nothing is flushed, no handler runs.
"""

from __future__ import annotations

import builtins
import io
import json
import os
import sys
import tempfile
from pathlib import Path

from napari_clxem.session import Session, Site, Store, edits, load, recover, unsaved

OPERATIONS = ("open", "write", "fsync", "replace", "unlink", "link", "close", "ftruncate", "rename")


def scenario(path: Path, acknowledge) -> None:
    """Make, save, change, undo, save and copy a session; each name is acknowledged once done."""

    def name(value):
        acknowledge(f"try {value}")
        store.commit(lambda s: edits.rename(s, value), "Rename")
        acknowledge(f"done {value}")

    def step(value, act):
        acknowledge(f"try {value}")
        act()
        acknowledge(f"done {value}")

    store = Store()
    name("1")
    name("2")
    store.save(path)
    acknowledge("saved")
    name("3")
    name("4")
    step("3", store.undo)
    store.save()
    name("5")
    store.save()
    store.save()
    name("6")
    store.save(path.with_name("copy.clxem.json"))
    acknowledge("copied")
    name("7")
    store.close()


def die_at(number: int, after: bool) -> None:
    """Make the `number`-th file operation of this process its last."""
    count = 0

    def deadly(real):
        def operation(*args, **kwargs):
            nonlocal count
            count += 1
            if count == number and not after:
                os._exit(9)
            result = real(*args, **kwargs)
            if count == number and after:
                os._exit(9)
            return result

        return operation

    for name in OPERATIONS:
        setattr(os, name, deadly(getattr(os, name)))
    io.open = builtins.open = deadly(builtins.open)


def run(folder: Path, number: int, after: bool) -> tuple[int, list[str]]:
    """Run the scenario in a child that dies; give its exit code and what it acknowledged."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        write = os.write
        die_at(number, after)
        scenario(folder / "grid.clxem.json", lambda line: write(writer, f"{line}\n".encode()))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as lines:
        told = lines.read().splitlines()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), told


def judge(folder: Path, told: list[str]) -> str:
    """Say what is wrong with what the dead process left; empty where nothing is."""
    path = folder / "grid.clxem.json"
    if "copied" in told:
        path = folder / "copy.clxem.json"
    states = [line.split() for line in told if " " in line]
    allowed = {states[-1][1]} if states else {""}
    if states and states[-1][0] == "try":
        allowed.add(states[-2][1] if len(states) > 1 else "")
    if path.exists():
        left = recover(path)
        found = {(load(path) if left is None else left).name}
        # The last state of a copy that was being made may be beside the original still.
        copy = folder / "copy.clxem.json"
        found |= {load(copy).name} if copy.exists() else set()
    else:
        found = {one.session.name for one in unsaved()} or {""}
    if not found & allowed:
        return f"found {found}, but {allowed} was told"
    if path.exists():
        store = Store.open(path)
        if store.session.name not in found:
            return "opening gives something else"
        if any("not applied" in notice for notice in store.notices):
            return f"a false alarm: {store.notices}"
        store.close()
    return ""


def main() -> None:
    """Try every operation until the scenario runs through."""
    failures, tried = [], 0
    for after in (False, True):
        number = 0
        while True:
            number += 1
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                os.environ["CLXEM_STATE"] = str(folder / "state")
                code, told = run(folder, number, after)
                if code == 0:
                    break
                tried += 1
                problem = judge(folder, told) if code == 9 else f"exit code {code}"
                if problem:
                    failures.append([number, after, problem, told[-3:]])
    json.dump({"tried": tried, "failures": failures}, sys.stdout)


if __name__ == "__main__":
    # What is imported on first use is imported now: its files are not those of a session.
    Store(Session(sites=(Site(),)), journal=False).commit(lambda s: edits.rename(s, "x"), "x")
    main()
