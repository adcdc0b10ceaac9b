"""A file or folder that is put in place when it is whole, and what is done meanwhile."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from napari_clxem.errors import Cancelled, WriteError


@dataclass
class Work:
    """How far a long work is, and whether it is still wanted.

    Parameters
    ----------
    total : int
        Pixels in all.
    progress, cancelled : callable, optional
        Called as ``progress(share, text)``; asked, and Cancelled raised where it gives True.
    """

    total: int
    progress: Callable[[float, str], None] | None = None
    cancelled: Callable[[], bool] | None = None
    done: int = 0

    def check(self) -> None:
        """Raise Cancelled where it is wanted no more."""
        if self.cancelled is not None and self.cancelled():
            raise Cancelled("Writing the image was stopped; what was written is removed.")

    def add(self, pixels: int, text: str) -> None:
        """Count pixels as done."""
        self.done += pixels
        if self.progress is not None:
            self.progress(min(1.0, self.done / max(self.total, 1)), text)


@contextmanager
def put_in_place(path: Path, overwrite: bool, needed: int) -> Iterator[Path]:
    """Give a place beside `path` to write to, and move it there in the end; or remove it.

    Parameters
    ----------
    path : Path
        The file or folder to be.
    overwrite : bool
        Whether what is there may go.
    needed : int
        Bytes that it may take.

    Raises
    ------
    WriteError
        Where it exists, does not fit on the disk, or cannot be written.
    """
    if path.exists() and not overwrite:
        raise WriteError(f"{path} exists; choose another name, or allow to overwrite it.")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if not path.absolute().parent.is_dir():
            raise WriteError(f"There is no folder {path.parent}; choose another or make it.")
        free = shutil.disk_usage(path.absolute().parent).free
        if needed > free:
            raise WriteError(
                f"{path.name} may take {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; "
                "choose another disk, a smaller box or larger pixels."
            )
        yield temporary
        _remove(path)
        temporary.replace(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise WriteError(
            f"{path} could not be written: {reason}; choose another folder or name."
        ) from error
    finally:
        _remove(temporary)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
