"""The files that a session rests on, and whether they are the ones it was made from."""

from __future__ import annotations

from collections import Counter

from napari_clxem.report.markup import Html, element, joined, missing, paragraph, section, table
from napari_clxem.report.subject import Subject, name_of
from napari_clxem.report.words import several
from napari_clxem.session.extents import spatial


def rests_on(subject: Subject) -> str:
    """Say in one line how many files are there, and as they were."""
    if not subject.session.datasets:
        return "no image yet"
    found = Counter(subject.checks.values())
    said = ", ".join(f"{count} {state}" for state, count in sorted(found.items()))
    return f"{several(len(subject.session.datasets), 'image')}: {said} (listed under Files)"


def files(subject: Subject) -> Html:
    """List the files, and whether they are those that the session was made from."""
    session = subject.session
    if not session.datasets:
        return section("files", "Files", missing("The session holds no image yet."))
    rows = []
    for dataset in session.datasets:
        known = spatial(dataset)
        pixels = " × ".join(str(n) for n in dataset.shape)
        sizes = "no pixel size" if known is None else " × ".join(f"{v:.4g}" for v in known[1])
        rows.append(
            [
                name_of(dataset),
                dataset.modality or "–",
                subject.site_name(dataset.site),
                joined(dataset.file.path, f"({dataset.file.index})" if dataset.file.index else ""),
                joined("×".join(dataset.axes), pixels, between=": ") if pixels else "–",
                sizes,
                f"{dataset.file.size / 1e6:.2f}",
                subject.checks[dataset.id],
                element("code", dataset.file.fingerprint[:12] or "–"),
            ]
        )
    head_ = ["image", "modality", "site", "file", "pixels", "pixel size, µm", "MB", "check", "mark"]
    made = table(
        "Images and the files they rest on",
        head_,
        rows,
        words=(0, 1, 2, 3, 4, 5, 7, 8),
        kind="files",
    )
    said = paragraph(
        "Check: size and fingerprint of the file on the day of this report against those that the "
        "session keeps. The mark is the head of the fingerprint (BLAKE2b of size, head, end and 32 "
        "sampled blocks); pixel sizes in z are after the correction for refraction."
    )
    return section("files", "Files", made, said)
