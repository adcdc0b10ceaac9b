"""An OLE2 compound file put together sector by sector (MS-CFB, version 3)."""

from __future__ import annotations

import struct

END, FREE, FATSECT, NONE = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD, 0xFFFFFFFF
SECTOR, MINI, CUTOFF = 512, 64, 4096


class Entry:
    """A storage or stream and its children."""

    def __init__(self, name: str, kind: int, data: bytes = b"") -> None:
        self.name, self.kind, self.data = name, kind, data
        self.children: list[Entry] = []
        self.number = self.start = self.size = 0
        self.left = self.right = self.child = NONE


def balanced(entries: list[Entry]) -> int:
    """Link siblings as a search tree, ordered as the format wants; gives its root."""
    if not entries:
        return NONE
    middle = len(entries) // 2
    top = entries[middle]
    top.left, top.right = balanced(entries[:middle]), balanced(entries[middle + 1 :])
    return top.number


def ole_bytes(streams: dict[str, bytes]) -> bytes:
    """Write streams, named by their path with slashes, into storages."""
    root = Entry("Root Entry", 5)
    order = [root]
    for path, data in streams.items():
        *folders, name = path.split("/")
        place = root
        for folder in folders:
            found = next((e for e in place.children if e.name == folder), None)
            if found is None:
                found = Entry(folder, 1)
                place.children.append(found)
                order.append(found)
            place = found
        entry = Entry(name, 2, data)
        place.children.append(entry)
        order.append(entry)
    for number, entry in enumerate(order):
        entry.number = number
    for entry in order:
        entry.children.sort(key=lambda e: (len(e.name), e.name.upper()))
        entry.child = balanced(entry.children)

    sectors: list[bytes] = []
    fat: list[int] = []

    def add(data: bytes) -> int:
        first = len(sectors)
        count = -(-len(data) // SECTOR)
        for i in range(count):
            sectors.append(data[i * SECTOR : (i + 1) * SECTOR].ljust(SECTOR, b"\0"))
            fat.append(first + i + 1 if i + 1 < count else END)
        return first if count else END

    mini, minifat = b"", []
    for entry in order:
        entry.size = len(entry.data)
        if entry.kind != 2 or not entry.data:
            entry.start = END if entry.kind == 2 else 0
        elif entry.size >= CUTOFF:
            entry.start = add(entry.data)
        else:
            entry.start = len(mini) // MINI
            count = -(-entry.size // MINI)
            minifat += [*range(entry.start + 1, entry.start + count), END]
            mini += entry.data.ljust(count * MINI, b"\0")
    root.start, root.size = add(mini), len(mini)
    minifat_raw = struct.pack(f"<{len(minifat)}I", *minifat)
    minifat_raw += b"\xff" * (-len(minifat_raw) % SECTOR)
    minifat_start = add(minifat_raw)
    directory = b"".join(
        e.name.encode("utf-16-le").ljust(64, b"\0")
        + struct.pack("<HBB3I", 2 * len(e.name) + 2, e.kind, 1, e.left, e.right, e.child)
        + bytes(36)
        + struct.pack("<IQ", e.start, e.size)
        for e in order
    )
    directory_start = add(directory + bytes(-len(directory) % SECTOR))
    count = 1
    while count * (SECTOR // 4) < len(sectors) + count:
        count += 1
    places = list(range(len(sectors), len(sectors) + count))
    fat += [FATSECT] * count
    fat += [FREE] * (count * SECTOR // 4 - len(fat))
    table = struct.pack(f"<{len(fat)}I", *fat)
    sectors += [table[i * SECTOR : (i + 1) * SECTOR] for i in range(count)]
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<4I", 0, count, directory_start, 0)
    header += struct.pack("<5I", CUTOFF, minifat_start, len(minifat_raw) // SECTOR, END, 0)
    header += struct.pack("<109I", *places, *[FREE] * (109 - count))
    return header + b"".join(sectors)
